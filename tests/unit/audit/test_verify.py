"""What verification refuses besides changed bytes: stories that cannot have happened, and other histories."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from freehold.audit import tile_store
from freehold.audit.entry import decode_entry, encode_entry
from freehold.audit.intents import OpenIntents
from freehold.audit.keys import load_keys
from freehold.audit.note import Signer
from freehold.audit.sealer import Sealer
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import TreeEdge
from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord
from tests.support.audit import ORIGIN, append_all, open_log, record, write_log


def test_a_report_tells_what_was_verified(tmp_path: Path) -> None:
    story = [
        record(0, "egress.intent"),
        record(0, "egress.done", intent=0),
        record(2, "egress.intent"),
        record(2, "request", attempts=[{"egress": 2}, {"egress": None}]),
        record(4),
    ]
    vkey = write_log(tmp_path, story)
    report = verify_folder(tmp_path, vkey)
    assert (report.origin, report.entries, report.size, report.pending) == (ORIGIN, 5, 5, 0)
    assert report.root == report.checkpoint.root.hex()
    assert report.checkpoint.note == (tmp_path / "checkpoint").read_text()
    assert report.events == {"egress.intent": 2, "egress.done": 1, "request": 1, "test": 1}
    assert (report.intents, report.orphans, report.truncations) == (2, (2,), ())
    assert report.key_given
    assert not verify_folder(tmp_path).key_given


@pytest.mark.parametrize(
    ("story", "says"),
    [
        ([record(0, "egress.done", intent=0)], "entry 0 ends the egress 0, which nothing before it announced"),
        ([record(0, "egress.done", intent=1), record(0, "egress.intent")], "nothing before it announced"),
        ([record(0, "egress.intent"), record(0, "egress.done", intent="0")], "nothing before it announced"),
        ([record(0, "egress.intent"), record(0, "egress.done")], "nothing before it announced"),
        ([record(0), record(0, "egress.done", intent=0)], "nothing before it announced"),
        ([record(0, "egress.intent"), record(1, "egress.done", intent=0)], "of another request"),
        ([record(0, "egress.intent"), *[record(0, "egress.done", intent=0)] * 2], "had ended before"),
        ([record(0, "request", attempts=[{"egress": 0}])], "never announced"),
        ([record(0, "egress.intent"), record(1, "request", attempts=[{"egress": 0}])], "never announced"),
    ],
)
def test_a_story_that_cannot_have_happened_is_refused(tmp_path: Path, story: Sequence[AuditRecord], says: str) -> None:
    write_log(tmp_path, story)
    with pytest.raises(AuditBroken, match=says):
        verify_folder(tmp_path)


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    open_log(tmp_path).close()
    report = verify_folder(tmp_path)
    assert (report.entries, report.events) == (0, {})


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 1100])
def test_logs_of_all_shapes_verify(tmp_path: Path, size: int) -> None:
    vkey = write_log(tmp_path, map(record, range(size)))
    assert verify_folder(tmp_path, vkey).entries == size


def test_a_copy_without_write_ahead_log_and_keys_verifies(tmp_path: Path) -> None:
    vkey = write_log(tmp_path / "log", map(record, range(300)))
    (tmp_path / "copy").mkdir()
    shutil.copytree(tmp_path / "log" / "tile", tmp_path / "copy" / "tile")
    shutil.copy(tmp_path / "log" / "checkpoint", tmp_path / "copy")
    assert verify_folder(tmp_path / "copy", vkey).entries == 300
    with pytest.raises(AuditBroken, match="No such file or directory"):
        verify_folder(tmp_path / "copy")


def test_what_is_no_log_is_said_so(tmp_path: Path) -> None:
    vkey = Signer(ORIGIN, bytes(32)).verifier.text
    with pytest.raises(AuditBroken, match="there is no checkpoint"):
        verify_folder(tmp_path, vkey)
    with pytest.raises(AuditBroken, match="No such file"):
        verify_folder(tmp_path / "missing")
    with pytest.raises(AuditBroken, match="no verifier key"):
        verify_folder(tmp_path, "nonsense")


def forge(folder: Path, records: Sequence[AuditRecord]) -> None:
    """Rewrite a log from the start with its own key: what its owner could do."""
    keys = load_keys(folder, origin=ORIGIN, is_new=False)
    shutil.rmtree(folder / "tile")
    shutil.rmtree(folder / "wal", ignore_errors=True)
    sealer = Sealer(TileStore(folder), keys.signer, edge=TreeEdge(), bundle=[], intents=OpenIntents(), checkpoint=None)
    sealer.offer([encode_entry(each, index) for index, each in enumerate(records)])
    sealer.seal()


def test_roll_back_and_fork_are_only_seen_with_a_remembered_checkpoint(tmp_path: Path) -> None:
    vkey = write_log(tmp_path, map(record, range(300)))
    old = verify_folder(tmp_path, vkey).checkpoint.note
    write_log(tmp_path, map(record, range(300, 400)))
    new = verify_folder(tmp_path, vkey, remembered=old).checkpoint.note
    assert verify_folder(tmp_path, vkey, remembered=new).entries == 400

    forge(tmp_path, [record(n) for n in range(350)])
    assert verify_folder(tmp_path, vkey).entries == 350
    assert verify_folder(tmp_path, vkey, remembered=old).entries == 350
    with pytest.raises(AuditBroken, match="rolled back from 400 to 350"):
        verify_folder(tmp_path, vkey, remembered=new)

    forge(tmp_path, [record(n if n != 7 else 8) for n in range(450)])
    assert verify_folder(tmp_path, vkey).entries == 450
    for remembered, size in ((old, 300), (new, 400)):
        with pytest.raises(AuditBroken, match=f"first {size} entries are not those"):
            verify_folder(tmp_path, vkey, remembered=remembered)


def test_an_entry_in_the_wrong_place_is_refused_even_if_signed(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(3)))
    keys = load_keys(tmp_path, origin=ORIGIN, is_new=False)
    shutil.rmtree(tmp_path / "tile")
    sealer = Sealer(
        TileStore(tmp_path), keys.signer, edge=TreeEdge(), bundle=[], intents=OpenIntents(), checkpoint=None
    )
    sealer.offer([encode_entry(record(1), 1), encode_entry(record(0), 0)])
    sealer.seal()
    with pytest.raises(AuditBroken, match="entry 0 says that it is entry 1"):
        verify_folder(tmp_path)


def test_a_log_in_use_that_moves_on_is_verified_at_its_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partial tiles of the checkpoint that was read are gone by the time they are wanted."""
    really = TileStore.bundle

    async def run() -> None:
        log = open_log(tmp_path)
        await append_all(log, map(record, range(10)))
        await log.checkpoint()
        log.close()

    asyncio.run(run())
    moved: list[int] = []

    def moving(store: TileStore, index: int, width: int) -> tuple[bytes, ...]:
        if not moved:
            moved.append(width)
            for start in (10, 20, 30):
                write_log(tmp_path, map(record, range(start, start + 10)))
        return really(store, index, width)

    monkeypatch.setattr(tile_store.TileStore, "bundle", moving)
    report = verify_folder(tmp_path)
    assert moved == [10]
    assert report.entries == 40


