"""The end of a batch: its results as two files, in the order of its items."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from freehold.api.files import expiry_of, new_id
from freehold.domain.batch import MESSAGES_PREFIX, Batch
from freehold.domain.errors.base import FreeholdError
from freehold.domain.files import BATCH_OUTPUT, StoredFile
from freehold.domain.ports import Clock, IdSource
from freehold.storage.batch_results import ResultJournal
from freehold.storage.files import FileDraft, SqliteFiles
from freehold.wire.batch_lines import OPENAI_LINES, BatchItem, InputLines, ResultLines, decode_line
from freehold.wire.message_batches import MESSAGES_LINES
from freehold.wire.openai_batches import output_name

_SLICE = 256
"""Items whose results are copied in one go: a thread that works for long makes every request wait."""

_READ_BYTES = 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Outputs:
    """Files that are finished and belong to nobody yet.

    Attributes:
        good: Results of items that were answered well; ``None`` where there are none.
        bad: All other results; ``None`` where there are none.
        completed: Lines of the first.
        failed: Lines of the second.
        unanswered: Those of them whose items were never run.
        labels: Of what is in them, good ones first; without the batch's own.
    """

    good: StoredFile | None = None
    bad: StoredFile | None = None
    completed: int = 0
    failed: int = 0
    unanswered: int = 0
    labels: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Those that there are."""
        return tuple(each for each in (self.good, self.bad) if each is not None)


class OutputWriter:
    """Writes the files of one batch. What it began is dropped unless ``write`` returned.

    Args:
        store: Of files.
        clock: Time.
        ids: Ids of files and lines.
        keep_days: When the files go by themselves.
        line_bytes_max: Longest line of the input.
        joined: The label that all of some labels together demand, as text.
    """

    def __init__(
        self,
        *,
        store: SqliteFiles,
        clock: Clock,
        ids: IdSource,
        keep_days: int,
        line_bytes_max: int,
        joined: Callable[[Iterable[str]], str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._keep_days = keep_days
        self._line_bytes_max = line_bytes_max
        self._joined = joined

    async def write(self, batch: Batch, journal: ResultJournal, input_path: Path, left: FreeholdError) -> Outputs:
        """Copy all results, and give items that have none ``left`` as their result, where the input is still there.

        Raises:
            OSError: The disk fails; nothing is left of what was written.
        """
        drafts: dict[bool, FileDraft] = {}
        lines: InputLines | None = None
        with contextlib.ExitStack() as undo:
            for is_good in (True, False):
                drafts[is_good] = draft = self._store.draft(new_id(self._ids, "file-"))
                undo.callback(draft.drop)
            if journal.done < batch.total:
                with contextlib.suppress(FileNotFoundError):
                    lines = InputLines(input_path, line_bytes_max=self._line_bytes_max)
            if lines is not None:
                undo.callback(lines.close)
            outputs = Outputs()
            for first in range(0, batch.total, _SLICE):
                places = range(first, min(first + _SLICE, batch.total))
                await asyncio.to_thread(self._copy, batch, journal, places, lines, drafts, left, outputs)
            for is_good, draft in drafts.items():
                if draft.size_bytes:
                    await asyncio.to_thread(draft.finish)
                    label = self._joined({batch.label, *outputs.labels[not is_good]})
                    file = self._file(batch, draft, is_good=is_good, label=label)
                    outputs.good, outputs.bad = (file, outputs.bad) if is_good else (outputs.good, file)
                else:
                    draft.drop()
            undo.pop_all()
            if lines is not None:
                lines.close()
        return outputs

    def drop(self, outputs: Outputs) -> None:
        """Remove files that did not come to belong to anybody."""
        for file in outputs.files:
            self._store.path(file.id).unlink(missing_ok=True)

    def _copy(
        self,
        batch: Batch,
        journal: ResultJournal,
        places: range,
        lines: InputLines | None,
        drafts: dict[bool, FileDraft],
        left: FreeholdError,
        outputs: Outputs,
    ) -> None:
        form = result_lines(batch)
        texts: dict[bool, list[bytes]] = {True: [], False: []}
        names = self._names(batch, lines, places)
        for place, result in zip(places, journal.lines(places), strict=True):
            if result is not None:
                is_first = result.is_good or form.is_one_file
                texts[is_first].append(result.line)
                if result.label:
                    outputs.labels[not is_first].add(result.label)
                outputs.completed += result.is_good
                outputs.failed += not result.is_good
            elif place in names:
                line = form.unanswered(new_id(self._ids, "batch_req_"), names[place], left)
                texts[form.is_one_file].append(line)
                outputs.failed += 1
                outputs.unanswered += 1
        for is_good, found in texts.items():
            if found:
                drafts[is_good].write(b"\n".join((*found, b"")))

    def _names(self, batch: Batch, lines: InputLines | None, places: range) -> dict[int, str]:
        """What items are called, where that has to be known."""
        names: dict[int, str] = {}
        wanted = len(places)
        while lines is not None and wanted:
            found = lines.read(lines=wanted, about_bytes=_READ_BYTES)
            if not found:
                break
            wanted -= len(found)
            for line in found:
                item = decode_line(line, endpoint=batch.endpoint, line_bytes_max=self._line_bytes_max)
                if isinstance(item, BatchItem):
                    names[line.place] = item.custom_id
        return names

    def _file(self, batch: Batch, draft: FileDraft, *, is_good: bool, label: str) -> StoredFile:
        now_ms = self._clock.unix_ms()
        return StoredFile(
            id=draft.path.name,
            tenant=batch.tenant,
            filename=output_name(batch.id, is_good=is_good),
            purpose=BATCH_OUTPUT,
            size_bytes=draft.size_bytes,
            created_unix_ms=now_ms,
            expires_unix_ms=self._expiry(batch, now_ms),
            label=label,
        )

    def _expiry(self, batch: Batch, now_ms: int) -> int | None:
        if batch.output_keep_s is not None:
            return now_ms + batch.output_keep_s * 1000
        return expiry_of(BATCH_OUTPUT, now_ms, keep_days=self._keep_days)


def result_lines(batch: Batch) -> ResultLines:
    """How the results of a batch are written: as whoever made it reads them."""
    return MESSAGES_LINES if batch.id.startswith(MESSAGES_PREFIX) else OPENAI_LINES
