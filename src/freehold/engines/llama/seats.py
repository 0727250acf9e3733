"""Which slot of a child holds whose prompt, so that what was read for one is never used again for another.

llama.cpp keeps in each slot what it read there, and uses it again for a prompt that begins alike: the answer comes sooner,
and says how many tokens were known. Whoever guesses the beginning of somebody else's prompt would learn so that it was
sent. So each call is given its slot here, and may use again what is in it only where that was read under the same scope
(``policy.cache_scope``). Among slots of one scope the one whose prompt is most alike is chosen, as llama.cpp would.

Prompts that had to make way llama.cpp keeps in memory, whoever's they are. There is only ever one scope's among them: its
calls choose no slot, which is when llama.cpp keeps and fetches such prompts, and only while no slot can hold another's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from freehold.domain.errors.engine import EngineNotReady
from freehold.domain.ports import Clock
from freehold.domain.request import InferenceRequest

UNSURE_S: Final = 30.0
"""How long nothing is concluded of a slot after a call was given up before it was heard of.

Such a call may still be on its way to the slot and be read there behind the next one. llama.cpp looks every second whether
somebody still waits for it.
"""

_ALIKE_SHARE = 0.1
"""Above this share of a prompt it is worth having the slot that begins alike; llama.cpp's own measure."""

_OK = 200
_FINE_BYTES, _FINE_UNTIL_BYTES, _COARSE_BYTES, _LOOKED_AT_BYTES = 64, 4_096, 1_024, 1 << 20
_READ_FIRST = ("tools", "messages", "prompt", "suffix")
"""Members of a body in about the order in which a template writes them."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


def marks_of(request: InferenceRequest) -> tuple[int, ...]:
    """Marks of a prompt, from its beginning: two prompts have as many marks in common as they begin alike.

    They are hashes under a key of this process, from which no text can be had.
    """
    text = b"".join(request.fields[name] for name in _READ_FIRST if name in request.fields)[:_LOOKED_AT_BYTES]
    marks: list[int] = []
    mark = at = 0
    while at < len(text):
        step = _FINE_BYTES if at < _FINE_UNTIL_BYTES else _COARSE_BYTES
        mark = hash((mark, text[at : at + step]))
        marks.append(mark)
        at += step
    return tuple(marks)


@dataclass(slots=True, kw_only=True)
class _Slot:
    """One of llama.cpp's slots.

    Attributes:
        place: Its number there.
        scope: For whom was read what it holds; ``None`` where it holds nothing, or nobody knows.
        marks: Of the prompt that it holds.
        left: When it was left last, as a count; 0 for never.
        taken: Whether a call has it.
        foreign: Whether it may hold something of another scope than the one whose prompts are kept in memory.
        sure_from_s: From this moment on it is known that what it holds stems from the last call that was given it.
    """

    place: int
    scope: str | None = None
    marks: tuple[int, ...] = ()
    left: int = 0
    taken: bool = False
    foreign: bool = False
    sure_from_s: float = 0.0

    def alike(self, marks: tuple[int, ...]) -> int:
        """How many marks what it holds has in common with a prompt."""
        found = 0
        for mine, other in zip(self.marks, marks, strict=False):
            if mine != other:
                break
            found += 1
        return found


@dataclass(slots=True, kw_only=True)
class Seat:
    """One call's slot while the call lasts.

    Attributes:
        slot: The slot that it was given, or that llama.cpp will probably choose.
        scope: Under which scope it runs.
        marks: Of its prompt.
        reuses: Whether it may use what the slot holds.
        roams: Whether llama.cpp chooses the slot, and looks among the prompts in memory.
        is_heard: Whether its answer has begun.
    """

    slot: _Slot
    scope: str
    marks: tuple[int, ...]
    reuses: bool
    roams: bool
    is_heard: bool = False

    def body(self, body: bytes) -> bytes:
        """A call's body with its slot; what it holds is used only where this says so."""
        members: dict[str, object] = dict(_OBJECT.decode(body))
        members["cache_prompt"] = self.reuses
        if not self.roams:
            members["id_slot"] = self.slot.place
        return _ENCODER.encode(members)


