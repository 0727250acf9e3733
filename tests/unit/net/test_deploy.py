"""The systemd units in ``deploy``: they are read by systemd, and hold what docs/how-to/harden.md says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from freehold.net.addresses import _METADATA
from tests.support.documents import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
SOCKETS = sorted(UNITS.glob("*.socket"))
DROP_INS = sorted(UNITS.glob("*/*.conf"))
HARDENED = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict",
    "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible", "RestrictSUIDSGID": "yes", "SystemCallArchitectures": "native", "LimitCORE": "0",
}  # fmt: skip
KNOWN = re.compile(r"\[(Unit|Service|Socket|Install)\]|[A-Z][A-Za-z0-9]+=.*|#.*|")


def settings(path: Path) -> dict[str, list[str]]:
    """Every assignment, in order, as lists: systemd adds up what is given several times."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        assert KNOWN.fullmatch(line), f"{path.name}: {line!r}"
        name, is_set, value = line.partition("=")
        if is_set and not line.startswith("#"):
            found[name].append(value)
    return found


def test_there_are_units() -> None:
    assert [path.name for path in SERVICES] == [
        "freehold-broker.service",
        "freehold-engine@.service",
        "freehold.service",
    ]
    assert [path.name for path in DROP_INS] == ["at-home.conf", "brokered.conf", "gpu.conf"]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_hardened(path: Path) -> None:
    found = settings(path)
    assert {name: found[name] for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert found["User"] not in ([], ["root"])
    assert "@system-service" in found["SystemCallFilter"][0]


def test_the_server_lets_its_workers_leave_the_network_and_never_asks_for_credentials_of_the_machine() -> None:
    found = settings(UNITS / "freehold.service")
    assert found["RestrictNamespaces"] == ["user net"]
    assert {"landlock_create_ruleset", "landlock_restrict_self"} <= set(found["SystemCallFilter"][0].split())
    assert {*" ".join(found["IPAddressDeny"]).split()} == {str(address) for address in _METADATA}
    assert int(found["TimeoutStopSec"][0]) > 60


def test_what_stays_at_home_reaches_loopback_only() -> None:
    found = settings(UNITS / "freehold.service.d" / "at-home.conf")
    assert (found["IPAddressDeny"], found["IPAddressAllow"]) == (["any"], ["localhost"])


def test_a_brokered_server_has_no_network_and_only_the_broker_has_one() -> None:
    drop_in, server = settings(UNITS / "freehold.service.d" / "brokered.conf"), settings(UNITS / "freehold.service")
    broker, (listens,) = settings(UNITS / "freehold-broker.service"), [settings(path) for path in SOCKETS]
    assert drop_in["PrivateNetwork"] == ["yes"]
    assert drop_in["Requires"] == ["freehold.socket"]
    assert "PrivateNetwork" not in broker
    assert {*" ".join(broker["IPAddressDeny"]).split()} == {str(address) for address in _METADATA}
    assert drop_in["SupplementaryGroups"] == broker["Group"], "the server may reach the socket"
    assert broker["User"] != server["User"]
    assert broker["Environment"] != server["Environment"], "two logs, each in a folder of its own"
    assert broker["StateDirectory"] != server["StateDirectory"]
    assert broker["RuntimeDirectoryMode"] == ["0750"]
    assert listens["ListenStream"] == ["127.0.0.1:8484"]


def test_an_engine_of_others_has_no_network() -> None:
    found = settings(UNITS / "freehold-engine@.service")
    assert found["PrivateNetwork"] == ["yes"]
    assert found["IPAddressDeny"] == ["any"]
    assert not {"AF_INET", "AF_INET6", "AF_PACKET"} & set(found["RestrictAddressFamilies"][0].split())
    assert found["Group"] == settings(UNITS / "freehold.service")["Group"], "the server may use its socket"


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_systemd_reads_it(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    # The programs are not installed here: one that is takes their place.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    unit = tmp_path / path.name
    unit.write_text(text, encoding="utf-8")
    for drop_in in (*DROP_INS, *SOCKETS) if path.name == "freehold.service" else ():
        if drop_in in SOCKETS:
            shutil.copy(drop_in, tmp_path)
            continue
        (tmp_path / "freehold.service.d").mkdir(exist_ok=True)
        shutil.copy(drop_in, tmp_path / "freehold.service.d")
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
