"""How far adding is: a bar on a terminal, one line for every tenth elsewhere; both on standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator

from freehold.app.vault_adding import Far
from freehold.cli import output
from freehold.domain.ports import Clock

ShowFar = Callable[[Far], None]
ShowVectors = Callable[[int, int], None]
_BAR_CHARACTERS = 20
_TENTHS = 10
_FILE_BYTES = 100_000
"""What looking at a file costs, whatever is in it, as so many bytes to read."""
_SOON_S, _KNOWN_AT = 1.0, 0.05
"""Time that nobody needs to be told, and the share of the work from which on it is known how long the rest takes."""


@contextlib.contextmanager
def progress(clock: Clock, *, quiet: bool) -> Generator[tuple[ShowFar, ShowVectors]]:
    """What shows how far files are, and how far vectors are, of how many."""
    if quiet:
        yield (lambda _: None), (lambda _, __: None)
        return
    if not sys.stderr.isatty():
        lines = _Lines(clock)
        yield lines.files, lines.vectors
        return
    from rich.console import Console  # lazy: only here is anything drawn
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR_CHARACTERS),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
        TimeRemainingColumn(),
    )
    began_s = clock.monotonic_s()
    with Progress(*columns, console=console, transient=True) as bar:
        files = bar.add_task("files", total=None, more="")
        vectors = bar.add_task("vectors", total=None, more="", visible=False)

        def show_files(far: Far) -> None:
            bar.update(files, total=far.files, completed=far.files_done, more=_pages(far, clock, began_s))

        def show_vectors(done: int, total: int) -> None:
            bar.update(vectors, total=total, completed=done, visible=True)

        yield show_files, show_vectors


class _Lines:
    """Progress without a terminal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._shown: set[tuple[str, int]] = set()

    def files(self, far: Far) -> None:
        if self._is_new("files", far.files_done, far.files):
            left = _left(
                self._clock.monotonic_s() - self._began_s,
                _work(far.files_done, far.bytes_done),
                _work(far.files, far.size_bytes),
            )
            pages = _pages(far, self._clock, self._began_s)
            output.note(f"{far.files_done} of {counted_of(far.files, 'file')}, {pages}{left}")

    def vectors(self, done: int, total: int) -> None:
        if self._is_new("vectors", done, total):
            output.note(f"{done} of {total} pieces have their vectors")

    def _is_new(self, what: str, done: int, total: int) -> bool:
        tenth = (what, done * _TENTHS // total if total else _TENTHS)
        if tenth in self._shown or not done:
            return False
        self._shown.add(tenth)
        return True


def counted_of(count: int, what: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _pages(far: Far, clock: Clock, began_s: float) -> str:
    if not far.pages:
        return "nothing new yet"
    took_s = clock.monotonic_s() - began_s
    rate = f", {far.pages / took_s:.1f} pages/s" if took_s > 0 else ""
    return f"{counted_of(far.pages, 'page')}{rate}"


def _work(files: int, size_bytes: int) -> int:
    return files * _FILE_BYTES + size_bytes


def _left(took_s: float, done: int, total: int) -> str:
    if done < _KNOWN_AT * total:
        return ""
    left_s = took_s * (total - done) / done
    return f", about {left_s:.0f} s left" if left_s >= _SOON_S else ""
