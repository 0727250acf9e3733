"""A filter on system calls after which a process connects to nothing, neither by the network nor on this machine.

A network namespace closes the network. It leaves open what has a path: a process without a network can still ask the
system's resolver, a container engine or an agent for keys by their Unix sockets, and these have a network. And it needs
a right that containers and hardened services often withhold; a filter needs none (seccomp(2), ``no_new_privs``).

What is left: stream sockets that others connect to, pairs of them, and netlink, by which drivers ask the kernel.
Numbers are of the Linux system call interface (linux/seccomp.h, linux/filter.h, linux/audit.h, asm/unistd.h).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from dataclasses import dataclass

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_FIRST, _AT_SECOND = 0, 4, 16, 24
_X32 = 0x40000000
"""Calls of the second numbering that 64-bit x86 kernels may have start here."""

_KIND_OF_SOCKET = 0xF
"""Bits of a socket's type that are no flags."""

_AF_UNIX, _AF_NETLINK, _STREAM = 1, 16, 1
_CLONE_THREAD, _CLONE3 = 0x10000, 435
_IO_URING_SETUP = 425
"""Opens and connects sockets without calls of their own; one number on every machine."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the filter has to know of a processor.

    Attributes:
        audit: How the kernel names it in what the filter sees.
        socket: Number of the call.
        connect: Number of the call.
        pair: Number of ``socketpair``.
        clone: Number of the call.
        starts: Numbers of all other calls that start a process or a program.
    """

    audit: int
    socket: int
    connect: int
    pair: int
    clone: int
    starts: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(
        audit=0xC000003E, socket=41, connect=42, pair=53, clone=56, starts=(57, 58, 59, 322)
    ),  # fork, vfork, execve, execveat
    "aarch64": Machine(audit=0xC00000B7, socket=198, connect=203, pair=199, clone=220, starts=(221, 281)),
    "riscv64": Machine(audit=0xC00000F3, socket=198, connect=203, pair=199, clone=220, starts=(221, 281)),
}
"""By what ``uname`` calls them; all have 64 bits with the low half first."""


def program(machine: Machine) -> bytes:
    """The filter, as instructions of the classic packet filter.

    Jumps are counted in instructions behind the jump. Sockets are told by the low halves of their arguments: the kernel
    looks at no more of them.
    """
    refused, allowed = 15, 16
    lines = (
        (_LOAD, 0, 0, _AT_MACHINE),
        (_EQUAL, 0, refused - 2, machine.audit),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_AT_LEAST, refused - 4, 0, _X32),
        (_EQUAL, refused - 5, 0, machine.connect),
        (_EQUAL, refused - 6, 0, _IO_URING_SETUP),
        (_EQUAL, 2, 0, machine.socket),
        (_EQUAL, 1, 0, machine.pair),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _AT_FIRST),
        (_EQUAL, allowed - 11, 0, _AF_NETLINK),
        (_EQUAL, 0, refused - 12, _AF_UNIX),
        (_LOAD, 0, 0, _AT_SECOND),
        (_AND, 0, 0, _KIND_OF_SOCKET),
        # Of Unix sockets streams only: a datagram finds its way by the address that it is sent to.
        (_EQUAL, allowed - 15, 0, _STREAM),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    )
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def without_processes(machine: Machine) -> bytes:
    """A filter after which there are threads but no further processes or programs.

    ``clone3`` says what it starts in memory, which a filter cannot see: it is told to be unknown, and the C library then
    asks ``clone``.
    """
    starts = machine.starts
    refused, unknown, allowed = 9 + len(starts), 10 + len(starts), 11 + len(starts)
    lines = [
        (_LOAD, 0, 0, _AT_MACHINE),
        (_EQUAL, 0, refused - 2, machine.audit),
        (_LOAD, 0, 0, _AT_NUMBER),
        (_AT_LEAST, refused - 4, 0, _X32),
        (_EQUAL, unknown - 5, 0, _CLONE3),
        *((_EQUAL, refused - 6 - place, 0, number) for place, number in enumerate(starts)),
        (_EQUAL, 0, allowed - 6 - len(starts), machine.clone),
        (_LOAD, 0, 0, _AT_FIRST),
        (_AND, 0, 0, _CLONE_THREAD),
        (_EQUAL, allowed - 9 - len(starts), 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def forbid_connecting() -> str:
    """Take the right to connect from this thread and all that it starts, for good. Needs ``no_new_privs``.

    Returns:
        What holds from now on.

    Raises:
        OSError: The kernel refuses, or this processor is not known here.
    """
    _install(program(_machine()))
    return "seccomp: connects to nothing, be it on this machine"


def forbid_processes() -> str:
    """Take the right to start processes and programs from this thread and all that it starts, for good.

    Returns:
        What holds from now on.

    Raises:
        OSError: The kernel refuses, or this processor is not known here.
    """
    _install(without_processes(_machine()))
    return "seccomp: starts no process"


def _machine() -> Machine:
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.platform != "linux":
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    return machine


def _install(code: bytes) -> None:
    held = ctypes.create_string_buffer(code, len(code))
    given = struct.pack("@HP", len(code) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    unused = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), given, unused, unused) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
