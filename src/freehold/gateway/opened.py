"""The attempt that runs, and what it has taken: everything is given back exactly once, however it ends."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.domain.decisions import Confidence, Outcome, Verdict
from freehold.domain.errors.base import FreeholdError
from freehold.domain.ports import Slot
from freehold.gateway.attempt import AttemptRun
from freehold.gateway.load import Share, Ticket
from freehold.gateway.pricing import price_attempt
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services


@dataclass(slots=True, kw_only=True)
class Opened:
    """The one attempt of a request that is open, if there is one.

    Attributes:
        slot: What it runs in.
        paid_for: Deployment among whose retries it has a place; empty for none.
    """

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    slot: Slot | None = None
    paid_for: str = ""
    _run: AttemptRun | None = None
    _ticket: Ticket | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is one."""
        return self._run is not None

    @property
    def run(self) -> AttemptRun:
        """The one that is open."""
        if self._run is None:
            raise RuntimeError("no attempt is open")
        return self._run

    @property
    def queue_ms(self) -> float:
        """How long it waited for its slot."""
        return 0.0 if self.slot is None else self.slot.queue_ms

    def begin(self, run: AttemptRun) -> AttemptRun:
        """An attempt begins."""
        self._run = run
        hardware = self.runtime.hardware
        if hardware is not None and hardware.zone == run.deployment.zone:
            self._ticket = self.services.load.enter(self.services.clock.monotonic_s())
        return run

    def close(
        self,
        outcome: Outcome,
        *,
        judged: Confidence | None = None,
        decided: Verdict | None = None,
        error: FreeholdError | None = None,
    ) -> None:
        """It is over: price it, note it, and give back what it took."""
        run, share, tokens = self.run, self._left(), 0
        self._run = None
        try:
            usage, ended_ms = run.usage(outcome), self.draft.elapsed_ms()
            cost = price_attempt(run, usage, self.runtime, ended_ms=ended_ms, share=share)
            self.draft.attempts.append(
                run.close(
                    outcome,
                    usage=usage,
                    cost=cost,
                    ended_ms=ended_ms,
                    confidence=judged,
                    verdict=decided,
                    error=error,
                )
            )
            tokens = usage.input_tokens + usage.output_tokens
            tokens = tokens or int(usage.measured and outcome is Outcome.COMPLETE)
        finally:
            self.release(tokens=tokens)

    def _left(self) -> Share:
        """What it had of the machine, where that is owned."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return Share(permille=1_000)
        return self.services.load.leave(ticket, self.services.clock.monotonic_s())

    def abandon(self, outcome: Outcome) -> None:
        """The request is over: book what an attempt that still runs has used until now, and leave nothing taken."""
        if self.is_open:
            self.close(outcome)
        self.release()

    def release(self, *, tokens: int = 0) -> None:
        """Give back what an attempt took: its slot, and a place among the retries that run."""
        if self.paid_for:
            self.services.retries.of(self.paid_for).ended()
            self.paid_for = ""
        if self.slot is not None:
            self.slot.release(tokens=tokens)
            self.slot = None
