"""The beginning of a batch: every line is looked at before the first one runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from freehold.domain.batch import Batch, BatchFault
from freehold.domain.errors.request import UnknownModel
from freehold.wire.batch_lines import InputLine, InputLines, decode_line

_LINES = 64
_BYTES = 256 * 1024
FAULTS_MAX = 100


class Stopped(Exception):  # noqa: N818 - not an error: nobody wants to know any more
    """The batch was cancelled while it was looked at."""


class InputCheck:
    """Counts the items of a batch and finds what is wrong with them.

    Args:
        batch: Which.
        items_max: Most items.
        line_bytes_max: Longest line.
        route_of: Finds the route of a model; raises ``UnknownModel``.

    Attributes:
        total: Items.
        faults: What is wrong, the first hundred of it.
    """

    def __init__(self, batch: Batch, *, items_max: int, line_bytes_max: int, route_of: Callable[[str], object]) -> None:
        self.total = 0
        self.faults: list[BatchFault] = []
        self._batch = batch
        self._items_max = items_max
        self._line_bytes_max = line_bytes_max
        self._route_of = route_of
        self._names: set[int] = set()
        self._models: dict[str, str] = {}

    async def run(self, path: Path, *, is_stopped: Callable[[], bool]) -> None:
        """Look at all lines, a few at a time: whoever serves requests in this process goes on.

        Raises:
            OSError: The file cannot be read.
            Stopped: ``is_stopped`` says so.
        """
        lines = InputLines(path, line_bytes_max=self._line_bytes_max)
        try:
            while found := await asyncio.to_thread(lines.read, lines=_LINES, about_bytes=_BYTES):
                if is_stopped():
                    raise Stopped
                for line in found:
                    self._look(line)
                if len(self.faults) >= FAULTS_MAX or self.total > self._items_max:
                    break
        finally:
            lines.close()
        if self.total > self._items_max:
            message = f"The file has more than {self._items_max} requests, the limit. Send several batches."
            self.faults.insert(0, BatchFault(code="too_many_tasks", message=message))
        if not self.total:
            self.faults.append(BatchFault(code="empty_file", message="The file has no requests."))

    def _look(self, line: InputLine) -> None:
        self.total += 1
        item = decode_line(line, endpoint=self._batch.endpoint, line_bytes_max=self._line_bytes_max)
        if isinstance(item, BatchFault):
            self._note(item)
            return
        # The interpreter's hash of a text is keyed anew for each process, and of 64 bits: equal for equal texts only.
        name = hash(item.custom_id)
        if name in self._names:
            message = f"custom_id {item.custom_id[:80]!r} is taken by a line before."
            self._note(BatchFault(code="duplicate_custom_id", message=message, line=line.number, param="custom_id"))
        self._names.add(name)
        if unknown := self._unknown(item.model):
            self._note(BatchFault(code="model_not_found", message=unknown, line=line.number, param="body.model"))

    def _note(self, fault: BatchFault) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(fault)

    def _unknown(self, model: str) -> str:
        """Why there is no such model; empty where there is."""
        if model not in self._models:
            if len(self._models) >= FAULTS_MAX:
                self._models.clear()
            try:
                self._route_of(model)
                self._models[model] = ""
            except UnknownModel as error:
                self._models[model] = error.message
        return self._models[model]
