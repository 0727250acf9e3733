"""A receipt in one line: where, how fast, what left, how sure, what it cost. Unknown values are words, never numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from freehold.cli.output import money

_SEPARATOR = " · "


def receipt_line(receipt: Mapping[str, Any]) -> str:
    """``device · small · 17.6 tok/s measured · 0 bytes left this machine · confidence 0.83 (calibrated) · $0.000012``.

    Args:
        receipt: The document of ``domain.receipt_json``.
    """
    attempt = answering_attempt(receipt)
    if attempt is None:
        code = str(receipt.get("error_code") or "")
        parts = [f"no answer ({code})" if code else "no answer", _bytes_left(receipt), _cost(receipt)]
    else:
        parts = [str(attempt["zone"]), str(attempt["deployment"]), _speed(attempt), _bytes_left(receipt)]
        parts += [_confidence(attempt), _cost(receipt)]
        tried = [each for each in _list(receipt, "attempts") if each.get("role", "answer") == "answer"]
        if len(tried) > 1:
            parts.insert(2, f"attempt {tried.index(attempt) + 1 if attempt in tried else len(tried)}")
    return _SEPARATOR.join(parts)


def answering_attempt(receipt: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The attempt whose answer the client got."""
    index, attempts = receipt.get("answered_index"), _list(receipt, "attempts")
    return attempts[index] if isinstance(index, int) and 0 <= index < len(attempts) else None


def _list(receipt: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = receipt.get(name)
    return cast("list[Mapping[str, Any]]", found) if isinstance(found, list) else []


def _speed(attempt: Mapping[str, Any]) -> str:
    timings: Mapping[str, Any] = attempt.get("timings") or {}
    tokens, milliseconds = timings.get("generated_tokens") or 0, timings.get("generation_ms") or 0
    return f"{tokens / milliseconds * 1000:.1f} tok/s measured" if tokens and milliseconds else "speed not measured"


def _bytes_left(receipt: Mapping[str, Any]) -> str:
    count = receipt.get("bytes_left")
    if not isinstance(count, int):
        return "bytes that left unknown"
    return f"{count:,} byte{'' if count == 1 else 's'} left this machine"


def _confidence(attempt: Mapping[str, Any]) -> str:
    confidence = attempt.get("confidence")
    if not confidence:
        return "confidence unmeasured"
    probability = confidence.get("probability")
    status = confidence.get("status", "unmeasured")
    if probability is None:
        return f"confidence {status}"
    verdict: Mapping[str, Any] = attempt.get("verdict") or {}
    certified = ", certified" if verdict.get("certificate") else ""
    return f"confidence {probability:.2f} ({status}{certified})"


def _cost(receipt: Mapping[str, Any]) -> str:
    cost, cloud = receipt.get("cost"), receipt.get("counterfactual")
    text = money(cost["micros"], cost["currency"]) if cost else "unpriced"
    if cloud:
        text += f" (cloud: {money(cloud['micros'], cloud['currency'])})"
    return text
