"""Errors as HTTP: OpenAI's envelope, the right status, and what to do next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from freehold.api.asgi import JSON, Headers
from freehold.api.limit_headers import limit_headers
from freehold.domain.errors.admission import AdmissionError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.limits import LimitError
from freehold.domain.errors.request import MethodNotAllowed
from freehold.domain.errors.server import Internal
from freehold.wire.openai_response import encode_json, error_envelope

log = logging.getLogger("freehold.api")

_RETRIED_WITHIN_S = 60
"""OpenAI's and Anthropic's clients wait no longer than this for another try, whatever Retry-After says."""


def render(
    error: FreeholdError, *, error_id: str, envelope: Callable[..., dict[str, Any]] = error_envelope
) -> tuple[int, bytes, Headers]:
    """Status, body and headers of ``error``; ``envelope`` makes the object that its client expects."""
    headers: Headers = [JSON]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after_s)).encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", str(error.values["allowed"]).encode("latin-1")))
    if error.standings:
        headers += limit_headers(error.standings)
        if isinstance(error, LimitError) and (not error.retryable or (error.retry_after_s or 0) > _RETRIED_WITHIN_S):
            headers.append((b"x-should-retry", b"false"))  # clients would try at once, again and again
    if isinstance(error, AdmissionError) and error.place is not None:
        headers += queue_headers(error.place.position, error.place.expected_s * 1000)
    if error.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.http_status, encode_json(envelope(error, error_id=error_id)), headers


def queue_headers(position: int, wait_ms: float) -> Headers:
    """Where a request stood in the queue when it came, and how long it waited or would have to."""
    return [(b"freehold-queue-position", b"%d" % position), (b"freehold-queue-wait-ms", b"%d" % round(wait_ms))]


def unexpected(error: BaseException, *, error_id: str) -> Internal:
    """An error that nobody foresaw: logged whole, told as an id."""
    log.error("unexpected error %s", error_id, exc_info=error)
    return Internal(error_id=error_id)
