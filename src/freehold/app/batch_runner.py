"""Runs the batches of a gateway: one process does, the others only take them in."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

from freehold.api.batch_item import ItemAnswer, ItemRunner
from freehold.api.files import new_id
from freehold.app.batch_input import InputCheck, Stopped
from freehold.app.batch_output import OutputWriter, result_lines
from freehold.app.batch_work import BatchWork, Tried, drop_stale
from freehold.app.waiting import set_within
from freehold.config.schema_files import Batches as BatchesSection
from freehold.domain.batch import (
    MESSAGES_PREFIX,
    Batch,
    BatchEnd,
    BatchFault,
    BatchState,
    counted,
    ended,
    finalizing,
    outcome,
    refused,
    validated,
)
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.batch import BatchCancelled, BatchError, BatchExpired, BatchInputLost, BatchOwnerGone
from freehold.domain.errors.request import UnknownModel
from freehold.domain.identity import Principal
from freehold.domain.ports import Clock, IdSource
from freehold.gateway.runtime import Runtime
from freehold.serving.batch_turns import Next, Standing, Turns, after_error, pause_s, to_open
from freehold.storage.batch_results import ItemResult
from freehold.storage.batches import SqliteBatches
from freehold.storage.files import SqliteFiles

log = logging.getLogger("freehold.batches")

_OPEN_MAX = 32
"""Batches that are worked on at once; each holds open files and some items that were read ahead."""

_PARALLEL_MAX = 256
_LANES_MAX = 1_000
_NAME_CHARACTERS_MAX = 256
"""Names of models that are kept; longer ones are looked up each time."""

_TIMER_SLACK_S = 0.002
"""uvloop's timers count whole milliseconds: one may come that much before its moment."""

_AGAIN_S = 5.0
_TELL_EVERY_S = 0.5
_SWEEP_EVERY_S = 60.0


