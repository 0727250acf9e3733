"""Batches: what is kept of one, and how it goes from state to state. Pure.

validating → in_progress → finalizing → completed | expired | failed, and cancelling → cancelled from the first two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class BatchState(StrEnum):
    """Where a batch is."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ACTIVE = (BatchState.VALIDATING, BatchState.IN_PROGRESS, BatchState.FINALIZING, BatchState.CANCELLING)
"""States in which somebody works on it."""

OPENAI_PREFIX = "batch_"
MESSAGES_PREFIX = "msgbatch_"
BETA_HEADER = "anthropic-beta"
"""What ids of batches begin with: made as OpenAI's, or as Anthropic's, and shown as that."""

CANCELLABLE = (BatchState.VALIDATING, BatchState.IN_PROGRESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFault:
    """Why a batch failed.

    Attributes:
        code: A word for programs.
        message: A sentence for people.
        line: Of the input, from 1 on; ``None`` where it is about none.
        param: The member at fault, where one is.
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch.

    Attributes:
        id: Public.
        tenant: Whose it is.
        key_id: The key that created it, which its items run as.
        endpoint: Path of the surface that every item asks.
        input_file_id: The file with the items, a line each.
        window: What the client said of the time it may take.
        label: How sensitive everything in it is at least, as text; applied to each item.
        metadata: What its owner wrote on it; on one of Anthropic's, the header that its items share.
        state: Where it is.
        created_unix_ms: When it was created.
        expires_unix_ms: What has not begun by then is not run any more.
        moments: When it came to a state, by the state's name.
        total: Items in it; 0 until they were counted.
        completed: Items with a good answer on the medium.
        failed: Items with another result on the medium.
        output_file_id: File of the good answers; empty while there is none.
        error_file_id: File of the other results; empty while there is none.
        unanswered: Failed ones that were never run; known at the end.
        output_keep_s: How long its results are kept; ``None`` where its owner did not say.
        errors: Why it failed.
    """

    id: str
    tenant: str
    key_id: str
    endpoint: str
    input_file_id: str
    window: str
    label: str
    metadata: Mapping[str, str]
    state: BatchState
    created_unix_ms: int
    expires_unix_ms: int
    moments: Mapping[str, int] = field(default_factory=dict[str, int])
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str = ""
    error_file_id: str = ""
    unanswered: int = 0
    output_keep_s: int | None = None
    errors: tuple[BatchFault, ...] = ()

    @property
    def beta(self) -> str | None:
        """The ``anthropic-beta`` header that it was made with, which holds for each of its items."""
        return self.metadata.get(BETA_HEADER) if self.id.startswith(MESSAGES_PREFIX) else None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in ACTIVE


def validated(batch: Batch, *, total: int, unix_ms: int) -> Batch:
    """Its items were counted and found sound: they may run, unless it was cancelled meanwhile."""
    if batch.state is not BatchState.VALIDATING:
        return batch
    return replace(_moved(batch, BatchState.IN_PROGRESS, unix_ms), total=total)


def refused(batch: Batch, *, errors: tuple[BatchFault, ...], unix_ms: int) -> Batch:
    """Its input is no good: nothing of it runs, unless it was cancelled meanwhile."""
    if batch.state is not BatchState.VALIDATING:
        return batch
    return replace(_moved(batch, BatchState.FAILED, unix_ms), errors=errors)


def counted(batch: Batch, *, completed: int, failed: int) -> Batch:
    """So many results are on the medium."""
    return batch if batch.is_over else replace(batch, completed=completed, failed=failed)


def cancelled(batch: Batch, *, unix_ms: int) -> Batch:
    """Its owner wants no more of it; what is in no such state stays as it is."""
    return _moved(batch, BatchState.CANCELLING, unix_ms) if batch.state in CANCELLABLE else batch


def finalizing(batch: Batch, *, errors: tuple[BatchFault, ...] = (), unix_ms: int) -> Batch:
    """No more items are run: all are done, its time is over, or ``errors`` say why it cannot go on."""
    if batch.state is not BatchState.IN_PROGRESS:
        return batch
    return replace(_moved(batch, BatchState.FINALIZING, unix_ms), errors=errors)


def outcome(batch: Batch, *, done: int) -> BatchState:
    """What a batch that runs no more items ends as, of which so many have a result."""
    if batch.state is BatchState.CANCELLING:
        return BatchState.CANCELLED
    if batch.errors:
        return BatchState.FAILED
    return BatchState.COMPLETED if done == batch.total else BatchState.EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnd:
    """How a batch ends, and what its files hold."""

    state: BatchState
    completed: int
    failed: int
    unanswered: int
    output_file_id: str
    error_file_id: str


def ended(batch: Batch, end: BatchEnd, *, unix_ms: int) -> Batch:
    """It is over, unless it was before. Its counts are those of its files."""
    if batch.is_over:
        return batch
    return replace(
        _moved(batch, end.state, unix_ms),
        completed=end.completed,
        failed=end.failed,
        unanswered=end.unanswered,
        output_file_id=end.output_file_id,
        error_file_id=end.error_file_id,
    )


def _moved(batch: Batch, state: BatchState, unix_ms: int) -> Batch:
    return replace(batch, state=state, moments={**batch.moments, state.value: unix_ms})
