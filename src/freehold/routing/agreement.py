"""Do two answers say the same? Without knowing what is right, and without another model to judge."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

Calls = Sequence[Mapping[str, object]]

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "−": "-", "`": " ", "*": " ", "\u00a0": " "})
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?!\w)")
_LETTER = re.compile(r"^\W*(?:(?:the )?(?:correct )?(?:answer|option|choice)(?: is)?:? )?\(?([a-j])(?:[).:]|$)")
_WORD = re.compile(r"[^\W_]+")
_SHORT_WORDS = 12
"""An answer of at most so many words is short: it states one thing, perhaps in a sentence."""


def normalise(text: str) -> str:
    """Compatibility form, case folded, quotes and emphasis marks made plain, blanks collapsed."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_QUOTES)
    return " ".join(plain.split())


def likeness(one: str, other: str) -> float:
    """How far two answers say the same: 1 for the same, 0 for nothing in common.

    Choices by their letter, numbers by the last one that each states, JSON by value; of two short answers one that
    the other holds as whole words is the same. Long texts by the harmonic mean of the shares of words that they have
    of each other (the F1 of SQuAD, Rajpurkar et al. 2016).
    """
    left, right = normalise(one), normalise(other)
    if not left or not right:
        return float(left == right)
    if left == right or _same_json(one, other):
        return 1.0
    letters = _LETTER.match(left), _LETTER.match(right)
    if letters[0] and letters[1]:
        return float(letters[0][1] == letters[1][1])
    are_short = [len(text.split()) <= _SHORT_WORDS for text in (left, right)]
    numbers = _last_number(left), _last_number(right)
    if any(are_short) and None not in numbers:
        return float(numbers[0] == numbers[1])
    if all(are_short):
        return float(_holds(left, right) or _holds(right, left))
    return _overlap(left, right)


def agreement(answer: str, others: Sequence[str]) -> float:
    """Mean ``likeness`` of the answer to the others, which are not none: the share that says the same."""
    return sum(likeness(answer, other) for other in others) / len(others)


def _holds(text: str, part: str) -> bool:
    bare = part.strip(" .,;:!?\"'")
    return bool(bare) and re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", text) is not None


def _last_number(text: str) -> float | None:
    found = NUMBER.findall(text.replace("%", " "))
    return float(found[-1].replace(",", "")) if found else None


def _same_json(one: str, other: str) -> bool:
    if not (one.lstrip().startswith(("{", "[")) and other.lstrip().startswith(("{", "["))):
        return False
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def _overlap(left: str, right: str) -> float:
    ours, theirs = Counter(_WORD.findall(left)), Counter(_WORD.findall(right))
    shared = (ours & theirs).total()
    total = ours.total() + theirs.total()
    return 2 * shared / total if total else 0.0


def agrees(left: str, right: str) -> bool | None:
    """Whether two answers say the same; ``None`` where that cannot be told.

    It can be told of choices, numbers, JSON and short answers, which are the same or are not, and of texts that are
    equal. Of two long texts that share some words it cannot.
    """
    if not left.strip() or not right.strip():
        return None
    alike = likeness(left, right)
    return bool(alike) if alike in {0.0, 1.0} else None


def agrees_with(text: str, calls: Calls, other_text: str, other_calls: Calls) -> bool | None:
    """The same for answers that may call tools: then the tools and their arguments must be the same, by value."""
    if calls or other_calls:
        return _plain(calls) == _plain(other_calls)
    return agrees(text, other_text)


def _plain(calls: Calls) -> list[tuple[str, object]]:
    """Names and arguments, in an order of their own: calls that come together have none."""
    found: list[tuple[str, object]] = []
    for call in calls:
        function = call.get("function")
        named = cast("Mapping[str, object]", function if isinstance(function, Mapping) else {})
        arguments = named.get("arguments")
        try:
            value: object = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            value = arguments
        found.append((str(named.get("name")), value))
    return sorted(found, key=lambda each: (each[0], json.dumps(each[1], sort_keys=True, default=str)))
