"""The jail, entered by a process of its own; what it gave up is tried from inside."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from freehold.engines.process.jail import MEASURES
from freehold.engines.process.seccomp import MACHINES, program, without_processes

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the jail is made of Linux system calls")

INSIDE = """
import ctypes, json, os, resource, socket, subprocess, sys
from freehold.engines.process import jail
folder, port, secret, gateway, door = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
report = jail.enter(writable=folder, readable=[*sys.path, sys.prefix, sys.base_prefix], executes=False)

def attempt(act):
    try:
        act()
    except OSError as error:
        return error.strerror or str(error)
    return "done"

def unix_socket():
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(os.path.join(folder, "e.sock"))
        own.listen()

def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.sendto(b"x", ("127.0.0.1", port))

def tcp():
    with socket.socket() as own:
        own.settimeout(2)
        own.connect(("127.0.0.1", port))

def of(family, kind):
    socket.socket(family, kind).close()

def neighbour():
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(door)

def datagram_of_a_pair():
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.sendto(b"x", door)

def ring():
    if ctypes.CDLL(None, use_errno=True).syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

tried = {
    "connect to a neighbour": attempt(neighbour),
    "an internet socket": attempt(lambda: of(socket.AF_INET, socket.SOCK_STREAM)),
    "an internet socket of version 6": attempt(lambda: of(socket.AF_INET6, socket.SOCK_DGRAM)),
    "a raw socket": attempt(lambda: of(socket.AF_INET, socket.SOCK_RAW)),
    "a packet socket": attempt(lambda: of(socket.AF_PACKET, socket.SOCK_RAW)),
    "a socket to the hypervisor": attempt(lambda: of(socket.AF_VSOCK, socket.SOCK_STREAM)),
    "a datagram socket": attempt(lambda: of(socket.AF_UNIX, socket.SOCK_DGRAM)),
    "a datagram from a pair": attempt(datagram_of_a_pair),
    "a ring": attempt(ring),
    "a pair": attempt(lambda: socket.socketpair()),
    "netlink": attempt(lambda: of(socket.AF_NETLINK, socket.SOCK_RAW)),
    "tcp": attempt(tcp),
    "udp": attempt(udp),
    "unix socket": attempt(unix_socket),
    "write elsewhere": attempt(lambda: os.open(secret + ".new", os.O_CREAT | os.O_WRONLY)),
    "write a file in its folder": attempt(lambda: os.open(os.path.join(folder, "f"), os.O_CREAT | os.O_WRONLY)),
    "read a secret": attempt(lambda: os.open(secret, os.O_RDONLY)),
    "read the gateway's memory": attempt(lambda: os.open(f"/proc/{gateway}/mem", os.O_RDONLY)),
    "start a program": attempt(lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"])),
}
print(json.dumps({
    "report": [[each.name, each.holds, each.detail] for each in report],
    "tried": tried,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "new privileges": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0),
}))
"""


WITHOUT_NAMESPACES = """
from freehold.engines.process import jail

def refused():
    raise PermissionError(1, "Operation not permitted")

