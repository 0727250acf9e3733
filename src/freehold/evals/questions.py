"""The questions that the product ships, and reading somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import cast

from freehold.evals import made_choice, made_text
from freehold.evals.made import made_questions
from freehold.evals.numeric import numeric_questions
from freehold.evals.question import Grading, Question, spread

_SEED = 20_261
"""Of the shipped numeric questions; shipped calibrations name the digest of the set that it makes."""


def shipped_questions() -> tuple[Question, ...]:
    """The set for the workload ``general``: short tasks of many kinds, mainly in English, written for Freehold."""
    folder = resources.files("freehold.evals").joinpath("data")
    written = parse_questions(folder.joinpath("general.jsonl").read_text("utf-8"))
    tables = cast("dict[str, object]", json.loads(folder.joinpath("tables.json").read_text("utf-8")))
    families = made_choice.FAMILIES | made_text.FAMILIES
    return spread((*written, *numeric_questions(_SEED), *made_questions(families, tables, seed=_SEED)))


def parse_questions(text: str) -> tuple[Question, ...]:
    """Questions of a JSONL text, at least one: one object a line with ``id``, ``prompt``, ``grade`` and ``answers``.

    ``kind``, ``options``, ``rejects`` and ``words_max`` may be left out.

    Raises:
        ValueError: A line is not such an object, or an id occurs twice; the message names the line. Or there is none.
    """
    found: dict[str, Question] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is not a question: it is not JSON ({error})") from error
        try:
            question = question_of(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number} is not a question: {error}") from error
        if question.id in found:
            raise ValueError(f"line {number} uses the id {question.id!r} a second time")
        found[question.id] = question
    if not found:
        raise ValueError("there is no question in it")
    return spread(found.values())


def question_of(value: object) -> Question:
    """The question of one such object.

    Raises:
        ValueError, TypeError: It is none; the message says what is missing or wrong.
    """
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    fields = cast("dict[str, object]", value)
    if missing := [name for name in ("id", "prompt", "grade", "answers") if name not in fields]:
        raise ValueError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    answers, options = _texts("answers", fields["answers"]), _texts("options", fields.get("options", []))
    if fields["grade"] not in set(Grading):
        raise ValueError(f"grade is {fields['grade']!r}; allowed are {', '.join(Grading)}")
    grading = Grading(str(fields["grade"]))
    if not isinstance(fields["prompt"], str) or not fields["prompt"].strip():
        raise ValueError("prompt must be a text, and not an empty one")
    if not answers:
        raise ValueError("answers is empty")
    if grading is Grading.CHOICE and not set(answers) <= set(options):
        raise ValueError("options must hold every answer")
    return Question(
        id=str(fields["id"]),
        kind=str(fields.get("kind", "own")),
        prompt=str(fields["prompt"]),
        grading=grading,
        answers=answers,
        options=options,
        rejects=_texts("rejects", fields.get("rejects", [])),
        words_max=int(str(fields.get("words_max", 40))),
    )


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{name} must be a list of texts")
    return tuple(str(item) for item in cast("Iterable[object]", value))
