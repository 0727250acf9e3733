"""What the engine's child gives up before it reads a model file or a prompt.

llama.cpp is a large C++ program that parses files and texts of others. Should one of them take it over, it finds no
network, nobody on this machine to send for it, no programs to start, nothing to write to, and of what there is to read
only the system and its model. What a kernel refuses is reported, not hidden: ``freehold doctor`` shows it. Numbers are of the Linux system call interface (linux/prctl.h, linux/sched.h,
linux/landlock.h, linux/capability.h), equal on all architectures of today.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.engines.process.seccomp import forbid_connecting

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIGKILL = 9

_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_REMOVE_FILE, _FS_MAKE_SOCK = 1 << 5, 1 << 9
_FS_REMOVE_AND_MAKE = 0x1FF0  # remove directory and file; make device, directory, file, socket, pipe, block, link
_FS_TRUNCATE, _FS_TRUNCATE_SINCE = 1 << 14, 3
_NET_BIND_AND_CONNECT_TCP, _NET_SINCE = 3, 4

# What a dynamic loader, the C library and accelerator drivers read. Not /etc and no home.
_SYSTEM_FOLDERS = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/nix", "/gnu", "/proc", "/sys", "/dev",
    "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/vulkan", "/etc/OpenCL", "/etc/alternatives",
)  # fmt: skip

_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2


MEASURES = (
    "no core dumps", "no new privileges", "no network", "no connections", "no files of others", "no capabilities",
    "no tracing", "dies with the gateway",
)  # fmt: skip
"""All that is tried, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that the child gave up.

    Attributes:
        name: For example ``no network``.
        holds: Whether it is in force.
        detail: How, or why not.
    """

    name: str
    holds: bool
    detail: str


def enter(*, writable: str, readable: Sequence[str], executes: bool) -> tuple[Measure, ...]:
    """Give up, for this process and for good, all that an engine does not need.

    Must run before a second thread exists, since namespaces and Landlock are taken on thread by thread.

    Args:
        writable: The one folder it may make its socket in.
        readable: Files and folders that it reads beside those of the system; what does not exist is left out.
        executes: Whether it still has to become another program.

    Returns:
        Every measure, those that the system refused among them.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = [Measure(name="no core dumps", holds=True, detail="RLIMIT_CORE 0")]
    if sys.platform != "linux":
        return (*done, *(Measure(name=name, holds=False, detail=f"not on {sys.platform}") for name in MEASURES[1:]))
    # The order matters: namespaces reset the parent-death signal and need /proc/self, which a process that may not
    # be dumped no longer owns; Landlock and seccomp need no_new_privs.
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("no new privileges", lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1)),
        ("no network", _leave_network),
        ("no connections", forbid_connecting),
        ("no files of others", lambda: _landlock(writable, readable, executes=executes)),
        ("no capabilities", _drop_capabilities),
        ("no tracing", lambda: _forbid_tracing(executes=executes)),
        ("dies with the gateway", lambda: _prctl(_PR_SET_PDEATHSIG, _SIGKILL)),
    )
    for name, step in steps:
        try:
            done.append(Measure(name=name, holds=True, detail=step()))
        except OSError as error:
            done.append(Measure(name=name, holds=False, detail=os.strerror(error.errno or 0)))
    return tuple(done)


def die_with_parent() -> None:
    """End with the process that started this one, where the system can do that; copies of a process do not inherit it."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(returned: int) -> int:
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return returned


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library has no name for; integers go as ``long``, which variadic calls need said."""
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _check(_libc().syscall(ctypes.c_long(number), *wide))


def _prctl(option: int, value: int) -> str:
    unused = ctypes.c_ulong(0)
    _check(_libc().prctl(option, ctypes.c_ulong(value), unused, unused, unused))
    return "prctl"


def _forbid_tracing(*, executes: bool) -> str:
    if executes:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))  # the next program could be traced again
    return _prctl(_PR_SET_DUMPABLE, 0)


def _leave_network() -> str:
    """Enter a network namespace of its own, which has no interface that is up."""
    libc = _libc()
    if os.geteuid() == 0 and libc.unshare(_CLONE_NEWNET) == 0:
        return "own network namespace"
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
    # Names for the ids are a courtesy to what the process reports of itself; it works without.
    with contextlib.suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_bytes(text.encode())
    return "own user and network namespace"


def _landlock(writable: str, readable: Sequence[str], *, executes: bool) -> str:
    """Forbid other files, writing outside ``writable`` and devices, starting programs, and TCP where the kernel can.

    A process under Landlock can also not trace or read the memory of processes outside, of the gateway for one.
    """
    version = _syscall(_SYS_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    files = _FS_READ_FILE | _FS_READ_FOLDER | _FS_WRITE_FILE | _FS_REMOVE_AND_MAKE
    files |= 0 if executes else _FS_EXECUTE
    files |= _FS_TRUNCATE if version >= _FS_TRUNCATE_SINCE else 0
    net = _NET_BIND_AND_CONNECT_TCP if version >= _NET_SINCE else 0
    attributes = struct.pack("=QQ", files, net) if net else struct.pack("=Q", files)
    rules = _syscall(_SYS_LANDLOCK_CREATE, attributes, len(attributes), 0)
    try:
        for path in (*_SYSTEM_FOLDERS, *readable):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(rules, path, _FS_READ_FILE | _FS_READ_FOLDER)
        _allow(rules, "/dev", _FS_WRITE_FILE)  # accelerators are opened for writing
        own = _FS_READ_FILE | _FS_READ_FOLDER | _FS_WRITE_FILE | _FS_REMOVE_FILE | _FS_MAKE_SOCK
        _allow(rules, writable, own)
        _syscall(_SYS_LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    limits = ("reads", "writes", *(() if executes else ("programs",)), *(("TCP",) if net else ()))
    return f"Landlock {version}: {', '.join(limits)}"


def _allow(rules: int, path: str, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= ~_FS_READ_FOLDER
        _syscall(_SYS_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, struct.pack("=Qi", access, parent), 0)
    finally:
        os.close(parent)


def _drop_capabilities() -> str:
    """Keep none; a gateway that runs as root leaves its child the right to read, which model files may need."""
    kept = _CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    _check(_libc().capset(header, data))
    return "read only" if kept else "none"
