"""Limits in force: what is set aside, what is counted, and what receipts make of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.errors.limits import (
    BudgetSpent,
    LimitError,
    LimitHeld,
    LimitReached,
    LimitTooSmall,
    PriceMissing,
    RequestOverLimit,
)
from freehold.domain.errors.server import StorageFailed
from freehold.domain.identity import Principal, Tenant
from freehold.domain.limits import HOUR_MS, Bound, Limit, Measure, Subject, SubjectKind, Window
from freehold.domain.money import Money
from freehold.domain.receipt import Cost, Receipt
from freehold.domain.response import Usage
from freehold.identity.limit_table import LimitTable
from freehold.identity.quotas import RECONCILE_EVERY_S, Quotas, Reserved
from freehold.storage.usage import AttemptUse, RequestUse, Uses
from tests.support.gateway import PUBLIC, ManualClock
from tests.support.receipts import make_attempt, make_receipt

ACME = Subject(SubjectKind.TENANT, "acme")
KEY = Subject(SubjectKind.KEY, "key-1")


def limit(amount: int, what: Measure = Measure.TOKENS, window: Window = Window.DAY, who: Subject = ACME) -> Limit:
    currency = "USD" if what is Measure.MONEY else ""
    return Limit(subject=who, measure=what, window=window, amount=amount, currency=currency)


def caller(key_id: str = "key-1", tenant: str = "acme") -> Principal:
    return Principal(
        key_id=key_id, key_name="", tenant=Tenant(name=tenant, label=PUBLIC), label=PUBLIC, scopes=frozenset({"infer"})
    )


def bound(tokens: int = 100, micros: int = 50) -> Bound:
    return Bound(tokens=tokens, micros=lambda _: micros)


def receipt(tokens: int = 25, micros: int = 12, outcome: Outcome = Outcome.COMPLETE, attempts: int = 1) -> Receipt:
    usage, cost = Usage(input_tokens=tokens - 5, output_tokens=5), Cost(amount=Money(micros=micros), source="x")
    return make_receipt(attempts=(make_attempt(usage=usage, cost=cost),) * attempts, outcome=outcome)


@dataclass
class Desk:
    """Stores in memory. What receipts say is ``filed``, whatever span is asked for."""

    limits: tuple[Limit, ...] = ()
    filed: Uses = field(default_factory=lambda: Uses([], []))
    clock: ManualClock = field(default_factory=ManualClock)
    broken: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def all(self) -> tuple[Limit, ...]:
        if self.broken:
            raise StorageFailed(name="freehold.db", done="read", reason="disk")
        return self.limits

    def put(self, limit: Limit, *, most: int) -> bool:
        raise NotImplementedError

    def remove(self, limit: Limit) -> bool:
        raise NotImplementedError

    def read(self, *, from_unix_ms: int, to_unix_ms: int, tenant: str | None) -> Uses:
        assert tenant is None
        self.asked.append((from_unix_ms, to_unix_ms))
        return self.filed

    def quotas(self) -> Quotas:
        found = Quotas(store=self, usage=self, table=LimitTable.private(), clock=self.clock)
        asyncio.run(found.refresh())
        return found


def held(found: Reserved | None) -> Reserved:
    assert found is not None
    return found


def refused(quotas: Quotas, most: Bound | None = None, who: Principal | None = None) -> LimitError:
    with pytest.raises(LimitError) as error:
        quotas.reserve(who or caller(), most or bound())
    return error.value


def test_what_a_request_did_not_use_is_given_back() -> None:
    quotas = Desk((limit(150),)).quotas()
    first = held(quotas.reserve(caller(), bound()))
    assert isinstance(error := refused(quotas), LimitHeld)
    assert error.message.startswith(
        "tenant acme has used 0 tokens of 150 tokens for this day, and its running requests may use 100 tokens:"
    )
    assert error.retry_after_s == 1
    first.settle(receipt(25))
    second = held(quotas.reserve(caller(), bound()))
    (standing,) = second.standings()
    assert (standing.used, standing.reserved, standing.remaining) == (25, 100, 25)
    second.settle(receipt(30))
    second.settle(receipt(30))
    assert second.standings()[0].used == 55
    assert isinstance(refused(quotas), LimitTooSmall)
    held(quotas.reserve(caller(), bound(95))).settle(receipt(95))
    assert isinstance(refused(quotas, bound(1)), LimitReached)


def test_a_spent_month_is_told_as_what_openais_clients_know() -> None:
    quotas = Desk((limit(40, Measure.MONEY, Window.MONTH),)).quotas()
    assert isinstance(refused(quotas), RequestOverLimit)
    held(quotas.reserve(caller(), bound(micros=40))).settle(receipt(micros=40))
    error = refused(quotas)
    assert isinstance(error, BudgetSpent)
    assert (error.http_status, error.wire_code, error.retryable) == (429, "insufficient_quota", False)
    assert "0.00004 USD of its budget of 0.00004 USD for this month" in error.message
    assert error.standings[0].used == 40


def test_tenant_and_key_must_both_have_room_and_other_keys_share_the_tenants() -> None:
    quotas = Desk((limit(1_000), limit(120, who=KEY))).quotas()
    assert quotas.limited == {"acme", "key-1"}
    held(quotas.reserve(caller(), bound())).settle(receipt(110))
    error = refused(quotas)
    assert error.values["subject"] == "key key-1"
    other = held(quotas.reserve(caller("key-2"), bound(880)))
    assert other.standings()[0].used == 110
    assert refused(quotas, bound(11), caller("key-2")).values["subject"] == "tenant acme"
    assert quotas.reserve(caller("key-3", tenant="other"), bound()) is None
    other.settle(None)
    # What is refused holds nothing back, of any limit.
    assert held(quotas.reserve(caller("key-2"), bound(890))).standings()[0].reserved == 890


def test_every_attempt_counts_and_refused_requests_do_not() -> None:
    quotas = Desk((limit(2, Measure.REQUESTS), limit(1_000))).quotas()
    held(quotas.reserve(caller(), bound())).settle(receipt(25, attempts=2))
    held(quotas.reserve(caller(), bound())).settle(receipt(0, attempts=0, outcome=Outcome.REFUSED))
    last = held(quotas.reserve(caller(), bound()))
    last.settle(receipt(25, outcome=Outcome.CANCELLED))
    assert [each.used for each in last.standings()] == [2, 75]
    assert isinstance(refused(quotas), LimitReached)


def test_a_request_that_found_no_room_is_given_back_and_one_that_was_tried_is_not() -> None:
    quotas = Desk((limit(2, Measure.REQUESTS),)).quotas()
    for _ in range(3):
        held(quotas.reserve(caller(), bound())).settle(receipt(0, attempts=0, outcome=Outcome.FAILED))
    preempted = held(quotas.reserve(caller(), bound()))
    preempted.settle(receipt(25, outcome=Outcome.REFUSED))
    assert [each.used for each in preempted.standings()] == [0]
    last = held(quotas.reserve(caller(), bound()))
    last.settle(receipt(25, outcome=Outcome.FAILED))
    held(quotas.reserve(caller(), bound())).settle(receipt(0, attempts=0, outcome=Outcome.CANCELLED))
    assert [each.used for each in last.standings()] == [2]


def test_money_of_another_currency_is_not_counted() -> None:
    quotas = Desk((limit(1_000, Measure.MONEY),)).quotas()
    reserved = held(quotas.reserve(caller(), bound()))
    cost = Cost(amount=Money(micros=900, currency="EUR"), source="x")
    reserved.settle(make_receipt(attempts=(make_attempt(cost=cost), make_attempt(cost=None))))
    assert reserved.standings()[0].used == 0


def test_a_price_that_is_missing_holds_nothing() -> None:
    def missing(_: Limit) -> int:
        raise PriceMissing(deployment="cloud", what="no price", limit="1 USD", subject="tenant:acme")

    quotas = Desk((limit(100), limit(100, Measure.MONEY))).quotas()
    with pytest.raises(PriceMissing, match="'cloud' has no price"):
        quotas.reserve(caller(), Bound(tokens=1, micros=missing))
    assert held(quotas.reserve(caller(), bound())).standings()[0].reserved == 100


def test_a_window_begins_anew_and_a_request_ends_in_the_one_it_began_in() -> None:
    desk = Desk((limit(120),))
    quotas = desk.quotas()
    first = held(quotas.reserve(caller(), bound()))
    retry_s = refused(quotas, bound(121)).retry_after_s
    assert retry_s is None
    desk.clock.now_s += 24 * 3_600
    second = held(quotas.reserve(caller(), bound()))
    first.settle(receipt(100))
    assert (first.standings()[0].used, second.standings()[0].used) == (100, 0)
    # The clock was wrong, and is put right: what was used is still used.
    desk.clock.now_s -= 24 * 3_600
    assert isinstance(error := refused(quotas), LimitTooSmall)
    assert error.retry_after_s == -(-(86_400_000 - desk.clock.unix_ms() % 86_400_000) // 1000)


def test_a_start_counts_what_receipts_say() -> None:
    desk = Desk((limit(1_000), limit(500, Measure.MONEY, Window.MONTH), limit(9, Measure.REQUESTS, who=KEY)))
    use = AttemptUse(0, "acme", "key-1", "small", "USD", 3, 400, 0, 600, 200, 0, 0, 0)
    desk.filed = Uses(
        [use, use._replace(key_id="key-2", currency="", input_tokens=100, output_tokens=0)],
        [RequestUse(0, "acme", "key-1", 7, 4), RequestUse(0, "acme", "key-2", 5, 0)],
    )
    quotas = desk.quotas()
    standings = held(quotas.reserve(caller(), bound())).standings()
    assert [each.used for each in standings] == [900, 400, 7]
    assert all(first % HOUR_MS == last % HOUR_MS == 0 for first, last in desk.asked)
    assert len(desk.asked) == 2


def test_counts_are_held_up_to_receipts_now_and_then_and_never_lowered() -> None:
    desk = Desk((limit(1_000),))
    quotas = desk.quotas()
    held(quotas.reserve(caller(), bound())).settle(receipt(50))
    desk.filed = Uses([AttemptUse(0, "acme", "k", "small", "", 1, 0, 0, 20, 0, 0, 0, 0)], [])
    asyncio.run(quotas.refresh())
    assert len(desk.asked) == 1
    for expected in (50, 300):
        desk.clock.now_s += RECONCILE_EVERY_S
        asyncio.run(quotas.refresh())
        found = held(quotas.reserve(caller(), bound()))
        found.settle(None)
        assert found.standings()[0].used == expected
        desk.filed = Uses([desk.filed.attempts[0]._replace(input_tokens=300)], [])


def test_a_change_keeps_what_was_counted_and_a_removed_limit_holds_nobody() -> None:
    desk = Desk((limit(100),))
    quotas = desk.quotas()
    running = held(quotas.reserve(caller(), bound()))
    desk.limits = (replace(limit(100), amount=150),)
    asyncio.run(quotas.refresh())
    assert isinstance(refused(quotas), LimitHeld)
    running.settle(receipt(60))
    assert held(quotas.reserve(caller(), bound(90))).standings()[0].used == 60
    desk.limits = ()
    asyncio.run(quotas.refresh())
    assert quotas.limited == frozenset()
    assert quotas.reserve(caller(), bound()) is None


def test_limits_that_cannot_be_read_leave_those_before_in_force() -> None:
    desk = Desk((limit(10),))
    quotas = desk.quotas()
    desk.broken, desk.limits = True, ()
    with pytest.raises(StorageFailed):
        asyncio.run(quotas.refresh())
    assert isinstance(refused(quotas), RequestOverLimit)


def test_what_was_used_is_asked_for_again_until_it_is_told() -> None:
    desk = Desk()
    quotas = desk.quotas()
    desk.limits, read = (limit(100),), desk.read

    def fail(**_: object) -> Uses:
        raise StorageFailed(name="freehold.db", done="read", reason="disk")

    desk.read = fail  # pyright: ignore[reportAttributeAccessIssue] - it fails for a while
    for _ in range(2):
        with pytest.raises(StorageFailed):
            asyncio.run(quotas.refresh())
    desk.read = read  # pyright: ignore[reportAttributeAccessIssue] - as it was
    desk.filed = Uses([AttemptUse(0, "acme", "k", "small", "", 1, 0, 0, 100, 0, 0, 0, 0)], [])
    asyncio.run(quotas.refresh())
    assert isinstance(refused(quotas), LimitReached)


def test_two_who_refresh_at_once_leave_the_newest_limits_in_force() -> None:
    desk = Desk((limit(100),))
    quotas = desk.quotas()

    async def scenario() -> None:
        first = asyncio.ensure_future(quotas.refresh())
        await asyncio.sleep(0)
        desk.limits = (limit(5),)
        await asyncio.gather(first, quotas.refresh())

    asyncio.run(scenario())
    assert isinstance(refused(quotas, bound(6)), RequestOverLimit)


def test_a_limit_of_a_key_goes_on_over_a_rotation() -> None:
    """What a key and the one that followed it use is one use, before and after a start."""
    line_of = {"key-2": "key-1"}.get
    desk = Desk((limit(150, who=KEY),))
    quotas = Quotas(
        store=desk, usage=desk, table=LimitTable.private(), clock=desk.clock, line_of=lambda key: line_of(key, key)
    )
    asyncio.run(quotas.refresh())
    assert quotas.limited == {"key-1"}
    later = replace(caller("key-2"), line="key-1")
    held(quotas.reserve(replace(caller(), line="key-1"), bound(100)))
    with pytest.raises(LimitError):
        quotas.reserve(later, bound(100))
    assert quotas.reserve(caller("key-3"), bound(1_000)) is None
    named_by_the_later = Quotas(
        store=Desk((limit(150, who=Subject(SubjectKind.KEY, "key-2")),)),
        usage=desk,
        table=LimitTable.private(),
        clock=desk.clock,
        line_of=lambda key: line_of(key, key),
    )
    asyncio.run(named_by_the_later.refresh())
    with pytest.raises(LimitError):
        named_by_the_later.reserve(later, bound(200))


def test_a_limit_of_a_key_that_is_heard_of_later_holds_its_line_then() -> None:
    """Another program rotated a key and limited the new one; what it did to keys is seen after what it did to limits."""
    known: dict[str, str] = {}
    desk = Desk((limit(150, who=Subject(SubjectKind.KEY, "key-2")),))
    quotas = Quotas(
        store=desk, usage=desk, table=LimitTable.private(), clock=desk.clock, line_of=lambda key: known.get(key, key)
    )
    asyncio.run(quotas.refresh())
    known["key-2"] = "key-1"
    asyncio.run(quotas.refresh())
    assert quotas.limited == {"key-1"}
    with pytest.raises(LimitError):
        quotas.reserve(replace(caller("key-2"), line="key-1"), bound(200))
