"""Kill -9 at random moments: what a vault reported done is there afterwards, and all its parts say the same.

``FREEHOLD_VAULT_KILLS`` says how often; 100 for the bar.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from freehold.domain.vault import ANYTHING, Filters, Reader, vector_bytes
from freehold.domain.vault_ports import VaultStore
from tests.support.vaults import KEY, pointing, with_store

pytest.importorskip("apsw")
pytest.importorskip("sqlite_vec")

from freehold.vault.store_schema import connected

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("FREEHOLD_VAULT_KILLS", "5"))
DEADLINE_S = 60
READER = Reader(tenant="home")


def run_and_kill(path: Path, name: str, lines: int, later_ms: float) -> list[list[str]]:
    """Run a writer, kill it a moment after it said so many lines; returns all that it said."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(ROOT / "tests" / "integration" / "vault_writer.py"), str(path), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        said = b""
        while said.count(b"\n") < lines:
            ready, _, _ = select.select([child.stdout], [], [], DEADLINE_S)
            piece = os.read(child.stdout.fileno(), 65_536) if ready else b""
            assert piece, child.stderr.read().decode() if ready else "the writer says nothing"
            said += piece
        # Not at a line's end, where it has just done something, but at any moment of what it does next.
        until = time.monotonic() + later_ms / 1000
        while (left := until - time.monotonic()) > 0 and select.select([child.stdout], [], [], left)[0]:
            said += os.read(child.stdout.fileno(), 65_536)
        child.kill()
        said += child.stdout.read()
    return [line.split() for line in said.decode().split("\n")[:-1]]


def assert_whole(path: Path) -> None:
    """The file's own checks, and that every index speaks of the same pieces."""
    connection = connected(path, KEY)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        held = {number for (number,) in connection.execute("SELECT id FROM chunk").fetchall()}
        embedded = {number for (number,) in connection.execute("SELECT id FROM chunk WHERE embedded = 1").fetchall()}
        assert {number for (number,) in connection.execute("SELECT chunk FROM vector").fetchall()} == embedded
        stated = connection.execute("SELECT tenant << 32 | first, chunks FROM document").fetchall()
        assert {low + at for low, count in stated for at in range(count)} == held
    finally:
        connection.close()


def test_nothing_that_was_reported_done_is_lost_to_kill_9(tmp_path: Path) -> None:
    chance = random.Random(39)
    path = tmp_path / "vault.db"
    there: set[str] = set()
    hidden: set[str] = set()
    gone: set[str] = set()

    async def look(store: VaultStore) -> None:
        everything: list[str] = []
        while page := await store.documents(reader=READER, after=everything[-1] if everything else ""):
            everything += [it.id for it in page]
            for it in page:
                assert (it.readers.level.word != "public") >= (it.id in hidden)
        assert there <= set(everything)
        assert gone.isdisjoint(everything)
        for name in chance.sample(sorted(everything), min(len(everything), 20)):
            filters = Filters(documents=(name,))
            text = await store.text(name, reader=READER)
            assert text is not None
            hits = await store.search_words(name.split("-")[1], reader=READER, filters=filters, limit=99)
            passages = await store.passages([hit.chunk_id for hit in hits], reader=READER)
            assert sorted(it.start for it in passages) == [it.start for it in sorted(passages, key=lambda it: it.page)]
            assert len(passages) == text.count("\n")
        waiting = await store.without_vectors(10_000)
        await store.put_vectors({number: vector_bytes(pointing(text)) for number, text in waiting})
        found = await store.search_vectors(vector_bytes(pointing("word")), reader=READER, filters=ANYTHING, limit=4000)
        assert len(found) == min((await store.counts(reader=READER)).chunks, 4000)

    for kill in range(KILLS):
        said = run_and_kill(path, f"run{kill}", chance.choice((1, 1, 3, 10, 30)), chance.uniform(0, 40))
        for what, *names in said:
            if what == "added":
                there.add(names[0])
            elif what == "hidden":
                hidden.add(names[0])
            elif what == "erasing":
                there.discard(names[0])
            elif what == "erased":
                gone.add(names[0])
        assert_whole(path)
        with_store(path, look)
