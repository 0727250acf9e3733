"""Help panels wrapped once, with a hanging indent: the parser's plain formatter breaks long lines twice."""

from __future__ import annotations

import io
import textwrap
from typing import Any

from cyclopts.help import HelpEntry, HelpPanel, PlainFormatter
from rich.console import Console, ConsoleOptions

_NEVER_WRAPPED = 10_000
_HANGING = " " * 6


class HelpFormatter(PlainFormatter):
    """Plain text without styles, as wide as the console."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel."""
        wide = _wide()
        with wide.capture() as captured:
            super().__call__(wide, options, panel)
        for line in captured.get().splitlines():
            _print(console, line, hanging=_HANGING)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command does, paragraph by paragraph: where a docstring's lines end means nothing."""
        wide = _wide()
        with wide.capture() as captured:
            super().render_description(wide, options, description)
        for paragraph in filter(None, captured.get().strip().split("\n\n")):
            _print(console, " ".join(paragraph.split()))
            console.print()

    def _format_parameter_entry(self, options: tuple[str, ...], desc: str, console: Console, entry: HelpEntry) -> None:
        """A description of several lines of a docstring is one paragraph."""
        super()._format_parameter_entry(options, " ".join(desc.split()), console, entry)


def _wide() -> Console:
    """A console that breaks no line."""
    return Console(file=io.StringIO(), width=_NEVER_WRAPPED, no_color=True, force_terminal=False)


def _print(console: Console, line: str, *, hanging: str = "") -> None:
    wrapped = textwrap.wrap(
        line, width=console.width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    console.print("\n".join(wrapped), highlight=False, markup=False, soft_wrap=True)
