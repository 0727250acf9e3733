"""Memory of restricted texts: what is told of answered requests, kept as fingerprints, and looked up in later ones.

Implements ``domain.memory.Memory``. The request's way has a look-up only; fingerprints of what was answered are taken in a
task of its own, written behind, and taken over by every worker within a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from zlib import crc32

from freehold.domain.errors.base import FreeholdError
from freehold.domain.identity import Principal
from freehold.domain.labels import Label
from freehold.domain.memory import KeptPassage, MemoryStore
from freehold.domain.outcomes import LookedInto
from freehold.domain.ports import Clock
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.gateway.flow import label_of_text
from freehold.gateway.runtime import Runtime
from freehold.policy.fingerprints import Index, Print, Printer, Remembered, joined_by_id, passages
from freehold.policy.flow import FlowRules, raising
from freehold.policy.labelling import join_sources
from freehold.policy.lattice import leq
from freehold.policy.markings import ORIGIN
from freehold.policy.text import format_label
from freehold.wire.said import said_in

log = logging.getLogger("freehold.gateway")

PRINTS_MAX = 250_000
"""Fingerprints of one tenant: about half a million words, 25 MB in each worker. The oldest are forgotten beyond that."""

WAITING_MAX = 1_000
"""Texts in memory whose fingerprints are not taken yet; the oldest are forgotten beyond that, and counted."""

TEXT_CHARACTERS_MAX = 4_000_000
"""Of one text that is remembered: what is behind it is not."""

_LONG_CHARACTERS = 16 * 1024
_EVERY_S = 1.0
_DAY_MS = 86_400_000
_BREATHE_EVERY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A text to be remembered."""

    tenant: str
    id: str
    label: Label
    text: str


@dataclass(slots=True, kw_only=True)
class _Shelf:
    """What is remembered of one tenant."""

    printer: Printer
    index: Index = field(default_factory=lambda: Index(most=PRINTS_MAX))
    own: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    is_full: bool = False


