"""Fair turns under any pattern of arrivals, and the shares that come of them in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fairness_sim import Run, Sender, percentile
from freehold.domain.priority import Priority
from freehold.domain.turn import Turn
from freehold.serving import order
from freehold.serving.order import PASSED_MAX, PUT_OFF, PUT_OFF_MAX, TOKENS_LEAST
from freehold.serving.queue import Arrival, SlotQueue

TENANTS = ("a", "b", "c")
WEIGHTS = {"a": 1, "b": 2, "c": 5}
TOKENS_MAX = 200
FAR_S = 1e12
TURN = Turn(tenant="t")

turns = st.builds(
    lambda tenant, priority, tokens: Turn(tenant=tenant, weight=WEIGHTS[tenant], priority=priority, tokens=tokens),
    st.sampled_from(TENANTS),
    st.sampled_from(list(Priority)),
    st.integers(1, TOKENS_MAX),
)


PUT_OFF_FEW = 96
"""In place of ``PUT_OFF_MAX``, where a test would take long to get to that."""


def starts_at_most(mine: Turn, ahead: int) -> int:
    """Others that may start before one who comes now, whoever comes later.

    What those of its tenant ahead of it and it itself may be charged moves its tag on; another tenant starts so often
    that its own tag is as high, and once more for each that it began before. A less urgent class gets one start in so
    many: each of its own may be passed over that often, and batch more often still where its turn is put off.
    """
    own = (ahead + 1) * TOKENS_MAX / mine.weight
    others = sum(own * weight / TOKENS_LEAST + 2 for tenant, weight in WEIGHTS.items() if tenant != mine.tenant)
    alike = ahead + others
    times = 1
    for priority, passed in PASSED_MAX.items():
        if mine.priority <= priority:
            times *= passed + 1 + (PUT_OFF_FEW if priority is Priority.BATCH else 0)
    # Of the more urgent, one start in so many may be of a class below as well.
    return round(times * (alike + 1)) + len(PASSED_MAX) * times + 2


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(turns, max_size=12),
    mine=turns,
    later=st.lists(turns, min_size=1, max_size=6),
    costs=st.lists(st.integers(1, TOKENS_MAX), min_size=1, max_size=5),
)
def test_whoever_waits_starts_after_a_bounded_number_of_others(
    before: list[Turn], mine: Turn, later: list[Turn], costs: Sequence[int]
) -> None:
    """Whatever comes later, for ever: it comes again as soon as it has started, and all at once at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "PUT_OFF_MAX", PUT_OFF_FEW)
        assert starts_in_time(before, mine, later, costs), "it waits still"


def starts_in_time(before: list[Turn], mine: Turn, later: list[Turn], costs: Sequence[int]) -> bool:
    queue = SlotQueue(slots=1, waiting_max=10_000)
    tickets: dict[int, Turn] = {}
    now_s = 0.0

    def come(turn: Turn) -> int:
        ticket = len(tickets)
        tickets[ticket] = turn
        queue.arrive(ticket, turn, now_s=now_s, deadline_s=FAR_S)
        return ticket

    running = come(Turn(tenant="first"))
    for turn in before:
        come(turn)
    ahead = sum(turn.tenant == mine.tenant and turn.priority is mine.priority for turn in before)
    wanted = come(mine)
    for turn in later:
        come(turn)
        come(turn)
    for count in range(starts_at_most(mine, ahead)):
        now_s += 1.0
        (started,) = queue.leave(running, now_s=now_s, tokens=costs[count % len(costs)])
        if started == wanted:
            return True
        running = started
        come(later[count % len(later)])
        come(tickets[started])
    return False


@settings(max_examples=80, deadline=None)
@given(waiting=st.lists(turns, max_size=40), mine=turns)
def test_the_place_told_is_the_place_taken_if_nobody_else_comes(waiting: list[Turn], mine: Turn) -> None:
    queue = SlotQueue(slots=1, waiting_max=10_000)
    queue.arrive(-1, Turn(tenant="first"), now_s=0.0, deadline_s=FAR_S)
    for ticket, turn in enumerate(waiting):
        queue.arrive(ticket, turn, now_s=0.0, deadline_s=FAR_S)
    entry = queue.arrive(len(waiting), mine, now_s=0.0, deadline_s=FAR_S)
    assert entry.arrival is Arrival.WAITS
    told = [each.position for each in queue.waiting(now_s=0.0)]
    assert told == list(range(1, len(waiting) + 2))
    running, taken = -1, []
    for _ in range(len(waiting) + 1):
        (running,) = queue.leave(running, now_s=0.0)
        taken.append(running)
    assert taken.index(len(waiting)) + 1 == entry.position