jail._leave_network = refused
"""
"""As where a container or a service forbids namespaces."""


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _entered(tmp_path_factory, INSIDE)


def _entered(tmp_path_factory: pytest.TempPathFactory, program: str) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("jail")
    folder, secret = home / "own", home / "secret"
    folder.mkdir()
    secret.write_text("hush")
    source = Path(__file__).parents[4] / "src"
    door = tempfile.mkdtemp() + "/door"  # short: the path of a socket has at most 107 bytes
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as neighbour:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        neighbour.bind(door)
        neighbour.listen()
        arguments = [str(folder), str(listener.getsockname()[1]), str(secret), str(os.getpid()), door]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={"PYTHONPATH": str(source), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _holds(inside: dict[str, Any], name: str) -> None:
    """Skip where this kernel refused the measure, which the report must then say."""
    found = {each[0]: each[1:] for each in inside["report"]}
    if not found[name][0]:
        pytest.skip(f"{name}: {found[name][1]}")


@linux_only
def test_no_core_dumps_and_no_new_privileges(inside: dict[str, Any]) -> None:
    assert inside["core"] == [0, 0]
    _holds(inside, "no new privileges")
    assert inside["new privileges"] == 1


@linux_only
def test_no_network(inside: dict[str, Any]) -> None:
    _holds(inside, "no network")
    assert inside["tried"]["tcp"] != "done"
    assert inside["tried"]["udp"] != "done"
    assert inside["tried"]["unix socket"] == "done"


@linux_only
def test_no_connections(inside: dict[str, Any]) -> None:
    """Also none to what on this machine has a network: a resolver, a container engine, an agent with keys."""
    _holds(inside, "no connections")
    refused = (
        "connect to a neighbour", "an internet socket", "an internet socket of version 6", "a raw socket",
        "a packet socket", "a socket to the hypervisor", "a datagram socket", "a datagram from a pair", "a ring",
        "tcp", "udp",
    )  # fmt: skip
    assert {each: inside["tried"][each] for each in refused} == dict.fromkeys(refused, "Permission denied")
    assert {inside["tried"][each] for each in ("unix socket", "a pair", "netlink")} == {"done"}


@linux_only
def test_the_filter_alone_closes_the_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    inside = _entered(tmp_path_factory, WITHOUT_NAMESPACES + INSIDE)
    assert ["no network", False, "Operation not permitted"] in inside["report"]
    _holds(inside, "no connections")
    assert {inside["tried"][each] for each in ("tcp", "udp", "connect to a neighbour")} == {"Permission denied"}
    assert inside["tried"]["unix socket"] == "done"


def as_the_kernel(code: bytes, audit: int, number: int, *arguments: int) -> str:
    """What the kernel does with a call, by a filter run by hand."""
    lines = list(struct.iter_unpack("=HBBI", code))
    data = struct.pack("=iIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    held, at = 0, 0
    while True:
        kind, yes, no, value = lines[at]
        at += 1
        if kind == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif kind == 0x54:
            held &= value
        elif kind == 0x06:
            return "allow" if value == 0x7FFF0000 else f"errno {value & 0xFFFF}"
        else:
            at += yes if (held == value if kind == 0x15 else held >= value) else no


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_ends_on_every_path(machine: str) -> None:
    """Run by hand, over every call that matters on every machine, as the kernel would."""
    asked = MACHINES[machine]

    def answer(number: int, *arguments: int, audit: int = asked.audit) -> str:
        return as_the_kernel(program(asked), audit, number, *arguments)

    cloexec = 0o2000000
    assert answer(0) == answer(1) == answer(500) == "allow"
    assert answer(asked.socket, socket.AF_UNIX, socket.SOCK_STREAM | cloexec) == "allow"
    assert answer(asked.pair, socket.AF_UNIX, socket.SOCK_STREAM) == "allow"
    assert answer(asked.socket, 16, socket.SOCK_RAW) == "allow"
    for family in (*range(46), 1 << 32 | socket.AF_INET):
        if family not in (socket.AF_UNIX, 16):
            assert answer(asked.socket, family, socket.SOCK_STREAM) == "errno 13", family
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM | cloexec):
        assert answer(asked.socket, socket.AF_UNIX, kind) == answer(asked.pair, socket.AF_UNIX, kind) == "errno 13"
    assert answer(asked.connect, 3) == answer(425) == "errno 13"
    assert answer(0x40000000 + asked.socket, socket.AF_UNIX, socket.SOCK_STREAM) == "errno 13"
    assert answer(0, audit=0x40000003) == "errno 13", "another numbering, another meaning"


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_copies_start_threads_and_nothing_else(machine: str) -> None:
    asked = MACHINES[machine]
    code = without_processes(asked)
    thread, vfork = 0x10000 | 0xF00, 0x4000 | 17
    assert as_the_kernel(code, asked.audit, asked.clone, thread) == "allow"
    assert as_the_kernel(code, asked.audit, asked.clone, vfork) == "errno 13"
    assert as_the_kernel(code, asked.audit, asked.clone, 17) == "errno 13"
    assert {as_the_kernel(code, asked.audit, number) for number in asked.starts} == {"errno 13"}
    assert as_the_kernel(code, asked.audit, 435) == "errno 38", "the C library asks the other way then"
    assert {as_the_kernel(code, asked.audit, number) for number in (0, 1, asked.socket, 500)} == {"allow"}
    assert as_the_kernel(code, 0x40000003, 2) == "errno 13", "another numbering, another meaning"
    assert as_the_kernel(code, asked.audit, 0x40000000 + asked.clone, thread) == "errno 13"


@linux_only
def test_no_files_of_others(inside: dict[str, Any]) -> None:
    _holds(inside, "no files of others")
    refused = ("write elsewhere", "write a file in its folder", "read a secret", "read the gateway's memory")
    assert {inside["tried"][each] for each in (*refused, "start a program")} == {"Permission denied"}


@linux_only
def test_every_measure_is_reported_once(inside: dict[str, Any]) -> None:
    names = [each[0] for each in inside["report"]]
    assert names == list(MEASURES)
    assert all(each[2] for each in inside["report"])
