"""Loading: defaults < file < environment < flags, with every mistake reported at once and where each value came from."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import cast

import pydantic

from freehold.config.checks import cross_check
from freehold.config.lines import Path, line_index, line_of
from freehold.config.mistakes import Mistake, from_pydantic
from freehold.config.schema import Config
from freehold.domain.errors.config import ConfigInvalid, ConfigMissing

ENVIRONMENT_PREFIX = "FREEHOLD_"
_SECTION_SEPARATOR = "__"
FILE_NAME = "freehold.toml"
Tree = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """A configuration that holds, and where each of its values came from.

    Attributes:
        config: The values.
        path: The file, or ``None`` where there is none.
        provenance: Dotted path → ``file:LINE``, ``environment NAME`` or ``flag``; what is not here is a default.
        digest: ``sha256:…`` of the effective values; secrets are in it as references only.
        lines: Line of each key of the file.
    """

    config: Config
    path: FilePath | None
    provenance: Mapping[str, str]
    digest: str
    lines: Mapping[Path, int]


def data_folder(environment: Mapping[str, str] | None = None) -> FilePath:
    """Where everything is kept: ``FREEHOLD_HOME``, else the user's data folder (XDG)."""
    variables = os.environ if environment is None else environment
    if home := variables.get("FREEHOLD_HOME"):
        return FilePath(home).expanduser().absolute()
    base = variables.get("XDG_DATA_HOME") or str(FilePath(variables.get("HOME", "~")).expanduser() / ".local" / "share")
    return FilePath(base) / "freehold"


def find_file(explicit: str | None, *, environment: Mapping[str, str] | None = None) -> FilePath:
    """The configuration file: given, ``FREEHOLD_CONFIG``, ``./freehold.toml``, or in the data folder.

    Raises:
        ConfigMissing: There is none.
    """
    variables = os.environ if environment is None else environment
    if named := explicit or variables.get("FREEHOLD_CONFIG"):
        path = FilePath(named).expanduser().absolute()
        if not path.is_file():
            raise ConfigMissing(path=str(path))
        return path
    folder = data_folder(variables)
    for path in (FilePath.cwd() / FILE_NAME, folder / FILE_NAME):
        if path.is_file():
            return path
    raise ConfigMissing(path=str(folder / FILE_NAME))


def load(
    path: FilePath | None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> LoadedConfig:
    """Read, overlay and check a configuration.

    Args:
        path: The file; ``None`` for defaults only.
        environment: Variables; ``FREEHOLD_SERVER__PORT=9000`` sets ``server.port``.
        flags: Dotted path → value, from the command line.

    Raises:
        ConfigMissing: The file cannot be read.
        ConfigInvalid: With all mistakes, each with its line.
    """
    text = "" if path is None else _read(path)
    shown = "the configuration" if path is None else str(path)
    try:
        tree = cast("Tree", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _invalid(shown, [Mistake(path=(), line=None, text=f"this is not TOML: {error}")]) from error
    lines = line_index(text)
    provenance = {".".join(key): f"{shown}:{line}" for key, line in lines.items()}
    variables = os.environ if environment is None else environment
    _overlay_environment(tree, variables, provenance)
    for dotted, value in (flags or {}).items():
        _put(tree, dotted.split("."), value)
        provenance[dotted] = "flag"
    try:
        config = Config.model_validate(tree)
    except pydantic.ValidationError as error:
        raise _invalid(shown, from_pydantic(error, lines)) from error
    mistakes = [each.at(line_of(each.path, lines)) for each in cross_check(config)]
    if mistakes:
        raise _invalid(shown, mistakes)
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()
    return LoadedConfig(
        config=config,
        path=path,
        provenance=MappingProxyType(provenance),
        digest=f"sha256:{digest}",
        lines=MappingProxyType(lines),
    )


def _read(path: FilePath) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigMissing(path=f"{path} ({error})") from error


def _overlay_environment(tree: Tree, variables: Mapping[str, str], provenance: dict[str, str]) -> None:
    for name, value in sorted(variables.items()):
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).partition(_SECTION_SEPARATOR)
        if name.startswith(ENVIRONMENT_PREFIX) and separator:
            path = [section.lower(), *key.lower().split(_SECTION_SEPARATOR)]
            _put(tree, path, value)
            provenance[".".join(path)] = f"environment {name}"


def _put(tree: Tree, path: list[str], value: object) -> None:
    for piece in path[:-1]:
        inner = tree.setdefault(piece, {})
        if not isinstance(inner, dict):
            return
        tree = cast("Tree", inner)
    tree[path[-1]] = value


def _invalid(shown: str, mistakes: list[Mistake]) -> ConfigInvalid:
    told = [str(each) for each in mistakes]
    return ConfigInvalid(path=shown, count=len(told), mistakes="; ".join(told), all_mistakes="\n".join(told))
