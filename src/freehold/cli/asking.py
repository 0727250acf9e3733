"""How far a set of questions is asked, on standard error: shared by commands that ask for minutes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from typing import Protocol

from freehold.cli import output


class ShowAsked(Protocol):
    """Takes how far one is asked."""

    def __call__(self, who: str, asked: int, total: int, more: str = "") -> None:
        """Show it.

        Args:
            who: Who is asked.
            asked: Questions that were.
            total: All of them.
            more: What else is to be said.
        """


@contextlib.contextmanager
def asking() -> Generator[ShowAsked]:
    """One line that is overwritten on a terminal, a line a tenth elsewhere."""
    is_terminal = sys.stderr.isatty()
    shown: tuple[str, int] = ("", -1)
    width = 0

    def show(who: str, asked: int, total: int, more: str = "") -> None:
        nonlocal shown, width
        step = (who, asked * 10 // total)
        line = f"{who}: {asked} of {total} questions asked{more}"
        if is_terminal:
            sys.stderr.write(f"\r{line.ljust(width)}")
            sys.stderr.flush()
            width = len(line)
        elif step != shown:
            output.note(line)
        shown = step

    try:
        yield show
    finally:
        if is_terminal and width:
            output.note("")
