"""Help panels wrapped once, with a hanging indent: the parser's plain formatter breaks long lines twice."""

from __future__ import annotations

import io
import textwrap

from cyclopts.help import HelpPanel, PlainFormatter
from rich.console import Console, ConsoleOptions

_NEVER_WRAPPED = 10_000
_HANGING = " " * 6


class HelpFormatter(PlainFormatter):
    """Plain text without styles, as wide as the console."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel."""
        wide = Console(file=io.StringIO(), width=_NEVER_WRAPPED, no_color=True, force_terminal=False)
        with wide.capture() as captured:
            super().__call__(wide, options, panel)
        for line in captured.get().splitlines():
            wrapped = textwrap.wrap(
                line, width=console.width, subsequent_indent=_HANGING, break_long_words=False, break_on_hyphens=False
            )
            console.print("\n".join(wrapped), highlight=False, markup=False, soft_wrap=True)
