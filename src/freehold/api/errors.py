"""Errors as HTTP: OpenAI's envelope, the right status, and what to do next."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from freehold.api.asgi import JSON, Headers
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import MethodNotAllowed
from freehold.domain.errors.server import Internal
from freehold.wire.openai_response import encode_json, error_envelope

log = logging.getLogger("freehold.api")


def render(
    error: FreeholdError, *, error_id: str, envelope: Callable[..., dict[str, Any]] = error_envelope
) -> tuple[int, bytes, Headers]:
    """Status, body and headers of ``error``; ``envelope`` makes the object that its client expects."""
    headers: Headers = [JSON]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(error.retry_after_s)).encode()))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", str(error.values["allowed"]).encode("latin-1")))
    if error.http_status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.http_status, encode_json(envelope(error, error_id=error_id)), headers


def unexpected(error: BaseException, *, error_id: str) -> Internal:
    """An error that nobody foresaw: logged whole, told as an id."""
    log.error("unexpected error %s", error_id, exc_info=error)
    return Internal(error_id=error_id)