class Seats:
    """The slots of one child, from its start to its end. One call at a time has one.

    Args:
        slots: How many it has.
        clock: Time.
        name: The deployment, for messages.
        remembers: Whether llama.cpp keeps prompts in memory that had to make way.
    """

    def __init__(self, slots: int, *, clock: Clock, name: str, remembers: bool = False) -> None:
        self._slots = tuple(_Slot(place=place) for place in range(slots))
        self._free = asyncio.Semaphore(slots)
        self._clock = clock
        self._name = name
        self._left = 0
        self._remembers = remembers
        self._owner: str | None = None
        self._roaming = 0
        self._all_heard = asyncio.Event()
        self._others = 0
        self._strays_until_s = 0.0

    @contextlib.asynccontextmanager
    async def seat(self, request: InferenceRequest, *, scope: str, deadline_s: float) -> AsyncGenerator[Seat]:
        """A slot for one call, for as long as the context lasts.

        Args:
            request: What is asked.
            scope: Under which scope.
            deadline_s: Until when one may come free; there is one at once for who was admitted.

        Raises:
            EngineNotReady: None came free.
        """
        await self._wait(scope, deadline_s)
        seat = self._take(request, scope)
        try:
            yield seat
        finally:
            self._leave(seat)

    def heard(self, seat: Seat, status: int) -> None:
        """The head of its answer is here: llama.cpp has begun with the prompt in its slot, or has refused it."""
        seat.is_heard = True
        slot, is_owners, now_s = seat.slot, seat.scope == self._owner, self._clock.monotonic_s()
        self._stay(seat)
        is_sure = now_s >= slot.sure_from_s and (is_owners or now_s >= self._strays_until_s)
        if status == _OK and is_sure:
            slot.scope, slot.marks, slot.foreign = seat.scope, seat.marks, not is_owners

    def _stay(self, seat: Seat) -> None:
        if seat.roams:
            self._roaming -= 1
            if not self._roaming:
                self._all_heard.set()

    def _leave(self, seat: Seat) -> None:
        slot = seat.slot
        self._left += 1
        slot.left, slot.taken = self._left, False
        if not seat.is_heard:
            until_s = self._clock.monotonic_s() + UNSURE_S
            slot.sure_from_s = until_s
            if seat.roams:
                self._strays_until_s = until_s
                self._stay(seat)
        self._free.release()

    async def _wait(self, scope: str, deadline_s: float) -> None:
        if self._free.locked():
            await self._in_time(self._free.acquire(), deadline_s, undo=self._free.release)
        else:
            await self._free.acquire()  # at once
        if self._owner is None:
            self._owner = scope
        if scope == self._owner:
            return
        # A call that chooses no slot must have got one before another scope's prompt is in any.
        self._others += 1
        try:
            if self._roaming:
                await self._in_time(self._all_heard.wait(), deadline_s, undo=_nothing)
        except BaseException:
            self._free.release()
            raise
        finally:
            self._others -= 1

    async def _in_time(self, wait: Coroutine[Any, Any, object], deadline_s: float, *, undo: Callable[[], None]) -> None:
        waiter = asyncio.ensure_future(wait)
        try:
            await asyncio.wait({waiter}, timeout=max(0.0, deadline_s - self._clock.monotonic_s()))
        except asyncio.CancelledError:
            if not waiter.cancel():
                undo()
            raise
        if not waiter.done():
            waiter.cancel()
            name, detail = self._name, "every slot is busy"
            raise EngineNotReady(source=name, retry_after_s=1, deployment=name, detail=detail, retry_s=1)

    def _take(self, request: InferenceRequest, scope: str) -> Seat:
        now_s, marks = self._clock.monotonic_s(), marks_of(request)
        free = [slot for slot in self._slots if not slot.taken]
        wants = request.fields.get("cache_prompt") != b"false"
        slot = self._alike(free, marks, scope)
        roams = slot is None and wants and self._may_roam(free, scope)
        if roams:
            slot = min(free, key=lambda each: each.left)
        elif slot is None:
            slot = min(free, key=lambda each: (now_s < each.sure_from_s, each.scope is not None, each.left))
        reuses = wants and (roams or (slot.scope == scope and now_s >= slot.sure_from_s))
        if scope != self._owner:
            slot.foreign = True
            if now_s < self._strays_until_s:
                self._remembers = False  # what roams still may put this prompt into memory
        if roams:
            self._roaming += 1
            self._all_heard.clear()
        # Until llama.cpp has begun with the new prompt the slot may hold the old one, or a part of either.
        slot.taken, slot.scope, slot.marks = True, None, ()
        return Seat(slot=slot, scope=scope, marks=marks, reuses=reuses, roams=roams)

    def _alike(self, free: list[_Slot], marks: tuple[int, ...], scope: str) -> _Slot | None:
        own = [slot for slot in free if slot.scope == scope]
        best = max(own, key=lambda slot: (slot.alike(marks), slot.left), default=None)
        return best if best is not None and best.alike(marks) > _ALIKE_SHARE * len(marks) else None

    def _may_roam(self, free: list[_Slot], scope: str) -> bool:
        """Whether llama.cpp may put what any slot holds into memory, and fetch from there, for a call of this scope."""
        if not self._remembers or scope != self._owner or self._others:
            return False
        return all(slot.left for slot in free) and not any(slot.foreign for slot in self._slots)


def _nothing() -> None:
    """There is nothing to undo."""
