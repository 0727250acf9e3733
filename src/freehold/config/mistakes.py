"""What is wrong with a configuration, in words: the place, the value, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pydantic

from freehold.config.lines import KeyPath, dotted, line_of
from freehold.config.settings import names_beside, setting_at

_VALUE_CHARACTERS: Final = 60
_HIDDEN: Final = frozenset({"api_key", "otlp_authorization"})
"""Settings whose wrong value is most likely a secret that was pasted there."""

_NAME_RULE: Final = "a name has at most 64 letters, digits and . _ : / -, and begins with a letter or digit"
_REASONS: Final = {
    "greater_than": "it must be above {gt}",
    "less_than": "it must be below {lt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than_equal": "it must be at most {le}",
    "finite_number": "it must be a finite number",
    "too_short": "it must hold at least {min_length} item",
    "string_too_short": "it must not be empty",
    "model_type": "a table is wanted here",
    "dict_type": "a table is wanted here",
    "list_type": 'it must be a list, for example ["one", "two"]',
    "string_type": "it must be text in quotes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake.

    Attributes:
        path: The setting; empty for the file as a whole.
        line: Line of the file; ``None`` where it stands nowhere in it.
        source: Where it stands instead: ``environment NAME``, ``flag``.
        text: What is wrong and what would be right.
    """

    path: KeyPath
    line: int | None = None
    source: str = ""
    text: str

    def __str__(self) -> str:
        place = self.source or ("" if self.line is None else f"line {self.line}")
        return ": ".join(part for part in (place, dotted(self.path), self.text) if part)


class Places:
    """Finds where a path was written: in a line of the file, or in another layer."""

    def __init__(self, lines: Mapping[KeyPath, int], sources: Mapping[KeyPath, str]) -> None:
        self._lines = lines
        self._sources = sources

    def put(self, mistake: Mistake) -> Mistake:
        """The same mistake with its place."""
        for length in range(len(mistake.path), 0, -1):
            head = mistake.path[:length]
            if head in self._sources:
                return Mistake(path=mistake.path, source=self._sources[head], text=mistake.text)
            if head in self._lines:
                break
        return Mistake(path=mistake.path, line=line_of(mistake.path, self._lines), text=mistake.text)


def in_order(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """The mistakes by line, each once; those outside of the file last."""
    return sorted(set(mistakes), key=lambda each: (bool(each.source), each.line or 0, dotted(each.path), each.text))


def near(name: object, names: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest of ``names``, or nothing."""
    found = difflib.get_close_matches(str(name)[:_VALUE_CHARACTERS], sorted(names), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def from_pydantic(error: pydantic.ValidationError) -> list[Mistake]:
    """Pydantic's findings in our words, without their places."""
    return [_mistake(detail) for detail in error.errors(include_url=False)]


def _mistake(detail: Any) -> Mistake:
    kind: str = detail["type"]
    path: KeyPath = tuple(piece for piece in detail["loc"] if piece != "[key]")
    if kind == "extra_forbidden":
        kinds = "table" if isinstance(detail["input"], dict) and len(path) == 1 else "setting"
        return Mistake(path=path, text=f"there is no such {kinds}{near(path[-1], names_beside(path))}")
    if kind == "missing":
        return Mistake(path=path, text="it must be set")
    if "[key]" in detail["loc"]:
        return Mistake(path=path, text=_NAME_RULE)
    return Mistake(path=path, text=f"{_shown(path, detail['input'])}{_reason(path, detail)}")


def _reason(path: KeyPath, detail: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    setting = setting_at(path)
    wanted = setting.kind if setting is not None else ""
    if kind == "literal_error":
        wanted = wanted.removeprefix("list of ")  # the item is at fault, not the list
        words = [word.strip('"') for word in wanted.split(" or ")]
        return f"it must be {wanted}{near(detail['input'], words)}"
    if kind == "string_pattern_mismatch":
        is_name = wanted in {"name", "list of names"}
        return _NAME_RULE if is_name else f"it must be {wanted}"
    if kind == "string_type" and isinstance(path[-1], int):
        return "each item must be text in quotes"
    if kind in _REASONS:
        return _REASONS[kind].format(**context)
    return f"it must be {_article(wanted)}" if wanted else str(detail["msg"])


def _article(wanted: str) -> str:
    if wanted.startswith(("true", "list")):
        return wanted
    return f"{'an' if wanted[0] in 'aeiou' else 'a'} {wanted}"


def _shown(path: KeyPath, value: object) -> str:
    if path[-1] in _HIDDEN:
        return ""
    if isinstance(value, (dict, list)):
        return ""
    text = ("true" if value else "false") if isinstance(value, bool) else repr(value)
    if not isinstance(value, (str, int, float)):
        text = str(value)
    return (text if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "…") + ": "
