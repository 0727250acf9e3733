"""Wires what takes batches in and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold.api.batch_item import ItemRunner
from freehold.api.batches import Batches
from freehold.api.files import Files
from freehold.api.message_batches import MessageBatches
from freehold.app.batch_output import OutputWriter
from freehold.app.batch_runner import BatchRunner
from freehold.app.fellows import Fellows
from freehold.app.stores import Stores
from freehold.config.compile import Compiled
from freehold.domain.identity import Principal
from freehold.gateway.file_flow import FileFlow
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.remembering import Remembering
from freehold.gateway.runtime import Runtime
from freehold.policy.labelling import joined, label_of_given
from freehold.serving.overload import Door

_POLL_S = 5.0
_POLL_AMONG_FELLOWS_S = 0.25
"""Other workers take batches in and cancel them, and nobody tells this one."""


def batch_runner(
    stores: Stores,
    compiled: Compiled,
    pipeline: Pipeline,
    door: Door,
    runtime: Callable[[], Runtime],
    fellows: Fellows | None,
) -> BatchRunner | None:
    """What runs batches in this process; ``None`` where another worker does: the first one."""
    if fellows is not None and fellows.seat.worker:
        return None
    writer = OutputWriter(
        store=stores.files,
        clock=stores.clock,
        ids=stores.ids,
        keep_days=compiled.files.keep_days,
        line_bytes_max=compiled.body_limit_bytes,
        joined=lambda labels: joined(labels, tree=runtime().tree),
    )
    return BatchRunner(
        store=stores.batches,
        files=stores.files,
        folder=stores.batches_folder,
        items=ItemRunner(pipeline=pipeline, ids=stores.ids, door=door),
        runtime=runtime,
        principal_of=stores.keys.principal_of,
        read_keys=stores.keys.reload,
        writer=writer,
        clock=stores.clock,
        ids=stores.ids,
        settings=compiled.batches,
        line_bytes_max=compiled.body_limit_bytes,
        poll_s=_POLL_S if fellows is None else _POLL_AMONG_FELLOWS_S,
    )


def batch_views(
    stores: Stores,
    compiled: Compiled,
    runtime: Callable[[], Runtime],
    runner: BatchRunner | None,
    memory: Remembering,
) -> dict[str, object]:
    """What the table of routes names ``files``, ``batches`` and ``message_batches``."""

    def label_of(principal: Principal, said: Sequence[str | None]) -> str:
        return label_of_given(principal, said, tree=runtime().tree)

    files = Files(
        store=stores.files,
        settings=compiled.files,
        label_of=label_of,
        flow=FileFlow(runtime=runtime, memory=memory),
        clock=stores.clock,
        ids=stores.ids,
    )
    nudge = _look_by_itself if runner is None else runner.nudge
    batches = Batches(
        store=stores.batches,
        files=stores.files,
        settings=compiled.batches,
        label_of=label_of,
        clock=stores.clock,
        ids=stores.ids,
        nudge=nudge,
    )
    message_batches = MessageBatches(
        store=stores.batches,
        files=stores.files,
        settings=compiled.batches,
        file_settings=compiled.files,
        label_of=label_of,
        clock=stores.clock,
        ids=stores.ids,
        nudge=nudge,
    )
    return {"files": files, "batches": batches, "message_batches": message_batches}


def _look_by_itself() -> None:
    """The process that runs batches is another one, which finds new ones by itself."""
