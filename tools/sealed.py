"""Runs tests where the kernel drops and counts every packet that is not on loopback: ``python -m tools.sealed tests/unit``.

A network namespace of its own gets loopback, one device that pretends to be the way to everywhere, and a packet filter
in front of it. What pytest and all its children do is then seen by the kernel, whatever library does it and however: a
name that is looked up, a connection, a datagram, a raw frame. At the end every counter must be zero; after that one
packet of each kind is sent on purpose, since a counter that cannot count proves nothing.

Exit codes: pytest's own, 3 for packets that wanted out, 4 for a counter that does not count. Where no such namespace can
be made the reason is said and nothing is run; ``--require`` makes that a failure (code 5).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEVICE = "out0"
DNS, ICMPV6, OTHER, FRAMES = "drop_dns", "drop_icmpv6", "drop_other", "frames"
PACKETS_LEFT, COUNTER_DEAD, NOT_SEALED = 3, 4, 5
_FRAME_BYTES_MAX = 65_536
_TUNSETIFF, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
_NOTHING_FETCHED = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1"}
"""Tests that would fetch a model from a package index skip with the reason instead."""

_WAYS_OUT = (
    "link set lo up",
    f"link set {DEVICE} addrgenmode none multicast off",  # else the kernel itself talks of multicast groups
    f"addr add 198.18.0.1/15 dev {DEVICE}",
    f"-6 addr add 2001:db8::1/64 dev {DEVICE} nodad",
    f"link set {DEVICE} up",
    f"route add default dev {DEVICE}",
    f"-6 route add default dev {DEVICE}",
)
# Names are looked up at a resolver on loopback as often as at one beyond, so port 53 is closed first.
_RULES = f"""
table inet sealed {{
  counter {DNS} {{}}
  counter {ICMPV6} {{}}
  counter {OTHER} {{}}
  set connects {{ type uid . ipv4_addr . inet_service; flags dynamic; size 4096; }}
  set connects6 {{ type uid . ipv6_addr . inet_service; flags dynamic; size 4096; }}
  chain out {{
    type filter hook output priority 0; policy drop;
    tcp flags & (syn | ack) == syn ip daddr 0.0.0.0/0 add @connects {{ meta skuid . ip daddr . tcp dport }}
    tcp flags & (syn | ack) == syn ip6 daddr ::/0 add @connects6 {{ meta skuid . ip6 daddr . tcp dport }}
    meta l4proto {{ tcp, udp }} th dport 53 counter name "{DNS}" drop
    oif "lo" accept
    meta l4proto icmpv6 counter name "{ICMPV6}" drop
    counter name "{OTHER}" drop
  }}
}}
"""


def command() -> tuple[str, ...]:
    """What starts a program in a network namespace of its own, as root there."""
    return ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--net")


def why_not() -> str:
    """Why this machine cannot seal; empty where it can. Costs one short process."""
    if missing := [program for program in ("unshare", "ip", "nft") if shutil.which(program) is None]:
        return f"it takes {' and '.join(missing)} (util-linux, iproute2, nftables)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    tried = subprocess.run([*command(), "nft", "list", "tables"], capture_output=True, check=False)
    return f"the system refuses: {tried.stderr.decode().strip()}" if tried.returncode else ""


class Seal:
    """Closes the namespace that this process is in, which must be its own; the device is gone when it is closed.

    Raises:
        OSError: The device could not be made.
        subprocess.CalledProcessError: An address, a route or the filter was refused.
    """

    def __init__(self) -> None:
        self._device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._frames = 0
        fcntl.ioctl(self._device, _TUNSETIFF, struct.pack("16sH", DEVICE.encode(), _TUN_WITHOUT_HEADER))
        for line in _WAYS_OUT:
            _run("ip", *line.split())
        _run("nft", "-f", "-", given=_RULES)

    def dropped(self) -> dict[str, int]:
        """Packets that wanted out so far, by kind; ``frames`` are those that went past the filter."""
        listed = _run("nft", "-j", "list", "counters")
        found = [each["counter"] for each in json.loads(listed)["nftables"] if "counter" in each]
        with contextlib.suppress(BlockingIOError):
            while os.read(self._device, _FRAME_BYTES_MAX):
                self._frames += 1
        return {each["name"]: each["packets"] for each in found} | {FRAMES: self._frames}

    def prove(self) -> list[str]:
        """Send some packets of each kind on purpose; the counters that did not see theirs."""
        before = self.dropped()
        _send_each_kind()
        seen = {name: count - before[name] for name, count in self.dropped().items()}
        wanted = {DNS: 2, ICMPV6: 1, OTHER: 2, FRAMES: 1}
        return [f"{name}: {seen[name]} instead of {count}" for name, count in wanted.items() if seen[name] < count]

    def close(self) -> None:
        """Take the device away."""
        os.close(self._device)


def connects() -> set[tuple[int, str, int]]:
    """Every TCP connection that was begun in this namespace: the user that began it, address, port."""
    found: set[tuple[int, str, int]] = set()
    for name in ("connects", "connects6"):
        listed = _run("nft", "-j", "-n", "list", "set", "inet", "sealed", name)
        made = next(each["set"] for each in json.loads(listed)["nftables"] if "set" in each)
        for element in made.get("elem", ()):
            uid, address, port = element["concat"]
            found.add((int(uid), str(address), int(port)))
    return found


def _send_each_kind() -> None:
    for family, address in (
        (socket.AF_INET, ("192.0.2.1", 53)),
        (socket.AF_INET, ("127.0.0.53", 53)),
        (socket.AF_INET, ("192.0.2.1", 9)),
        (socket.AF_INET6, ("2001:db8:1::1", 9)),
    ):
        with socket.socket(family, socket.SOCK_DGRAM) as own, contextlib.suppress(PermissionError):
            own.sendto(b"x", address)
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as own,
        contextlib.suppress(PermissionError),
    ):
        own.sendto(bytes([128, 0, 0, 0, 0, 1, 0, 1]), ("2001:db8:1::1", 0))
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as own:
        own.sendto(bytes(28), (DEVICE, 0x0800))


def _say(text: str) -> None:
    sys.stderr.write(f"sealed: {text}\n")


def _run(*command: str, given: str = "") -> bytes:
    """What a program of the system says; it is looked up once, in the path that the caller has."""
    program = shutil.which(command[0]) or command[0]
    return subprocess.run([program, *command[1:]], input=given.encode(), capture_output=True, check=True).stdout


def _inside(arguments: list[str]) -> int:
    """Seal, run pytest, and read the counters."""
    seal = Seal()
    with contextlib.closing(seal):
        code = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=os.environ | _NOTHING_FETCHED, check=False
        ).returncode
        counts = seal.dropped()
        _say(", ".join(f"{name} {count}" for name, count in counts.items()))
        if any(counts.values()):
            _say("packets wanted out of the tests' namespace")
            return PACKETS_LEFT
        if dead := seal.prove():
            _say(f"counters that do not count: {'; '.join(dead)}")
            return COUNTER_DEAD
        return code


def main(arguments: list[str]) -> int:
    """Run pytest with ``arguments``, sealed; its exit code."""
    if arguments[:1] == ["--inside"]:
        return _inside(arguments[1:])
    required, rest = "--require" in arguments, [each for each in arguments if each != "--require"]
    if reason := why_not():
        _say(f"nothing was run, {reason}")
        return NOT_SEALED if required else 0
    done = subprocess.run([*command(), sys.executable, "-m", "tools.sealed", "--inside", *rest], cwd=ROOT, check=False)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
