"""What a request wants of private documents: the member ``vault``, and OpenAI's tool ``file_search``.

Neither is passed on: an upstream gets the passages that were found, where it may have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, cast

from freehold.domain.vault import ANYTHING, Filters, VaultAsk
from freehold.wire.openai_invalid import invalid, show, unsupported
from freehold.wire.openai_schema import PASSAGES_MAX, VaultOptions

VAULT = "vault"
"""The member by which a request asks, and in which an answer tells what was found."""

FILE_SEARCH = "file_search"
"""The type of the tool."""

FILE_SEARCH_CALL = "file_search_call"
"""The type of an answer's item that tells of it."""

RESULTS = "file_search_call.results"
"""What ``include`` says where the passages are to be repeated."""

JsonObject = dict[str, Any]

_LIST_KEYS = {
    "document": "documents", "document_id": "documents", "id": "documents", "file_id": "documents",
    "source": "sources", "file": "sources", "filename": "sources", "title": "sources",
    "author": "authors", "media_type": "media_types",
}  # fmt: skip
_DAY_KEYS = frozenset({"date", "written"})
_KINDS = frozenset({"eq", "in", "gte", "lte"})
_FROM, _TO = frozenset({"gte", "eq"}), frozenset({"lte", "eq"})
_FILTER_HELP = (
    "an `and` of comparisons is taken: eq or in for document, file, author and media_type; gte, lte and eq for date"
)


def without_vault(fields: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """All members but ours."""
    return MappingProxyType({name: value for name, value in fields.items() if name != VAULT})


def asked_of(said: VaultOptions | str | Literal[True]) -> VaultAsk:
    """What the member asks for."""
    if said is True:
        return VaultAsk()
    if isinstance(said, str):
        return VaultAsk(vault=said)
    filters = said.filters
    return VaultAsk(
        vault=said.name,
        limit=said.limit or 0,
        filters=ANYTHING
        if filters is None
        else Filters(
            documents=tuple(filters.documents),
            sources=tuple(filters.sources),
            authors=tuple(filters.authors),
            written_from=filters.written_from,
            written_to=filters.written_to,
            media_types=tuple(filters.media_types),
        ),
        only_what_may_leave=said.only_what_may_leave,
    )


def asked_by_tool(tool: Mapping[str, Any], path: str, include: Sequence[object]) -> VaultAsk:
    """What a tool ``file_search`` asks for.

    Args:
        tool: As it was sent.
        path: Where in the body.
        include: What the answer is to tell besides.

    Raises:
        FieldInvalid: A member is out of range.
        UnsupportedParameter: Several vaults, or filters that have no word here.
    """
    stores: object = tool.get("vector_store_ids") or []
    names = cast("list[object]", stores) if isinstance(stores, list) else [stores]
    if len(names) > 1:
        raise unsupported(f"{path}.vector_store_ids", names, "one vault a request")
    name = names[0] if names else ""
    if not isinstance(name, str):
        raise invalid(f"{path}.vector_store_ids[0]", show(name), "it must be the name of a vault")
    limit: object = tool.get("max_num_results")
    if limit is not None and not (type(limit) is int and 1 <= limit <= PASSAGES_MAX):
        raise invalid(f"{path}.max_num_results", show(limit), f"it must be from 1 to {PASSAGES_MAX}")
    given: object = tool.get("filters")
    return VaultAsk(
        vault=name,
        limit=limit if isinstance(limit, int) else 0,
        filters=ANYTHING if given is None else _filters(given, f"{path}.filters"),
        is_tool=True,
        tells_texts=RESULTS in include,
    )


def _filters(given: object, path: str) -> Filters:
    lists: dict[str, tuple[str, ...]] = {}
    days: dict[str, str] = {}
    for each in _comparisons(given, path):
        kind, key = each.get("type"), str(each.get("key"))
        value: object = each.get("value")
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        name = _LIST_KEYS.get(key)
        if kind not in _KINDS:
            raise unsupported(path, each, _FILTER_HELP)
        if not all(isinstance(one, str) and one for one in values):
            raise unsupported(f"{path}.value", cast("object", value), _FILTER_HELP)
        texts = tuple(map(str, values))
        if name is not None and kind in ("eq", "in") and name not in lists:
            lists[name] = texts
        elif key in _DAY_KEYS and len(texts) == 1 and kind in _FROM | _TO:
            days |= {"written_from": texts[0]} if kind in _FROM else {}
            days |= {"written_to": texts[0]} if kind in _TO else {}
        else:
            raise unsupported(path, each, _FILTER_HELP)
    return Filters(**lists, **days)  # pyright: ignore[reportArgumentType] - lists by the names of its lists, days by its days


def _comparisons(given: object, path: str) -> list[JsonObject]:
    found = cast("JsonObject", given) if isinstance(given, dict) else {}
    if found.get("type") != "and":
        return [found]
    inner: object = found.get("filters")
    return [
        one
        for place, each in enumerate(cast("list[object]", inner) if isinstance(inner, list) else [])
        for one in _comparisons(each, f"{path}.filters[{place}]")
    ]
