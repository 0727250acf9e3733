"""Loading: defaults < file < environment < flags, with every mistake reported at once and where each value came from."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pydantic

from freehold.config.checks import LabelCheck, Names, cross_check
from freehold.config.layers import Tree, overlay_environment, overlay_flags
from freehold.config.lines import dotted, line_index
from freehold.config.mistakes import Mistake, Places, from_pydantic, in_order
from freehold.config.paths import with_absolute_paths
from freehold.config.rules import read_rules
from freehold.config.salvage import salvage
from freehold.config.schema import Config
from freehold.config.shipped import rules_text, schema_text
from freehold.domain.errors.config import ConfigInvalid, ConfigMissing, ConfigUnreadable

FILE_NAME = "freehold.toml"
FileState = tuple[int, int, int]
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """A configuration that holds, and where each of its values came from.

    Attributes:
        config: The values; paths in it are absolute.
        path: The file, or ``None`` where there is none.
        provenance: Dotted path → ``FILE:LINE``, ``environment NAME`` or ``flag``; what is not in it is a default.
        digest: ``sha256:…`` of the effective values; secrets are in it as references only.
        flags: The flags it was loaded with, so that a reload keeps them.
        rules: Text of the site's own rules, as it was then; empty for none.
        seen: States of the file and of that of its rules from before they were read: what is edited later has another
            one. ``None`` where another process read them.
    """

    config: Config
    path: Path | None
    provenance: Mapping[str, str]
    digest: str
    flags: Mapping[str, object]
    rules: str = ""
    seen: tuple[FileState | None, FileState | None] | None = field(default=None, compare=False)


def data_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where everything is kept: ``FREEHOLD_HOME``, else the user's data folder (XDG base directories)."""
    variables = os.environ if environment is None else environment
    if home := variables.get("FREEHOLD_HOME"):
        return Path(home).expanduser().absolute()
    base = variables.get("XDG_DATA_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    folder = Path(base) if Path(base).is_absolute() else Path(variables.get("HOME") or Path.home()) / ".local" / "share"
    return folder / "freehold"


def find_file(explicit: str | None, *, environment: Mapping[str, str] | None = None) -> Path:
    """The configuration file: ``explicit``, ``FREEHOLD_CONFIG``, ``./freehold.toml``, or in the data folder.

    Raises:
        ConfigMissing: There is none. A file that was named is never replaced by another one.
    """
    variables = os.environ if environment is None else environment
    if named := explicit or variables.get("FREEHOLD_CONFIG"):
        path = Path(named).expanduser().absolute()
        if not path.is_file():
            raise ConfigMissing(path=str(path))
        return path
    folder = data_folder(variables)
    for path in (Path.cwd() / FILE_NAME, folder / FILE_NAME):
        if path.is_file():
            return path
    raise ConfigMissing(path=str(folder / FILE_NAME))


def load(
    path: Path | None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    check_label: LabelCheck | None = None,
) -> LoadedConfig:
    """Read, overlay and check a configuration.

    Args:
        path: The file; ``None`` for defaults, environment and flags only.
        environment: Variables; ``FREEHOLD_SERVER__PORT=9000`` sets ``server.port``. The process's own by default.
        flags: Dotted path → value, from the command line.
        check_label: Reads a label text on a site's zones (``policy.text.parse_label``), so that a label that cannot
            be read is reported with its line like any other mistake.

    Raises:
        ConfigMissing: There is no such file.
        ConfigUnreadable: It is there and cannot be read.
        ConfigInvalid: With all mistakes, each with its line.
    """
    shown, seen = "the configuration" if path is None else str(path), state_of(path)
    text = "" if path is None else _read(path)
    tree = _parse(text, shown)
    lines = line_index(text)
    sources = overlay_environment(tree, os.environ if environment is None else environment)
    sources |= overlay_flags(tree, flags or {})
    config, mistakes = _validate(tree, check_label)
    folder, rules, rules_seen = Path.cwd() if path is None else path.absolute().parent, "", None
    if config is not None:
        rules_seen = state_of(folder / Path(config.policy.rules).expanduser()) if config.policy.rules else None
        try:
            rules = read_rules(config, folder)
        except OSError as error:
            mistakes.append(
                Mistake(
                    path=("policy", "rules"), text=f"{config.policy.rules} cannot be read: {error.strerror or error}"
                )
            )
        except UnicodeDecodeError:
            mistakes.append(Mistake(path=("policy", "rules"), text=f"{config.policy.rules} is not text in UTF-8"))
    if mistakes or config is None:
        places = Places(lines, sources)
        raise _invalid(shown, in_order(places.put(each) for each in mistakes))
    return LoadedConfig(
        config=with_absolute_paths(config, folder),
        path=path,
        provenance=MappingProxyType(
            {dotted(key): f"{shown}:{line}" for key, line in lines.items()}
            | {dotted(key): source for key, source in sources.items()}
        ),
        digest=config_digest(config, rules),
        flags=MappingProxyType(dict(flags or {})),
        rules=rules,
        seen=(seen, rules_seen),
    )


def state_of(path: Path | None) -> FileState | None:
    """When a file was last written, its size and which one it is; ``None`` where there is none."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def config_digest(config: Config, rules: str = "") -> str:
    """``sha256:…`` of all that decides: the values as written, whatever order or layer they came in, and every rule.

    Args:
        config: The values; the facts that rules look at are among them.
        rules: Text of the site's own rules. The shipped ones and their schema are in the digest too.
    """
    values = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    canonical = "\0".join((values, rules_text(), schema_text(), rules))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _validate(tree: Tree, check_label: LabelCheck | None) -> tuple[Config | None, list[Mistake]]:
    """The values, and everything that is wrong with them. What single mistakes leave over is cross-checked too."""
    names = Names.of(tree)
    try:
        config = Config.model_validate(tree)
    except pydantic.ValidationError as error:
        found = from_pydantic(error)
        rest = salvage(tree, error)
        if rest.config is not None:
            found += [each for each in cross_check(rest.config, names, check_label) if not rest.spoils(each.path)]
        return None, found
    return config, cross_check(config, names, check_label)


def _read(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigMissing(path=str(path)) from error
    except OSError as error:
        raise ConfigUnreadable(path=str(path), reason=error.strerror or error) from error
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistake = Mistake(path=(), line=line, text=f"the byte 0x{raw[error.start]:02x} is not UTF-8")
        raise _invalid(str(path), [mistake]) from error


def _parse(text: str, shown: str) -> Tree:
    try:
        return cast("Tree", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        told = str(error)
        match = _AT_LINE.search(told)
        line = int(match[1]) if match and match[1] else max(1, len(text.splitlines()))
        what = _AT_LINE.sub("", told).replace("Cannot overwrite a value", "this key is given a second time")
        raise _invalid(shown, [Mistake(path=(), line=line, text=f"this is not TOML: {what}")]) from error


def _invalid(shown: str, mistakes: list[Mistake]) -> ConfigInvalid:
    told = [str(each) for each in mistakes]
    return ConfigInvalid(path=shown, count=len(told), mistakes="; ".join(told), all_mistakes="\n".join(told))
