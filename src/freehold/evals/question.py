"""One question with a known answer, and how a set of them is identified and split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Grading(StrEnum):
    """How an answer is held against the known ones; rules in ``evals.grade``."""

    CONTAINS = "contains"
    CHOICE = "choice"
    NUMBER = "number"
    JSON = "json"


class Part(StrEnum):
    """Which part of a set a question is in. No question is in two, so that nothing is proven on what it was made from.

    Attributes:
        FIT: The calibration is fitted on these: 42 of 100.
        CERTIFY: Thresholds are proven on these: 25 of 100.
        CHECK: Neither sees them; they say what both are worth: 33 of 100.
    """

    FIT = "fit"
    CERTIFY = "certify"
    CHECK = "check"


_FIT_BELOW, _CERTIFY_BELOW = 0.42, 0.67
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that a program can grade.

    Attributes:
        id: Unique in its set.
        kind: What it is about, for tables: ``capital``, ``sentiment``, ``addition``…
        prompt: The user message, sent as it is.
        grading: How to grade.
        answers: Right answers; any one will do. For ``JSON`` the expected object as JSON.
        options: For ``CHOICE``: everything that may be chosen.
        rejects: An answer with any of these is wrong: the source text repeated whole, or a distractor of it.
        words_max: An answer with more words is wrong, so that a ramble that happens on the right word does not count.
        place: 0 to 1, evenly spread over the questions of its kind (``spread``); it decides the part. ``None`` for a
            digest of the prompt.
    """

    id: str
    kind: str
    prompt: str
    grading: Grading
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()
    words_max: int = 40
    place: float | None = None

    @property
    def part(self) -> Part:
        """The part this question is in. Adding questions after it moves it into no other one."""
        place = self.place
        if place is None:
            place = _digested(self.prompt)
        if place < _FIT_BELOW:
            return Part.FIT
        return Part.CERTIFY if place < _CERTIFY_BELOW else Part.CHECK


def spread(questions: Iterable[Question]) -> tuple[Question, ...]:
    """The questions with places, so that each kind is in every part in the same shares.

    By the golden ratio's multiples, whose fractions are spread evenly however many are taken (Weyl 1916); where they
    begin is a digest of the kind. Shares that were left to chance would make the parts unlike, so that a calibration
    fitted on one looks wrong on another.
    """
    count: dict[str, int] = {}
    found: list[Question] = []
    for question in questions:
        count[question.kind] = count.get(question.kind, 0) + 1
        place = (_digested(question.kind) + count[question.kind] * _GOLDEN) % 1.0
        found.append(replace(question, place=place))
    return tuple(found)


def _digested(text: str) -> float:
    """A number from 0 to 1 that depends on a text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32


def digest(questions: Iterable[Question]) -> str:
    """``sha256:…`` of a set: of prompts, gradings and answers, whatever their order."""
    lines = sorted(
        "\0".join(
            (
                *(item.id, item.prompt, item.grading, str(item.words_max)),
                *("", *item.answers, "", *item.options, "", *item.rejects),
            )
        )
        for item in questions
    )
    return "sha256:" + hashlib.sha256("\1".join(lines).encode()).hexdigest()
