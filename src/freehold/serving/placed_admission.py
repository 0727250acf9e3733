"""Slots of deployments whose models may have to be loaded first: a place in the queue is also a claim on memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment
from freehold.domain.place import Place
from freehold.domain.ports import Admission, Clock, Slot
from freehold.domain.turn import Turn
from freehold.serving.placing import Placer


class PlacedSlot:
    """A slot, and a model that stays as long as it is held; implements ``ports.Slot``."""

    __slots__ = ("_leave", "_slot", "queue_ms")

    def __init__(self, slot: Slot, leave: Callable[[], None], *, queue_ms: float) -> None:
        self._slot = slot
        self._leave: Callable[[], None] | None = leave
        self.queue_ms = queue_ms
        """How long both were waited for."""

    def release(self, *, tokens: int = 0) -> None:
        """Give both back. Idempotent."""
        leave, self._leave = self._leave, None
        if leave is not None:
            self._slot.release(tokens=tokens)
            leave()

    def yields(self, ask: Callable[[], None]) -> None:
        """See ``ports.Slot``."""
        self._slot.yields(ask)

    def keeps(self) -> None:
        """See ``ports.Slot``."""
        self._slot.keeps()


class PlacedAdmission:
    """Implements ``ports.Admission``: a slot first, in turn, then the model.

    Args:
        slots: Whose turn it is.
        placer: What is in memory.
        models: Id of the model by deployment, of those that are loaded and unloaded.
        clock: On the event loop's scale.
    """

    def __init__(
        self, slots: Admission, placer: Placer, *, models: Callable[[], Mapping[str, str]], clock: Clock
    ) -> None:
        self._slots = slots
        self._placer = placer
        self._models = models
        self._clock = clock

    def try_admit(self, deployment: Deployment, turn: Turn) -> Slot | None:
        """A slot, if one is free, nobody waits for it, and the model is there."""
        model = self._models().get(deployment.name)
        if model is None:
            return self._slots.try_admit(deployment, turn)
        if not self._placer.try_use(model, awaited=turn.awaited):
            return None
        slot = self._slots.try_admit(deployment, turn)
        if slot is None:
            self._placer.leave(model)
            return None
        return PlacedSlot(slot, lambda: self._placer.leave(model), queue_ms=slot.queue_ms)

    async def admit(
        self, deployment: Deployment, turn: Turn, *, deadline_s: float, told: Callable[[Place], None]
    ) -> Slot:
        """Wait for a slot, then for the model; raises as ``SlotAdmission.admit`` and ``Placer.use``."""
        model = self._models().get(deployment.name)
        if model is None:
            return await self._slots.admit(deployment, turn, deadline_s=deadline_s, told=told)
        began_s = self._clock.monotonic_s()
        slot = await self._slots.admit(deployment, turn, deadline_s=deadline_s, told=told)
        try:
            if not self._placer.try_use(model, awaited=turn.awaited):
                await self._placer.use(model, deadline_s=deadline_s, told=told, awaited=turn.awaited)
        except BaseException:
            slot.release()
            raise
        waited_ms = (self._clock.monotonic_s() - began_s) * 1_000
        return PlacedSlot(slot, lambda: self._placer.leave(model), queue_ms=waited_ms)

    def room(self, deployment: Deployment, turn: Turn, *, ready: bool, deadline_s: float) -> Room:
        """How a deployment is now; a model that would come too late is one that nobody can wait for."""
        room = self._slots.room(deployment, turn, ready=ready, deadline_s=deadline_s)
        model = self._models().get(deployment.name)
        if model is None or not ready:
            return room
        entry = self._placer.entry(model)
        in_time = self._clock.monotonic_s() + self._placer.expected_s(entry) <= deadline_s
        return Room(ready=room.ready, free=room.free and in_time, waits=room.waits and in_time)

    def retry_s(self, deployment: Deployment, turn: Turn) -> int:
        """When it makes sense to ask for a slot again, in whole seconds."""
        return self._slots.retry_s(deployment, turn)
