"""Pruning lets go of what old entries say: the rest verifies, and says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.audit import prune as prune_module
from freehold.audit.export import newest_checkpoint, sealed_entries
from freehold.audit.log import TransparencyLog
from freehold.audit.prune import DAY_MS, prune
from freehold.audit.shards import prove_from_files
from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord
from tests.support.audit import ORIGIN, StillClock, record, write_log

CLOCK = StillClock()
NOW_MS = CLOCK.unix_ms()


def aged(days: int, number: int, tenant: str = "acme", event: str = "test", **detail: object) -> AuditRecord:
    return AuditRecord(
        event=event,
        unix_ms=NOW_MS - days * DAY_MS,
        tenant=tenant,
        request_id=f"r-{number}",
        detail={"n": number, **detail},
    )


def pruned(folder: Path, days: int = 184) -> int:
    return prune(folder, kept_days=lambda _: days, clock=CLOCK).entries


def test_whole_bundles_past_their_time_go_and_the_rest_verifies(tmp_path: Path) -> None:
    old = [aged(200, number) for number in range(600)]
    vkey = write_log(tmp_path, [*old, *(aged(3, number) for number in range(600, 1000))])
    remembered = (tmp_path / "checkpoint").read_text()
    assert pruned(tmp_path) == 512
    assert pruned(tmp_path) == 0
    report = verify_folder(tmp_path, vkey, remembered=remembered)
    assert (report.pruned, report.entries, report.events) == (512, 1001, {"test": 488, "log.pruned": 1})
    indexes = [index for index, _, _ in sealed_entries(tmp_path, newest_checkpoint(tmp_path))]
    assert indexes == list(range(512, 1001))
    assert prove_from_files(tmp_path, ORIGIN, 512) is not None
    with pytest.raises(AuditBroken, match="missing"):
        prove_from_files(tmp_path, ORIGIN, 511)
    write_log(tmp_path, map(record, range(20)))
    assert verify_folder(tmp_path, vkey).entries == 1021


def test_an_entry_stays_as_long_as_its_tenant_wants_it(tmp_path: Path) -> None:
    write_log(tmp_path, [aged(200, number, "brief" if number != 300 else "long") for number in range(600)])
    days = {"brief": 184, "long": 400}
    assert prune(tmp_path, kept_days=days.__getitem__, clock=CLOCK).before == 256


def test_ends_and_requests_whose_intents_were_pruned_are_no_lies(tmp_path: Path) -> None:
    story = [aged(200, 0, event="egress.intent"), *(aged(200, number) for number in range(1, 256))]
    rest = [aged(3, 0, event="egress.done", intent=0), aged(3, 0, event="request", attempts=[{"egress": 0}])]
    write_log(tmp_path, [*story, *rest])
    assert pruned(tmp_path) == 256
    assert verify_folder(tmp_path).entries == 259


def test_changes_of_keys_survive_in_the_log_itself(tmp_path: Path) -> None:
    first = write_log(tmp_path, [aged(200, 0)])
    log = TransparencyLog.open(tmp_path, origin=ORIGIN, clock=StillClock(-200 * 86_400.0), rotate=True)
    log.close()
    write_log(tmp_path, [aged(200, number) for number in range(600)])
    assert pruned(tmp_path) == 512
    for vkey in (first, log.vkey):
        assert verify_folder(tmp_path, vkey).rotations == (1,)


def test_a_missing_bundle_that_the_log_does_not_tell_of_is_damage(tmp_path: Path) -> None:
    vkey = write_log(tmp_path, [*(aged(200, number) for number in range(300)), *(aged(3, n) for n in range(900))])
    (tmp_path / "tile" / "entries" / "000").unlink()
    with pytest.raises(AuditBroken, match="tile/entries/000 is missing, and was not pruned"):
        verify_folder(tmp_path, vkey)
    with pytest.raises(AuditBroken):
        pruned(tmp_path)


def test_more_than_was_pruned_must_not_be_missing_and_no_hash_may_be_changed(tmp_path: Path) -> None:
    vkey = write_log(tmp_path, [*(aged(200, number) for number in range(300)), *(aged(3, n) for n in range(900))])
    assert pruned(tmp_path) == 256
    tile = tmp_path / "tile" / "0" / "000"
    good = tile.read_bytes()
    tile.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(AuditBroken):
        verify_folder(tmp_path, vkey)
    tile.write_bytes(good)
    for bundle in ("001", "002"):  # the next one; one in the middle
        path = tmp_path / "tile" / "entries" / bundle
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(AuditBroken, match="missing"):
            verify_folder(tmp_path, vkey)
        path.write_bytes(kept)


def test_a_crash_before_anything_was_deleted_or_in_the_middle_is_got_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(tmp_path, [*(aged(200, number) for number in range(1030)), aged(3, 0)])
    really, left = prune_module.disk.remove_files, [1]

    def power_cut(paths: list[Path]) -> None:
        paths = list(paths)
        if paths and "entries" in str(paths[0]) and ".p" not in str(paths[0]):
            if not left:
                raise KeyboardInterrupt
            left.pop()
        really(paths)

    monkeypatch.setattr(prune_module.disk, "remove_files", power_cut)
    with pytest.raises(KeyboardInterrupt):
        pruned(tmp_path)
    monkeypatch.undo()
    assert verify_folder(tmp_path).pruned == 256
    assert pruned(tmp_path) == 768
    assert verify_folder(tmp_path).pruned == 1024
