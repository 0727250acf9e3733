"""What leaves this machine, asked of the kernel: a gateway in a network namespace that drops and counts every packet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ROOT
from tools import sealed

UID = 4242
LEAKY = """
import socket

def test_it_talks() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            own.sendto(b"x", ("127.0.0.53", 53))
        except PermissionError:
            pass
"""


@pytest.fixture(scope="module", autouse=True)
def _sealable() -> None:
    if reason := sealed.why_not():
        pytest.skip(reason)


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Any]]:
    """One day of a sealed gateway, its process under a user that nothing else here runs as."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("a process of another user takes root and setpriv")
    # Not tmp_path: only its owner may enter the folders above that.
    with tempfile.TemporaryDirectory(prefix="freehold-sealed-") as folder:
        place = Path(folder)
        place.chmod(0o711)
        own = place / "own"
        own.mkdir()
        done = _python(*sealed.command(), sys.executable, "-m", "tests.support.sealed_site", str(own), str(UID))
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def test_the_requests_took_the_paths_that_they_were_made_for(seen: dict[str, Any]) -> None:
    assert seen["told"] == {
        "local": "local",
        "streamed": "200",
        "escalated": "office",
        "restricted": "local",
        "fallback": "office",
        "cloud": "FH-POLICY-001",
        "broken": "FH-UPSTREAM-003",
    }


def test_no_packet_wanted_out(seen: dict[str, Any]) -> None:
    assert seen["dropped"] == {sealed.DNS: 0, sealed.ICMPV6: 0, sealed.OTHER: 0, sealed.FRAMES: 0}
    assert seen["dead"] == [], "a counter that cannot count proves nothing"


def test_only_the_process_of_the_broker_connects(seen: dict[str, Any]) -> None:
    """By user: to upstreams only its own; and that user went nowhere else. By socket: exactly one process."""
    ports = seen["ports"]
    assert seen["connects"] == sorted(
        [[0, "127.0.0.1", ports["gateway"]], [UID, "127.0.0.1", ports["upstream"]], [UID, "127.0.0.1", ports["closed"]]]
    )
    assert seen["held"]["owners"] == [seen["held"]["gateway"]]


def test_a_test_that_talks_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    done = _python(
        sys.executable,
        "-m",
        "tools.sealed",
        "--require",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tmp_path / "test_leaky.py"),
    )
    assert done.returncode == sealed.PACKETS_LEFT, done.stderr
    assert "1 passed" in done.stdout, "the test itself saw nothing wrong"
    assert f"{sealed.DNS} 1" in done.stderr


def test_what_cannot_be_sealed_is_said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sealed.shutil, "which", lambda name: None if name == "nft" else f"/bin/{name}")
    assert sealed.main(["tests/nothing"]) == 0
    assert sealed.main(["--require", "tests/nothing"]) == sealed.NOT_SEALED
    assert "nothing was run, it takes nft" in capfd.readouterr().err
