"""Layers over the file: environment variables and flags. Each value goes to its place; wrong ones are found later."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import cast

from freehold.config.lines import KeyPath, split_dotted
from freehold.config.settings import setting_at

PREFIX = "FREEHOLD_"
SEPARATOR = "__"
"""``FREEHOLD_SERVER__PORT`` is ``server.port``. Variables without it (``FREEHOLD_HOME``) are no settings."""

Tree = dict[str, object]


def overlay_environment(tree: Tree, variables: Mapping[str, str]) -> dict[KeyPath, str]:
    """Put the variables that name settings into ``tree``; where each of them came from.

    A name of the user's own is found whatever its case, with ``_`` for what a variable's name cannot hold:
    ``FREEHOLD_DEPLOYMENTS__MY_MODEL__SLOTS`` is ``deployments.my-model.slots``.
    """
    sources: dict[KeyPath, str] = {}
    for variable, value in sorted(variables.items()):
        if not variable.startswith(PREFIX) or SEPARATOR not in variable.removeprefix(PREFIX):
            continue
        path = _path(tree, variable.removeprefix(PREFIX).lower().split(SEPARATOR))
        if all(path):
            _put(tree, path, _value(path, value))
            sources[path] = f"environment {variable}"
    return sources


def overlay_flags(tree: Tree, flags: Mapping[str, object]) -> dict[KeyPath, str]:
    """Put the flags, dotted path → value, into ``tree``; where each of them came from."""
    sources: dict[KeyPath, str] = {}
    for written, value in flags.items():
        path = tuple(str(piece) for piece in split_dotted(written))
        _put(tree, path, value)
        sources[path] = "flag"
    return sources


def _path(tree: Tree, words: list[str]) -> tuple[str, ...]:
    path: list[str] = []
    inner: Tree | None = tree
    for word in words:
        names = list(inner) if inner is not None else []
        name = next((each for each in names if _as_variable(each) == word), word)
        path.append(name)
        below = None if inner is None else inner.get(name)
        inner = cast("Tree", below) if isinstance(below, dict) else None
    return tuple(path)


def _as_variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _value(path: KeyPath, text: str) -> object:
    """Text where text is wanted, otherwise what TOML makes of it; what TOML cannot read stays text and is a mistake."""
    setting = setting_at(path)
    if setting is None or setting.is_text:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: Tree, path: tuple[str, ...], value: object) -> None:
    for piece in path[:-1]:
        inner = tree.setdefault(piece, {})
        if not isinstance(inner, dict):
            return  # The file says something else than a table here, which is a mistake of its own.
        tree = cast("Tree", inner)
    tree[path[-1]] = value
