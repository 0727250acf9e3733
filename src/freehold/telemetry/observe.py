"""The metrics' view of a receipt."""

from __future__ import annotations

from typing import TypeVar

from freehold.domain.decisions import Action, Outcome
from freehold.domain.receipt import Attempt, Receipt, Role
from freehold.telemetry import metric_table as table
from freehold.telemetry.metrics import Histogram, Metrics, Series

_FAILED = frozenset({Outcome.FAILED, Outcome.BROKEN})
_KEPT_MAX = 4_096
_CURRENCIES_MAX = 8

K = TypeVar("K")
V = TypeVar("V")


class ReceiptMetrics:
    """Counts finished requests.

    Series are looked up once for each route, deployment and outcome and kept after that: a receipt with one attempt
    takes about 2 µs.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._generation = 0
        self._by_request: dict[tuple[str, str, str], _OfRequest] = {}
        self._by_attempt: dict[tuple[str, str], _OfAttempt] = {}

    def observe(self, receipt: Receipt) -> None:
        """Count one finished request. Never fails."""
        if self._generation != self._metrics.generation:
            self._forget()
        attempts = receipt.attempts
        answered = receipt.answered_index
        shown = attempts[-1 if answered is None else answered].deployment if attempts else ""
        key = (receipt.route, shown, receipt.outcome)
        series = self._by_request.get(key)
        if series is None:
            series = _kept(self._by_request, key, _OfRequest(self._metrics, *key))
        series.requests.value += 1
        series.seconds.observe_ms(receipt.total_ms)
        if receipt.error_code:
            self._metrics.add(table.ERRORS, receipt.error_code)
            if not attempts:
                self._metrics.add(table.REFUSALS, receipt.error_code)
        for attempt in attempts:
            self._observe_attempt(receipt.route, attempt)
        if receipt.stream and answered is not None:
            first_ms = attempts[answered].first_token_ms
            if first_ms is not None:
                series.first_chunk.observe_ms(first_ms)
        if len(attempts) > 1:
            self._observe_climb(receipt)

    def _observe_attempt(self, route: str, attempt: Attempt) -> None:
        key = (attempt.deployment, attempt.outcome)
        series = self._by_attempt.get(key)
        if series is None:
            series = _kept(self._by_attempt, key, _OfAttempt(self._metrics, *key))
        usage = attempt.usage
        output_tokens = usage.output_tokens
        series.attempts.value += 1
        series.input_tokens.value += usage.input_tokens
        series.cached_tokens.value += usage.cached_tokens
        series.output_tokens.value += output_tokens
        series.queue.observe_ms(attempt.queue_ms)
        first_ms = attempt.first_token_ms
        if first_ms is not None:
            series.first_token.observe_ms(first_ms - attempt.started_ms)
            if output_tokens > 1:
                series.output_token.observe_ms((attempt.ended_ms - first_ms) / (output_tokens - 1))
        cost = attempt.cost
        if cost is None or cost.amount is None:
            series.unpriced.value += 1
        else:
            series.cost_in(cost.amount.currency).value += cost.amount.micros
        verdict = attempt.verdict
        if verdict is not None and verdict.action is Action.ESCALATE:
            self._metrics.add(table.ESCALATIONS, route, attempt.deployment, verdict.reason)
        if attempt.bytes_left:
            self._metrics.add(table.EGRESS_BYTES, attempt.deployment, attempt.zone, amount=attempt.bytes_left)

    def _observe_climb(self, receipt: Receipt) -> None:
        called: set[str] = set()
        before: Attempt | None = None
        for attempt in receipt.attempts:
            if attempt.role is not Role.ANSWER:
                continue
            if attempt.deployment in called:
                self._metrics.add(table.RETRIES, attempt.deployment)
            elif before is not None and before.outcome in _FAILED:
                self._metrics.add(table.FAILOVERS, receipt.route, before.deployment)
            called.add(attempt.deployment)
            before = attempt

    def _forget(self) -> None:
        self._generation = self._metrics.generation
        self._by_request.clear()
        self._by_attempt.clear()


def _kept(series_by_key: dict[K, V], key: K, series: V) -> V:
    if len(series_by_key) >= _KEPT_MAX:
        series_by_key.clear()
    series_by_key[key] = series
    return series


class _OfRequest:
    """Series of one route, deployment and outcome."""

    __slots__ = ("first_chunk", "requests", "seconds")

    def __init__(self, metrics: Metrics, route: str, deployment: str, outcome: str) -> None:
        self.requests: Series = metrics.counter(table.REQUESTS, route, deployment, str(outcome))
        self.seconds: Histogram = metrics.histogram(table.REQUEST_SECONDS, route)
        self.first_chunk: Histogram = metrics.histogram(table.FIRST_CHUNK_SECONDS, route)


class _OfAttempt:
    """Series of one deployment and outcome."""

    __slots__ = (
        "_costs",
        "_deployment",
        "_metrics",
        "attempts",
        "cached_tokens",
        "first_token",
        "input_tokens",
        "output_token",
        "output_tokens",
        "queue",
        "unpriced",
    )

    def __init__(self, metrics: Metrics, deployment: str, outcome: str) -> None:
        self._metrics = metrics
        self._deployment = deployment
        self._costs: dict[str, Series] = {}
        self.attempts: Series = metrics.counter(table.ATTEMPTS, deployment, str(outcome))
        self.input_tokens: Series = metrics.counter(table.TOKENS, deployment, "input")
        self.cached_tokens: Series = metrics.counter(table.TOKENS, deployment, "cached")
        self.output_tokens: Series = metrics.counter(table.TOKENS, deployment, "output")
        self.unpriced: Series = metrics.counter(table.UNPRICED_ATTEMPTS, deployment)
        self.queue: Histogram = metrics.histogram(table.QUEUE_SECONDS, deployment)
        self.first_token: Histogram = metrics.histogram(table.FIRST_TOKEN_SECONDS, deployment)
        self.output_token: Histogram = metrics.histogram(table.OUTPUT_TOKEN_SECONDS, deployment)

    def cost_in(self, currency: str) -> Series:
        """Money spent, by currency. Not kept beyond a few: a currency is a text of the price source."""
        series = self._costs.get(currency)
        if series is None:
            series = self._metrics.counter(table.COST_MICROS, self._deployment, currency)
            if len(self._costs) < _CURRENCIES_MAX:
                self._costs[currency] = series
        return series
