"""SQL kept in ``sql/*.sql``: each statement under a line ``-- name: NAME``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_MARK = "-- name: "


@functools.cache
def load(file: str) -> Mapping[str, str]:
    """The statements of ``sql/FILE.sql`` by name; read once in a process.

    Raises:
        ValueError: A name is given twice.
    """
    text = files("freehold.storage").joinpath("sql", f"{file}.sql").read_text("utf-8")
    return parse(text)


def parse(text: str) -> Mapping[str, str]:
    """The statements of a text by name; what stands before the first name is a comment for readers."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).strip()
            if name in found:
                raise ValueError(f"the statement {name} is given twice")
            lines = found.setdefault(name, [])
        else:
            lines.append(line)
    return MappingProxyType({name: "\n".join(lines).strip() for name, lines in found.items()})
