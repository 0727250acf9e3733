"""Models that share memory, over random traces: what always holds, and the bar against least-recently-used."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.placement import BAR, REQUESTS
from bench.placement_sim import LRU, Simulation, kinds, memory_bytes, trace
from freehold.domain.placement import PROCESSOR, Phase, Plan, State
from freehold.serving.placement import RULES

SHAPES = ("zipf", "bursts", "phases")


def laws(state: State, plan: Plan) -> None:
    """Of every single decision."""
    room = state.devices[PROCESSOR].bytes_max
    held = sum(each.held[PROCESSOR] for each in state.residents.values())
    assert held <= room, "out of memory"
    for name in plan.evict:
        leaving = state.residents[name]
        assert (leaving.in_use, leaving.phase) == (0, Phase.LOADED), "who answers is never stopped"
        assert not state.models[name].pinned
        assert leaving.closed or name not in state.waiting
    if plan.load:
        assert plan.load not in state.residents
        assert plan.load in state.waiting
        assert all(each.phase is Phase.LOADED for each in state.residents.values()), "one at a time"
        left = held - sum(state.residents[name].held[PROCESSOR] for name in plan.evict)
        assert left + plan.held[PROCESSOR] <= room
        for name in plan.evict:
            needed = left + state.residents[name].held[PROCESSOR] + plan.held[PROCESSOR] > room
            assert needed, "nobody leaves in vain"
    for refused in plan.refused:
        assert plan.load != refused.model
        assert refused.needs_bytes > refused.most_bytes
    if plan.closed and all(each.phase is Phase.LOADED for each in state.residents.values()):
        overdue = [each for each in state.waiting.values() if state.now_s >= each.oldest_s + RULES.patience_s]
        assert any(each.model not in state.residents for each in overdue), "nobody is closed for nothing"


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from(SHAPES),
    tight=st.floats(0.35, 1.2),
    pinned=st.sets(st.sampled_from(("m0", "m3")), max_size=1),
)
@example(
    seed=36, shape="zipf", tight=1.0, pinned=set()
)  # patience is over at a moment that no sum of floats says exactly
def test_every_decision_keeps_the_laws_and_all_that_fit_are_served(
    seed: int, shape: str, tight: float, pinned: set[str]
) -> None:
    models = kinds(seed)
    asked = trace(shape, models, requests=120, seed=seed)
    room = round(tight * memory_bytes(models, seed=seed))
    simulation = Simulation(models, asked, RULES, looked=laws, pinned=frozenset(pinned), bytes_max=room)
    told = simulation.run()
    assert told.overfull == 0
    largest_pinned = max((each.size_bytes for each in models if each.name in pinned), default=0)
    fits = {each.name for each in models if each.size_bytes <= room - largest_pinned}
    unserved = {name for name, queue in simulation.queues.items() if queue}
    assert not unserved & fits
    # A model that is waited for has its turn: patience, then every other one's turn, its loading and its answers.
    longest_s = RULES.patience_s + sum(2 * each.reload_s + 30 * each.service_s for each in models)
    assert told.longest_turn_s <= longest_s


def test_reloading_takes_much_less_than_with_least_recently_used() -> None:
    """One trace of 2,000 requests; ``bench.placement`` runs more, and tells what patience alone does."""
    models = kinds(0)
    asked, room = trace("zipf", models, requests=REQUESTS, seed=0), memory_bytes(models, seed=0)
    lru, own = (Simulation(models, asked, rules, bytes_max=room).run() for rules in (LRU, RULES))
    assert (own.overfull, own.unserved, len(own.waits_s)) == (0, 0, REQUESTS)
    assert own.reload_s <= BAR * lru.reload_s
    assert max(own.waits_s) < 2 * RULES.patience_s
