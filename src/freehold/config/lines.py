"""Which line of a TOML text each key stands on: ``tomllib`` does not say, and a mistake without its line is a riddle.

A scanner, not a second parser: it walks over text that ``tomllib`` has already accepted, and so need not tell right from
wrong. It knows tables, arrays of tables, dotted and quoted keys, inline tables, arrays and all four kinds of strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""Names of tables and keys from the outside in; items of arrays by their number, from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PIECE = re.compile(
    r'[ \t]*(?:(?P<bare>[A-Za-z0-9_-]+)|(?P<quoted>"(?:\\.|[^"\\])*")|\'(?P<literal>[^\']*)\')[ \t]*'
)
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def line_index(text: str) -> dict[KeyPath, int]:
    """Line, from 1, of every table, key and array item of ``text``, which must be valid TOML."""
    return _Scanner(text).scan()


def line_of(path: KeyPath, index: Mapping[KeyPath, int]) -> int | None:
    """Line of ``path``, or of the nearest thing around it; ``None`` where nothing of it was written."""
    for length in range(len(path), 0, -1):
        if path[:length] in index:
            return index[path[:length]]
    return None


def dotted(path: KeyPath) -> str:
    """A path as one would write it: ``routes.auto.deployments[0]``, with quotes where TOML needs them."""
    shown = ""
    for piece in path:
        if isinstance(piece, int):
            shown += f"[{piece}]"
        else:
            written = piece if _BARE_KEY.fullmatch(piece) else json.dumps(piece, ensure_ascii=False)
            shown += f".{written}" if shown else written
    return shown


def split_dotted(text: str) -> KeyPath:
    """The path that ``text`` writes: what ``dotted`` gives, read back.

    Raises:
        ValueError: It is no dotted key.
    """
    path: list[str | int] = []
    position = 0
    while True:
        match = _KEY_PIECE.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is no dotted key")
        path.append(_name(match))
        position = match.end()
        while item := re.compile(r"\[(\d+)\]").match(text, position):
            path.append(int(item[1]))
            position = item.end()
        if position == len(text):
            return tuple(path)
        if text[position] != ".":
            raise ValueError(f"{text!r} is no dotted key")
        position += 1


def _name(match: re.Match[str]) -> str:
    if match["bare"] is not None:
        return match["bare"]
    if match["quoted"] is not None:
        # TOML's basic strings know \UXXXXXXXX besides what JSON knows.
        wide = re.sub(r"\\U([0-9A-Fa-f]{8})", lambda found: chr(int(found[1], 16)), match["quoted"])
        return str(json.loads(wide, strict=False))
    return match["literal"]


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._found: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self._found

    def _header(self) -> KeyPath:
        line = self._here()
        is_item = self._text.startswith("[[", self._at)
        self._at += 2 if is_item else 1
        written = self._key()
        self._at = self._text.index("]]" if is_item else "]", self._at) + (2 if is_item else 1)
        path: KeyPath = ()
        for depth, piece in enumerate(written, start=1):
            path = (*path, piece)
            last = depth == len(written)
            self._found.setdefault(path, line)
            if last and is_item:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path])
                self._found.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        path = table
        for piece in self._key():
            path = (*path, piece)
            self._found.setdefault(path, line)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _key(self) -> list[str]:
        pieces: list[str] = []
        while match := _KEY_PIECE.match(self._text, self._at):
            pieces.append(_name(match))
            self._at = match.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return pieces

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        opening = self._text[self._at]
        if opening == "[":
            self._items(path)
        elif opening == "{":
            self._members(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _items(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        while not self._closes("]"):
            item = (*path, number)
            self._found.setdefault(item, self._here())
            self._value(item)
            number += 1

    def _members(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Step over blanks and commas; whether the bracket came, which is stepped over too."""
        self._skip_blank()
        while self._text.startswith(",", self._at):
            self._at += 1
            self._skip_blank()
        if self._at >= len(self._text) or self._text[self._at] == bracket:
            self._at += 1
            return True
        return False

    def _skip_blank(self) -> None:
        if match := _BLANK.match(self._text, self._at):
            self._at = match.end()

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
