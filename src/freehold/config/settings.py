"""The schema as a table: each setting with its place, type in words, default and description.

Suggestions, the environment overlay, ``freehold config explain`` and the reference page all read this one table.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic.fields import FieldInfo

from freehold.config import schema, section
from freehold.config.lines import KeyPath
from freehold.config.schema import Config
from freehold.config.schema_memory import Size
from freehold.config.schema_untrusted import HostName
from freehold.config.schema_vault import FileEnding, ModelName, ReaderName
from freehold.config.section import Section

ANY_NAME = "NAME"
"""Stands for the user's own names in a path: ``deployments.NAME.slots``."""

_GROUPED_FROM = 10_000
"""Integers from here on are written with underscores."""

_NAMED = {
    section.Name: "name",
    section.SecretReference: "env:NAME or file:PATH",
    schema.Currency: "three capital letters",
    schema.AdapterFile: "PATH.gguf or PATH.gguf@STRENGTH",
    schema.Sha256: "64 hex digits",
    section.LogName: "text without blanks or +",
    schema.Price: "amount",
    HostName: "host, or *. and a host",
    ReaderName: "user:NAME or group:NAME",
    FileEnding: "ending",
    ModelName: "name",
    Size: "size like 6 GiB",
}
_AS_THEY_ARE = (HostName, ReaderName, schema.AdapterFile, schema.Sha256)
"""Words that have no plural by an s."""

_PLAIN = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    date: "date without quotes, like 2026-12-31",
    Decimal: "amount",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        path: Where it is, with ``NAME`` for names that the user gives.
        kind: Its type and range in words.
        default: Its default as written in TOML; empty where it must be set or is unset by default.
        required: Whether it must be set.
        description: What it means.
        is_text: Whether its value is a string, so that an environment variable needs no quotes.
    """

    path: tuple[str, ...]
    kind: str
    default: str
    required: bool
    description: str
    is_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the file with the settings directly in it."""

    path: tuple[str, ...]
    description: str
    settings: tuple[Setting, ...]


@functools.cache
def tables() -> tuple[Table, ...]:
    """Every table, in the order of the schema."""
    return tuple(_tables(Config, ()))


@functools.cache
def settings_by_path() -> dict[tuple[str, ...], Setting]:
    """Every setting by its path."""
    return {setting.path: setting for table in tables() for setting in table.settings}


def general_path(path: KeyPath) -> tuple[str, ...]:
    """``path`` with the user's own names as ``NAME`` and without numbers of array items."""
    general: list[str] = []
    inside: Any = Config
    for piece in path:
        if isinstance(piece, int):
            continue
        members = _members(inside)
        if members is None:
            general.append(ANY_NAME)
            inside = get_args(inside)[1] if get_origin(inside) is dict else None
        else:
            general.append(piece)
            inside = members.get(piece)
    return tuple(general)


def setting_at(path: KeyPath) -> Setting | None:
    """The setting at a place; ``None`` for a table and where there is none."""
    return settings_by_path().get(general_path(path))


def names_beside(path: KeyPath) -> tuple[str, ...]:
    """What may be written where ``path`` ends: the names of its neighbours; nothing where the user chooses names."""
    inside: Any = Config
    for piece in path[:-1]:
        members = _members(inside)
        if members is not None:
            inside = members.get(str(piece))
        elif get_origin(inside) is dict:
            inside = get_args(inside)[1]
        else:
            return ()
    return tuple(_members(inside) or ())


def _members(annotation: Any) -> dict[str, Any] | None:
    """The fields of a section by name; ``None`` where ``annotation`` is none."""
    section = _section(annotation)
    if section is None:
        return None
    return {name: _without_none(hint) for name, hint in _hints(section).items() if name in section.model_fields}


def _section(annotation: Any) -> type[Section] | None:
    bare = _without_none(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, Section) else None


@functools.cache
def _hints(section: type[Section]) -> dict[str, Any]:
    return typing.get_type_hints(section, include_extras=True)


def _tables(section: type[Section], path: tuple[str, ...], description: str = "") -> Iterator[Table]:
    fields = {name: (_without_none(_hints(section)[name]), field) for name, field in section.model_fields.items()}
    settings = tuple(
        _setting((*path, name), hint, field)
        for name, (hint, field) in fields.items()
        if _section(hint) is None and get_origin(hint) is not dict
    )
    if settings:
        yield Table(path=path, description=description, settings=settings)
    for name, (hint, field) in fields.items():
        place, text = (*path, name), field.description or ""
        if (inner := _section(hint)) is not None:
            yield from _tables(inner, place, text)
        elif get_origin(hint) is dict:
            item = get_args(hint)[1]
            if (inner := _section(item)) is not None:
                yield from _tables(inner, (*place, ANY_NAME), text)
            else:
                yield Table(path=place, description=text, settings=(_setting((*place, ANY_NAME), item, field),))


def _setting(path: tuple[str, ...], hint: Any, field: FieldInfo) -> Setting:
    return Setting(
        path=path,
        kind=_words(hint) + ("" if hint == schema.Price else _range(field)),
        default="" if field.is_required() or path[-1] == ANY_NAME else toml_value(field.default),
        required=field.is_required(),
        description=field.description or "",
        is_text=_is_text(hint),
    )


def _words(hint: Any) -> str:
    if hint in _NAMED:
        return _NAMED[hint]
    if get_origin(hint) is Literal:
        return " or ".join(f'"{value}"' for value in get_args(hint))
    if get_origin(hint) is list:
        item = get_args(hint)[0]
        plural = "" if item in _AS_THEY_ARE or get_origin(item) is Literal else "s"
        return f"list of {_words(item)}{plural}"
    return _PLAIN[hint]


def _is_text(hint: Any) -> bool:
    return hint is str or get_origin(hint) is Literal or (hint in _NAMED and hint != schema.Price)


def _range(field: FieldInfo) -> str:
    bounds = {name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)}
    if len(bounds) < len(("ge", "le")):
        return ""
    return f", {bounds['ge']:,} to {bounds['le']:,}"


def toml_value(value: object) -> str:
    """``value`` as TOML; empty for nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return "[" + ", ".join(toml_value(item) for item in cast("list[object]", value)) + "]"
        case int():
            return f"{value:_}" if value >= _GROUPED_FROM else str(value)
        case _:
            return str(value)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        rest = [each for each in get_args(hint) if each is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint
