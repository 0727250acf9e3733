"""Passages of made documents."""

from __future__ import annotations

from freehold.domain.labels import Level
from freehold.domain.vault import Document, Passage, Readers


def passage(text: str, *, start: int = 0, number: int = 0, title: str = "A report") -> Passage:
    """A passage of a document of its own."""
    document = Document(
        id=f"doc-{number}",
        tenant="default",
        source=f"file:///{number}.txt",
        sha256=f"{number:064x}",
        size_bytes=len(text),
        media_type="text/plain",
        title=title,
        label="internal",
        readers=Readers(level=Level.INTERNAL),
        added_unix_ms=0,
    )
    return Passage(chunk_id=number, document=document, start=start, end=start + len(text), text=text)
