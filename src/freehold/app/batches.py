"""Wires what runs batches."""

from __future__ import annotations

from collections.abc import Callable

from freehold.api.batch_item import ItemRunner
from freehold.app.batch_output import OutputWriter
from freehold.app.batch_runner import BatchRunner
from freehold.app.fellows import Fellows
from freehold.app.stores import Stores
from freehold.config.compile import Compiled
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Runtime
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
    )
    return BatchRunner(
        store=stores.batches,
        files=stores.files,
        folder=stores.batches_folder,
        items=ItemRunner(pipeline=pipeline, ids=stores.ids, door=door),
        runtime=runtime,
        principal_of=stores.keys.principal_of,
        writer=writer,
        clock=stores.clock,
        ids=stores.ids,
        settings=compiled.batches,
        line_bytes_max=compiled.body_limit_bytes,
        poll_s=_POLL_S if fellows is None else _POLL_AMONG_FELLOWS_S,
    )
