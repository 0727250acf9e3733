"""Kill -9 at random moments: every entry that was acknowledged is there afterwards, in its place, without a gap.

``FREEHOLD_AUDIT_KILLS`` says how often; ``just audit-kills`` does it 200 times.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
from pathlib import Path

from freehold.audit.entry import decode_entry
from freehold.audit.tile_store import TileStore
from freehold.audit.verify import verify_folder
from tests.support.audit import open_log

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FREEHOLD_AUDIT_KILLS", "24"))
DEADLINE_S = 60


def run_and_kill(folder: Path, name: str, acknowledged_at_least: int) -> list[tuple[int, str]]:
    """Run a writer, kill it once it has acknowledged so many entries; returns all that it acknowledged."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(ROOT / "tests" / "integration" / "audit_writer.py"), str(folder), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        said = b""
        while said.count(b"\n") < acknowledged_at_least:
            ready, _, _ = select.select([child.stdout], [], [], DEADLINE_S)
            piece = os.read(child.stdout.fileno(), 65_536) if ready else b""
            assert piece, child.stderr.read().decode() if ready else "the writer says nothing"
            said += piece
        child.kill()
        said += child.stdout.read()
    whole_lines = said.decode().split("\n")[:-1]
    return [(int(index), text) for index, text in (line.split(" ") for line in whole_lines)]


def test_no_acknowledged_entry_is_lost_to_kill_9(tmp_path: Path) -> None:
    chance = random.Random(20_261)  # the same moments every time, as far as a scheduler allows
    acknowledged: dict[int, str] = {}
    for kill in range(KILLS):
        wanted = chance.choice([1, 1, 5, chance.randrange(10, 60), chance.randrange(60, 400)])
        for index, text in run_and_kill(tmp_path, f"run{kill}", wanted):
            assert index not in acknowledged, f"the place of {acknowledged[index]} was given to {text}"
            acknowledged[index] = text
        report = verify_folder(tmp_path)
        assert max(acknowledged) < report.entries + report.pending

    open_log(tmp_path).close()
    report = verify_folder(tmp_path)
    assert report.pending == 0
    assert report.orphans == ()
    assert report.intents == report.events["egress.done"]
    store = TileStore(tmp_path)
    for index, text in acknowledged.items():
        assert decode_entry(store.entry(index, report.size), index)[1].request_id == text
    assert len(acknowledged) > KILLS
