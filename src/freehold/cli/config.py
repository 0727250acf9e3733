"""``freehold config``: what is set, where it came from, and what is wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import cast

from cyclopts import App

from freehold.app.check import model_problems, problems, remark_on_tools
from freehold.cli import output
from freehold.cli.configured import loaded_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import trusted_registry
from freehold.config.compile import compile_config
from freehold.config.lines import KeyPath, dotted, split_dotted
from freehold.config.load import LoadedConfig, find_file, load
from freehold.config.settings import ANY_NAME, Setting, setting_at, settings_by_path, toml_value
from freehold.domain.errors.config import ConfigInvalid
from freehold.policy.text import parse_label

app = App(name="config", help="Check and explain the configuration.")

_ABSENT = object()


@app.command
def check(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Check the configuration and show every mistake, one a line. Nothing is started or changed."""
    path = find_file(config or None)
    try:
        loaded = load(path, check_label=parse_label)
    except ConfigInvalid as error:
        return _wrong(str(path), [f"{path}: {mistake}" for mistake in error.mistakes], as_json=as_json)
    if found := problems(loaded, environment=os.environ):
        return _wrong(str(path), found, as_json=as_json)
    compiled = compile_config(loaded, environment=os.environ)
    found, absent = model_problems(loaded, compiled, trusted_registry(config))
    if found:
        return _wrong(str(path), found, as_json=as_json)
    remark = remark_on_tools(compiled)
    if as_json:
        remarks = [*([f"tools: {remark}"] if remark else []), *absent]
        document = {"valid": True, "path": str(path), "digest": loaded.digest, "mistakes": [], "remarks": remarks}
        output.print_json(document)
    else:
        values = loaded.config
        counts = f"deployments: {len(values.deployments)}, routes: {len(values.routes)}, aliases: {len(values.aliases)}"
        output.say(f"{path} is right. {counts}, {loaded.digest[:19]}.")
        if remark:
            output.say(f"Tools: {remark}.")
        for each in absent:
            output.say(each)
    return output.OK


@app.command
def explain(key: str = "", /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show a setting: what it means, its value, and where that came from.

    Args:
        key: For example server.port or deployments.small.slots; without one, every setting there is.
    """
    if not key:
        return _list_settings(as_json=as_json)
    path = split_dotted(key)
    setting = setting_at(path)
    if setting is None:
        raise output.UsageError(f'There is no setting {key!r}.{_near(path)} "freehold config explain" lists all.')
    loaded = loaded_or_default(config)
    value = _value(loaded, path)
    source = "nothing sets it" if value is _ABSENT else _source(loaded, path)
    if as_json:
        shown = None if value is _ABSENT else value
        output.print_json({"key": key, "value": shown, "source": source, **_document(setting)})
        return output.OK
    output.say(f"{key} = {toml_value(value) or 'not set' if value is not _ABSENT else 'not set'}")
    output.say(f"  from     {source}")
    output.say(f"  default  {_default(setting)}")
    output.say(f"  takes    {setting.kind}")
    output.say(f"  {setting.description}")
    return output.OK


@app.command
def show(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show the whole configuration in force and where each value came from. Secrets appear as references only."""
    loaded = loaded_or_default(config)
    values = _values(loaded)
    if as_json:
        document = {"path": loaded.path, "digest": loaded.digest, "values": values, "sources": dict(loaded.provenance)}
        output.print_json(document)
        return output.OK
    rows = [(dotted(path), toml_value(value) or "not set", _source(loaded, path)) for path, value in _flat(values, ())]
    output.say(output.table(rows, head=("setting", "value", "from")))
    return output.OK


def _wrong(path: str, mistakes: list[str], *, as_json: bool) -> int:
    if as_json:
        output.print_json({"valid": False, "path": path, "mistakes": mistakes})
    else:
        for mistake in mistakes:
            output.say(mistake)
        output.note(f"{ConfigInvalid.code}: {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}.")
    return output.FAILED


def _list_settings(*, as_json: bool) -> int:
    found = settings_by_path()
    if as_json:
        output.print_json([{"key": dotted(path), **_document(setting)} for path, setting in found.items()])
    else:
        rows = [(dotted(path), _default(setting), setting.description) for path, setting in found.items()]
        output.say(output.table(rows, head=("setting", "default", "meaning")))
    return output.OK


def _document(setting: Setting) -> dict[str, object]:
    return {
        "default": setting.default or None,
        "required": setting.required,
        "kind": setting.kind,
        "description": setting.description,
    }


def _default(setting: Setting) -> str:
    return "must be set" if setting.required else setting.default or "not set"


def _near(path: KeyPath) -> str:
    """The nearest setting, with the user's own name in it where one was given."""
    name = str(path[1]) if len(path) > 1 else ANY_NAME
    known = [dotted(tuple(name if piece == ANY_NAME else piece for piece in each)) for each in settings_by_path()]
    near = difflib.get_close_matches(dotted(path), known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _values(loaded: LoadedConfig) -> dict[str, object]:
    return cast("dict[str, object]", loaded.config.model_dump(mode="json"))


def _value(loaded: LoadedConfig, path: KeyPath) -> object:
    value: object = _values(loaded)
    for piece in path:
        table = cast("dict[str | int, object]", value) if isinstance(value, dict) else {}
        if piece not in table:
            return _ABSENT
        value = table[piece]
    return value


def _source(loaded: LoadedConfig, path: KeyPath) -> str:
    return loaded.provenance.get(dotted(path), "default")


def _flat(values: dict[str, object], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """Every value with its path; a table without members has none."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, object]", value), (*path, name))
        else:
            yield (*path, name), value
