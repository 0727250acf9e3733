"""Where a model could go, and who would have to leave for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from freehold.domain.placement import PROCESSOR, Held, Memory, Model, Phase, Refusal, Resident, State, Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to make room for a model.

    Attributes:
        held: What it would have, by device.
        evict: Who leaves for it.
        regret_s: What that costs: seconds of loading them again, each times the chance that it comes to that.
    """

    held: Held
    evict: tuple[str, ...]
    regret_s: float


Rank = Callable[[State, Model, int], float]
"""Who leaves first, the lowest: of a model and the bytes of those that are lacking which it gives back."""


def needed_soon(state: State, model: Model) -> float:
    """The chance that a model is needed soon: 1 while somebody waits for it, else by what is known of it."""
    return 1.0 if model.id in state.waiting else model.soon


def regret_s(state: State, model: Model) -> float:
    """Seconds that are expected to be lost if a model leaves: its loading, times the chance that it is needed soon.

    Who is on the way out already costs nothing more: a decision that was made stays made.
    """
    resident = state.residents.get(model.id)
    if resident is not None and resident.closed:
        return 0.0
    return model.reload_s * needed_soon(state, model)


def by_cost(state: State, model: Model, freed_bytes: int) -> float:
    """Seconds that are expected to be lost for each byte that a model gives back."""
    return regret_s(state, model) / freed_bytes


def way_for(state: State, model: Model, *, leavers: Iterable[Resident], rank: Rank = by_cost) -> Way | None:
    """The cheapest way to make room with some of ``leavers``; ``None`` where all of them together are not enough.

    Memory of cards is never added up as if it were one: a model goes to one card if any can hold it, and is split over
    as few as can only where none does.
    """
    may_leave = tuple(leavers)
    if not model.need.card_bytes:
        return _way(state, {PROCESSOR: model.need.bytes}, may_leave, rank=rank)
    cards = [name for name in state.devices if name != PROCESSOR]
    whole = model.need.card_bytes + model.need.each_card_bytes
    found = [_way(state, _with_host(model, {card: whole}), may_leave, rank=rank) for card in cards]
    ways = [each for each in found if each is not None]
    if ways:
        # Of equal regret the tightest fit: what is left elsewhere stays large.
        return min(ways, key=lambda way: (way.regret_s, len(way.evict), min(_left(state, way, cards))))
    return _split(state, model, cards, may_leave, rank=rank)


def refusal(state: State, model: Model) -> Refusal | None:
    """Why a model cannot be loaded however long it waits, as things are; ``None`` where it can."""
    own = [each for each in state.residents.values() if each.phase is Phase.LOADED]
    evictable = [each for each in own if not state.models[each.model].pinned]
    if way_for(state, model, leavers=evictable) is not None:
        return None
    if any(each.phase is not Phase.LOADED for each in state.residents.values()):
        alone = State(now_s=state.now_s, devices=_unmeasured(state), models=state.models)
        if way_for(alone, model, leavers=()) is not None:
            return None  # what is on its way in or out decides that, and is soon known
    device, needs_bytes = _tightest(state, model)
    memory = state.devices[device]
    reserved = sum(each.held.get(device, 0) for each in state.residents.values())
    pinned = sum(each.held.get(device, 0) for each in own if state.models[each.model].pinned)
    if needs_bytes > memory.bytes_max:
        why, most = Why.TOO_LARGE, memory.bytes_max
    elif needs_bytes > memory.bytes_max - pinned:
        why, most = Why.PINNED, memory.bytes_max - pinned
    else:
        gives = sum(each.held.get(device, 0) for each in evictable)
        why, most = Why.TAKEN, _room(state, device) + gives
    free_bytes = max(0, min(memory.bytes_max - reserved, _room(state, device)))
    return Refusal(
        model=model.id,
        why=why,
        device=device,
        needs_bytes=needs_bytes,
        free_bytes=free_bytes,
        most_bytes=max(0, most),
    )


