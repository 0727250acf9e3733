"""Logs of several workers: any of them proves entries of all, and all are verified together."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from freehold.audit.log import TransparencyLog
from freehold.audit.proofs import proof_json, verify_receipt_proof
from freehold.audit.shards import Shards, further_shards, shard_folder, shard_name
from freehold.audit.verify import verify_shards
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord
from freehold.hostinfo.clock import SystemClock

ORIGIN = "here/audit"


def open_shard(main: Path, worker: int) -> TransparencyLog:
    return TransparencyLog.open(shard_folder(main, worker), origin=shard_name(ORIGIN, worker), clock=SystemClock())


def note(log: TransparencyLog, text: str) -> None:
    log.append(AuditRecord(event="policy.change", unix_ms=1, tenant="", detail={"text": text}))


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """Three closed logs with two entries each."""
    main = tmp_path / "audit"
    for worker in range(3):
        log = open_shard(main, worker)
        for number in range(2):
            note(log, f"{worker}.{number}")
        log.close()
    (tmp_path / "audit-x").mkdir()
    (tmp_path / "audit-3").touch()
    return main


def test_where_they_lie(main: Path) -> None:
    assert further_shards(main) == {1: main.with_name("audit-1"), 2: main.with_name("audit-2")}
    assert shard_folder(main, 0) == main
    assert shard_name(ORIGIN, 2) == "here/audit/2"


def test_any_of_them_proves_entries_of_all(main: Path) -> None:
    async def script() -> None:
        logs = [open_shard(main, worker) for worker in range(2)]
        note(logs[0], "0.2")
        await logs[0].checkpoint()
        note(logs[0], "not sealed yet")
        shards = Shards(logs[1], origin=ORIGIN, main=main)
        for worker, count in enumerate((3, 2, 2)):
            name = shard_name(ORIGIN, worker)
            vkey = (shard_folder(main, worker) / "log.vkey").read_text()
            for index in range(count):
                proof = await shards.prove(index, log=name)
                assert proof is not None
                assert verify_receipt_proof(proof_json(proof), vkey=vkey).detail == {"text": f"{worker}.{index}"}
            assert await shards.prove(count, log=name) is None
        assert await shards.prove(1, log="") == await shards.prove(1, log=ORIGIN)
        for unknown in ("else", "here/audit/3", "here/audit/0", "here/audit/../audit", "here/audit/٢"):
            assert await shards.prove(0, log=unknown) is None
        for log in logs:
            log.close()

    asyncio.run(script())


def test_a_damaged_one_proves_nothing(main: Path) -> None:
    shutil.rmtree(main.with_name("audit-2") / "tile")
    log = open_shard(main, 0)
    with pytest.raises(AuditBroken):
        asyncio.run(Shards(log, origin=ORIGIN, main=main).prove(0, log="here/audit/2"))
    log.close()


def test_all_are_verified_together(main: Path) -> None:
    reports = verify_shards(main)
    assert [(each.origin, each.entries, each.key_given) for each in reports] == [
        (shard_name(ORIGIN, worker), 2, False) for worker in range(3)
    ]
    keys = [(shard_folder(main, worker) / "log.vkey").read_text() for worker in range(3)]
    notes = [each.checkpoint.note for each in reports]
    assert [each.key_given for each in verify_shards(main, keys, notes[1:2])] == [True] * 3
    with pytest.raises(AuditBroken, match="no key was given for the log here/audit/2"):
        verify_shards(main, keys[:2])
    shutil.rmtree(main.with_name("audit-2"))
    with pytest.raises(AuditBroken, match="there is no log here/audit/2"):
        verify_shards(main, keys)
    with pytest.raises(AuditBroken, match="there is no log here/audit/2"):
        verify_shards(main, remembered=notes)
    main.with_name("audit-1").rename(main.with_name("audit-5"))
    with pytest.raises(AuditBroken, match="does not belong there"):
        verify_shards(main)
