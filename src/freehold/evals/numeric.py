"""Questions about numbers, made by seed: the same seed gives the same questions on every machine and version."""

from __future__ import annotations

from collections.abc import Callable

from freehold.evals.draw import Chooser
from freehold.evals.question import Grading, Question

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORDS = (
    "banana", "letter", "window", "mississippi", "pepper", "orange", "balloon", "coffee", "river", "committee",
    "garden", "success", "tomato", "parallel", "kangaroo", "engine",
)  # fmt: skip
_UNITS = (
    ("kilometres", "metres", 1000), ("hours", "minutes", 60), ("kilograms", "grams", 1000), ("feet", "inches", 12),
    ("metres", "centimetres", 100), ("minutes", "seconds", 60), ("litres", "millilitres", 1000), ("weeks", "days", 7),
    ("days", "hours", 24), ("dozens", "pieces", 12), ("tonnes", "kilograms", 1000), ("years", "months", 12),
)  # fmt: skip
_COUNT = 36
"""Questions of each kind."""


_Made = tuple[str, str]
"""A prompt and its answer."""


def _addition(draw: Chooser) -> _Made:
    a, b = draw.between(11, 999 if draw.between(0, 1) else 99), draw.between(11, 199)
    return draw.one_of((f"What is {a} + {b}? Number only.", f"Add {a} and {b}. Reply with the number.")), str(a + b)


def _subtraction(draw: Chooser) -> _Made:
    a, b = draw.between(60, 500), draw.between(11, 59)
    return draw.one_of((f"What is {a} - {b}? Number only.", f"How much is {a} minus {b}?")), str(a - b)


def _multiplication(draw: Chooser) -> _Made:
    a, b = draw.between(3, 25), draw.between(3, 12)
    return draw.one_of((f"What is {a} * {b}? Number only.", f"What is {a} times {b}?")), str(a * b)


def _division(draw: Chooser) -> _Made:
    a, b = draw.between(3, 19), draw.between(2, 12)
    return draw.one_of((f"What is {a * b} / {b}? Number only.", f"Divide {a * b} by {b}.")), str(a)


def _percentage(draw: Chooser) -> _Made:
    share, whole = draw.one_of((5, 10, 15, 20, 25, 30, 40, 50, 75)), 20 * draw.between(2, 40)
    prompt = draw.one_of((f"What is {share}% of {whole}? Number only.", f"How much is {share} percent of {whole}?"))
    return prompt, f"{share * whole / 100:g}"


def _conversion(draw: Chooser) -> _Made:
    (big, small, factor), count = draw.one_of(_UNITS), draw.between(2, 15)
    return draw.one_of(
        (
            f"How many {small} are in {count} {big}? Number only.",
            f"Convert {count} {big} to {small}.",
        )
    ), str(count * factor)


def _extreme(draw: Chooser) -> _Made:
    numbers = sorted({draw.between(10, 999) for _ in range(5)})
    shown = ", ".join(str(number) for number in sorted(numbers, key=lambda number: (number * 7919) % 1009))
    word, answer = draw.one_of((("largest", numbers[-1]), ("smallest", numbers[0]), ("second largest", numbers[-2])))
    return f"Which of these numbers is the {word}: {shown}? Number only.", str(answer)


def _letters(draw: Chooser) -> _Made:
    word = draw.one_of(_WORDS)
    letter = draw.one_of(sorted(set(word)))
    return f"How many times does the letter '{letter}' occur in '{word}'? Number only.", str(word.count(letter))


def _length(draw: Chooser) -> _Made:
    words = [draw.one_of(_WORDS) for _ in range(draw.between(3, 7))]
    return f"How many words are in this list: {' '.join(words)}? Number only.", str(len(words))


def _sequence(draw: Chooser) -> _Made:
    start, step = draw.between(1, 40), draw.between(2, 15)
    shown = ", ".join(str(start + step * index) for index in range(4))
    return f"What number comes next: {shown}? Number only.", str(start + 4 * step)


def _story(draw: Chooser) -> _Made:
    a, b, c = draw.between(12, 40), draw.between(2, 11), draw.between(2, 20)
    return draw.one_of(
        (
            (
                f"Eva has {a} apples, gives away {b} and buys {c}. How many apples has she now? Number only.",
                str(a - b + c),
            ),
            (f"A ticket costs {b} euros. How much do {c} tickets cost? Number only.", str(b * c)),
            (
                f"A train runs {10 * a} km in {b} hours and then {c} km. How far in all, in km? Number only.",
                str(10 * a + c),
            ),
        )
    )


def _weekday(draw: Chooser) -> _Made:
    today, days = draw.between(0, 6), draw.one_of((2, 3, 4, 5, 6, 8, 9, 10, 11, 12))
    return f"Today is {_DAYS[today]}. Which day is it in {days} days? One word.", _DAYS[(today + days) % 7]


def _words_max(prompt: str, *, is_number: bool) -> int:
    """Nobody asked for brevity: working it out step by step is fine."""
    if not is_number:
        return 12
    return 40 if "only" in prompt else 120


_MAKERS: dict[str, Callable[[Chooser], _Made]] = {
    "addition": _addition,
    "subtraction": _subtraction,
    "multiplication": _multiplication,
    "division": _division,
    "percentage": _percentage,
    "conversion": _conversion,
    "extreme": _extreme,
    "letters": _letters,
    "length": _length,
    "sequence": _sequence,
    "story": _story,
    "weekday": _weekday,
}


def numeric_questions(seed: int) -> tuple[Question, ...]:
    """Questions of twelve kinds about numbers, no prompt twice."""
    made: list[Question] = []
    for kind, maker in _MAKERS.items():
        draw, seen = Chooser(seed, kind), set[str]()
        while len(seen) < _COUNT:
            prompt, answer = maker(draw)
            if prompt in seen:
                continue
            seen.add(prompt)
            is_number = maker is not _weekday
            made.append(
                Question(
                    id=f"{kind}-{len(seen):02d}",
                    kind=kind,
                    prompt=prompt,
                    grading=Grading.NUMBER if is_number else Grading.CONTAINS,
                    answers=(answer,),
                    words_max=_words_max(prompt, is_number=is_number),
                )
            )
    return tuple(made)
