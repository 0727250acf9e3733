"""Texts as terms: what the index keeps of a text, and what a question asks it for. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")


def kept_terms(text: str) -> str:
    """The terms of a text, in its order, with blanks between them; none has a blank or punctuation in it."""
    return " ".join(_WORD.findall(text.lower()))


def asked_terms(text: str) -> tuple[str, ...]:
    """The terms that a question asks for, each once."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))
