"""Whether a call is made once more, and when. Pure: the moment goes in, the decision comes out.

Retries turn a small failure into a large one where everybody makes them. So there is at most one a request, only where
no model can have worked on it and nothing was sent to the client, and only within a budget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamError

BUDGET_SHARE: Final = 0.2
"""Retries that each request pays for."""

BUDGET_PER_S: Final = 10.0
"""Retries that each second pays for, so that a quiet server has a budget too."""

BUDGET_LIFE_S: Final = 10.0
"""How long what was paid can be spent; these three numbers are Finagle's."""

PARALLEL_MAX: Final = 3
"""Retries of one server at a time, as Envoy's circuit breaker has it."""

_SLICE_S: Final = 1.0
_ROUNDING: Final = 1e-9
_BACKOFF_FIRST_S: Final = 0.05
_BACKOFF_MAX_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What becomes of a failed call.

    Attributes:
        again: Make it once more, at the same deployment.
        wait_s: After this pause.
        reason: A short code, for the receipt and for tests.
        budgeted: It was paid from the budget; ``RetryBudget.ended`` must be told when it is over.
    """

    again: bool
    wait_s: float = 0.0
    reason: str
    budgeted: bool = False


class RetryBudget:
    """What may be retried at one server: a token bucket whose tokens go stale.

    Whatever happens, the retries of any stretch of time are at most a fifth of its requests and of those of the ten
    seconds before, and ten for each of its seconds and of those ten.
    """

    __slots__ = ("_earned", "_last_s", "_paid", "_parallel")

    def __init__(self) -> None:
        self._paid: deque[list[float]] = deque()  # by requests: [second, tokens], oldest first
        self._earned = BUDGET_PER_S  # by time; the first second in advance
        self._last_s: float | None = None
        self._parallel = 0

    def request(self, now_s: float) -> None:
        """A request begins, and pays its share."""
        if not self._paid or now_s - self._paid[-1][0] >= _SLICE_S:
            self._drop_stale(now_s)
            self._paid.append([now_s, 0.0])
        self._paid[-1][1] += BUDGET_SHARE

    def take(self, now_s: float) -> bool:
        """Pay for one retry, if it can be paid and not too many run; ``ended`` gives its place back."""
        self._drop_stale(now_s)
        since_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self._earned = min(BUDGET_PER_S * BUDGET_LIFE_S, self._earned + BUDGET_PER_S * since_s)
        paid = sum(tokens for _, tokens in self._paid)
        if self._parallel >= PARALLEL_MAX or paid + self._earned < 1.0 - _ROUNDING:
            return False
        owed = 1.0
        for each in self._paid:  # the oldest first, before what time has earned: they go stale
            spent = min(owed, each[1])
            each[1] -= spent
            owed -= spent
        self._earned -= min(owed, self._earned)
        self._parallel += 1
        return True

    def ended(self) -> None:
        """A retry that was paid for is over."""
        self._parallel -= 1

    def _drop_stale(self, now_s: float) -> None:
        while self._paid and now_s - self._paid[0][0] >= BUDGET_LIFE_S:
            self._paid.popleft()


class RetryBudgets:
    """The budgets of all servers, by deployment."""

    def __init__(self) -> None:
        self._budgets: dict[str, RetryBudget] = {}

    def of(self, deployment: str) -> RetryBudget:
        """The budget of one deployment; names come from the configuration, so there are as many as it has."""
        budget = self._budgets.get(deployment)
        if budget is None:
            budget = self._budgets[deployment] = RetryBudget()
        return budget

    def keep(self, deployments: Collection[str]) -> None:
        """Forget all others: they are not in the configuration any more."""
        self._budgets = {name: budget for name, budget in self._budgets.items() if name in deployments}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed call, as far as it matters here.

    Attributes:
        error: What happened.
        begun: Something of this answer was sent to the client.
        retries: Retries that this request has had.
        more_permitted: Another deployment may still be tried.
        now_s: The moment.
        deadline_s: When the request must be over.
    """

    error: FreeholdError
    begun: bool
    retries: int
    more_permitted: bool
    now_s: float
    deadline_s: float


def decide_retry(failure: Failure, *, budget: RetryBudget, jitter: Callable[[], float]) -> Retry:
    """Whether the same deployment is called once more; each call is an attempt with an egress record of its own.

    It is where the server only refused to be measured (without pause, and at no cost: that happens once to each
    server), where a kept connection turned out to be closed before any byte of the answer, and, if no other
    deployment is left, where nothing reached the model. Never for what the server itself answered, 429 and 5xx among
    it: whoever answers has heard us.

    Args:
        failure: What happened to whom.
        budget: Of this deployment; charged if the answer is yes.
        jitter: Random number from 0 to 1.

    Returns:
        Reasons for a retry: ``logprobs``, ``stale_connection``, ``not_reached``; against it: ``begun``, ``retried``,
        ``reached_model``, ``next_deployment``, ``no_time``, ``no_budget``.
    """
    wish = _wish(failure)
    if not wish.again or not wish.budgeted:
        return wish
    wait_s = 0.0 if wish.reason == "stale_connection" else backoff_s(failure.retries, jitter=jitter)
    if failure.now_s + wait_s >= failure.deadline_s:
        return Retry(again=False, reason="no_time")
    if not budget.take(failure.now_s):
        return Retry(again=False, reason="no_budget")
    return Retry(again=True, wait_s=wait_s, reason=wish.reason, budgeted=True)


def backoff_s(retries: int, *, jitter: Callable[[], float]) -> float:
    """Pause before the next retry: anything from nothing to a bound that doubles each time."""
    return min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2 ** min(retries, 16)) * jitter()


def _wish(failure: Failure) -> Retry:
    """What would be done if it cost nothing."""
    error = failure.error
    if failure.begun:
        return Retry(again=False, reason="begun")
    if failure.retries:
        return Retry(again=False, reason="retried")
    if error.values.get("about") == "logprobs":
        return Retry(again=True, reason="logprobs")
    if not isinstance(error, UpstreamError):
        return Retry(again=False, reason="reached_model")
    if error.reused and error.reached_model == "unknown":
        return Retry(again=True, reason="stale_connection", budgeted=True)
    if error.reached_model != "no":
        return Retry(again=False, reason="reached_model")
    if failure.more_permitted:
        return Retry(again=False, reason="next_deployment")
    return Retry(again=True, reason="not_reached", budgeted=True)
