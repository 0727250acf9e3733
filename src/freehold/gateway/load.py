"""How many attempts share this machine, so that each pays for its share of machine time, and of what was measured.

Time and counters come from outside. The work of an attempt is counted in slot seconds: two attempts that run beside each
other for a second are two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_PERMILLE = 1_000
_MW_PER_W = 1_000
_KNOWN_SHARE = 0.5
"""Share of an attempt's time that must be measured for the rest to be taken to be like it."""


class SlotSeconds(Protocol):
    """What other processes of this gateway run on the same machine."""

    def publish(self, *, slot_s: float, running: int, at_s: float) -> None:
        """Tell the others what this process has run until ``at_s``, and how many run now."""
        ...

    def others(self, at_s: float) -> float:
        """Slot seconds of all others until ``at_s``."""
        ...


class NoOthers:
    """A process on its own."""

    def publish(self, *, slot_s: float, running: int, at_s: float) -> None:
        """Nobody listens."""

    def others(self, at_s: float) -> float:  # noqa: ARG002 - a port's
        """None."""
        return 0.0


@dataclass(slots=True, eq=False)
class Ticket:
    """One attempt that runs.

    Attributes:
        entered_s: When it began.
        shared_s: Seconds of the whole machine that an attempt had had by then.
        measured_from_s: Since when its energy is measured.
        base_j: Energy that an attempt had had by then; ``None`` until a counter was read twice.
        era: In which run of the counters.
    """

    entered_s: float
    shared_s: float
    measured_from_s: float
    era: int
    base_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an attempt had of the machine.

    Attributes:
        permille: Its share of the machine over its time, at least 1: shares times durations of all attempts come to the
            time in which any of them ran.
        measured_mw: Mean draw of the machine meanwhile, so that this, times the share, times the duration, is the energy
            that is the attempt's; ``None`` where no counter said.
    """

    permille: int
    measured_mw: int | None = None


class DeviceLoad:
    """Attempts that run on owned hardware: shares of its time and of its energy. For one thread.

    Args:
        fellows: Other processes that share the machine.

    Attributes:
        running: Attempts that run in this process.
        measures: Whether a counter is being read.
        wake: Called when an attempt begins while none runs; ``None`` where nothing can be measured.
    """

    def __init__(self, fellows: SlotSeconds | None = None) -> None:
        self._fellows = fellows or NoOthers()
        self._at_s = self._others_s = 0.0
        self._slot_s = self._shared_s = 0.0
        self.measures = False
        self._era = 0
        self._read_s = self._read_j = self._read_slot_s = self._energy_j = 0.0
        self._fresh: set[Ticket] = set()
        self.running = 0
        self.wake: Callable[[], None] | None = None

    def enter(self, now_s: float) -> Ticket:
        """An attempt begins."""
        self._advance(now_s)
        self.running += 1
        self._publish()
        ticket = Ticket(entered_s=now_s, shared_s=self._shared_s, measured_from_s=now_s, era=self._era)
        if self.wake is not None:
            self._fresh.add(ticket)
            if self.running == 1:
                self.wake()
        return ticket

    def leave(self, ticket: Ticket, now_s: float) -> Share:
        """An attempt ends; its share of the machine, and what that drew."""
        self._advance(now_s)
        self.running -= 1
        self._publish()
        self._fresh.discard(ticket)
        lasted_s = now_s - ticket.entered_s
        had_s = self._shared_s - ticket.shared_s
        permille = max(1, round(_PERMILLE * had_s / lasted_s)) if lasted_s > 0 else _PERMILLE // (self.running + 1) or 1
        return Share(permille=min(_PERMILLE, permille), measured_mw=self._drawn_mw(ticket, lasted_s, permille))

    def begin(self, now_s: float, read_j: float) -> None:
        """A counter is read for the first time since attempts run: what they do is measured from here on."""
        self._advance(now_s)
        self.measures = True
        self._era += 1
        self._read_s, self._read_j, self._read_slot_s = now_s, read_j, self._all_slot_s
        for each in self._fresh:
            each.measured_from_s, each.era = now_s, self._era

    def tick(self, now_s: float, read_j: float) -> None:
        """A counter is read again: what was drawn since is shared among those that ran, by their slot seconds.

        Args:
            now_s: When.
            read_j: Energy of the whole machine, since any moment.
        """
        self._advance(now_s)
        passed_s = now_s - self._read_s
        if not self.measures or passed_s <= 0:
            return
        # Where nothing ran for a part of it, who ran does not pay for that part.
        slot_s = max(self._all_slot_s - self._read_slot_s, passed_s)
        each_w = (read_j - self._read_j) / slot_s
        self._energy_j += each_w * passed_s
        for ticket in self._fresh:
            ticket.base_j = self._energy_j - each_w * (now_s - ticket.measured_from_s)
        self._fresh.clear()
        self._read_s, self._read_j, self._read_slot_s = now_s, read_j, self._all_slot_s

    def lose(self) -> None:
        """A counter can no longer be read: nothing of what runs now is measured."""
        self.measures = False
        self._era += 1
        self._fresh.clear()

    @property
    def _all_slot_s(self) -> float:
        return self._slot_s + self._others_s

    def _drawn_mw(self, ticket: Ticket, lasted_s: float, permille: int) -> int | None:
        known_s = self._read_s - ticket.measured_from_s
        if ticket.base_j is None or ticket.era != self._era or known_s < _KNOWN_SHARE * lasted_s or known_s <= 0:
            return None
        each_w = max(0.0, self._energy_j - ticket.base_j) / known_s
        return round(each_w * _MW_PER_W * _PERMILLE / permille)

    def _advance(self, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if passed_s <= 0:
            return
        others_s = self._fellows.others(now_s)
        if self.running:
            # A process that was started anew counts from 0 again.
            slot_s = self.running * passed_s + max(0.0, others_s - self._others_s)
            self._shared_s += passed_s * passed_s / slot_s
            self._slot_s += self.running * passed_s
        self._at_s, self._others_s = now_s, others_s

    def _publish(self) -> None:
        self._fellows.publish(slot_s=self._slot_s, running=self.running, at_s=self._at_s)
