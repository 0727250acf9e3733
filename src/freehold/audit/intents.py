"""Which egress intents have no end yet."""

from __future__ import annotations

from collections.abc import Iterable

from freehold.audit.entry import DONE, INTENT, Entry


class OpenIntents:
    """Intents seen and not yet ended, in the order of the log."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._open: dict[int, Entry] = {}
        for entry in entries:
            self.note(entry)

    def note(self, entry: Entry) -> None:
        """Take an entry into account."""
        if entry.event == INTENT:
            self._open[entry.index] = entry
        elif entry.event == DONE and entry.intent is not None:
            self._open.pop(entry.intent, None)

    @property
    def open(self) -> tuple[Entry, ...]:
        """Intents without an end, oldest first."""
        return tuple(self._open.values())

    def low_water(self, size: int) -> int:
        """Index from which a log of ``size`` entries must be read again to find all open intents."""
        return next(iter(self._open), size)
