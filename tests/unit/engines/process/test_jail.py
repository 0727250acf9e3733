"""The jail, entered by a process of its own; what it gave up is tried from inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the jail is made of Linux system calls")

INSIDE = """
import ctypes, json, os, resource, socket, subprocess, sys
from freehold.engines.process import jail
folder, port, secret, gateway = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
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

tried = {
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


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("jail")
    folder, secret = home / "own", home / "secret"
    folder.mkdir()
    secret.write_text("hush")
    source = Path(__file__).parents[4] / "src"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        arguments = [str(folder), str(listener.getsockname()[1]), str(secret), str(os.getpid())]
        done = subprocess.run(
            [sys.executable, "-c", INSIDE, *arguments],
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
def test_no_files_of_others(inside: dict[str, Any]) -> None:
    _holds(inside, "no files of others")
    refused = ("write elsewhere", "write a file in its folder", "read a secret", "read the gateway's memory")
    assert {inside["tried"][each] for each in (*refused, "start a program")} == {"Permission denied"}


@linux_only
def test_every_measure_is_reported_once(inside: dict[str, Any]) -> None:
    names = [each[0] for each in inside["report"]]
    assert sorted(names) == sorted(
        {
            "no core dumps", "no new privileges", "no network", "no files of others", "no capabilities", "no tracing",
            "dies with the gateway",
        }
    )  # fmt: skip
    assert all(each[2] for each in inside["report"])
