"""What is loaded and who leaves for it: the decision, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from freehold.domain.placement import Phase, Why
from freehold.serving.placement import RULES, decide, expected_due_s, next_to_leave
from tests.support.placing import GB, loaded, model, on_cards, resident, state, waits


def test_who_is_asked_for_is_loaded_where_there_is_room() -> None:
    plan = decide(state(model("a", 4), waiting=(waits("a"),)))
    assert (plan.load, plan.held, plan.evict) == ("a", {"cpu": 4 * GB}, ())


def test_who_costs_least_leaves_not_who_was_used_longest_ago() -> None:
    """The dear one is slow to load and likely to be needed; the cheap one is neither, and gives as much back."""
    dear, cheap = model("dear", 4, soon=0.9, reload_s=20), model("cheap", 4, soon=0.1, reload_s=2)
    there = loaded(resident(dear), resident(cheap))
    now = state(model("a", 5), dear, cheap, loaded=there, now_s=100, waiting=(waits("a", since_s=90, now_s=100),))
    plan = decide(now)
    assert (plan.load, plan.evict) == ("a", ("cheap",))
    assert [each for each, _ in next_to_leave(now)] == ["cheap", "dear"]


def test_large_ones_leave_before_several_small_ones_that_cost_more_together() -> None:
    smalls = [model(f"s{n}", 1, soon=0.5, reload_s=3) for n in range(4)]
    large = model("large", 5, soon=0.5, reload_s=5)
    there = loaded(resident(large), *map(resident, smalls))
    now = state(model("a", 4), large, *smalls, loaded=there, now_s=60, waiting=(waits("a", since_s=0, now_s=60),))
    assert decide(now).evict == ("large",)


def test_nobody_leaves_in_vain() -> None:
    """The cheapest for its bytes alone is not enough; with the next one it is not needed any more."""
    tiny, big = model("tiny", 1, soon=0.0), model("big", 6, soon=0.2)
    there = loaded(resident(tiny), resident(big))
    now = state(model("a", 7), tiny, big, loaded=there, now_s=60, waiting=(waits("a", since_s=0, now_s=60),))
    assert decide(now).evict == ("big",)


def test_who_answers_who_is_pinned_and_who_is_waited_for_stays() -> None:
    used, pinned = model("used", 4), model("pinned", 4, pinned=True)
    there = loaded(resident(used, in_use=1), resident(pinned))
    now = state(model("a", 4), used, pinned, loaded=there, waiting=(waits("a"),))
    assert (decide(now).load, decide(now).evict) == ("", ())


def test_what_can_never_fit_is_refused_and_nobody_leaves() -> None:
    idle = model("idle", 8)
    plan = decide(state(model("a", 11), idle, loaded=loaded(resident(idle)), waiting=(waits("a"),)))
    assert (plan.load, plan.evict) == ("", ())
    (refused,) = plan.refused
    assert (refused.why, refused.needs_bytes, refused.free_bytes, refused.most_bytes) == (
        Why.TOO_LARGE,
        11 * GB,
        2 * GB,
        10 * GB,
    )


def test_what_does_not_fit_beside_the_pinned_is_refused_and_nobody_leaves() -> None:
    pinned, idle = model("pinned", 5, pinned=True), model("idle", 4)
    there = loaded(resident(pinned), resident(idle))
    plan = decide(state(model("a", 6), pinned, idle, loaded=there, waiting=(waits("a"),)))
    assert (plan.load, plan.evict, [each.why for each in plan.refused]) == ("", (), [Why.PINNED])


def test_what_other_programs_hold_cannot_be_had_and_nobody_leaves() -> None:
    idle = model("idle", 2)
    now = state(model("a", 6), idle, loaded=loaded(resident(idle)), free={"cpu": 3}, waiting=(waits("a"),))
    plan = decide(now)
    assert (plan.load, plan.evict, [each.why for each in plan.refused]) == ("", (), [Why.TAKEN])


def test_what_is_really_free_decides_where_less_is_than_was_set_aside() -> None:
    """Six are not set aside, but five are free: somebody has to leave."""
    idle = model("idle", 4)
    now = state(model("a", 6), idle, loaded=loaded(resident(idle)), free={"cpu": 5}, waiting=(waits("a"),))
    assert (decide(now).load, decide(now).evict) == ("a", ("idle",))


def test_one_is_loaded_at_a_time() -> None:
    first = model("first", 1)
    for phase in (Phase.LOADING, Phase.LEAVING):
        now = state(model("a", 1), first, loaded=loaded(resident(first, phase=phase)), waiting=(waits("a"),))
        assert decide(now).load == ""


def test_those_who_wait_let_others_go_on_until_they_have_waited_for_what_it_costs() -> None:
    hot = model("hot", 8, soon=1.0, reload_s=2)
    there = loaded(resident(hot))
    first = state(model("a", 4), hot, loaded=there, waiting=(waits("a"),))
    plan = decide(first)
    due_s = RULES.regret_share * 2.0
    assert (plan.load, plan.again_s) == ("", due_s)
    assert expected_due_s(first, first.models["a"]) == due_s
    later = replace(first, now_s=due_s, waiting={"a": waits("a", now_s=due_s)})
    assert decide(later).load == "a"
    four = replace(first, now_s=due_s / 4, waiting={"a": waits("a", now_s=due_s / 4, count=4)})
    assert decide(four).load == "a", "four who wait have waited for it together sooner"


def test_who_is_alone_hardly_waits_and_company_makes_him_wait() -> None:
    """He who asks two models in turn needs the one that leaves soon, but not before he is answered."""
    hot = model("hot", 8, soon=1.0, reload_s=3)
    due_s: list[float] = []
    for company_per_s in (0.0, 0.01, 0.1, 1.0):
        there = loaded(resident(hot))
        now = state(model("a", 4), hot, loaded=there, waiting=(waits("a"),), company_per_s=company_per_s)
        due_s.append(expected_due_s(now, now.models["a"]))
    full_s = RULES.regret_share * 3.0
    assert due_s == [0.0, pytest.approx(full_s * 0.12), full_s, full_s]


def test_nobody_waits_for_one_that_nobody_will_miss() -> None:
    cold = model("cold", 8, soon=0.0)
    assert decide(state(model("a", 4), cold, loaded=loaded(resident(cold)), waiting=(waits("a"),))).load == "a"


def test_after_its_patience_a_model_has_its_turn_whoever_is_busy() -> None:
    busy = model("busy", 8, soon=1.0, reload_s=5)
    there = loaded(resident(busy, in_use=3))
    early = state(model("a", 4), busy, now_s=29, loaded=there, waiting=(waits("a", now_s=29),))
    assert decide(early).closed == frozenset()
    assert decide(early).again_s == RULES.patience_s
    late = replace(early, now_s=30, waiting={"a": waits("a", now_s=30)})
    plan = decide(late)
    assert (plan.load, plan.evict, plan.closed) == ("", (), {"busy"})
    done = replace(late, residents=loaded(resident(busy, closed=True)))
    assert (decide(done).load, decide(done).evict) == ("a", ("busy",))


def test_who_was_loaded_just_now_has_a_turn_of_its_own_first() -> None:
    busy = model("busy", 8, soon=1.0, reload_s=5)
    there = loaded(resident(busy, in_use=1, since_s=38))
    now = state(model("a", 4), busy, now_s=40, loaded=there, waiting=(waits("a", now_s=40),))
    assert (decide(now).closed, decide(now).again_s) == (frozenset(), 43)


def test_nobody_who_came_later_takes_the_room_that_is_waited_for() -> None:
    """Only the busy one makes room for the large one; a small one that would fit meanwhile comes after it."""
    busy, idle = model("busy", 6, soon=1.0), model("idle", 3)
    there = loaded(resident(busy, in_use=1), resident(idle))
    now = state(
        model("large", 9),
        model("small", 2),
        busy,
        idle,
        now_s=40,
        loaded=there,
        waiting=(waits("large", now_s=40), waits("small", since_s=39, now_s=40)),
    )
    plan = decide(now)
    assert (plan.load, plan.closed) == ("", {"busy", "idle"})


def test_a_model_that_nobody_used_for_long_leaves_and_a_pinned_one_stays() -> None:
    idle, pinned = replace(model("idle", 1), last_used_s=40), model("pinned", 1, pinned=True)
    there = loaded(resident(idle), resident(pinned))
    now = state(idle, pinned, loaded=there, now_s=99, keep_s=60)
    assert (decide(now).evict, decide(now).again_s) == ((), 100)
    assert decide(replace(now, now_s=100)).evict == ("idle",)
    assert decide(replace(now, now_s=100, keep_s=0)).evict == ()


def test_wanted_ones_come_where_they_fit_pinned_ones_first_and_nobody_leaves_for_them() -> None:
    plain, pinned = replace(model("plain", 6), wanted=True), replace(model("pinned", 6, pinned=True), wanted=True)
    assert decide(state(plain, pinned)).load == "pinned"
    assert decide(state(plain, pinned, loaded=loaded(resident(pinned)))).load == ""


def test_where_models_take_more_than_was_thought_somebody_leaves() -> None:
    one, two = model("one", 6, soon=0.9), model("two", 5, soon=0.1)
    assert decide(state(one, two, loaded=loaded(resident(one), resident(two)))).evict == ("two",)
    assert decide(state(one, two, loaded=loaded(resident(one, in_use=1), resident(two, in_use=1)))).evict == ()


def test_cards_of_different_size_are_never_added_up() -> None:
    """12 and 4.3 GB are 16.3 together, and hold no 13 GB whole; the smaller of two that could is taken."""
    cards = {"gpu0": 12.0, "gpu1": 4.3}
    assert decide(state(on_cards("a", 4), cards=cards, waiting=(waits("a"),))).held == {"gpu1": 4 * GB, "cpu": 0}
    assert decide(state(on_cards("a", 5), cards=cards, waiting=(waits("a"),))).held == {"gpu0": 5 * GB, "cpu": 0}
    plan = decide(state(on_cards("a", 17), cards=cards, waiting=(waits("a"),)))
    assert [(each.why, each.device) for each in plan.refused] == [(Why.TOO_LARGE, "gpu0")]


def test_a_model_that_no_card_holds_is_split_by_what_each_has() -> None:
    cards = {"gpu0": 12.0, "gpu1": 4.0, "gpu2": 8.0}
    plan = decide(state(on_cards("a", 15, each_gb=0.5), cards=cards, waiting=(waits("a"),)))
    assert set(plan.held) == {"gpu0", "gpu2", "cpu"}, "two are enough"
    assert sum(plan.held.values()) == 16 * GB
    assert plan.held["gpu0"] <= 12 * GB
    assert plan.held["gpu2"] <= 8 * GB


def test_who_is_on_another_card_does_not_leave() -> None:
    here, there = on_cards("here", 6), on_cards("there", 6, soon=0.5)
    residents = loaded(resident(here, device="gpu0"), resident(there, device="gpu1"))
    now = state(on_cards("a", 7), here, there, cards={"gpu0": 8, "gpu1": 8}, loaded=residents, waiting=(waits("a"),))
    assert (decide(now).evict, decide(now).held["gpu0"]) == (("here",), 7 * GB)
