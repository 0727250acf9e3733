"""What can be wrong with an upstream's answer, in our errors, which name the deployment and never an address."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import msgspec

from freehold.domain.deployment import Deployment
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamError, UpstreamProtocol, UpstreamStatus
from freehold.engines.base import Reply
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError

ERROR_BYTES_MAX = 64 * 1024
"""Most of an error answer that is read."""

_RETRY_AFTER_MAX_S = 86_400.0
_REFUSED_CREDENTIAL = (401, 403)
_SECRET_CHARACTERS_MIN = 8
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}
_CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"})
_CONTEXT_WORDS = re.compile(r"maximum context length|context size|context window|prompt is too long", re.IGNORECASE)
_CONTEXT_NUMBERS = (
    re.compile(r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<context>\d+) tokens\)"),
    re.compile(
        r"maximum context length is (?P<context>\d+) tokens.*?"
        r"(?:resulted in|requested|has|contains) (?P<prompt>(?:at least )?\d+)"
    ),
    re.compile(r"prompt is too long: (?P<prompt>\d+) tokens > (?P<context>\d+)"),
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_E = TypeVar("_E", bound=UpstreamError)

_OBJECT = msgspec.json.Decoder(dict[str, Any])


async def refusal(reply: Reply, *, deployment: Deployment) -> FreeholdError:
    """The error for an answer whose status is not 200; reads its body.

    ``UpstreamStatus`` keeps status, error code, Retry-After and the upstream's id of the request. Its value ``about`` names the request member that
    the upstream complains of, empty where it does not say.
    """
    try:
        body = await reply.read(limit_bytes=ERROR_BYTES_MAX)
    except UpstreamError:
        body = b""  # The status alone says enough.
    error = error_object(body)
    if error is None and 200 <= reply.status < 400:
        return protocol(deployment, f"status {reply.status} where an answer was asked for")
    told = error_of_object(
        error or {}, status=reply.status, retry_after_s=retry_after_s(reply.headers), deployment=deployment
    )
    name = reply.headers.get("request-id") or reply.headers.get("x-request-id", "")
    if isinstance(told, UpstreamStatus) and _REQUEST_ID.fullmatch(name):
        told.values["upstream_request_id"] = name
    return told


def fault_of_event(error: ErrorEventError | InvalidChunkError, *, deployment: Deployment, begun: bool) -> FreeholdError:
    """The error for an event that reports one or is not what its dialect promises.

    Args:
        error: What was wrong.
        deployment: Who sent it.
        begun: Whether a part of the answer has come: then the answer is broken, else it was refused.
    """
    if isinstance(error, InvalidChunkError):
        return broken(deployment, str(error)) if begun else protocol(deployment, str(error))
    reported = error_of_object(error.error, status=status_of_object(error.error), deployment=deployment)
    if not begun:
        return reported
    fault = broken(deployment, f"it reported: {reported.values.get('reason', reported.message)}")
    fault.quotes = frozenset({"reason"})
    if code := reported.values.get("upstream_code"):
        fault.values["upstream_code"] = code
    return fault


def error_of_object(
    error: Mapping[str, Any], *, status: int, deployment: Deployment, retry_after_s: float | None = None
) -> FreeholdError:
    """The error for an upstream's error object, whichever dialect it is in."""
    message = _text(error.get("message")) or f"status {status}, and says no more"
    kind, code = _text(error.get("type")), _text(error.get("code"))
    if {kind, code} & _CONTEXT_CODES or (status in (400, 413, 422) and _CONTEXT_WORDS.search(message)):
        return _context_too_long(error, message, deployment)
    about = "logprobs" if "logprob" in message else _text(error.get("param"))
    if status in _REFUSED_CREDENTIAL and about != "logprobs":
        # Upstreams like to quote the credential that they refuse.
        message = "it refused the credential or its permissions; check the deployment's credential"
    answer = UpstreamStatus(
        deployment=deployment.name,
        source=deployment.name,
        upstream_status=status,
        reason=message,
        upstream_code=code if code and not code.isdigit() else kind,
        about=about,
        retry_after_s=retry_after_s,
    )
    return _answered(answer)


def status_of_object(error: Mapping[str, Any]) -> int:
    """The HTTP status that an error object inside a stream names."""
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return _STATUS_OF_TYPE.get(_text(error.get("type")), 502)


def error_object(body: bytes) -> dict[str, Any] | None:
    """The error object of a JSON body; ``None`` where it has none."""
    try:
        payload = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    error = payload.get("error", payload.get("detail"))
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    if isinstance(error, str):
        return {"message": error}
    return payload if payload.get("object") == "error" else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which may also be a date; at most a day.

    A date is held against the server's own Date, since its clock is not ours.
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers["date"])).total_seconds()
        except (KeyError, ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _RETRY_AFTER_MAX_S) if math.isfinite(seconds) else None


def protocol(deployment: Deployment, reason: str) -> UpstreamProtocol:
    """Not an answer of the dialect."""
    return _answered(UpstreamProtocol(deployment=deployment.name, source=deployment.name, reason=reason))


def broken(deployment: Deployment, reason: str) -> UpstreamBroken:
    """An answer that ended before it was whole."""
    return _answered(UpstreamBroken(deployment=deployment.name, source=deployment.name, reason=reason))


def _answered(error: _E) -> _E:
    """Marks that an answer had begun: such a call must not be sent again."""
    error.reached_model = "yes"
    return error


def without_secret(error: FreeholdError, secret: str) -> FreeholdError:
    """The same error with ``secret`` taken out, should an upstream have quoted it."""
    values = {
        name: value.replace(secret, "…") if isinstance(value, str) else value for name, value in error.values.items()
    }
    if len(secret) < _SECRET_CHARACTERS_MIN or values == error.values:
        return error
    clean = type(error)(source=error.source, param=error.param, retry_after_s=error.retry_after_s, **values)
    clean.quotes = error.quotes
    if isinstance(clean, UpstreamError) and isinstance(error, UpstreamError):
        clean.reached_model, clean.reused = error.reached_model, error.reused
        clean.told, clean.unread = error.told, error.unread
    return clean


def _context_too_long(error: Mapping[str, Any], message: str, deployment: Deployment) -> ContextTooLong:
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    for pattern in _CONTEXT_NUMBERS:
        if found := pattern.search(message):
            prompt, context = prompt or found["prompt"], context or found["context"]
            break
    return ContextTooLong(
        source=deployment.name,
        deployment=deployment.name,
        prompt_tokens=prompt or "too many",
        context_tokens=context or deployment.model.context_tokens,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
