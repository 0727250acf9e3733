"""The tracing view of a receipt: OpenTelemetry spans with GenAI names, and never a word of what was said.

One span for the request and one below it for each attempt. Everything follows from the receipt, ids included: where the
client sent no trace context, the trace's id is the receipt's id without its dashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from uuid import UUID

from freehold.domain.decisions import Outcome
from freehold.domain.receipt import Attempt, Receipt
from freehold.telemetry.correlation import traceparent
from freehold.telemetry.otlp import Span, SpanKind, Value

_OPERATIONS = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}
_NS_PER_MS = 1_000_000
_MS_PER_S = 1_000
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_TRACE, _PARENT, _FLAGS = slice(3, 35), slice(36, 52), slice(53, 55)
_SAMPLED = 1
_SHARE_BITS = 62
_FAILED = frozenset({Outcome.FAILED, Outcome.BROKEN})


def is_sampled(receipt: Receipt, share: float) -> bool:
    """Whether a request's spans are sent: as the client's trace says, otherwise for ``share`` of all requests.

    The choice follows from the id, so that everybody who looks at one trace decides alike.
    """
    if receipt.traceparent and (context := traceparent(receipt.traceparent)):
        return bool(int(context[_FLAGS], 16) & _SAMPLED)
    if share >= 1.0:
        return True
    # The last 62 bits of a UUIDv7 are random.
    return int.from_bytes(_own_trace_id(receipt)) & ((1 << _SHARE_BITS) - 1) < share * (1 << _SHARE_BITS)


def spans_of(receipt: Receipt, providers: Mapping[str, str]) -> list[Span]:
    """The request's span, then one for each attempt.

    Args:
        receipt: The request.
        providers: ``gen_ai.provider.name`` by deployment.
    """
    if context := traceparent(receipt.traceparent):
        trace_id, parent_id = bytes.fromhex(context[_TRACE]), bytes.fromhex(context[_PARENT])
    else:
        trace_id, parent_id = _own_trace_id(receipt), b""
    own_id = _span_id(receipt.id)
    operation = _OPERATIONS.get(receipt.task, receipt.task)
    start_ns = receipt.created_unix_ms * _NS_PER_MS
    request = Span(
        trace_id=trace_id,
        span_id=own_id,
        parent_id=parent_id,
        name=f"{operation} {receipt.route}" if receipt.route else operation,
        kind=SpanKind.SERVER,
        start_unix_ns=start_ns,
        end_unix_ns=start_ns + int(receipt.total_ms * _NS_PER_MS),
        attributes=tuple(_request_facts(receipt)),
        failed=receipt.outcome in _FAILED,
    )
    attempts = [
        Span(
            trace_id=trace_id,
            span_id=_span_id(f"{receipt.id}/{number}"),
            parent_id=own_id,
            name=f"{operation} {attempt.model}",
            kind=SpanKind.CLIENT,
            start_unix_ns=start_ns + int(attempt.started_ms * _NS_PER_MS),
            end_unix_ns=start_ns + int(max(attempt.started_ms, attempt.ended_ms) * _NS_PER_MS),
            attributes=tuple(_attempt_facts(receipt, attempt, operation, providers)),
            failed=attempt.outcome in _FAILED,
        )
        for number, attempt in enumerate(receipt.attempts)
    ]
    return [request, *attempts]


def _request_facts(receipt: Receipt) -> list[tuple[str, Value]]:
    facts: list[tuple[str, Value]] = [
        ("freehold.receipt.id", receipt.id),
        ("freehold.tenant", receipt.tenant),
        ("freehold.route", receipt.route),
        ("freehold.outcome", str(receipt.outcome)),
        ("freehold.label.level", receipt.label.level.word),
        ("freehold.bytes_left", receipt.bytes_left),
        ("freehold.attempts", len(receipt.attempts)),
    ]
    if answered := receipt.answered_by:
        facts += [("freehold.deployment", answered.deployment), ("freehold.zone", answered.zone)]
    if receipt.client_request_id:
        facts.append(("freehold.client_request_id", receipt.client_request_id))
    if receipt.error_code:
        facts.append(("error.type", receipt.error_code))
    return facts


def _attempt_facts(
    receipt: Receipt, attempt: Attempt, operation: str, providers: Mapping[str, str]
) -> list[tuple[str, Value]]:
    usage = attempt.usage
    facts: list[tuple[str, Value]] = [
        ("gen_ai.operation.name", operation),
        ("gen_ai.provider.name", providers.get(attempt.deployment, "unknown")),
        ("gen_ai.request.model", attempt.model),
        ("gen_ai.request.stream", receipt.stream),
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("freehold.deployment", attempt.deployment),
        ("freehold.zone", attempt.zone),
        ("freehold.label.level", receipt.label.level.word),
        ("freehold.outcome", str(attempt.outcome)),
        ("freehold.queue_s", attempt.queue_ms / _MS_PER_S),
        ("freehold.bytes_left", attempt.bytes_left),
    ]
    if usage.cached_tokens:
        facts.append(("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens))
    if usage.reasoning_tokens:
        facts.append(("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens))
    if not usage.measured:
        facts.append(("freehold.usage.measured", False))
    if attempt.outcome is Outcome.COMPLETE:
        facts.append(("gen_ai.response.model", attempt.model))
    if attempt.finish_reason is not None:
        facts.append(("gen_ai.response.finish_reasons", (str(attempt.finish_reason),)))
    if attempt.first_token_ms is not None:
        waited_s = (attempt.first_token_ms - attempt.started_ms) / _MS_PER_S
        facts.append(("gen_ai.response.time_to_first_chunk", waited_s))
    if attempt.error_code:
        facts.append(("error.type", attempt.error_code))
    return facts + _judgement(attempt)


def _judgement(attempt: Attempt) -> list[tuple[str, Value]]:
    facts: list[tuple[str, Value]] = []
    if (confidence := attempt.confidence) is not None:
        facts.append(("freehold.confidence.status", str(confidence.status)))
        if confidence.probability is not None:
            facts.append(("freehold.confidence", confidence.probability))
    if (verdict := attempt.verdict) is not None:
        facts += [("freehold.verdict", str(verdict.action)), ("freehold.verdict.reason", verdict.reason)]
    if attempt.cost is not None and (amount := attempt.cost.amount) is not None:
        facts += [("freehold.cost.micros", amount.micros), ("freehold.cost.currency", amount.currency)]
    return facts


def _own_trace_id(receipt: Receipt) -> bytes:
    try:
        return UUID(receipt.id).bytes
    except ValueError:
        return hashlib.blake2b(receipt.id.encode("utf-8", "replace"), digest_size=_TRACE_ID_BYTES).digest()


def _span_id(text: str) -> bytes:
    # Not all zero, which would mean "none": the chance of a hash is 1 in 2^64.
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=_SPAN_ID_BYTES).digest()
