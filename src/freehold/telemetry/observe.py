"""The metrics' view of a receipt."""

from __future__ import annotations

from freehold.domain.decisions import Action
from freehold.domain.receipt import Attempt, Receipt
from freehold.telemetry import metric_table as table
from freehold.telemetry.metrics import Metrics

_MS_PER_S = 1_000


def observe_receipt(metrics: Metrics, receipt: Receipt) -> None:
    """Count one finished request. Takes some microseconds and never fails."""
    shown = receipt.answered_by or (receipt.attempts[-1] if receipt.attempts else None)
    deployment = shown.deployment if shown else ""
    metrics.add(table.REQUESTS, receipt.route, deployment, receipt.outcome.value)
    metrics.observe(table.REQUEST_SECONDS, receipt.route, seconds=receipt.total_ms / _MS_PER_S)
    if receipt.error_code:
        metrics.add(table.ERRORS, receipt.error_code)
        if not receipt.attempts:
            metrics.add(table.REFUSALS, receipt.error_code)
    for attempt in receipt.attempts:
        _observe_attempt(metrics, receipt.route, attempt)


def _observe_attempt(metrics: Metrics, route: str, attempt: Attempt) -> None:
    name, usage = attempt.deployment, attempt.usage
    metrics.add(table.ATTEMPTS, name, attempt.outcome.value)
    metrics.add(table.TOKENS, name, "input", amount=usage.input_tokens)
    metrics.add(table.TOKENS, name, "cached", amount=usage.cached_tokens)
    metrics.add(table.TOKENS, name, "output", amount=usage.output_tokens)
    metrics.observe(table.QUEUE_SECONDS, name, seconds=attempt.queue_ms / _MS_PER_S)
    if attempt.first_token_ms is not None:
        waited_ms = attempt.first_token_ms - attempt.started_ms
        metrics.observe(table.FIRST_TOKEN_SECONDS, name, seconds=waited_ms / _MS_PER_S)
    if attempt.verdict is not None and attempt.verdict.action is Action.ESCALATE:
        metrics.add(table.ESCALATIONS, route, name, attempt.verdict.reason)
    if attempt.bytes_left:
        metrics.add(table.EGRESS_BYTES, name, attempt.zone, amount=attempt.bytes_left)
    amount = attempt.cost.amount if attempt.cost is not None else None
    if amount is None:
        metrics.add(table.UNPRICED_ATTEMPTS, name)
    else:
        metrics.add(table.COST_MICROS, name, amount.currency, amount=amount.micros)
