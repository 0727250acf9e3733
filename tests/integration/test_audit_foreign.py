"""A verifier that is not ours reads our log. Needs the ``aics-tlog`` command (PyPI, Python 3.12 or later) on the path,
or its place in ``FREEHOLD_TLOG_VERIFIER``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from freehold.audit.tile_store import TileStore
from tests.support.audit import ORIGIN, record, write_log

VERIFIER = os.environ.get("FREEHOLD_TLOG_VERIFIER") or shutil.which("aics-tlog")
SIZE = 700

pytestmark = pytest.mark.skipif(VERIFIER is None, reason="aics-tlog is not installed (pipx install aics-tlog)")


def verifier(command: str, *arguments: str | Path) -> dict[str, Any]:
    """What the foreign tool says."""
    outcome = subprocess.run(
        [str(VERIFIER), command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    return json.loads(outcome.stdout)


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
