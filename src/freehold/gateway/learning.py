"""What the request path tells of judged answers, turned into outcomes and shadows behind it.

Implements ``domain.judging_ports.Learner``: a call puts its argument into a queue, and everything else happens in a task
of its own, some requests at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from freehold.domain.certificates import LabelKind
from freehold.domain.decisions import Action
from freehold.domain.deployment import Route
from freehold.domain.errors.request import UnknownModel
from freehold.domain.identity import Principal
from freehold.domain.judging_ports import OutcomeStore
from freehold.domain.outcomes import AnswerOutcome, Judged
from freehold.domain.request import InferenceRequest, Purpose
from freehold.gateway.outcomes import ScoredBy, outcomes_of
from freehold.gateway.runtime import Runtime
from freehold.gateway.shadows import Shadows

log = logging.getLogger("freehold.gateway")

WAITING_MAX = 1_000
"""Judged requests in memory, with their texts; the oldest are forgotten beyond that."""

_AT_ONCE = 32
_GATHER_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A question with a known answer that is being asked.

    Attributes:
        is_right: Whether a text is a right answer.
        question: What tells it from other questions, asked once or often.
        found: Its outcomes, once there are.
    """

    is_right: Callable[[str], bool]
    question: str
    found: asyncio.Future[Sequence[AnswerOutcome]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Learning:
    """Learns from judged answers.

    Args:
        store: Where outcomes go.
        runtime: What is in force.
        scored_by: What scores mean now.
        shadows: Asks them; ``None`` where none are asked.
        not_from: Ids of keys from whose requests nothing is learnt.
    """

    def __init__(
        self,
        *,
        store: OutcomeStore,
        runtime: Callable[[], Runtime],
        scored_by: ScoredBy,
        shadows: Shadows | None,
        not_from: Collection[str] = (),
    ) -> None:
        self._store = store
        self._runtime = runtime
        self._scored_by = scored_by
        self._shadows = shadows
        self._not_from = frozenset(not_from)
        self._waiting: deque[Judged] = deque()
        self._graded: dict[str, Graded] = {}
        self._wake = asyncio.Event()
        self.forgotten = 0

    def begins(self, request: InferenceRequest) -> None:
        """Shadows make way for what somebody waits for."""
        if self._shadows is not None and request.purpose is not Purpose.SHADOW:
            self._shadows.make_way()

    def wants(self, principal: Principal) -> bool:
        """Whether anything may be learnt from this caller's requests."""
        return principal.tenant.learns and not (
            self._not_from and (principal.key_id in self._not_from or principal.line in self._not_from)
        )

    def told(self, judged: Judged) -> None:
        """Take note; returns at once."""
        purpose = judged.request.purpose
        if (purpose is not Purpose.ANSWER and purpose is not Purpose.GOLD) or not self.wants(judged.principal):
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.forgotten += 1
        self._waiting.append(judged)
        self._wake.set()

    def erase(self, tenant: str = "") -> None:
        """Hold nothing of a tenant, or of nobody, any more; before its outcomes are erased, so that none come after."""
        kept = [each for each in self._waiting if tenant not in {"", each.receipt.tenant}]
        self._waiting.clear()
        self._waiting.extend(kept)
        if self._shadows is not None:
            self._shadows.forget(tenant)

    def expect(self, request_id: str, is_right: Callable[[str], bool], *, question: str) -> Graded:
        """Have the answers to a request graded, which is going to be asked; ``forget`` it in the end."""
        self._graded[request_id] = graded = Graded(is_right=is_right, question=question)
        return graded

    def forget(self, request_id: str) -> None:
        """Nobody waits for that grade any more."""
        self._graded.pop(request_id, None)

    async def run(self) -> None:
        """Turn what was told into outcomes, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self.learn(_AT_ONCE)
                await asyncio.sleep(_GATHER_S)

    def learn(self, most: int = WAITING_MAX) -> None:
        """Turn the oldest of what was told into outcomes."""
        found: list[AnswerOutcome] = []
        for _ in range(min(most, len(self._waiting))):
            found += self._outcomes(self._waiting.popleft())
        self._store.keep(*found)

    def _outcomes(self, judged: Judged) -> Sequence[AnswerOutcome]:
        runtime = self._runtime()
        try:
            route = runtime.route_for(judged.receipt.route)
        except UnknownModel:
            return ()  # a reload has taken it away
        if any(attempt.deployment not in runtime.engines for attempt in judged.receipt.attempts):
            return ()
        graded = self._graded.pop(judged.receipt.id, None)
        shadows = self._shadows if graded is None else None
        target = "" if shadows is None else shadows.target(judged, route)
        found = outcomes_of(
            judged,
            scored_by=self._scored_by,
            sought=route.shadow_share if target else 0.0,
        )
        if graded is not None:
            found = _by_gold(judged, found, graded)
            if not graded.found.done():
                graded.found.set_result(found)
        elif shadows is not None:
            if target:
                _offer(shadows, judged, found, target)
            if shadows.canary(judged, route):
                _offer_canary(shadows, judged, found, route)
        return found


def _offer(shadows: Shadows, judged: Judged, found: Sequence[AnswerOutcome], target: str) -> None:
    """The answer that the client got may get a shadow, where it was accepted."""
    place = judged.receipt.answered_index
    if place is None or place not in judged.answers:
        return
    decided = judged.receipt.attempts[place].verdict
    if decided is None or decided.action is not Action.ACCEPT:
        return
    for outcome in found:
        if outcome.answered:
            shadows.offer(judged, outcome, judged.answers[place], target)


def _offer_canary(shadows: Shadows, judged: Judged, found: Sequence[AnswerOutcome], route: Route) -> None:
    """The canary may be asked what the client asked, whatever became of the answer."""
    place = judged.receipt.answered_index
    if place is None or place not in judged.answers:
        return
    for outcome in found:
        if outcome.answered:
            shadows.offer_canary(judged, outcome, judged.answers[place], route)


def _by_gold(judged: Judged, found: Sequence[AnswerOutcome], graded: Graded) -> list[AnswerOutcome]:
    texts = {judged.receipt.attempts[place].deployment: answer.text for place, answer in judged.answers.items()}
    return [
        replace(
            outcome,
            right=graded.is_right(texts[outcome.deployment]),
            label_kind=LabelKind.GOLD,
            judged_by=graded.question,
            sought=1.0,
        )
        for outcome in found
        if outcome.deployment in texts
    ]