@pytest.mark.parametrize(
    ("senders", "share"),
    [
        ((Sender(tenant="a", per_s=36.0), Sender(tenant="b", per_s=1.8)), 0.5),
        ((Sender(tenant="a", at_once=80, tokens=80), Sender(tenant="b", at_once=8, tokens=400)), 0.5),
        ((Sender(tenant="a", at_once=20, weight=3), Sender(tenant="b", at_once=20)), 0.75),
    ],
    ids=["20 times as many", "small against large", "3 to 1"],
)
def test_shares_while_both_wait(senders: tuple[Sender, Sender], share: float) -> None:
    outcome = Run(senders, waiting_max=128).run(150.0, warm_up_s=30.0)
    assert outcome.tokens.total() > 10_000
    assert outcome.share("a") == pytest.approx(share, abs=0.05)
    errors = outcome.errors()
    assert len(errors) > 100
    assert percentile(errors, 0.5) <= 0.2
    assert percentile(outcome.place_errors(), 0.5) <= 0.2


@pytest.mark.parametrize("more", [{"spread": 0.0}, {"allows": 1.0}], ids=["all as long", "said before"])
def test_an_estimate_is_right_where_there_is_nothing_to_guess(more: dict[str, float]) -> None:
    senders = tuple(replace(Sender(tenant=tenant, at_once=20), **more) for tenant in ("a", "b"))
    errors = Run(senders, waiting_max=128).run(200.0).errors()
    assert len(errors) > 100
    assert percentile(errors, 0.9) <= 0.2


def met_by_interactive(gaps_s: Sequence[float], *, hold_s: float, item_s: float) -> tuple[int, int]:
    """One slot, batch that always has an item more, and interactive requests after gaps that repeat for ever.

    Returns:
        Interactive requests that started; those of them that had to wait for an item that could not make way, without
        those that waited for the last such item.
    """
    queue, night, person = SlotQueue(slots=1, waiting_max=10_000), Turn(tenant="n", priority=Priority.BATCH), TURN
    tickets, now_s, comes_s, place = 0, 0.0, 0.0, 0
    queue.arrive(0, night, now_s=0.0, deadline_s=FAR_S)
    queue.arrive(1, night, now_s=0.0, deadline_s=FAR_S)
    running, ends_s, batch, firm, waiting = 0, item_s, {0, 1}, not queue.yields(0), 0
    tickets, starts, met, last = 2, 0, 0, 0
    while starts < 800:
        comes = comes_s <= ends_s
        now_s = comes_s if comes else ends_s
        started: list[int] = []
        if comes:
            comes_s += gaps_s[place := (place + 1) % len(gaps_s)]
            entry = queue.arrive(tickets, person, now_s=now_s, deadline_s=FAR_S)
            tickets, waiting = tickets + 1, waiting + 1
            last += firm
            if entry.preempted is not None:
                started = queue.leave(running, now_s=now_s)
        else:
            started = queue.leave(running, now_s=now_s)
        if not started:
            continue
        if running in batch:
            queue.arrive(tickets, night, now_s=now_s, deadline_s=FAR_S)
            batch.add(tickets)
            tickets += 1
        (running,) = started
        firm = running in batch and not queue.yields(running)
        ends_s = now_s + (item_s if running in batch else hold_s)
        if running not in batch:
            starts, waiting = starts + 1, waiting - 1
        elif firm:
            met, last = met + last, waiting
    return starts, met


@settings(max_examples=30, deadline=None)
@given(
    gaps_s=st.lists(st.floats(0.0, 30.0), min_size=1, max_size=12).filter(lambda gaps_s: sum(gaps_s) > len(gaps_s)),
    hold_s=st.floats(0.01, 1.0),
    item_s=st.floats(8.0, 100.0),
)
def test_few_interactive_requests_wait_for_an_item_that_is_left_to_its_end(
    gaps_s: list[float], hold_s: float, item_s: float
) -> None:
    """However they come and however long the items take, as far as putting off goes."""
    starts, met = met_by_interactive(gaps_s, hold_s=hold_s, item_s=item_s)
    over = max(0.0, item_s * len(gaps_s) / sum(gaps_s) + len(gaps_s) - PUT_OFF_MAX / PUT_OFF)
    assert over or met * PUT_OFF <= starts


def test_such_items_are_put_to_the_test() -> None:
    starts, met = met_by_interactive([5.0], hold_s=0.5, item_s=20.0)
    assert starts / 64 < met <= starts / PUT_OFF


def test_batch_makes_way_and_gets_done_all_the_same() -> None:
    people = Sender(tenant="people", per_s=0.5, tokens=60)
    night = Sender(tenant="night", at_once=20, tokens=400, priority=Priority.BATCH)
    run = Run((people, night), slots=2, step_s=0.05)
    outcome = run.run(600.0, warm_up_s=0.0)
    waits = [job.started_s - job.came_s for job in outcome.jobs if job.sender is people and job.started_s is not None]
    assert outcome.preempted > 50, "it is put to the test"
    assert percentile(waits, 0.95) <= 1.5 * 0.05
    done = [job for job in outcome.jobs if job.sender is night]
    assert len(done) > 50
    assert max(job.preempted for job in (*done, *run.waiting)) <= PASSED_MAX[Priority.BATCH]
    assert all(600.0 - job.came_s < 300.0 for job in run.waiting)
