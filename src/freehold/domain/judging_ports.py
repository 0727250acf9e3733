"""Ports of judging: where outcomes are kept, and what they say of a deployment at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from freehold.domain.certificates import UNCERTIFIED, Standing
from freehold.domain.deployment import EngineFingerprint
from freehold.domain.identity import Principal
from freehold.domain.outcomes import AnswerOutcome, Feedback, Judged
from freehold.domain.request import InferenceRequest


class OutcomeStore(Protocol):
    """Outcomes on disk. Methods may be called from any thread unless they are coroutines."""

    def keep(self, *outcomes: AnswerOutcome) -> None:
        """Keep outcomes; returns at once. One with the same request and deployment replaces the one before."""
        ...

    async def label(self, feedback: Feedback) -> bool:
        """Note what somebody said of a request's answer; whether there is such an answer of that tenant."""
        ...

    async def read(
        self,
        *,
        tenant: str = "",
        workload: str = "",
        deployment: str = "",
        since_unix_ms: int = 0,
        labelled: bool = False,
        most: int = 10_000,
    ) -> Sequence[AnswerOutcome]:
        """The newest outcomes that are of all this, oldest first; empty text stands for any."""
        ...

    async def erase(self, *, tenant: str) -> int:
        """Erase all of a tenant's; how many there were."""
        ...


class SpendStore(Protocol):
    """What shadows have cost, on disk."""

    async def shadow_spend(self, *, month: str, currency: str) -> int:
        """In a month (``YYYY-MM``), in micro-units."""
        ...

    async def add_shadow_spend(self, micros: int, *, month: str, currency: str) -> None:
        """Add what one has cost."""
        ...


@runtime_checkable
class Fingerprinted(Protocol):
    """An engine that knows what besides the weights decides how it answers."""

    def fingerprint(self) -> EngineFingerprint:
        """As of now; asked for every answer that is judged, so it must cost nothing while nothing has changed.

        The same object as long as nothing has.
        """
        ...


class Standings(Protocol):
    """What is known at this moment. Asked for every answer that is judged: it must take microseconds."""

    def of(self, deployment: str, workload: str, *, tenant: str) -> Standing:
        """How far that deployment's answers may be trusted."""
        ...


class NothingCertified:
    """Where nobody keeps standings."""

    def of(self, deployment: str, workload: str, *, tenant: str) -> Standing:  # noqa: ARG002 - a port's
        """``UNCERTIFIED``."""
        return UNCERTIFIED


class Learner(Protocol):
    """Who is told of judged answers. All are called in the request's way: they take microseconds and never fail."""

    def begins(self, request: InferenceRequest) -> None:
        """A request came: what only learns, and is in its way, makes way."""
        ...

    def wants(self, principal: Principal) -> bool:
        """Whether anything may be learnt from this caller's requests."""
        ...

    def told(self, judged: Judged) -> None:
        """A request ended whose answers were judged; its receipt is kept, its last byte is sent."""
        ...


class NothingLearnt:
    """Where nobody learns."""

    def begins(self, request: InferenceRequest) -> None:
        """Nothing is in its way."""

    def wants(self, principal: Principal) -> bool:  # noqa: ARG002 - a port's
        """No."""
        return False

    def told(self, judged: Judged) -> None:
        """Forget it."""
