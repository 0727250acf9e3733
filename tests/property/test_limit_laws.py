"""Limits that processes share, in any order of what happens: nothing that is used ever exceeds them.

Each process has its own view of one table. Any of them may die at any moment, also while it records; its parent then gives
back what it held, and another one takes its place.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freehold.domain.errors.limits import LimitError
from freehold.domain.limits import Bound, Limit, Measure, Subject, SubjectKind, Window, span_of
from freehold.domain.receipt import Receipt
from freehold.domain.response import Usage
from freehold.identity import limit_table
from freehold.identity.limit_table import LimitTable, row_key
from freehold.identity.quotas import Quotas, Reserved
from freehold.storage.usage import AttemptUse, RequestUse, Uses
from tests.support.gateway import ManualClock
from tests.support.receipts import make_attempt, make_receipt
from tests.unit.identity.test_quotas import caller

WORKERS = 3
TENANT, KEY = Subject(SubjectKind.TENANT, "acme"), Subject(SubjectKind.KEY, "key-1")
LIMITS = (
    Limit(subject=TENANT, measure=Measure.TOKENS, window=Window.MONTH, amount=300),
    Limit(subject=KEY, measure=Measure.TOKENS, window=Window.HOUR, amount=200),
    Limit(subject=KEY, measure=Measure.REQUESTS, window=Window.HOUR, amount=6),
)

workers = st.integers(0, WORKERS - 1)


@dataclass
class Ledger:
    """Everything that was ever recorded."""

    kept: list[Receipt] = field(default_factory=list[Receipt])

    def all(self) -> tuple[Limit, ...]:
        return LIMITS

    def put(self, limit: Limit, *, most: int) -> bool:
        raise NotImplementedError

    def remove(self, limit: Limit) -> bool:
        raise NotImplementedError

    def read(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> Uses:
        found = [each for each in self.kept if from_unix_ms <= each.created_unix_ms < to_unix_ms]
        return Uses(
            [AttemptUse(0, "acme", each.key_id, "small", "", 1, 0, 0, tokens(each), 0, 0, 0, 0) for each in found],
            [RequestUse(0, "acme", each.key_id, 1, 0) for each in found],
        )


def tokens(receipt: Receipt) -> int:
    return receipt.attempts[0].usage.input_tokens


@dataclass
class Running:
    worker: int
    key: str
    began_unix_ms: int
    bound: int
    reserved: Reserved


class LimitMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rows, limit_table.ROWS = limit_table.ROWS, 16  # pyright: ignore[reportAttributeAccessIssue] - it is quicker
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.Runner()
        self.path = Path(self.folder.name) / "limits"
        self.parent = LimitTable.make(self.path, workers=WORKERS)
        self.ledger, self.clock = Ledger(), ManualClock()
        self.quotas = [self.fresh(worker) for worker in range(WORKERS)]
        self.running: list[Running] = []
        self.is_wrong = False

    def fresh(self, worker: int) -> Quotas:
        table = LimitTable.open(self.path, worker=worker)
        quotas = Quotas(store=self.ledger, usage=self.ledger, table=table, clock=self.clock)
        self.loop.run(quotas.refresh())
        return quotas

    @rule(worker=workers, key=st.sampled_from(["key-1", "key-2"]), bound=st.integers(1, 150))
    def begin(self, worker: int, key: str, bound: int) -> None:
        try:
            reserved = self.quotas[worker].reserve(caller(key), Bound(tokens=bound, micros=lambda _: 0))
        except LimitError:
            return
        assert reserved is not None
        self.running.append(Running(worker, key, self.clock.unix_ms(), bound, reserved))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), share=st.floats(0.5, 1))
    def end(self, data: st.DataObject, share: float) -> None:
        one = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        receipt = self.receipt(one, share)
        one.reserved.settle(receipt)
        self.ledger.kept.append(receipt)

    @rule(worker=workers, records=st.booleans(), share=st.floats(0.5, 1))
    def die(self, worker: int, records: bool, share: float) -> None:
        """Its calls die with it; one of them may be between being counted and being kept."""
        own = [each for each in self.running if each.worker == worker]
        if own and records:
            own[0].reserved.settle(self.receipt(own[0], share))
        self.running = [each for each in self.running if each.worker != worker]
        with self.parent:
            self.parent.clear(worker)
        self.quotas[worker] = self.fresh(worker)

    @rule()
    def restart(self) -> None:
        """Of the whole gateway: the table is laid out anew."""
        self.running.clear()
        self.parent.close()
        self.parent = LimitTable.make(self.path, workers=WORKERS)
        self.quotas = [self.fresh(worker) for worker in range(WORKERS)]

    @rule(minutes=st.integers(0, 30))
    def pass_time(self, minutes: int) -> None:
        self.clock.now_s += minutes * 60
        self.keep()

    @rule()
    def jump(self) -> None:
        """Somebody sets the clock wrong, or right again."""
        self.is_wrong = not self.is_wrong
        self.clock.now_s += 40 * 86_400 if self.is_wrong else -40 * 86_400
        self.keep()

    def keep(self) -> None:
        """What each process does every second."""
        for quotas in self.quotas:
            self.loop.run(quotas.refresh())

    @invariant()
    def nothing_is_over(self) -> None:
        for limit in LIMITS:
            spans = {span_of(limit.window, each.created_unix_ms) for each in self.ledger.kept}
            for span in spans | {span_of(limit.window, self.clock.unix_ms())}:
                found = [
                    each
                    for each in self.ledger.kept
                    if span.from_unix_ms <= each.created_unix_ms < span.to_unix_ms
                    and limit.subject.name in ("acme", each.key_id)
                ]
                is_tokens = limit.measure is Measure.TOKENS
                assert sum(tokens(each) if is_tokens else 1 for each in found) <= limit.amount

    @invariant()
    def what_runs_is_set_aside(self) -> None:
        """What is held is what the running requests may come to, of each window that the table still has."""
        now = self.clock.unix_ms()
        span = span_of(Window.MONTH, now)
        probe = (
            self.quotas[0].reserve(caller("key-3"), Bound(tokens=0, micros=lambda _: 0)) if self.has_room() else None
        )
        if probe is not None:
            (standing,) = probe.standings()
            probe.settle(None)
            running = sum(each.bound for each in self.running if span_of(Window.MONTH, each.began_unix_ms) == span)
            assert standing.reserved == running
            assert standing.used + standing.reserved <= standing.limit.amount

    def has_room(self) -> bool:
        span = span_of(Window.MONTH, self.clock.unix_ms())
        with self.parent:
            place = self.parent.place(row_key(LIMITS[0].place), unix_ms=self.clock.unix_ms())
            return self.parent.counted(place, span.to_unix_ms).used < LIMITS[0].amount

    def receipt(self, one: Running, share: float) -> Receipt:
        usage = Usage(input_tokens=round(one.bound * share))
        made = make_receipt(attempts=(make_attempt(usage=usage),), key_id=one.key)
        return replace(made, created_unix_ms=one.began_unix_ms)

    def teardown(self) -> None:
        self.loop.close()
        self.folder.cleanup()
        limit_table.ROWS = self.rows  # pyright: ignore[reportAttributeAccessIssue] - as it was


TestLimits = LimitMachine.TestCase
TestLimits.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
