"""What kind of answer it is, where it decides, and whether it has the shape that was asked for.

A small model is sure of the frame of its answer ("The capital of Oman is") whatever it knows. The doubt is in a few
tokens, and which ones depends on what kind of answer it is. Everything here reads text only, never log-probabilities.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

_TAIL_CHARACTERS = 4_000
"""Of a question, what is looked at: the instruction stands at its end, a long document before it."""

_INSTRUCTION_CHARACTERS = 400
"""Of that, where the wanted shape is looked for."""

_BEGINNING_CHARACTERS = 80

_CODE_CHARACTERS_MAX = 20_000
_GRAM = 3
_TRIMMED = " \t\r\n.,;:!?\"'`*()[]“”‘’"

_LETTER = re.compile(
    r"\W*(?:(?:the )?(?:correct |right |best )?(?:answer|option|choice)(?: is)?\W+|option )?([a-h])(?=$|[\W_])",
    re.IGNORECASE,
)
_OFFERED = re.compile(r"^\W{0,3}([A-Ha-h])[).:]\s", re.MULTILINE)
_BOOLEAN = re.compile(r"\W*(yes|no|true|false)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[-−\d](?<![\w.].)(?:(?<=\d)|\d)\d*(?:[.,:]\d+)*(?!\w)", re.DOTALL)
"""``(?<![\\w.])[-−]?\\d+(?:[.,:]\\d+)*(?!\\w)``, written so that the search can skip to a character that may begin one."""

_FENCE = re.compile(r"```[ \t]*(\w*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_QUOTE = re.compile(r"[\"“«]([^\"“”«»\n]{12,400})[\"”»]")

_ASKED_FORMS = (
    (
        "number",
        ("only", "alone", "how many", "how much"),
        re.compile(r"\b(?:number|digits?|figure) (?:only|alone)|\bhow (?:many|much)\b|\bonly (?:the|a) number\b"),
    ),
    ("word", ("word",), re.compile(r"\bone word\b|\ba single word\b|\bone[- ]word\b")),
    ("boolean", (" or ",), re.compile(r"\byes or no\b|\btrue or false\b")),
    ("letter", ("letter",), re.compile(r"\bletter (?:only|alone)\b|\bonly (?:the|a) letter\b")),
    ("json", ("json",), re.compile(r"\bjson\b")),
)
"""English instructions about the shape of an answer: a name, texts of which every one has one, and what it looks like.

In other languages nothing is recognised, so nothing is measured.
"""


class Form(StrEnum):
    """What kind of answer it is.

    Attributes:
        LETTER: One of the options that the question lists by letter.
        BOOLEAN: Yes or no, true or false.
        NUMBER: It states a number that the question does not, or nothing but a number.
        COPIED: It stands in the question as it is.
        WORDS: Anything else.
    """

    LETTER = "letter"
    BOOLEAN = "boolean"
    NUMBER = "number"
    COPIED = "copied"
    WORDS = "words"


class Decision(NamedTuple):
    """The form of an answer, and the characters ``start`` to ``end`` of it that decide; none where they are equal."""

    form: Form
    start: int
    end: int


class Asked(NamedTuple):
    """What the question's text shows: its end in plain lower case, its numbers, its lettered options."""

    plain: str
    numbers: frozenset[str]
    letters: frozenset[str]


def read_question(text: str) -> Asked:
    """What matters of a question. Costs in proportion to its last 4,000 characters, not to its length."""
    tail = text[-_TAIL_CHARACTERS:]
    letters = frozenset(letter.upper() for letter in _OFFERED.findall(tail))
    return Asked(
        plain=" ".join(tail.lower().split()),
        numbers=frozenset(_NUMBER.findall(tail)),
        letters=letters if len(letters) > 1 else frozenset(),
    )


