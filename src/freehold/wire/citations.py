"""Sources of an answer in the shapes that clients know: chat annotations, and what the other dialects make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from freehold.domain.vault import Citation

JsonObject = dict[str, Any]

_KIND = "file_citation"


def annotations_of(citations: Sequence[Citation], *, quotes: bool = True) -> list[JsonObject]:
    """The ``annotations`` of a chat answer. ``start_index`` and ``end_index`` are code points of its text.

    Args:
        citations: In the order of the answer.
        quotes: Whether the document's own words are told, not only where they stand.
    """
    return [
        {
            "type": _KIND,
            _KIND: {
                "file_id": each.document_id,
                "filename": each.title,
                "start_index": each.answer_start,
                "end_index": each.answer_end,
                "number": each.number,
                "page": each.page,
                "document_start": each.start,
                "document_end": each.end,
                **({"quote": each.quote} if quotes else {}),
            },
        }
        for each in citations
    ]


def citations_told(citations: Sequence[Citation], *, quotes: bool = True) -> list[JsonObject]:
    """Citations as the ``vault`` member of an answer has them; arguments as ``annotations_of``."""
    return [
        {
            "number": each.number,
            "document_id": each.document_id,
            "sha256": each.sha256,
            "title": each.title,
            "source": each.source,
            "page": each.page,
            "start": each.start,
            "end": each.end,
            **({"quote": each.quote} if quotes else {}),
            "answer_start": each.answer_start,
            "answer_end": each.answer_end,
        }
        for each in citations
    ]


def output_text_annotations(said: Mapping[str, object]) -> list[JsonObject]:
    """Those of a chat message, or of a piece of one, as the Responses API writes them on a text."""
    flat = [each for each in _given(said) if each.get("type") == _KIND and "file_id" in each]
    return flat + [
        {"type": _KIND, "file_id": each["file_id"], "filename": each["filename"], "index": each["end_index"]}
        for each in _cited(said)
    ]


def text_block_citations(said: Mapping[str, object]) -> list[JsonObject]:
    """The same as the Messages API writes them: where in the document. ``document_index`` counts from 0."""
    return [
        {
            "type": "char_location",
            "cited_text": each.get("quote", ""),
            "document_index": each["number"] - 1,
            "document_title": each["filename"],
            "file_id": each["file_id"],
            "start_char_index": each["document_start"],
            "end_char_index": each["document_end"],
        }
        for each in _cited(said)
        if "document_start" in each
    ]


def _cited(said: Mapping[str, object]) -> Iterator[JsonObject]:
    for each in _given(said):
        inner: object = each.get(_KIND)
        if each.get("type") == _KIND and isinstance(inner, dict):
            found = cast("JsonObject", inner)
            if {"file_id", "filename", "end_index"} <= found.keys():
                yield found


def _given(said: Mapping[str, object]) -> list[JsonObject]:
    given = said.get("annotations")
    return cast("list[JsonObject]", given) if isinstance(given, list) else []
