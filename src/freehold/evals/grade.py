"""Was the answer right? Pure functions of question and answer; strict about rambling, lenient about form."""

from __future__ import annotations

import json
import re
from typing import cast

from freehold.evals.question import Grading, Question
from freehold.routing.agreement import NUMBER, normalise

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_SMALL = {
    word: str(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
}


def is_right(question: Question, text: str) -> bool:
    """Whether ``text`` answers ``question``. Empty, above ``words_max`` or with one of ``rejects`` is wrong."""
    normal = normalise(text)
    if not normal or len(normal.split()) > question.words_max:
        return False
    if any(_position(each, normal) is not None for each in question.rejects):
        return False
    match question.grading:
        case Grading.CONTAINS:
            return any(_position(answer, normal) is not None for answer in question.answers)
        case Grading.CHOICE:
            return _first_option(question.options, normal) in question.answers
        case Grading.NUMBER:
            return _states_number(question, normal)
        case Grading.JSON:
            return _states_object(json.loads(question.answers[0]), text)


def _position(needle: str, normal: str) -> int | None:
    """Where ``needle`` stands as whole words."""
    found = re.search(rf"(?<!\w){re.escape(normalise(needle))}(?!\w)", normal)
    return found.start() if found else None


def _first_option(options: tuple[str, ...], normal: str) -> str | None:
    """The option named first; a longer one wins where two start at the same place."""
    places = [(place, -len(option), option) for option in options if (place := _position(option, normal)) is not None]
    return min(places)[2] if places else None


def _states_number(question: Question, normal: str) -> bool:
    """The last number that the question does not itself contain, else the last number at all, is the answer.

    ``17 + 26 = 43`` and ``43 is the sum of 17 and 26`` both state 43.
    """
    expected = float(question.answers[0])
    given = {_value(number) for number in NUMBER.findall(normalise(question.prompt))}
    for word, digits in _SMALL.items():
        normal = re.sub(rf"\b{word}\b", digits, normal)
    stated = [_value(number) for number in NUMBER.findall(normal.replace("%", " "))]
    if expected not in given:
        stated = [number for number in stated if number not in given] or stated
    return bool(stated) and stated[-1] == expected


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _states_object(expected: object, text: str) -> bool:
    """Exactly the expected keys; values equal as normalised text, so that ``"31"`` and ``31`` are the same."""
    fenced = _FENCE.search(text)
    try:
        found: object = json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return False
    if not isinstance(found, dict) or not isinstance(expected, dict):
        return False
    left, right = cast("dict[str, object]", found), cast("dict[str, object]", expected)
    return left.keys() == right.keys() and all(normalise(str(left[key])) == normalise(str(right[key])) for key in right)