def relief(state: State, *, leavers: Iterable[Resident]) -> tuple[str, ...]:
    """Who leaves where models turned out to take more than they may have together; nobody where that would not do."""
    plain = replace(state, devices=_unmeasured(state))
    way = _way(plain, dict.fromkeys(state.devices, 0), tuple(leavers), rank=by_cost)
    return () if way is None else way.evict


def _way(state: State, held: Held, leavers: Sequence[Resident], *, rank: Rank) -> Way | None:
    """Who leaves so that ``held`` fits: the least cost for each byte that is needed first, and nobody in vain."""
    if any(size > state.devices[device].bytes_max for device, size in held.items()):
        return None
    lacking = {device: size - _room(state, device) for device, size in held.items()}
    lacking = {device: size for device, size in lacking.items() if size > 0}
    chosen: list[Resident] = []
    while lacking:
        helping = [
            (rank(state, state.models[each.model], _freed(each, lacking)), each.model, each)
            for each in leavers
            if each not in chosen and any(each.held.get(device, 0) > 0 for device in lacking)
        ]
        if not helping:
            return None
        chosen.append(min(helping)[2])
        lacking = _lacking(state, held, chosen)
    for each in tuple(reversed(chosen)):
        without = [one for one in chosen if one is not each]
        if not _lacking(state, held, without):
            chosen = without
    return Way(
        held=held,
        evict=tuple(each.model for each in chosen),
        regret_s=sum(regret_s(state, state.models[each.model]) for each in chosen),
    )


def _freed(resident: Resident, lacking: Held) -> int:
    return sum(min(resident.held.get(device, 0), size) for device, size in lacking.items())


def _lacking(state: State, held: Held, leaving: Sequence[Resident]) -> dict[str, int]:
    found: dict[str, int] = {}
    for device, size in held.items():
        short = size - _room(state, device) - sum(each.held.get(device, 0) for each in leaving)
        if short > 0:
            found[device] = short
    return found


def _split(state: State, model: Model, cards: Sequence[str], leavers: Sequence[Resident], *, rank: Rank) -> Way | None:
    """Over as few cards as can hold it together, each with a share that its room allows."""
    need = model.need
    room = {
        card: _room(state, card) + sum(each.held.get(card, 0) for each in leavers) - need.each_card_bytes
        for card in cards
    }
    by_room = sorted((card for card in cards if room[card] > 0), key=lambda card: (-room[card], card))
    for count in range(2, len(by_room) + 1):
        used = by_room[:count]
        total = sum(room[card] for card in used)
        if total >= need.card_bytes:
            shares = {card: need.card_bytes * room[card] // total for card in used}
            shares[used[0]] += need.card_bytes - sum(shares.values())
            held = {card: share + need.each_card_bytes for card, share in shares.items()}
            return _way(state, _with_host(model, held), leavers, rank=rank)
    return None


def _with_host(model: Model, held: dict[str, int]) -> Held:
    return {**held, PROCESSOR: model.need.bytes}


def _left(state: State, way: Way, cards: Sequence[str]) -> list[int]:
    gone = [state.residents[each] for each in way.evict]
    return [
        _room(state, card) + sum(each.held.get(card, 0) for each in gone) - way.held[card]
        for card in cards
        if card in way.held
    ]


def _room(state: State, device: str) -> int:
    """What is not set aside there, and really free."""
    memory = state.devices[device]
    room = memory.bytes_max - sum(each.held.get(device, 0) for each in state.residents.values())
    return room if memory.free_bytes is None else min(room, memory.free_bytes)


def _tightest(state: State, model: Model) -> tuple[str, int]:
    """The device that stands in the way, and what is needed there."""
    need = model.need
    cards = [name for name in state.devices if name != PROCESSOR]
    if not need.card_bytes or not cards or need.bytes > state.devices[PROCESSOR].bytes_max:
        return PROCESSOR, need.bytes
    return max(cards, key=lambda card: state.devices[card].bytes_max), need.card_bytes + need.each_card_bytes


def _unmeasured(state: State) -> dict[str, Memory]:
    return {name: Memory(name=name, bytes_max=each.bytes_max) for name, each in state.devices.items()}
