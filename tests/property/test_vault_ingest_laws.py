"""Whatever happens to the files of a folder, a look at it leaves the vault with just what is in them."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.app.vault_house import watcher_of
from freehold.config.compile_vault import FolderPlan, VaultPlan
from freehold.domain.vault import Reader, VaultQuery
from freehold.storage.database import Database
from freehold.vault.places import path_of
from tests.support.vault_parts import FakeParts, FixedClock, vaults_of

READER = Reader(tenant="default")
NAMES = st.sampled_from(["a.txt", "b.txt", "inner/c.txt", "inner/d.txt"])
WORDS = st.sampled_from(["heron", "stork", "crane", "egret"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, WORDS),
        st.tuples(st.just("move"), NAMES, NAMES),
        st.tuples(st.just("delete"), NAMES, NAMES),
        st.tuples(st.just("look"), NAMES, NAMES),
    ),
    max_size=10,
)


def change(folder: Path, step: tuple[str, str, str]) -> None:
    what, name, other = step
    path, target = folder / name, folder / other
    target.parent.mkdir(exist_ok=True)
    path.parent.mkdir(exist_ok=True)
    if what == "write":
        path.write_text(other, encoding="utf-8")
    elif what == "move" and path.exists():
        path.rename(target)
    elif what == "delete" and path.exists():
        path.unlink()


@settings(deadline=None, max_examples=40)
@given(STEPS)
def test_documents_are_as_their_files(steps: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        asyncio.run(_mirrored(Path(root), [*steps, ("look", "", ""), ("look", "", "")]))


async def _mirrored(root: Path, steps: list[tuple[str, str, str]]) -> None:
    folder = root / "files"
    folder.mkdir()
    (folder / "always.txt").write_text("ibis", encoding="utf-8")
    database, parts, clock = Database.open(root / "freehold.db"), FakeParts(embeds=False), FixedClock()
    vaults = vaults_of(root, database, parts, clock=clock)
    plan = VaultPlan(name="archive", folders=(FolderPlan(name="files", path=str(folder), tenant="default"),))
    try:
        watcher = await watcher_of(vaults, plan, clock=clock, told=lambda _: None)
        for step in steps:
            if step[0] == "look":
                await watcher.rescan()
            else:
                change(folder, step)
        files = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}
        documents = await vaults.documents("archive", reader=READER)
        places = [path_of(each.source) for each in documents]
        assert len(set(places)) == len(places)
        assert {files[place] for place in places if place is not None} == set(files.values())
        assert len(documents) == len(set(files.values()))  # a copy is no second document
        for word in ("heron", "stork", "crane", "egret", "ibis"):
            found = await vaults.search(VaultQuery(vault="archive", text=word, reader=READER))
            assert [each.text for each in found.passages] == [word] * (word in files.values())
    finally:
        await vaults.close()
        database.close()
