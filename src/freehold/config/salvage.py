"""What is left of a configuration without its wrong values, so that the rest can be checked in the same run."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final, cast

import pydantic

from freehold.config.lines import KeyPath
from freehold.config.schema import Config

_ROUNDS: Final = 8
"""Removing a value that must be set makes its table wrong, and so on outwards; no path is deeper than this."""

_TABLE_DEPTH: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """The rest.

    Attributes:
        config: ``None`` where nothing could be made of it.
        removed: Paths whose value was wrong and was left out.
    """

    config: Config | None
    removed: tuple[KeyPath, ...]

    def spoils(self, path: KeyPath) -> bool:
        """Whether a finding at ``path`` may only follow from what was left out of the same table."""
        return any(path[:_TABLE_DEPTH] == gone[:_TABLE_DEPTH] for gone in self.removed)


def salvage(tree: dict[str, object], error: pydantic.ValidationError) -> Salvaged:
    """Leave out everything that ``error`` names, until the rest is valid."""
    rest = copy.deepcopy(tree)
    removed: list[KeyPath] = []
    for _ in range(_ROUNDS):
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            path: KeyPath = tuple(piece for piece in detail["loc"] if piece != "[key]")
            if detail["type"] == "missing":
                path = path[:-1]
            if detail["type"] != "extra_forbidden":
                removed.append(path)
            _remove(rest, path)
        try:
            return Salvaged(config=Config.model_validate(rest), removed=tuple(removed))
        except pydantic.ValidationError as again:
            error = again
    return Salvaged(config=None, removed=tuple(removed))


def _remove(tree: dict[str, object], path: KeyPath) -> None:
    """Delete what is at ``path``; a list loses all of its items, so that no number shifts."""
    inside: Any = tree
    for place, piece in enumerate(path):
        following = path[place + 1 :]
        is_leaf = not following or isinstance(following[0], int)
        if not isinstance(inside, dict):
            return
        table = cast("dict[str | int, Any]", inside)
        if is_leaf:
            table.pop(piece, None)
            return
        inside = table.get(piece)
