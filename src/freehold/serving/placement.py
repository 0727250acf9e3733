"""Which models are in memory: one decision, from what is known now. Pure; ``placing.py`` carries it out.

A model that is asked for is loaded; where memory is short, those leave first whose absence costs least: seconds to load
them again × chance that they are needed soon ÷ bytes that they give back. Who answers is never stopped, who is pinned
never leaves, and for what cannot fit nobody has to leave at all.

Whoever waits for a model lets those go on that are in use, for a time: until all who wait for it have waited together
as long as it would cost to have the others leave. Models that are asked for in turn are so not loaded for one request
each. That pays only where others come meanwhile: the fewer do, the less is waited. After ``Rules.patience_s`` they have
their turn in any case: models that stand in their way take no new requests, once they have been there for as long as
they took to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from freehold.domain.placement import Model, Phase, Plan, Refusal, Resident, State, Waits
from freehold.serving.room import Rank, Way, by_cost, refusal, relief, way_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How patient those are who wait for memory.

    Attributes:
        patience_s: After so long a model that is waited for has its turn, whoever is busy.
        regret_share: It has it before, once its requests have waited together for this share of what it costs.
        company_share: It waits as long as that only where others come while somebody waits: one or more in so many
            reloads of what would leave. Of fewer, in proportion.
        turn_share: A model that took so many seconds to load may stay for this many times as long, while it is busy.
        rank: Who leaves first.
    """

    patience_s: float = 30.0
    regret_share: float = 8.0
    company_share: float = 4.0
    turn_share: float = 1.0
    rank: Rank = by_cost


RULES: Final = Rules()


def decide(state: State, rules: Rules = RULES) -> Plan:
    """What is to be done now; see ``Plan``.

    At most one model is loaded at a time, and only once what leaves for it has left: while one is on its way in or out
    nothing but refusals is decided, and who is closed stays closed.
    """
    refused = tuple(_refused(state))
    hopeless = {each.model for each in refused}
    open_waits = [each for each in _oldest_first(state) if each.model not in hopeless]
    if any(each.phase is not Phase.LOADED for each in state.residents.values()):
        closed = frozenset(each.model for each in state.residents.values() if each.closed)
        return Plan(refused=refused, closed=closed)
    moments: list[float] = []
    closed: frozenset[str] = frozenset()
    for waits in open_waits:
        model = state.models[waits.model]
        way = way_for(state, model, leavers=_idle(state), rank=rules.rank)
        due_s = waits.oldest_s + rules.patience_s if way is None else _due_s(state, waits, way, rules)
        if way is not None and due_s <= state.now_s:
            return Plan(load=model.id, held=way.held, evict=way.evict, refused=refused)
        if due_s > state.now_s:
            moments.append(due_s)
            continue
        # Its turn has come: nobody who came later may take the room that it waits for.
        way, ready_s = _way_by_turns(state, model, rules)
        moments += ready_s
        closed = frozenset() if way is None else frozenset(way.evict)
        break
    return _when_nobody_loads(state, refused, closed, moments, has_waits=bool(open_waits))


def expected_due_s(state: State, model: Model, rules: Rules = RULES) -> float:
    """How long a newcomer may expect to wait before a model begins to load, if nobody else comes."""
    way = way_for(state, model, leavers=_idle(state), rank=rules.rank)
    if way is None:
        return rules.patience_s
    waits = state.waiting.get(model.id) or Waits(model=model.id, count=1, oldest_s=state.now_s, waited_s=0.0)
    return max(0.0, _due_s(state, waits, way, rules) - state.now_s)


def next_to_leave(state: State, rules: Rules = RULES) -> tuple[tuple[str, float], ...]:
    """Loaded models that could leave, in the order in which they would, each with its cost in seconds a gibibyte."""
    found = [
        (rules.rank(state, state.models[each.model], max(1, sum(each.held.values()))) * (1 << 30), each)
        for each in state.residents.values()
        if each.phase is Phase.LOADED and not state.models[each.model].pinned
    ]
    found.sort(key=lambda pair: (pair[1].in_use > 0, pair[0], pair[1].model))
    return tuple((each.model, cost) for cost, each in found)


def _due_s(state: State, waits: Waits, way: Way, rules: Rules) -> float:
    """From when on a model may have others leave: at once where nothing is lost by it."""
    reload_s = sum(state.models[each].reload_s for each in way.evict)
    company = min(1.0, rules.company_share * state.company_per_s * reload_s) if reload_s else 0.0
    owed_s = rules.regret_share * way.regret_s * company - waits.waited_s
    return min(waits.oldest_s + rules.patience_s, state.now_s + max(0.0, owed_s) / waits.count)


def _way_by_turns(state: State, model: Model, rules: Rules) -> tuple[Way | None, list[float]]:
    """Room made by those too that are busy, each once its own turn is over; else when the next turn is."""
    loaded = [each for each in state.residents.values() if not state.models[each.model].pinned]
    over = {each.model: _turn_until_s(state, each, rules) for each in loaded}
    now = [each for each in loaded if each.closed or not each.in_use or over[each.model] <= state.now_s]
    way = way_for(state, model, leavers=now, rank=rules.rank)
    return way, [] if way is not None else [each for each in over.values() if each > state.now_s]


def _turn_until_s(state: State, resident: Resident, rules: Rules) -> float:
    return resident.since_s + rules.turn_share * state.models[resident.model].reload_s


def _when_nobody_loads(
    state: State, refused: tuple[Refusal, ...], closed: frozenset[str], moments: list[float], *, has_waits: bool
) -> Plan:
    """Who is wanted comes where there is room, and who was not used for long goes."""
    over = relief(state, leavers=_idle(state))
    if over:
        return Plan(evict=over, closed=closed, refused=refused)
    if not has_waits:
        for model in sorted(state.models.values(), key=lambda each: not each.pinned):
            if model.wanted and model.id not in state.residents:
                way = way_for(state, model, leavers=())
                if way is not None:
                    return Plan(load=model.id, held=way.held, refused=refused)
    gone: list[str] = []
    if state.keep_s:
        for each in _idle(state):
            ends_s = max(state.models[each.model].last_used_s, each.since_s) + state.keep_s
            if ends_s <= state.now_s:
                gone.append(each.model)
            else:
                moments.append(ends_s)
    again_s = min((each for each in moments if each > state.now_s), default=None)
    return Plan(evict=tuple(gone), closed=closed, refused=refused, again_s=again_s)


def _refused(state: State) -> Iterator[Refusal]:
    for waits in state.waiting.values():
        if waits.model not in state.residents:
            found = refusal(state, state.models[waits.model])
            if found is not None:
                yield found


def _oldest_first(state: State) -> Iterable[Waits]:
    missing = [each for each in state.waiting.values() if each.model not in state.residents]
    return sorted(missing, key=lambda each: (each.oldest_s, each.model))


def _idle(state: State) -> list[Resident]:
    """Who could leave now: loaded, used by nobody, waited for by nobody, not pinned."""
    return [
        each
        for each in state.residents.values()
        if not each.in_use
        and each.phase is Phase.LOADED
        and not state.models[each.model].pinned
        and (each.closed or each.model not in state.waiting)
    ]
