"""Takes personal data and secrets out of an answer that is JSON for a program: text by text, so that it stays JSON. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from freehold.policy.answer_redactor import values_in, without

_NUMBER_DIGITS_MIN = 7


def redact_text(text: str, keeps: Callable[[str], bool], removed: Counter[str], *, name: str = "") -> str:
    """A whole text without values.

    Args:
        text: Any text.
        keeps: Whether a value stays.
        removed: Where what is taken out is counted, by its word.
        name: Of the member that holds it; it says what a number is.
    """
    around = {"lead": f'"{name}": "', "trail": '"'} if name else {}
    return without(text, values_in(text, keeps, **around), removed)


def redact_json(text: str, keeps: Callable[[str], bool], removed: Counter[str]) -> str:
    """A JSON value without values in its texts and names; a number that is one becomes a text. What is no JSON is text.

    Args:
        text: What a model wrote, whole.
        keeps: Whether a value stays.
        removed: Where what is taken out is counted, by its word.
    """
    found: Counter[str] = Counter()
    walk = _Walk(keeps, found)
    try:
        value: object = json.loads(text, object_pairs_hook=walk.pairs)
        clean = walk.cleaned(value, "")
    except (ValueError, RecursionError):
        return redact_text(text, keeps, removed)
    removed.update(found)
    return json.dumps(clean, ensure_ascii=False) if found or walk.hides else text


def _digits(value: object) -> str:
    """A whole number as it is written without a point, which programs add; empty for any other value."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


class _Walk:
    """One walk through a value. ``hides``: two members of an object have one name, and a reader sees the last alone."""

    def __init__(self, keeps: Callable[[str], bool], removed: Counter[str]) -> None:
        self._keeps = keeps
        self._removed = removed
        self.hides = False

    def pairs(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        self.hides = self.hides or len(found) < len(members)
        return found

    def cleaned(self, value: object, name: str) -> object:
        if isinstance(value, str):
            return redact_text(value, self._keeps, self._removed, name=name)
        if isinstance(value, list):
            return [self.cleaned(each, name) for each in cast("list[object]", value)]
        if isinstance(value, dict):
            return self._members(cast("dict[str, object]", value))
        if len(written := _digits(value)) >= _NUMBER_DIGITS_MIN:
            clean = redact_text(written, self._keeps, self._removed, name=name)
            return value if clean == written else clean
        return value

    def _members(self, members: dict[str, object]) -> dict[str, object]:
        clean: dict[str, object] = {}
        for name, value in members.items():
            shown = redact_text(name, self._keeps, self._removed)
            while shown in clean:  # two names that read the same now: neither member is lost
                shown += "_"
            clean[shown] = self.cleaned(value, name)
        return clean
