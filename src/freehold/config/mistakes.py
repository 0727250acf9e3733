"""What is wrong with a configuration, in words: the place, the value, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import pydantic

from freehold.config.lines import Path, line_of
from freehold.config.schema import Config

_VALUE_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake."""

    path: Path
    line: int | None = None
    text: str

    def at(self, line: int | None) -> Mistake:
        """The same mistake with its line."""
        return replace(self, line=line)

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        return f"{place}{'.'.join(self.path)}{': ' if self.path else ''}{self.text}"


def from_pydantic(error: pydantic.ValidationError, lines: Mapping[Path, int]) -> list[Mistake]:
    """Pydantic's findings in our words, by line."""
    found = [_mistake(detail, dict(lines)) for detail in error.errors(include_url=False, include_context=False)]
    return sorted(set(found), key=lambda each: (each.line or 0, each.path))


def _mistake(detail: Any, lines: dict[Path, int]) -> Mistake:
    path = tuple(str(piece) for piece in detail["loc"] if piece != "[key]")
    line = line_of(path, lines)
    if detail["type"] == "extra_forbidden":
        return Mistake(path=path, line=line, text=f"there is no such setting{_suggestion(path)}")
    if detail["type"] == "missing":
        return Mistake(path=path, line=line, text="it must be set")
    value = repr(detail["input"])
    shown = value if len(value) <= _VALUE_CHARACTERS else value[:_VALUE_CHARACTERS] + "…"
    reason = detail["msg"][0].lower() + detail["msg"][1:]
    return Mistake(path=path, line=line, text=f"{shown} cannot be taken: {reason}")


def _suggestion(path: Path) -> str:
    near = difflib.get_close_matches(path[-1], settings_beside(path), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def settings_beside(path: Path) -> tuple[str, ...]:
    """Names of the settings at the place where ``path`` ends."""
    model: Any = Config
    for piece in path[:-1]:
        field = model.model_fields.get(piece) if hasattr(model, "model_fields") else None
        if field is not None:
            model = field.annotation
        elif len(arguments := get_args(model)) == 2:
            model = arguments[1]
        else:
            return ()
        if isinstance(model, type) and hasattr(model, "model_fields"):
            continue
        sections = [each for each in get_args(model) if hasattr(each, "model_fields")]
        if sections and len(get_args(model)) != 2:
            model = sections[0]
    return tuple(model.model_fields) if hasattr(model, "model_fields") else ()
