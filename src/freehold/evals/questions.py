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
    """Questions of a JSONL text: one object a line with ``id``, ``prompt``, ``grade`` and ``answers``.

    ``kind``, ``options``, ``rejects`` and ``words_max`` may be left out.

    Raises:
        ValueError: A line is not such an object, or an id occurs twice; the message names the line.
    """
    found: dict[str, Question] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = question_of(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is not a question: {type(error).__name__} {error}") from error
        if question.id in found:
            raise ValueError(f"line {number} uses the id {question.id!r} a second time")
        found[question.id] = question
    return spread(found.values())


def question_of(value: object) -> Question:
    """The question of one such object.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    fields = cast("dict[str, object]", value)
    answers, options = _texts(fields["answers"]), _texts(fields.get("options", []))
    grading = Grading(str(fields["grade"]))
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
        rejects=_texts(fields.get("rejects", [])),
        words_max=int(str(fields.get("words_max", 40))),
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("expected a list of text")
    return tuple(str(item) for item in cast("Iterable[object]", value))
