"""Files that clients gave, and those that batches made."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = "batch"
BATCH_OUTPUT = "batch_output"
UPLOADED = (BATCH, "user_data", "assistants")
"""What a client may say that a file is for. Only the first one is used here; the others are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file, without its content.

    Attributes:
        id: Public, and its content's name on the disk.
        tenant: Whose it is.
        filename: What its owner calls it; nothing is ever opened by this name.
        purpose: What it is for: one of ``UPLOADED``, or ``BATCH_OUTPUT``.
        size_bytes: Of its content.
        created_unix_ms: When it was whole.
        expires_unix_ms: From when on it is gone; ``None`` for never.
        label: How sensitive its content is, as text.
    """

    id: str
    tenant: str
    filename: str
    purpose: str
    size_bytes: int
    created_unix_ms: int
    expires_unix_ms: int | None
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which of many objects to list.

    Attributes:
        after: Id of the last one of the page before; empty for the first page.
        limit: How many.
        newest_first: In which order.
        purpose: Only files for this purpose; empty for all.
        prefix: Only batches whose id begins so.
    """

    after: str = ""
    limit: int = 20
    newest_first: bool = True
    purpose: str = ""
    prefix: str = ""