class Remembering:
    """Remembers restricted texts.

    Args:
        store: Where passages are kept.
        key_of: The key of a tenant's fingerprints; makes it where there is none, and may block shortly.
        runtime: What is in force.
        clock: Time.
        keep_days: How long a text is remembered; 0 remembers nothing.
    """

    def __init__(
        self,
        *,
        store: MemoryStore,
        key_of: Callable[[str], bytes],
        runtime: Callable[[], Runtime],
        clock: Clock,
        keep_days: int,
    ) -> None:
        self._store = store
        self._key_of = key_of
        self._runtime = runtime
        self._clock = clock
        self._keep_ms = 0
        self.keep_for(keep_days)
        self._shelves: dict[str, _Shelf] = {}
        self._waiting: deque[Told] = deque()
        self._wake = asyncio.Event()
        self._seq = 0
        self._erased = -1
        self.forgotten = 0

    # --- in the request's way -------------------------------------------------------------------------

    def has(self, tenant: str) -> bool:
        """Whether anything of a tenant's is remembered."""
        shelf = self._shelves.get(tenant)
        return shelf is not None and bool(shelf.index)

    def found(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:
        """Labels of remembered texts that are in ``texts``, by their ids, as far as they raise ``label``."""
        shelf = self._shelves.get(tenant)
        if shelf is None:
            return {}
        return self._found(shelf, map(shelf.printer.prints, texts), label)

    async def found_in_long(self, texts: Sequence[str], *, tenant: str, label: Label) -> Mapping[str, Label]:
        """The same, of texts that take long to look through; other requests go on meanwhile."""
        shelf = self._shelves.get(tenant)
        if shelf is None or not shelf.index:
            return {}
        return self._found(shelf, await asyncio.to_thread(lambda: list(map(shelf.printer.prints, texts))), label)

    def wants(self, principal: Principal, label: Label) -> bool:
        """Whether texts with this label are to be remembered: it is above what all of the tenant's have."""
        floor = principal.tenant.label
        return self._keep_ms > 0 and label != floor and not leq(label, floor)

    def told(
        self, request: InferenceRequest, principal: Principal, receipt: Receipt, answers: Mapping[int, LookedInto]
    ) -> None:
        """Take note of the answer that was given, and of the texts of the request that were marked."""
        tenant, place = principal.tenant.name, receipt.answered_index
        if place is not None and place in answers:
            given = answers[place]
            for text in (given.text, *map(_arguments, given.tool_calls)):
                self.remember(Told(tenant=tenant, id=receipt.id, label=receipt.label, text=text))
        if any(source.origin == ORIGIN for source in receipt.label_sources):
            runtime, floor = self._runtime(), principal.tenant.label
            rules = runtime.flow or FlowRules.plain(runtime.tree)
            for text in said_in(request).texts:
                marked = rules.markings.of((text,), floor=floor.level)
                if raising(marked, floor):
                    label = join_sources((*receipt.label_sources[:1], *marked), tree=runtime.tree)
                    self.remember(Told(tenant=tenant, id=receipt.id, label=label, text=text))

    def keep_for(self, days: int) -> None:
        """Remember for so many days what is told from now on."""
        self._keep_ms = days * _DAY_MS

    # --- behind it ------------------------------------------------------------------------------------

    def remember(self, told: Told) -> None:
        """Have a text remembered; returns at once."""
        if not self._keep_ms or not told.text:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.forgotten += 1
        self._waiting.append(told)
        self._wake.set()

    def erase(self, tenant: str = "") -> None:
        """Hold nothing of a tenant, or of nobody, any more."""
        kept = [each for each in self._waiting if tenant not in {"", each.tenant}]
        self._waiting.clear()
        self._waiting.extend(kept)
        for name in [tenant] if tenant else [*self._shelves]:
            self._shelves.pop(name, None)

    async def begin(self) -> None:
        """Take over what is remembered, before the first request; what is out of date goes."""
        await self.refresh()
        self._store.keep((), unix_ms=self._clock.unix_ms())

    async def run(self) -> None:
        """Take fingerprints of what was told, and take over what other workers did, until cancelled."""
        looked_s = self._clock.monotonic_s()
        while True:
            await self.take_over()
            if (now_s := self._clock.monotonic_s()) - looked_s >= _EVERY_S:
                looked_s = now_s
                await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _EVERY_S)
            self._wake.clear()

    def close(self) -> None:
        """Keep what was told and is not kept yet."""
        while self._waiting:
            told = self._waiting.popleft()
            if (shelf := self._shelf(told.tenant)) is not None:
                self._keep(told, shelf, shelf.printer.prints(told.text[:TEXT_CHARACTERS_MAX]))

    async def take_over(self) -> None:
        """Take fingerprints of all that was told."""
        while self._waiting:
            told = self._waiting.popleft()
            text, shelf = told.text[:TEXT_CHARACTERS_MAX], self._shelf(told.tenant)
            if shelf is None:
                continue
            if len(text) > _LONG_CHARACTERS:
                prints = await asyncio.to_thread(shelf.printer.prints, text)
            else:
                prints = shelf.printer.prints(text)
            if self._shelves.get(told.tenant) is shelf:  # else it was erased meanwhile
                self._keep(told, shelf, prints)
            await asyncio.sleep(0)

    async def refresh(self) -> None:
        """Take over what was kept since, or all anew where something was erased; what fails is tried again."""
        try:
            erased = await self._store.erased()
            anew = erased != self._erased
            added = await self._store.after(0 if anew else self._seq)
        except FreeholdError as error:
            log.warning("what is remembered of restricted texts could not be read: %s", error.message)
            return
        if anew:  # at once, without letting requests go on meanwhile: nothing must be unknown for a moment
            self.erase()
            self._erased, self._seq = erased, 0
        now_ms = self._clock.unix_ms()
        for place, each in enumerate(added):
            self._seq = each.seq
            shelf = self._shelf(each.tenant)
            if shelf is None:
                continue
            if (each.id, each.part) in shelf.own:
                shelf.own.discard((each.id, each.part))
            elif each.expires_unix_ms > now_ms:
                self._add(shelf, each)
            if not anew and place % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)
        for shelf in self._shelves.values():
            shelf.index.expire(now_ms)

    def _found(self, shelf: _Shelf, texts: Iterable[list[Print]], label: Label) -> Mapping[str, Label]:
        now_ms = self._clock.unix_ms()
        found = joined_by_id(each for prints in texts for each in shelf.index.found(prints, unix_ms=now_ms))
        return {each: said for each, said in found.items() if not leq(said, label)}

    def _keep(self, told: Told, shelf: _Shelf, prints: Sequence[Print]) -> None:
        now_ms = self._clock.unix_ms()
        until_ms = now_ms + self._keep_ms
        if shelf.index.covers(prints, told.label, until_unix_ms=now_ms + self._keep_ms // 2):
            return
        kept = [
            KeptPassage(
                tenant=told.tenant,
                id=told.id,
                part=crc32(values),
                label=format_label(told.label),
                expires_unix_ms=until_ms,
                prints=values.tobytes(),
            )
            for values in passages(prints)
        ]
        for each in kept:
            shelf.own.add((each.id, each.part))
            self._add(shelf, each)
        self._store.keep(kept, unix_ms=now_ms)

    def _add(self, shelf: _Shelf, passage: KeptPassage) -> None:
        prints = array("Q")
        prints.frombytes(passage.prints[: len(passage.prints) // prints.itemsize * prints.itemsize])
        label = label_of_text(passage.label, self._runtime().tree)
        remembered = Remembered(id=passage.id, label=label, expires_unix_ms=passage.expires_unix_ms, prints=prints)
        if shelf.index.add(remembered) and not shelf.is_full:
            shelf.is_full = True
            log.warning(
                "tenant %s has more restricted texts than are remembered; the oldest are forgotten", passage.tenant
            )

    def _shelf(self, tenant: str) -> _Shelf | None:
        """A tenant's; ``None`` where there is no key, so that nothing of it can be remembered."""
        shelf = self._shelves.get(tenant)
        if shelf is None:
            try:
                key = self._key_of(tenant)
            except FreeholdError as error:
                log.warning("restricted texts of tenant %s are not remembered: %s", tenant, error.message)
                return None
            self._shelves[tenant] = shelf = _Shelf(printer=Printer(key))
        return shelf


def _arguments(call: Mapping[str, object]) -> str:
    """What a tool is called with."""
    function = call.get("function")
    return str(cast("Mapping[str, object]", function).get("arguments", "")) if isinstance(function, Mapping) else ""
