"""A log changes its key: the old key signs the new one, every crash on the way is got over, and no other key will do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from freehold.audit import log as log_module
from freehold.audit.entry import decode_record
from freehold.audit.intents import OpenIntents
from freehold.audit.keys import SIGNING_KEY, VERIFIER_KEY, load_keys
from freehold.audit.log import TransparencyLog
from freehold.audit.note import Signer, VerifierKey, open_checkpoint, open_note
from freehold.audit.rotation import read_rotation, rotation_note
from freehold.audit.sealer import Sealer
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import TreeEdge
from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditBroken
from tests.support.audit import ORIGIN, StillClock, entries, record, write_log


def rotate(folder: Path) -> str:
    log = TransparencyLog.open(folder, origin=ORIGIN, clock=StillClock(), rotate=True)
    log.close()
    return log.vkey


def test_every_key_of_the_chain_verifies_and_a_strangers_does_not(tmp_path: Path) -> None:
    first = write_log(tmp_path, map(record, range(3)))
    old = (tmp_path / "checkpoint").read_text()
    second = rotate(tmp_path)
    between = (tmp_path / "checkpoint").read_text()
    write_log(tmp_path, map(record, range(3, 6)))
    third = rotate(tmp_path)
    write_log(tmp_path, map(record, range(6, 9)))
    assert len({first, second, third}) == 3
    assert (tmp_path / VERIFIER_KEY).read_text().strip() == third
    for vkey in (first, second, third, None):
        for remembered in (None, old, between):
            report = verify_folder(tmp_path, vkey, remembered=remembered)
            assert (report.entries, report.rotations, report.vkey) == (11, (3, 7), third)
    stranger = Signer(ORIGIN, bytes(32)).verifier.text
    with pytest.raises(AuditBroken, match=r"never was a key of this log|not signed with the key"):
        verify_folder(tmp_path, stranger)


def test_the_entry_opens_with_the_old_key_and_with_the_new_one(tmp_path: Path) -> None:
    first, second = write_log(tmp_path, [record(0)]), rotate(tmp_path)
    note = decode_record(entries(tmp_path, 2)[1], 1).detail["note"]
    assert isinstance(note, str)
    for vkey in (first, second):
        assert second in open_note(note, VerifierKey.parse(vkey))
    checkpoint = (tmp_path / "checkpoint").read_text()
    for vkey in (first, second):
        assert open_checkpoint(checkpoint, VerifierKey.parse(vkey)).size == 2


def test_a_log_without_its_keys_and_wal_verifies_from_the_present_key(tmp_path: Path) -> None:
    write_log(tmp_path / "log", [record(0)])
    second = rotate(tmp_path / "log")
    write_log(tmp_path / "log", [record(1)])
    (tmp_path / "copy").mkdir()
    shutil.copytree(tmp_path / "log" / "tile", tmp_path / "copy" / "tile")
    shutil.copy(tmp_path / "log" / "checkpoint", tmp_path / "copy")
    assert verify_folder(tmp_path / "copy", second).entries == 3


def seal_again(folder: Path, signer: Signer, data: list[bytes]) -> None:
    """The same entries, sealed by whoever has ``signer``."""
    shutil.rmtree(folder / "tile")
    shutil.rmtree(folder / "wal", ignore_errors=True)
    sealer = Sealer(TileStore(folder), signer, edge=TreeEdge(), bundle=[], intents=OpenIntents(), checkpoint=None)
    sealer.offer([log_module.Entry(index, each, "test") for index, each in enumerate(data)])
    sealer.seal()


def test_the_old_key_signs_nothing_after_it_was_replaced(tmp_path: Path) -> None:
    first = write_log(tmp_path, [record(0)])
    stolen = load_keys(tmp_path, origin=ORIGIN, is_new=False).signer
    rotate(tmp_path)
    write_log(tmp_path, [record(2)])
    seal_again(tmp_path, stolen, entries(tmp_path, 3))
    for vkey in (first, None):
        with pytest.raises(AuditBroken, match="not signed with"):
            verify_folder(tmp_path, vkey)


def test_a_checkpoint_of_an_unknown_key_fails_whatever_lies_in_the_folder(tmp_path: Path) -> None:
    first = write_log(tmp_path, map(record, range(3)))
    stranger = Signer(ORIGIN, bytes(32))
    seal_again(tmp_path, stranger, entries(tmp_path, 3))
    (tmp_path / VERIFIER_KEY).write_text(stranger.verifier.text)
    with pytest.raises(AuditBroken, match="not signed with"):
        verify_folder(tmp_path, first)


def test_a_rotation_that_the_old_key_did_not_sign_is_refused() -> None:
    old, new, other = (Signer(ORIGIN, bytes([number]) * 32) for number in (1, 2, 3))
    good = rotation_note(old, new)
    assert read_rotation(good, index=0, origin=ORIGIN).new == new.verifier
    text, _ = good.split("\n\n")
    lines = good.splitlines(keepends=True)
    for bad in (
        text + "\n\n" + new.signature_line(text + "\n"),
        good.replace(lines[-2], other.signature_line(text + "\n")),
        good.replace(ORIGIN, "freehold.test/other", 1),
        good.replace("v1", "v2", 1),
        rotation_note(old, old),
        text,
        None,
    ):
        with pytest.raises(AuditBroken):
            read_rotation(bad, index=0, origin=ORIGIN)


@pytest.mark.parametrize("place", ["make_successor", "rotation_note", "Segment", "Sealer", "promote_successor"])
def test_a_crash_at_any_step_leaves_a_log_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Before the entry was written the change is forgotten, after it it is finished."""
    first = write_log(tmp_path, map(record, range(3)))

    def power_cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if place == "Sealer":
        monkeypatch.setattr(Sealer, "seal", power_cut)
    else:
        monkeypatch.setattr(log_module, place, power_cut)
    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path)
    monkeypatch.undo()
    write_log(tmp_path, [record(9)])
    report = verify_folder(tmp_path, first)
    finished = place in {"Sealer", "promote_successor"}
    assert report.rotations == ((3,) if finished else ())
    assert report.entries == (5 if finished else 4)
    assert not (tmp_path / f"{SIGNING_KEY}.next").exists()
    assert verify_folder(tmp_path, rotate(tmp_path)).entries == report.entries + 1