def test_damage_to_entries_that_wait_for_a_checkpoint_is_seen(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path / "log")
        for number in range(5):
            await append_all(log, [record(number)])
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
        log.close()

    asyncio.run(run())
    copy = tmp_path / "copy"
    assert verify_folder(copy).pending == 5
    (segment,) = (copy / "wal").iterdir()
    data = bytearray(segment.read_bytes())
    data[30] ^= 1
    segment.write_bytes(data)
    with pytest.raises(AuditBroken, match="before entries that were acknowledged later"):
        verify_folder(copy)


def test_entries_decode_to_what_was_recorded(tmp_path: Path) -> None:
    write_log(tmp_path, [record(0, text="ä")])
    assert decode_entry(TileStore(tmp_path).entry(0, 1), 0)[1] == record(0, text="ä")


def test_tiles_written_before_a_crash_kept_the_checkpoint_from_following_are_no_damage(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(250)))
    old = (tmp_path / "checkpoint").read_bytes()
    write_log(tmp_path, map(record, range(250, 254)))
    newer = sorted((tmp_path / "tile").rglob("254"))
    assert len(newer) == 2
    write_log(tmp_path, map(record, range(254, 300)))
    (tmp_path / "checkpoint").write_bytes(old)
    with pytest.raises(AuditBroken, match="goes on with entry 254, 250 is due"):
        verify_folder(tmp_path)
    shutil.rmtree(tmp_path / "wal")
    assert verify_folder(tmp_path).entries == 250
    for path in (tmp_path / "tile" / "0" / "000", tmp_path / "tile" / "entries" / "000"):
        good = path.read_bytes()
        for changed in (good[:-1], good + b"\0", b"\1" + good[1:]):
            path.write_bytes(changed)
            with pytest.raises(AuditBroken):
                verify_folder(tmp_path)
        path.write_bytes(good)


def test_a_log_that_never_stands_still_is_to_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(tmp_path, [record(0)])
    signer = load_keys(tmp_path, origin=ORIGIN, is_new=False).signer
    sizes = iter(range(2, 100))

    def moving(*_: object) -> tuple[bytes, ...]:
        (tmp_path / "checkpoint").write_text(signer.sign(size=next(sizes), root=bytes(32)).note)
        raise FileNotFoundError

    monkeypatch.setattr(tile_store.TileStore, "bundle", moving)
    with pytest.raises(AuditBroken, match="verify a copy"):
        verify_folder(tmp_path)


def test_a_signed_root_that_the_entries_do_not_have_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(3)))
    signer = load_keys(tmp_path, origin=ORIGIN, is_new=False).signer
    (tmp_path / "checkpoint").write_text(signer.sign(size=3, root=bytes(32)).note)
    with pytest.raises(AuditBroken, match="do not lead to the root"):
        verify_folder(tmp_path)


def test_a_public_key_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    write_log(tmp_path, map(record, range(3)))
    (tmp_path / "log.vkey").write_bytes(b"\xff")
    with pytest.raises(AuditBroken, match="no text"):
        verify_folder(tmp_path)


def test_a_request_record_of_another_make_is_no_reason_to_fail(tmp_path: Path) -> None:
    write_log(tmp_path, [record(0, "request"), record(1, "request", attempts=[1, {}])])
    assert verify_folder(tmp_path).events == {"request": 2}
