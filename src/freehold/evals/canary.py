"""A new version of a model answers the questions that the one that serves answers; ``routing.canary`` decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from freehold.evals.calibrate import Graded
from freehold.evals.question import Grading, Question
from freehold.evals.questions import question_of
from freehold.routing.agreement import agrees
from freehold.routing.canary import Pair

PROMPTS_MAX = 5_000

Chance = Callable[[Mapping[str, float]], float | None]
"""The calibrated probability that an answer with these signals is right; ``None`` where nothing is calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question of a saved set.

    Attributes:
        question: What is asked.
        is_known: Whether there is a known answer to hold an answer against.
    """

    question: Question
    is_known: bool


def parse_prompts(text: str) -> tuple[Prompt, ...]:
    """A saved set: one JSON object a line with ``id`` and ``prompt``; with ``grade`` and ``answers`` it can be graded.

    Raises:
        ValueError: A line is no such object, an id occurs twice, or there are none or too many; the message says which.
    """
    found: dict[str, Prompt] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            prompt = _prompt(json.loads(line), number)
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number} is no question: {error}") from error
        if prompt.question.id in found:
            raise ValueError(f"line {number} uses the id {prompt.question.id!r} a second time")
        found[prompt.question.id] = prompt
    if not 0 < len(found) <= PROMPTS_MAX:
        raise ValueError(f"it holds {len(found):,} questions; 1 to {PROMPTS_MAX:,} are taken")
    return tuple(found.values())


def known(questions: Iterable[Question]) -> tuple[Prompt, ...]:
    """Questions with known answers as a saved set."""
    return tuple(Prompt(question=each, is_known=True) for each in questions)


def pairs_of(
    prompts: Sequence[Prompt], old: Sequence[Graded], new: Sequence[Graded], *, chance: Chance = lambda _: None
) -> tuple[Pair, ...]:
    """Both answers to each question, as the decision takes them; all three in the same order."""
    found: list[Pair] = []
    for prompt, before, after in zip(prompts, old, new, strict=True):
        if prompt.is_known:
            found.append(Pair(old=before.right, new=after.right))
        else:
            alike = agrees(before.answer.text, after.answer.text)
            found.append(Pair(alike=alike, old_chance=None if alike else chance(before.signals)))
    return tuple(found)


def _prompt(value: object, number: int) -> Prompt:
    if not isinstance(value, dict):
        raise TypeError("it is not an object")
    fields = cast("dict[str, object]", value)
    fields.setdefault("id", f"line-{number}")
    if "grade" in fields or "answers" in fields:
        return Prompt(question=question_of(fields), is_known=True)
    text = fields.get("prompt")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("prompt must be a text, and not an empty one")
    question = Question(
        id=str(fields["id"]), kind=str(fields.get("kind", "own")), prompt=text, grading=Grading.CONTAINS, answers=()
    )
    return Prompt(question=question, is_known=False)
