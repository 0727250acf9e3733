"""Questions made from small tables by seed: what one looks like, and the list of families.

Each family is a function of a chooser and the tables. Families differ in what they ask, each in several phrasings, and
reach from what the smallest model knows to what the largest gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from freehold.evals.draw import Chooser
from freehold.evals.question import Grading, Question

Tables = Mapping[str, object]
"""Lists of pairs, lists of words, and groups of words, by name."""

_LETTERS = "ABCD"
_TRIES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A question before it has an id. Fields as in ``Question``."""

    prompt: str
    grading: Grading
    answers: tuple[str, ...]
    options: tuple[str, ...] = ()
    rejects: tuple[str, ...] = field(default=())
    words_max: int = 30


Maker = Callable[[Chooser, Tables], Made]


def pairs_of(tables: Tables, name: str) -> list[tuple[str, str]]:
    """A table of pairs."""
    return [(left, right) for left, right in cast("list[tuple[str, str]]", tables[name])]


def words_of(tables: Tables, name: str) -> list[str]:
    """A table of words."""
    return cast("list[str]", tables[name])


def groups_of(tables: Tables) -> dict[str, list[str]]:
    """Words by what they have in common."""
    return cast("dict[str, list[str]]", tables["groups"])


def number(prompt: str, answer: float, words_max: int = 30) -> Made:
    """A question whose answer is a number."""
    return Made(prompt=prompt, grading=Grading.NUMBER, answers=(f"{answer:g}",), words_max=words_max)


def short(prompt: str, *answers: str, rejects: Sequence[str] = (), words_max: int = 14) -> Made:
    """A question whose answer is a word or a few."""
    return Made(prompt=prompt, grading=Grading.CONTAINS, answers=answers, rejects=tuple(rejects), words_max=words_max)


def choice(draw: Chooser, question: str, right: str, others: Sequence[str]) -> Made:
    """A question with what may be chosen: by letter, or by name."""
    offered = draw.some_of([right, *others], len(others) + 1)
    question = question if question.endswith("?") else f"{question} …"
    if draw.between(0, 2):
        lines = "\n".join(f"{letter}) {option}" for letter, option in zip(_LETTERS, offered, strict=False))
        letters = tuple(_LETTERS[: len(offered)].lower())
        return Made(
            prompt=f"{question}\n{lines}\nAnswer with the letter only.",
            grading=Grading.CHOICE,
            answers=(letters[offered.index(right)],),
            options=letters,
        )
    return Made(
        prompt=f"{question} Choose one of: {', '.join(offered)}.",
        grading=Grading.CHOICE,
        answers=(right.lower(),),
        options=tuple(option.lower() for option in offered),
    )


def made_questions(families: Mapping[str, tuple[Maker, int]], tables: Tables, *, seed: int) -> tuple[Question, ...]:
    """Questions of every family, no prompt twice.

    Args:
        families: Maker and number of questions by kind.
        tables: What they are made from.
        seed: Chooses; a larger number of questions leaves the first ones as they are.

    Raises:
        ValueError: The tables do not hold enough for so many different questions.
    """
    found: list[Question] = []
    for kind, (make, count) in families.items():
        draw, seen = Chooser(seed, kind), set[str]()
        for _ in range(_TRIES_MAX * count):
            if len(seen) == count:
                break
            made = make(draw, tables)
            if made.prompt in seen:
                continue
            seen.add(made.prompt)
            found.append(
                Question(
                    id=f"{kind}-{len(seen):02d}",
                    kind=kind,
                    prompt=made.prompt,
                    grading=made.grading,
                    answers=made.answers,
                    options=made.options,
                    rejects=made.rejects,
                    words_max=made.words_max,
                )
            )
        if len(seen) < count:
            raise ValueError(f"the tables give only {len(seen)} different questions of the kind {kind}, not {count}")
    return tuple(found)
