"""``freehold config``: what is set, where it came from, and what is wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast, get_args

from cyclopts import App
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from freehold.cli import output
from freehold.cli.configured import loaded_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.config.compile import compile_config
from freehold.config.load import LoadedConfig, find_file, load
from freehold.config.schema import Config
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.config import ConfigInvalid

app = App(name="config", help="Check and explain the configuration.")

_NAME = "NAME"
"""Stands for the name that the user gives a deployment, a route…"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting that there is, whether or not it is set.

    Attributes:
        key: Dotted; ``NAME`` stands for the user's own names.
        description: What it means.
        default: In JSON's words; empty where it must be set.
    """

    key: str
    description: str
    default: str


@app.command
def check(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Check the configuration and show every mistake, one a line. Nothing is started or changed."""
    path = find_file(config or None)
    try:
        loaded = load(path)
        compiled = compile_config(loaded, environment=os.environ)
    except ConfigInvalid as error:
        if as_json:
            output.print_json({"valid": False, "path": str(path), "mistakes": list(error.mistakes)})
        else:
            for mistake in error.mistakes:
                output.say(f"{path}: {mistake}")
            count = len(error.mistakes)
            output.note(f"{error.code}: {count} mistake{'' if count == 1 else 's'}.")
        return output.FAILED
    if as_json:
        output.print_json({"valid": True, "path": str(path), "digest": loaded.digest, "mistakes": []})
    else:
        output.say(
            f"{path} is right: {len(compiled.deployments)} deployments, {len(compiled.routes)} routes, "
            f"{len(compiled.aliases)} aliases, {loaded.digest[:19]}."
        )
    return output.OK


@app.command
def explain(key: str = "", /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show a setting: what it means, its value, and where that came from.

    Args:
        key: For example server.port or deployments.small.slots; without one, every setting there is.
    """
    if not key:
        return _list_settings(as_json=as_json)
    setting = _setting(key)
    loaded = loaded_or_default(config)
    value = _value(loaded, key)
    source = _source(loaded, key) if value is not _ABSENT else "nothing sets it"
    if as_json:
        shown = None if value is _ABSENT else value
        output.print_json(
            {"key": key, "value": shown, "source": source, "default": setting.default, "description": setting.description}
        )
        return output.OK
    output.say(f"{key} = {'(not set)' if value is _ABSENT else _shown(value)}")
    output.say(f"  from     {source}")
    output.say(f"  default  {setting.default or 'none, it must be set'}")
    output.say(f"  {setting.description}")
    return output.OK


@app.command
def show(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show the whole configuration in force and where each value came from. Secrets appear as references only."""
    loaded = loaded_or_default(config)
    values = cast("dict[str, object]", loaded.config.model_dump(mode="json"))
    if as_json:
        document = {"path": loaded.path, "digest": loaded.digest, "values": values, "sources": dict(loaded.provenance)}
        output.print_json(document)
        return output.OK
    rows = [(key, _shown(value), _source(loaded, key)) for key, value in _flat(values, "")]
    output.say(output.table(rows, head=("setting", "value", "from")))
    return output.OK


def settings() -> tuple[Setting, ...]:
    """Every setting there is, in the order of the schema."""
    return tuple(_settings(Config, ""))


_ABSENT = object()


def _list_settings(*, as_json: bool) -> int:
    found = settings()
    if as_json:
        output.print_json(
            [{"key": each.key, "default": each.default, "description": each.description} for each in found]
        )
    else:
        rows = [(each.key, each.default or "must be set", each.description) for each in found]
        output.say(output.table(rows, head=("setting", "default", "meaning")))
    return output.OK


def _settings(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner, is_named = _inner(field)
        if inner is not None:
            yield Setting(key=key, description=field.description or "", default="(a table)")
            yield from _settings(inner, f"{key}.{_NAME}." if is_named else f"{key}.")
        elif is_named:
            yield Setting(key=f"{key}.{_NAME}", description=field.description or "", default="(a table)")
        else:
            default = "" if field.is_required() else _shown(field.default)
            yield Setting(key=key, description=field.description or "", default=default)


def _inner(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The section behind a field, and whether the user names its entries."""
    annotation: Any = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    arguments = get_args(annotation)
    is_named = getattr(annotation, "__origin__", None) is dict
    for argument in arguments:
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return argument, is_named
    return None, is_named


def _setting(key: str) -> Setting:
    """The setting of a key, in which the user's own names may stand.

    Raises:
        UsageError: There is none.
    """
    known = {each.key: each for each in settings()}
    pieces = key.split(".")
    for candidate in (key, ".".join([pieces[0], _NAME, *pieces[2:]]), ".".join(["", *pieces])):
        if candidate in known:
            return known[candidate]
    near = difflib.get_close_matches(key, _with_names(known, pieces), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise output.UsageError(f'There is no setting {key!r}.{hint} "freehold config explain" lists all.')


def _with_names(known: dict[str, Setting], pieces: list[str]) -> list[str]:
    """Known keys, with the name that was typed in place of the placeholder."""
    name = pieces[1] if len(pieces) > 1 else _NAME
    return [key.replace(f".{_NAME}", f".{name}") for key in known]


def _value(loaded: LoadedConfig, key: str) -> object:
    value: object = loaded.config.model_dump(mode="json")
    for piece in key.split("."):
        if not isinstance(value, dict) or piece not in value:
            return _ABSENT
        value = cast("dict[str, object]", value)[piece]
    return value


def _source(loaded: LoadedConfig, key: str) -> str:
    """Where a value came from; a value inside of what one line sets came from that line."""
    return loaded.provenance.get(key, "default")


def _flat(values: dict[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, object]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: object) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(_shown(each) for each in cast('list[object]', value))}]"
        case dict() | BaseModel():
            return "(a table)"
        case _:
            return str(value)
