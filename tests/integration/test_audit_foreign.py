"""Verifiers that are not ours read our log.

- ``aics-tlog`` (PyPI, Python 3.12 or later) on the path, or its place in ``FREEHOLD_TLOG_VERIFIER``;
- Go with ``golang.org/x/mod/sumdb`` (Debian: ``golang-go``, ``golang-golang-x-mod-dev``), which ``foreign/verify.go`` uses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from freehold.audit.log import TransparencyLog
from freehold.audit.tile_store import TileStore
from tests.support.audit import ORIGIN, StillClock, record, write_log

VERIFIER = os.environ.get("FREEHOLD_TLOG_VERIFIER") or shutil.which("aics-tlog")
SIZE = 700

GO = shutil.which("go")
GO_PATH = Path(os.environ.get("FREEHOLD_GO_PATH", "/usr/share/gocode"))
PROGRAM = Path(__file__).with_name("foreign") / "verify.go"

needs_aics = pytest.mark.skipif(VERIFIER is None, reason="aics-tlog is not installed (pipx install aics-tlog)")


def verifier(command: str, *arguments: str | Path) -> dict[str, Any]:
    """What the foreign tool says."""
    outcome = subprocess.run(
        [str(VERIFIER), command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    if GO is None or not (GO_PATH / "src" / "golang.org" / "x" / "mod" / "sumdb").is_dir():
        pytest.skip("Go with x/mod is not installed (apt-get install golang-go golang-golang-x-mod-dev)")
    folder = tmp_path_factory.mktemp("go")
    where = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(folder / "cache")}
    command = [str(GO), "build", "-o", str(folder / "verify"), str(PROGRAM)]
    subprocess.run(command, env=where, check=True, capture_output=True, timeout=300)
    return folder / "verify"


def go_says(program: Path, *arguments: str | Path) -> tuple[int, str]:
    """Its exit code, and what it says."""
    done = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def test_gos_sumdb_verifies_our_log_and_nothing_else(tmp_path: Path, go_verifier: Path) -> None:
    folder = tmp_path / "log"
    first = write_log(folder, map(record, range(270)))
    old = tmp_path / "old-checkpoint"
    shutil.copy(folder / "checkpoint", old)
    write_log(folder, map(record, range(270, SIZE)))
    assert go_says(go_verifier, folder, first, old) == (0, str(SIZE))

    log = TransparencyLog.open(folder, origin=ORIGIN, clock=StillClock(), rotate=True)
    log.close()
    for vkey in (first, log.vkey):  # both keys sign the checkpoint in which one follows the other
        assert go_says(go_verifier, folder, vkey) == (0, str(SIZE + 1))
    write_log(folder, map(record, range(SIZE, SIZE + 9)))
    assert go_says(go_verifier, folder, log.vkey) == (0, str(SIZE + 10))
    assert go_says(go_verifier, folder, first)[0] != 0

    for name in ("checkpoint", "tile/0/000", "tile/0/002.p/198", "tile/1/000.p/2", "tile/entries/001"):
        path = folder / name
        good = path.read_bytes()
        changed = bytearray(good)
        changed[len(good) // 2] ^= 1
        path.write_bytes(changed)
        assert go_says(go_verifier, folder, log.vkey)[0] != 0, f"{name} was changed, and Go did not notice"
        path.write_bytes(good)


@needs_aics
def test_a_foreign_verifier_accepts_our_log_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    vkey = tmp_path / "vkey"
    vkey.write_text(write_log(folder, map(record, range(270))))
    old = tmp_path / "old-checkpoint"
    shutil.copy(folder / "checkpoint", old)
    write_log(folder, map(record, range(270, SIZE)))
    common = ("--tiles", folder, "--vkey-file", vkey, "--origin", ORIGIN)

    checked = verifier("verify-checkpoint", *common)
    assert (checked["ok"], checked["tiles_ok"], checked["size"]) == (True, True, SIZE)
    assert verifier("verify-consistency", *common[:4], "--old-checkpoint", old)["ok"] is True
    leaf = tmp_path / "leaf"
    for index in (0, 255, 256, 600, SIZE - 1):
        leaf.write_bytes(TileStore(folder).entry(index, SIZE))
        assert verifier("verify-inclusion", *common, "--leaf", leaf, "--index", str(index))["ok"] is True
    assert verifier("verify-inclusion", *common, "--leaf", leaf, "--index", "0")["ok"] is False

    tile = folder / "tile" / "0" / "000"
    changed = bytearray(tile.read_bytes())
    changed[0] ^= 1
    tile.write_bytes(changed)
    leaf.write_bytes(TileStore(folder).entry(1, SIZE))
    assert verifier("verify-inclusion", *common, "--leaf", leaf, "--index", "1")["ok"] is False