class BatchRunner:
    """Everything of batches that happens by itself: checking, running, ending, expiring.

    Args:
        store: Of batches.
        files: Of inputs and results.
        folder: Where results lie while a batch runs.
        items: Runs one.
        runtime: The configuration in force.
        principal_of: The caller behind the id of a key; ``None`` where it opens nothing.
        read_keys: Learns of keys that other processes made; blocks.
        writer: Makes the files at the end.
        clock: On the event loop's scale.
        ids: Ids of lines.
        settings: Bounds.
        line_bytes_max: Longest line of an input.
        poll_s: How often to look for what other processes did.
    """

    def __init__(  # noqa: PLR0913 - what it is wired to, each once
        self,
        *,
        store: SqliteBatches,
        files: SqliteFiles,
        folder: Path,
        items: ItemRunner,
        runtime: Callable[[], Runtime],
        principal_of: Callable[[str], Principal | None],
        read_keys: Callable[[], None],
        writer: OutputWriter,
        clock: Clock,
        ids: IdSource,
        settings: BatchesSection,
        line_bytes_max: int,
        poll_s: float,
    ) -> None:
        self._store = store
        self._files = files
        self._folder = folder
        self._items = items
        self._runtime = runtime
        self._principal_of = principal_of
        self._read_keys = read_keys
        self._writer = writer
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._line_bytes_max = line_bytes_max
        self._poll_s = poll_s
        self._nudged = asyncio.Event()
        self._seen: dict[str, Batch] = {}
        self._taken: dict[str, asyncio.Task[None]] = {}
        self._works: dict[str, BatchWork] = {}
        self._turns = Turns()
        self._running: Counter[str] = Counter()
        self._told_s: dict[str, float] = {}
        self._swept_s = float("-inf")
        self._lanes: dict[str, tuple[str, int]] = {}
        self._lanes_of: Runtime | None = None

    def nudge(self) -> None:
        """There may be something new to do."""
        self._nudged.set()

    def end_revoked(self, good: Collection[str]) -> None:
        """Stop batches of keys that are not among the good ones.

        Args:
            good: Ids of all keys that open something.
        """
        for work in self._works.values():
            if work.batch.key_id not in good:
                self._stop_ownerless(work)

    async def run(self) -> None:
        """Work until cancelled. What is under way then is taken up again at the next start."""
        try:
            await self._begin()
            while True:
                with contextlib.suppress(FreeholdError, OSError):
                    await self._look()
                await self._wait()
        finally:
            for task in self._taken.values():
                task.cancel()
            await asyncio.gather(*self._taken.values(), return_exceptions=True)

    async def _wait(self) -> None:
        """Until there is something new to do, or may be."""
        await set_within(self._nudged, self._poll_s)
        self._nudged.clear()

    async def _begin(self) -> None:
        with contextlib.suppress(FreeholdError, OSError):
            active = [batch.id for batch in await self._store.active()]
            await asyncio.to_thread(drop_stale, self._folder, active)

    async def _look(self) -> None:
        """See which batches there are, and what became of those that run."""
        # What is read may be older than what has been done since: only what never changes back is concluded from it.
        active, now_ms = await self._store.active(), self._clock.unix_ms()
        self._seen = {batch.id: batch for batch in active}
        self._turns.keep(batch.tenant for batch in active)
        for work in self._works.values():
            batch = self._seen.get(work.batch.id)
            if batch is not None and (batch.state is BatchState.CANCELLING or now_ms >= batch.expires_unix_ms):
                work.stop()
        for batch in to_open(active, _OPEN_MAX):
            if batch.id not in self._taken:
                task = self._taken[batch.id] = asyncio.ensure_future(self._process(batch.id))
                task.add_done_callback(functools.partial(self._processed, batch.id))
        self._fill()
        if self._clock.monotonic_s() - self._swept_s >= _SWEEP_EVERY_S:
            self._swept_s = self._clock.monotonic_s()
            await self._files.drop_expired(now_ms)

    # One batch.

    async def _process(self, batch_id: str) -> None:
        """Work on a batch until it is over; where that cannot be done now, it is taken up again a little later."""
        try:
            batch = await self._store.get(batch_id, tenant=None)
            if batch is not None and not batch.is_over:
                await self._through(batch)
        except (FreeholdError, OSError) as error:
            log.error("batch %s: %s; it is taken up again in %g s", batch_id, error, _AGAIN_S)  # noqa: TRY400
            await asyncio.sleep(_AGAIN_S)

    def _processed(self, batch_id: str, task: asyncio.Task[None]) -> None:
        self._told_s.pop(batch_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # It stays taken: a fault of ours would only come again.
            log.error("batch %s is left alone until the next start", batch_id, exc_info=error)
            return
        self._taken.pop(batch_id, None)
        self.nudge()

    async def _through(self, batch: Batch) -> None:
        if batch.state is BatchState.VALIDATING:
            changed = await self._validate(batch)
            if changed is None or changed.is_over:
                return
            batch = changed
        work = await asyncio.to_thread(
            BatchWork.open,
            batch,
            folder=self._folder,
            input_path=self._files.path(batch.input_file_id),
            line_bytes_max=self._line_bytes_max,
        )
        try:
            if batch.state is BatchState.IN_PROGRESS:
                batch = await self._run_items(work)
            await self._finish(work, batch)
        finally:
            self._works.pop(batch.id, None)
            await work.leave()

    async def _validate(self, batch: Batch) -> Batch | None:
        check = InputCheck(
            batch,
            items_max=self._settings.items_max,
            line_bytes_max=self._line_bytes_max,
            # Anthropic's batches have no list of faults: there a model that is not there is its items' error.
            route_of=_anything
            if batch.id.startswith(MESSAGES_PREFIX)
            else lambda model: self._runtime().route_for(model),
        )

        def is_stopped() -> bool:
            seen = self._seen.get(batch.id)
            return seen is not None and seen.state is not BatchState.VALIDATING

        try:
            await check.run(self._files.path(batch.input_file_id), is_stopped=is_stopped)
        except Stopped:
            return self._seen.get(batch.id)
        except FileNotFoundError as error:
            check.faults = [_fault(BatchInputLost(batch_id=batch.id, reason=error.strerror))]
        now_ms, faults = self._clock.unix_ms(), tuple(check.faults)
        if faults:
            return await self._store.change(batch.id, lambda now: refused(now, errors=faults, unix_ms=now_ms))
        return await self._store.change(batch.id, lambda now: validated(now, total=check.total, unix_ms=now_ms))

    async def _run_items(self, work: BatchWork) -> Batch:
        """Run what has no result yet, until all have one or it is to end."""
        batch = work.batch
        if self._principal_of(batch.key_id) is None:
            # Another worker may have made the key a moment ago, and taken the batch in for it at once.
            with contextlib.suppress(FreeholdError):
                await asyncio.to_thread(self._read_keys)
        self._works[batch.id] = work
        if not work.has_input and work.journal.done < batch.total:
            work.stop((_fault(BatchInputLost(batch_id=batch.id, reason="it is gone")),))
        if self._clock.unix_ms() >= batch.expires_unix_ms:
            work.stop()
        work.read_on(self._fill)
        work.look_finished()
        await work.finished.wait()
        await work.settle()
        del self._works[batch.id]
        now_ms = self._clock.unix_ms()
        changed = await self._store.change(batch.id, lambda now: finalizing(now, errors=work.faults, unix_ms=now_ms))
        return changed or batch

    async def _finish(self, work: BatchWork, batch: Batch) -> None:
        state = outcome(batch, done=work.journal.done)
        left = _left(batch, state)
        outputs = await self._writer.write(batch, work.journal, self._files.path(batch.input_file_id), left)
        now_ms = self._clock.unix_ms()
        end = BatchEnd(
            state=state,
            completed=outputs.completed,
            failed=outputs.failed,
            unanswered=outputs.unanswered,
            output_file_id="" if outputs.good is None else outputs.good.id,
            error_file_id="" if outputs.bad is None else outputs.bad.id,
        )

        try:
            final = await self._store.change(batch.id, lambda now: ended(now, end, unix_ms=now_ms), files=outputs.files)
        except FreeholdError:
            self._writer.drop(outputs)
            raise
        if final is None or (final.output_file_id, final.error_file_id) != (end.output_file_id, end.error_file_id):
            self._writer.drop(outputs)  # it was over already
        await asyncio.to_thread(work.journal.remove)
        log.info("batch %s is %s: %d completed, %d failed", batch.id, state.value, outputs.completed, outputs.failed)

    # Items.

    def _fill(self) -> None:
        """Start items as long as there is room for them."""
        now_s, most = self._clock.monotonic_s(), self._settings.parallel or _PARALLEL_MAX
        for work in self._works.values():
            work.read_on(self._fill)
        while self._running.total() < most:
            chosen = self._turns.pick(self._standing(now_s), self._running)
            if chosen is None:
                return
            work = self._works[chosen.batch_id]
            self._running[chosen.lane] += 1
            task = asyncio.ensure_future(self._run_item(work, work.take(now_s)))
            work.tasks.add(task)
            task.add_done_callback(functools.partial(self._item_ended, work, chosen.lane))

    def _standing(self, now_s: float) -> list[Standing]:
        found: list[Standing] = []
        for work in self._works.values():
            if (item := work.head(now_s)) is not None:
                lane, room = self._lane(item.model)
                found.append(Standing(work.batch.id, work.batch.created_unix_ms, work.batch.tenant, lane, room))
        return found

    def _lane(self, model: str) -> tuple[str, int]:
        """The route of a model, and how many items may be on it at once."""
        runtime = self._runtime()
        if runtime is not self._lanes_of:
            self._lanes, self._lanes_of = {}, runtime
        if model not in self._lanes:
            if len(self._lanes) >= _LANES_MAX:
                self._lanes.clear()  # anybody may ask for names without end
            try:
                route = runtime.route_for(model)
                self._lanes[model] = route.name, sum(each.slots for each in runtime.deployments_of(route))
            except UnknownModel:  # the item will say so
                if len(model) > _NAME_CHARACTERS_MAX:
                    return "", 1
                self._lanes[model] = "", 1
        return self._lanes[model]

    async def _run_item(self, work: BatchWork, tried: Tried) -> None:
        batch = work.batch
        principal = self._principal_of(batch.key_id)
        if principal is None or principal.tenant.name != batch.tenant:
            self._stop_ownerless(work)
            return
        answer = await self._items.run(
            tried.item.body, endpoint=batch.endpoint, principal=principal, label=batch.label, field=batch.beta
        )
        self._settle(work, tried, answer)

    def _item_ended(self, work: BatchWork, lane: str, task: asyncio.Task[None]) -> None:
        work.tasks.discard(task)
        self._running[lane] -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("batch %s: an item ended unexpectedly", work.batch.id, exc_info=error)
        work.look_finished()
        self._fill()

    def _settle(self, work: BatchWork, tried: Tried, answer: ItemAnswer) -> None:
        """What becomes of an item that was run: its result is kept, or it runs again."""
        item, error = tried.item, answer.error
        step = (
            Next.RESULT
            if error is None
            else after_error(error, failures=tried.failures, retries=self._settings.retries)
        )
        if error is None or step is Next.RESULT:
            work.busy_in_a_row = 0
            line = result_lines(work.batch).answered(
                new_id(self._ids, "batch_req_"),
                item.custom_id,
                status=answer.status,
                request_id=answer.request_id,
                body=answer.body,
            )
            work.keep(ItemResult(item.place, error is None, line, answer.label), functools.partial(self._kept, work))
            return
        now_s = self._clock.monotonic_s()
        if step is Next.LATER:
            again_s = now_s + pause_s(error, in_a_row=work.busy_in_a_row)
            if now_s >= work.paused_until_s:  # several that were refused at once are one refusal
                work.busy_in_a_row += 1
            work.paused_until_s = max(work.paused_until_s, again_s)
            work.give_back(tried)
        elif step is Next.ALONE:
            again_s = now_s + pause_s(error, in_a_row=0)
            work.delay(tried, again_s)
        else:
            again_s = now_s + pause_s(error, in_a_row=tried.failures)
            work.delay(Tried(item, tried.failures + 1), again_s)
        asyncio.get_running_loop().call_at(again_s + _TIMER_SLACK_S, self._fill)

    def _kept(self, work: BatchWork) -> None:
        """Results are on the medium: tell the counts now and then, and go on."""
        now_s, batch_id = self._clock.monotonic_s(), work.batch.id
        if now_s - self._told_s.get(batch_id, 0.0) >= _TELL_EVERY_S:
            self._told_s[batch_id] = now_s
            change = functools.partial(counted, completed=work.journal.completed, failed=work.journal.failed)
            with contextlib.suppress(FreeholdError):
                self._store.change(batch_id, change)
        self._fill()

    def _stop_ownerless(self, work: BatchWork) -> None:
        work.stop((_fault(BatchOwnerGone(batch_id=work.batch.id)),))


def _anything(_model: str) -> None:
    """Every model will do."""


def _fault(error: BatchError) -> BatchFault:
    return BatchFault(code=error.code, message=error.message)


def _left(batch: Batch, state: BatchState) -> BatchError:
    """Why an item was never run."""
    if state is BatchState.CANCELLED:
        return BatchCancelled(batch_id=batch.id)
    if state is BatchState.FAILED:
        code = batch.errors[0].code
        return (
            BatchOwnerGone(batch_id=batch.id)
            if code == BatchOwnerGone.code
            else BatchInputLost(batch_id=batch.id, reason=batch.errors[0].message)
        )
    return BatchExpired(batch_id=batch.id)
