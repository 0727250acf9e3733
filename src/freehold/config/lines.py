"""Which line of a TOML text each key stands on: ``tomllib`` does not say, and a mistake without its line is a riddle."""

from __future__ import annotations

import re

Path = tuple[str, ...]

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<key>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PIECE = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_MULTILINE = re.compile(r'"""|\'\'\'')


def line_index(text: str) -> dict[Path, int]:
    """Line (from 1) of every table and key of ``text``, which must be valid TOML. Keys of inline tables and items of
    arrays are on the line of the key that holds them.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    inside: str | None = None
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if inside is not None:
            inside = None if line.count(inside) % 2 else inside
            continue
        if depth > 0:
            depth += _brackets(line)
            continue
        if header := _HEADER.match(line):
            table = _split(header["name"])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            path = (*table, *_split(key["key"]))
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
            rest = line[key.end() :]
            marks = _MULTILINE.findall(rest)
            if len(marks) % 2:
                inside = marks[-1]
            else:
                depth = max(0, _brackets(rest))
    return found


def line_of(path: Path, index: dict[Path, int]) -> int | None:
    """Line of ``path``, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in index:
            return index[path[:length]]
    return None


def _split(dotted: str) -> Path:
    return tuple(piece.strip("\"'") for piece in _PIECE.findall(dotted))


def _brackets(line: str) -> int:
    """Opened minus closed brackets outside strings and comments."""
    plain = re.sub(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', "", line).split("#", maxsplit=1)[0]
    return plain.count("[") + plain.count("{") - plain.count("]") - plain.count("}")