def decide(asked: Asked, answer: str) -> Decision:
    """Where ``answer`` decides."""
    if asked.letters and (found := _LETTER.match(answer)) and found.group(1).upper() in asked.letters:
        return Decision(Form.LETTER, *found.span(1))
    if found := _BOOLEAN.match(answer):
        return Decision(Form.BOOLEAN, *found.span(1))
    core = answer.strip(_TRIMMED)
    start = len(answer) - len(answer.lstrip(_TRIMMED))
    if span := _deciding_number(asked, answer, core):
        return Decision(Form.NUMBER, *span)
    if core and _is_copied(asked.plain, core):
        return Decision(Form.COPIED, start, start + len(core))
    return Decision(Form.WORDS, start, start + len(core))


def _is_copied(plain: str, core: str) -> bool:
    """Whether ``core`` stands in ``plain``; of a long one the first words show soonest that it does not."""
    if len(core) > _BEGINNING_CHARACTERS:
        words = core[:_BEGINNING_CHARACTERS].lower().split()
        if " ".join(words[:-1]) not in plain:  # the last one may be cut off
            return False
    return _stands_in(plain, " ".join(core.lower().split()))


def _stands_in(plain: str, piece: str) -> bool:
    """Whether ``piece`` is in ``plain`` as whole words."""
    at = plain.find(piece)
    while at >= 0:
        end = at + len(piece)
        if not (plain[at - 1 : at].isalnum() or plain[end : end + 1].isalnum()):
            return True
        at = plain.find(piece, at + 1)
    return False


def _deciding_number(asked: Asked, answer: str, core: str) -> tuple[int, int] | None:
    """The last number that the question does not state, else the answer if it is nothing but a number."""
    last: tuple[int, int] | None = None
    for found in _NUMBER.finditer(answer):
        if found.group() not in asked.numbers or found.group() == core:
            last = found.span()
    return last


def format_kept(asked: Asked, answer: str, form: Form) -> bool | None:
    """Whether the answer has the shape that the question asks for; ``None`` where it asks for none that is known."""
    instruction = asked.plain[-_INSTRUCTION_CHARACTERS:]
    match _wanted(instruction):
        case "number":
            return form is Form.NUMBER or any(character.isdigit() for character in answer)
        case "word":
            return len(answer.split()) == 1
        case "boolean":
            return form is Form.BOOLEAN
        case "letter":
            return form is Form.LETTER
        case "json":
            return _is_json(_FENCE.sub(r"\2", answer))
        case _:
            return None


def _wanted(instruction: str) -> str | None:
    for name, texts, pattern in _ASKED_FORMS:
        for text in texts:
            if text in instruction:
                if pattern.search(instruction):
                    return name
                break
    return None


def code_valid(answer: str) -> bool | None:
    """Whether the code blocks of an answer can be read: Python and JSON parsed, others by their brackets.

    ``None`` where there is no block, or more than 20,000 characters of them. Nothing is executed.
    """
    if "```" not in answer:
        return None
    blocks = _FENCE.findall(answer)
    if not blocks or sum(len(code) for _, code in blocks) > _CODE_CHARACTERS_MAX:
        return None
    return all(_can_be_read(language.lower(), code) for language, code in blocks)


def _can_be_read(language: str, code: str) -> bool:
    if language in {"python", "py", "python3"}:
        return _is_python(code)
    if language == "json":
        return _is_json(code)
    return all(code.count(left) == code.count(right) for left, right in ("()", "[]", "{}"))


def _is_python(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes, for example: the code is read all the same
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def quotes_found(question: str, answer: str) -> float | None:
    """Share of the answer's quotations (12 to 400 characters) that stand in the question; ``None`` where it has none."""
    if '"' not in answer and "“" not in answer and "«" not in answer:
        return None
    quotes = _QUOTE.findall(answer)
    if not quotes:
        return None
    plain = " ".join(question.lower().split())
    return sum(" ".join(quote.lower().split()).strip(_TRIMMED) in plain for quote in quotes) / len(quotes)


def repeated_share(words: Sequence[str]) -> float:
    """Share of runs of three words that occurred before in the same answer."""
    runs = len(words) - _GRAM + 1
    return 1.0 - len(set(zip(words, words[1:], words[2:], strict=False))) / runs if runs > 0 else 0.0
