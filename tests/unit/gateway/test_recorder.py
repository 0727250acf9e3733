"""Requests that end together are written together, and one that cannot be written keeps no other one out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.server import StorageFailed
from freehold.domain.receipt import AuditRecord, Receipt
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.recorder import Recorder
from freehold.wire.openai_request import decode_chat
from tests.support.gateway import GOOD_KEY, House, MemoryAudit, MemoryReceipts

BODY = b'{"model":"auto","messages":[{"role":"user","content":"hello"}]}'


@dataclass
class PickyAudit(MemoryAudit):
    """Refuses whatever is of one request, and remembers how often it was called."""

    refused: str = ""
    calls: list[int] = field(default_factory=list[int])

    def append(self, *records: AuditRecord) -> int:
        self.calls.append(len(records))
        if any(record.request_id == self.refused for record in records):
            raise AuditUnwritable(reason="too long")
        return super().append(*records)


@dataclass
class PickyReceipts(MemoryReceipts):
    """The same for receipts."""

    refused: str = ""
    calls: list[int] = field(default_factory=list[int])

    def keep(self, *receipts: Receipt) -> None:
        self.calls.append(len(receipts))
        if any(receipt.id == self.refused for receipt in receipts):
            raise StorageFailed(name="receipts", done="written", reason="it cannot be encoded")
        super().keep(*receipts)


@dataclass
class Desk:
    audit: PickyAudit = field(default_factory=PickyAudit)
    receipts: PickyReceipts = field(default_factory=PickyReceipts)

    def __post_init__(self) -> None:
        self.house = House(engines={}, routes={}, audit=self.audit, receipts=self.receipts)
        self.recorder = Recorder(self.house.services())

    def draft(self, name: str) -> ReceiptDraft:
        principal = self.house.keys.authenticate(GOOD_KEY)
        return ReceiptDraft(
            request=decode_chat(BODY, request_id=name),
            principal=principal,
            clock=self.house.clock,
            config_digest="digest",
            label=principal.tenant.label,
        )

    async def record(self, *names: str) -> list[Receipt]:
        return await asyncio.gather(*(self.recorder.record(self.draft(name), Outcome.COMPLETE) for name in names))


def test_requests_that_end_in_one_tick_are_written_at_once() -> None:
    desk = Desk()
    receipts = asyncio.run(desk.record("a", "b", "c"))
    assert desk.audit.calls == desk.receipts.calls == [3]
    assert [(each.id, each.audit_index) for each in receipts] == [("a", 0), ("b", 1), ("c", 2)]
    assert [record.request_id for record in desk.audit.records] == ["a", "b", "c"]
    assert [each.id for each in desk.house.observed] == ["a", "b", "c"]
    assert all(each.steps == ("record",) for each in receipts)


@pytest.mark.parametrize("refused", ["a", "b", "c"])
def test_one_that_the_log_refuses_keeps_no_other_out(refused: str) -> None:
    desk = Desk(audit=PickyAudit(refused=refused))
    receipts = asyncio.run(desk.record("a", "b", "c"))
    taken = [name for name in "abc" if name != refused]
    assert [record.request_id for record in desk.audit.records] == taken
    assert {each.id: each.audit_index for each in receipts} == {refused: None} | {n: i for i, n in enumerate(taken)}
    assert [each.id for each in desk.receipts.kept] == ["a", "b", "c"]
    assert all(each.steps == ("record",) for each in receipts)


def test_one_that_cannot_be_kept_keeps_no_other_out() -> None:
    desk = Desk(receipts=PickyReceipts(refused="b"))
    receipts = asyncio.run(desk.record("a", "b", "c"))
    assert [each.id for each in receipts] == ["a", "b", "c"]
    assert [each.id for each in desk.receipts.kept] == ["a", "c"]


def test_a_log_that_is_broken_is_told_and_the_receipts_are_kept() -> None:
    desk = Desk(audit=PickyAudit(broken=True))
    receipts = asyncio.run(desk.record("a", "b"))
    assert [each.audit_index for each in receipts] == [None, None]
    assert [each.id for each in desk.receipts.kept] == ["a", "b"]


def test_who_leaves_while_it_is_written_is_recorded_once() -> None:
    desk = Desk()

    async def leave() -> None:
        staying = asyncio.ensure_future(desk.recorder.record(desk.draft("stays"), Outcome.COMPLETE))
        leaving = asyncio.ensure_future(desk.recorder.record(desk.draft("leaves"), Outcome.COMPLETE))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([staying, leaving])
        assert leaving.cancelled()

    asyncio.run(leave())
    assert [each.id for each in desk.receipts.kept] == ["stays", "leaves"]


def test_what_cannot_wait_is_written_behind_what_waits() -> None:
    desk = Desk()

    async def end() -> None:
        waiting = asyncio.ensure_future(desk.recorder.record(desk.draft("waits"), Outcome.COMPLETE))
        await asyncio.sleep(0)
        desk.recorder.record_now(desk.draft("failed"), Outcome.FAILED, error_code="FH-X")
        assert [each.id for each in desk.receipts.kept] == ["waits", "failed"]
        await waiting

    asyncio.run(end())
    assert [each.error_code for each in desk.receipts.kept] == ["", "FH-X"]
    assert desk.receipts.calls == [2]


def test_nobody_waits_for_ever_where_recording_fails_for_a_fault_of_ours() -> None:
    desk = Desk()

    def broken(receipt: Receipt) -> None:
        raise ZeroDivisionError(receipt.id)

    recorder = Recorder(replace(desk.house.services(), observe=broken))
    faults: list[dict[str, object]] = []

    async def end() -> list[object]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        ends = (recorder.record(desk.draft(name), Outcome.COMPLETE) for name in "ab")
        return list(await asyncio.gather(*ends, return_exceptions=True))

    assert [type(each) for each in asyncio.run(end())] == [RuntimeError, RuntimeError]
    assert [type(each["exception"]) for each in faults] == [ZeroDivisionError]
