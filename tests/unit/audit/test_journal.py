"""No record, no egress."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
from pathlib import Path

import pytest

from freehold.audit.entry import decode_entry
from freehold.audit.journal import PERMIT_LIFE_S, Journal
from freehold.audit.log import TransparencyLog
from freehold.audit.verify import verify_folder
from freehold.domain.egress import EgressPermit, seal_permit
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.receipt import AuditRecord
from freehold.net.permits import PermitGate
from freehold.storage import disk
from tests.support.audit import CountingIds, StillClock, entries, intent, open_log

KEY = b"k" * 32
BODY = b'{"messages":[{"role":"user","content":"the secret plan"}]}'


def journal(log: TransparencyLog, clock: StillClock | None = None) -> Journal:
    return Journal(log, clock or StillClock(), CountingIds(), KEY)


async def permit(log: TransparencyLog, book: Journal, *, request_id: str = "r-1") -> EgressPermit:
    return await book.permit(intent(log.commit(BODY), BODY, request_id=request_id), body=BODY)


def end(book: Journal, given: EgressPermit, *, request_id: str = "r-1") -> None:
    book.done(given, request_id=request_id, tenant="acme", outcome="complete", bytes_sent=len(BODY))


def test_a_permit_is_good_for_the_recorded_body_once(tmp_path: Path) -> None:
    clock = StillClock()
    gate = PermitGate(clock=clock, key=KEY, spent_max=10)

    async def run() -> EgressPermit:
        log = open_log(tmp_path)
        book = journal(log, clock)
        given = await permit(log, book)
        with pytest.raises(EgressDenied, match="another body"):
            gate.spend(given, origin=given.origin, zone=given.zone, body=BODY + b" ")
        gate.spend(given, origin=given.origin, zone=given.zone, body=BODY)
        with pytest.raises(EgressDenied, match="spent"):
            gate.spend(given, origin=given.origin, zone=given.zone, body=BODY)
        late = await permit(log, book)
        clock.now_s += PERMIT_LIFE_S
        with pytest.raises(EgressDenied, match="expired"):
            gate.spend(late, origin=late.origin, zone=late.zone, body=BODY)
        log.close()
        return given

    given = asyncio.run(run())
    assert (given.audit_index, given.id, given.expires_monotonic_s) == (0, "id-1", 1000.0 + PERMIT_LIFE_S)
    assert given.seal == seal_permit(KEY, given)


def test_intent_and_end_are_recorded_without_the_body(tmp_path: Path) -> None:
    async def run() -> str:
        log = open_log(tmp_path)
        book = journal(log)
        given = await permit(log, book)
        end(book, given)
        end(book, given)
        log.close()
        return log.commit(BODY)

    commitment = asyncio.run(run())
    begun, ended = (decode_entry(data, n)[1] for n, data in enumerate(entries(tmp_path, 2)))
    assert (begun.event, begun.tenant, begun.request_id) == ("egress.intent", "acme", "r-1")
    assert begun.detail == {
        "deployment": "cloud",
        "origin": "https://api.example:443",
        "zone": "us",
        "label": "internal;zones=world",
        "rules": ["zone", "level"],
        "body_bytes": len(BODY),
        "body_commit": commitment,
    }
    assert (ended.event, ended.detail) == ("egress.done", {"intent": 0, "outcome": "complete", "bytes": len(BODY)})
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    digest = hashlib.sha256(BODY)
    for trace in (b"secret plan", json.dumps("secret plan").encode(), digest.digest(), digest.hexdigest().encode()):
        assert trace not in kept
    assert commitment.encode() in kept
    assert verify_folder(tmp_path).orphans == ()


def test_the_permit_waits_for_the_disk(tmp_path: Path) -> None:
    """A log that takes the intent, while the medium does not have it yet."""

    class Slow:
        def __init__(self, log: TransparencyLog) -> None:
            self.log = log
            self.written = asyncio.get_running_loop().create_future()
            self.events: list[str] = []

        @property
        def healthy(self) -> bool:
            return True

        def append(self, *records: AuditRecord) -> int:
            self.events += [record.event for record in records]
            return len(self.events) - len(records)

        async def durable(self, index: int) -> None:
            await self.written

        def __getattr__(self, name: str) -> object:
            return getattr(self.log, name)

    async def run() -> None:
        log = open_log(tmp_path)
        slow = Slow(log)
        book = journal(slow)  # pyright: ignore[reportArgumentType]
        task = asyncio.ensure_future(permit(slow, book))  # pyright: ignore[reportArgumentType]
        done, _ = await asyncio.wait([task], timeout=0.02)
        assert not done
        assert slow.events == ["egress.intent"]
        slow.written.set_result(None)
        assert (await task).audit_index == 0

        waiting = asyncio.get_running_loop().create_future()
        slow.written = waiting
        task = asyncio.ensure_future(permit(slow, book))  # pyright: ignore[reportArgumentType]
        await asyncio.wait([task], timeout=0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.events == ["egress.intent", "egress.intent", "egress.done"]

        slow.written = asyncio.get_running_loop().create_future()
        slow.written.set_exception(AuditUnwritable(reason="syncing failed"))
        with pytest.raises(AuditUnwritable):
            await permit(slow, book)  # pyright: ignore[reportArgumentType]
        assert slow.events[3:] == ["egress.intent", "egress.done"], "nothing was sent, and that is known"
        log.close()

    asyncio.run(run())


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], BODY.replace(b"plan", b"plot")])
def test_a_body_that_is_not_the_intents_gets_no_permit(tmp_path: Path, body: bytes) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        with pytest.raises(EgressDenied, match="changed after its intent"):
            await journal(log).permit(intent(log.commit(BODY), BODY), body=body)
        assert log.size == 0
        log.close()

    asyncio.run(run())


def test_without_a_record_there_is_no_permit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run() -> None:
        log = open_log(tmp_path)
        book = journal(log)
        given = await permit(log, book)
        monkeypatch.setattr(disk, "append", fail)
        with pytest.raises(AuditUnwritable, match="No space left"):
            await permit(log, book)
        with pytest.raises(AuditUnwritable, match="No space left"):
            await permit(log, book)
        end(book, given)
        log.close()
        monkeypatch.undo()

    asyncio.run(run())
    open_log(tmp_path).close()
    report = verify_folder(tmp_path)
    assert (report.intents, report.orphans) == (1, ())
    last = decode_entry(entries(tmp_path, 2)[1], 1)[1]
    assert last.detail["outcome"] == "unknown"


def test_many_at_once_keep_their_ends_apart(tmp_path: Path) -> None:
    async def run() -> None:
        log = open_log(tmp_path)
        book = journal(log)

        async def one(number: int) -> None:
            name = f"r-{number}"
            end(book, await permit(log, book, request_id=name), request_id=name)

        await asyncio.gather(*map(one, range(50)))
        log.close()

    asyncio.run(run())
    report = verify_folder(tmp_path)
    assert (report.intents, report.events["egress.done"], report.orphans) == (50, 50, ())
