"""Constructs of Markdown and HTML that a program follows, each read from where it begins until it ends.

A construct reads one character at a time and says whether it is still open. Each one that may have begun is read by
itself, so that no other one, real or not, hides where it ends. Where programs differ the longer reading holds.
"""

from __future__ import annotations

from typing import Protocol

SPACES = " \t\n\r\f\v"


class Construct(Protocol):
    """Something that has begun."""

    def goes_on(self, char: str) -> bool:
        """Read the next character; False where the construct ends by it."""
        ...

    def copy(self) -> Construct:
        """The same, to be read another way."""
        ...


class Paragraph:
    """Whether a blank line ends what cannot span one."""

    __slots__ = ("_is_blank",)

    def __init__(self) -> None:
        self._is_blank = False

    def ends(self, char: str) -> bool:
        """Read the next character."""
        if char == "\n":
            ends, self._is_blank = self._is_blank, True
            return ends
        if char not in SPACES:
            self._is_blank = False
        return False

    def copy(self) -> Paragraph:
        """The same."""
        other = Paragraph()
        other._is_blank = self._is_blank
        return other


class LinkTarget:
    """From ``](`` to the parenthesis that closes it: ``(url)``, ``(<url>)``, ``(url "title")``."""

    __slots__ = ("_depth", "_is_angled", "_is_empty", "_is_escaped", "_last", "_paragraph", "_quote")

    def __init__(self) -> None:
        self._depth, self._quote, self._last = 1, "", "("
        self._is_angled, self._is_empty, self._is_escaped = False, True, False
        self._paragraph = Paragraph()

    def goes_on(self, char: str) -> bool:
        """Read the next character."""
        if self._paragraph.ends(char):
            return False
        if self._is_escaped:
            self._is_escaped = False
        elif char == "\\":
            self._is_escaped = True
        elif self._is_angled:
            self._is_angled = char != ">"
        elif self._quote:
            self._quote = "" if char == self._quote else self._quote
        elif char == "<" and self._is_empty:
            self._is_angled = True
        elif char in "\"'" and self._last in SPACES:
            self._quote = char
        elif char in "()":
            self._depth += 1 if char == "(" else -1
        self._is_empty = self._is_empty and char in SPACES
        self._last = char
        return self._depth > 0

    def copy(self) -> LinkTarget:
        """The same."""
        other = LinkTarget()
        other._depth, other._quote, other._last = self._depth, self._quote, self._last
        other._is_angled, other._is_empty, other._is_escaped = self._is_angled, self._is_empty, self._is_escaped
        other._paragraph = self._paragraph.copy()
        return other


class ImageWords:
    """From ``![`` to the bracket that closes it; a target behind it is a construct of its own."""

    __slots__ = ("_depth", "_is_escaped", "_paragraph")

    def __init__(self) -> None:
        self._depth, self._is_escaped = 1, False
        self._paragraph = Paragraph()

    def goes_on(self, char: str) -> bool:
        """Read the next character."""
        if self._paragraph.ends(char):
            return False
        if self._is_escaped:
            self._is_escaped = False
        elif char == "\\":
            self._is_escaped = True
        elif char in "[]":
            self._depth += 1 if char == "[" else -1
        return self._depth > 0

    def copy(self) -> ImageWords:
        """The same."""
        other = ImageWords()
        other._depth, other._is_escaped, other._paragraph = self._depth, self._is_escaped, self._paragraph.copy()
        return other


class Definition:
    """What follows ``[name]:`` at the begin of a line: an address on that line, or on the next one."""

    __slots__ = ("_is_empty", "_last")

    def __init__(self) -> None:
        self._is_empty, self._last = True, ":"

    def goes_on(self, char: str) -> bool:
        """Read the next character."""
        ends = char == "\n" and (not self._is_empty or self._last == "\n")
        self._is_empty = self._is_empty and char in SPACES
        self._last = char if char == "\n" or char not in SPACES else self._last
        return not ends

    def copy(self) -> Definition:
        """The same."""
        other = Definition()
        other._is_empty, other._last = self._is_empty, self._last
        return other


class Tag:
    """From ``<`` and a letter to the ``>`` that ends the tag for a browser (HTML Standard, 13.2.5, tokenization)."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = "name"

    def goes_on(self, char: str) -> bool:
        """Read the next character."""
        state = self._state
        if state in {'"', "'"}:
            self._state = "between" if char == state else state
        elif char == ">":
            return False
        elif char in SPACES:
            self._state = {"attribute": "behind", "name": "between", "word": "between"}.get(state, state)
        elif state == "equals":
            self._state = char if char in "\"'" else "word"
        elif state in {"attribute", "behind"} and char == "=":
            self._state = "equals"
        elif state != "word" and char == "/":
            self._state = "between"
        elif state in {"between", "behind"}:
            self._state = "attribute"
        return True

    def copy(self) -> Tag:
        """The same."""
        other = Tag()
        other._state = self._state
        return other
