"""Vaults as OpenAI's vector stores: filters read, documents and passages shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from freehold.domain.errors.request import FieldInvalid, UnsupportedParameter
from freehold.domain.vault import ANYTHING, Document, Filters, Passage
from freehold.wire.openai_invalid import unsupported
from freehold.wire.vault_schema import StoreFileView, StoreHit, StoreView, VaultView

_ATTRIBUTE_CHARACTERS_MAX = 512
_SCORE_DIGITS = 4
_WORDS = {
    "file_id": "documents",
    "document_id": "documents",
    "filename": "sources",
    "source": "sources",
    "title": "sources",
    "author": "authors",
    "media_type": "media_types",
}
_WRITTEN = "written"
_DAYS = {"eq": ("written_from", "written_to"), "gte": ("written_from",), "lte": ("written_to",)}
_DAY_CHARACTERS = 10
_CONDITIONS_MAX = 16
_KEYS = ", ".join((*_WORDS, _WRITTEN))


def filters_of_store(said: Mapping[str, Any] | None) -> Filters:
    """What a client of vector stores wants documents to be like.

    One condition, or several joined by ``and``: ``eq`` and ``in`` on texts; ``eq``, ``gte`` and ``lte`` on ``written``.

    Raises:
        UnsupportedParameter: Anything else, which would else be ignored.
        FieldInvalid: It is no filter.
    """
    if not said:
        return ANYTHING
    found: dict[str, Any] = {}
    for condition in _conditions(said):
        _note(condition, found)
    return Filters(**found)


def _conditions(said: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if said.get("type") == "or":
        raise unsupported("filters", "or", "conditions are joined by and")
    if said.get("type") != "and":
        return [said]
    parts: object = said.get("filters")
    found = cast("list[object]", parts) if isinstance(parts, list) else []
    if not 1 <= len(found) <= _CONDITIONS_MAX or not all(isinstance(each, dict) for each in found):
        reason = f"give 1 to {_CONDITIONS_MAX} conditions"
        raise FieldInvalid(param="filters", field="filters", value="something else", reason=reason)
    return cast("list[Mapping[str, Any]]", found)


def _note(condition: Mapping[str, Any], found: dict[str, Any]) -> None:
    key, how = condition.get("key"), condition.get("type")
    value: object = condition.get("value")
    values = cast("list[object]", value) if how == "in" and isinstance(value, list) else [value]
    texts = [each for each in values if isinstance(each, str) and 0 < len(each) <= _ATTRIBUTE_CHARACTERS_MAX]
    if len(texts) != len(values) or not texts:
        raise FieldInvalid(param="filters", field="filters", value="something else", reason="values are texts")
    if key == _WRITTEN and isinstance(how, str) and how in _DAYS:
        if len(texts[0]) != _DAY_CHARACTERS:
            raise FieldInvalid(
                param="filters", field=_WRITTEN, value=texts[0][:40], reason="it is a day, as YYYY-MM-DD"
            )
        members: dict[str, Any] = dict.fromkeys(_DAYS[how], texts[0])
    elif isinstance(key, str) and key in _WORDS and how in {"eq", "in"}:
        members = {_WORDS[key]: tuple(texts)}
    else:
        raise _not_there(key, how)
    if not members.keys().isdisjoint(found):
        raise unsupported("filters", key, "a key is named once; for one of several values use in")
    found |= members


def _not_there(key: object, how: object) -> UnsupportedParameter:
    reason = f"keys are {_KEYS}; types are eq and in, and for {_WRITTEN} eq, gte and lte"
    return unsupported("filters", f"{key} {how}"[:80], reason)


def store_view(vault: VaultView) -> StoreView:
    """A vault."""
    counts = {
        "cancelled": 0,
        "completed": vault.documents - vault.failed - vault.filling,
        "failed": vault.failed,
        "in_progress": vault.filling,
        "total": vault.documents,
    }
    return StoreView(
        id=vault.name,
        name=vault.name,
        status="in_progress" if vault.pending else "completed",
        usage_bytes=vault.bytes,
        file_counts=counts,
    )


def store_file_view(vault: str, document: Document, *, file_id: str = "") -> StoreFileView:
    """A document; under the id of the file that it was, where the client named it by that."""
    failed = document.state == "failed"
    return StoreFileView(
        id=file_id or document.id,
        vector_store_id=vault,
        # One whose vectors are still made is found by its words already.
        status="failed" if failed else "in_progress" if document.state == "pending" else "completed",
        usage_bytes=document.size_bytes,
        created_at=document.added_unix_ms // 1000,
        last_error={"code": "invalid_file", "message": document.reason} if failed else None,
        attributes=_attributes(document),
    )


def store_hit(passage: Passage) -> StoreHit:
    """A passage."""
    where: dict[str, str | float | bool] = {"start": float(passage.start), "end": float(passage.end), "trusted": False}
    if passage.page:
        where["page"] = float(passage.page)
    if passage.heading:
        where["heading"] = " > ".join(passage.heading)[:_ATTRIBUTE_CHARACTERS_MAX]
    return StoreHit(
        file_id=passage.document.id,
        filename=passage.document.title,
        score=round(passage.score, _SCORE_DIGITS),
        attributes={**_attributes(passage.document), **where},
        content=[{"type": "text", "text": passage.text}],
    )


def _attributes(document: Document) -> dict[str, str | float | bool]:
    told = {
        "title": document.title,
        "source": document.source,
        "author": document.author,
        _WRITTEN: document.written,
        "media_type": document.media_type,
        "label": document.label,
    }
    return {name: value[:_ATTRIBUTE_CHARACTERS_MAX] for name, value in told.items() if value}
