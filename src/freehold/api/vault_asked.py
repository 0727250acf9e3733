"""What clients of the vault ask and are answered, read and written the same on each of its surfaces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, Headers
from freehold.api.vault_counter import label_line
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.errors.vault import DocumentNotYours
from freehold.domain.identity import Principal
from freehold.domain.identity import Scope as KeyScope
from freehold.domain.vault import USER, Document, Filters
from freehold.identity.readers import is_reader
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import field_invalid
from freehold.wire.openai_response import encode_json
from freehold.wire.vault_schema import ALLOWED, DOCUMENTS_MAX

T = TypeVar("T")
View = tuple[int, bytes, Headers]

NOT_STORED = (b"cache-control", b"no-store")

_NUMBER = re.compile(r"[0-9]{1,12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORD_CHARACTERS_MAX = 500


def check_change(principal: Principal, document: Document) -> None:
    """Let a caller change a document that it may read.

    Raises:
        DocumentNotYours: It is neither its owner nor a manager.
    """
    if principal.user and document.readers.owner == USER + principal.user:
        return
    if {KeyScope.MANAGE, KeyScope.ADMIN}.isdisjoint(principal.scopes):
        owner = document.readers.owner or "nobody's in particular"
        raise DocumentNotYours(owner=owner)


def readers_of(said: list[str] | None) -> frozenset[str] | None:
    """Readers that a client named; ``None`` where it named none.

    Raises:
        FieldInvalid: One of them can be nobody's name.
    """
    if said is None:
        return None
    for each in said:
        if not is_reader(each):
            reason = "readers are user:NAME or group:NAME"
            raise FieldInvalid(param="readers", field="readers", value=repr(each[:80]), reason=reason)
    return frozenset(said)


def read_json(scope: Mapping[str, object], kind: type[T]) -> T:
    """The body as one of ours; none is one without members.

    Raises:
        FieldInvalid: It is none.
        BodyNotJson: It is no JSON.
    """
    return decoded_as(scope["body"], kind)  # pyright: ignore[reportArgumentType] - bytes, by the table of routes


def decoded_as(raw: bytes, kind: type[T]) -> T:
    """Some bytes as one of ours; errors as ``read_json``."""
    values = decode_document(raw or b"{}").values
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, values, allowed=ALLOWED) from None


def json_view(value: object, *, status: int = 200, label: str = "") -> View:
    """An answer that no cache may keep: what it holds depends on who asks."""
    headers: Headers = [JSON, NOT_STORED]
    if label:
        headers.append(label_line(label))
    return status, encode_json(value), headers


def limit_of(query: QueryParams) -> int:
    """How many documents a page is to have.

    Raises:
        FieldInvalid: It is no such number.
    """
    said = query.get("limit", "20")
    if not _NUMBER.fullmatch(said) or not 1 <= int(said) <= DOCUMENTS_MAX:
        reason = f"a whole number from 1 to {DOCUMENTS_MAX} is taken"
        raise FieldInvalid(param="limit", field="limit", value=said[:40], reason=reason)
    return int(said)


def place_of(query: QueryParams, name: str) -> int | None:
    """A place in a text, in code points; ``None`` where none is said.

    Raises:
        FieldInvalid: It is none.
    """
    said = query.get(name)
    if said is None:
        return None
    if not _NUMBER.fullmatch(said):
        raise FieldInvalid(param=name, field=name, value=said[:40], reason="a whole number from 0 on is taken")
    return int(said)


def listed_filters(query: QueryParams) -> Filters:
    """What listed documents must be like.

    Raises:
        FieldInvalid: A value of the query does not do.
    """
    for name in ("from", "to"):
        if not _DAY.fullmatch(query.get(name, "2000-01-01")):
            raise FieldInvalid(param=name, field=name, value=query[name][:40], reason="it is a day, as YYYY-MM-DD")
    words = {name: tuple(query.getlist(name)) for name in ("source", "author", "media_type")}
    for name, said in words.items():
        if any(not each or len(each) > _WORD_CHARACTERS_MAX for each in said):
            reason = f"1 to {_WORD_CHARACTERS_MAX} characters are taken"
            raise FieldInvalid(param=name, field=name, value="a text", reason=reason)
    return Filters(
        sources=words["source"],
        authors=words["author"],
        media_types=words["media_type"],
        written_from=query.get("from", ""),
        written_to=query.get("to", ""),
    )
