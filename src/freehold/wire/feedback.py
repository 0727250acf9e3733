"""Feedback on the wire: what clients say of answers, and questions with known answers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from freehold.domain.certificates import SHARE_MAX, SHARE_MIN
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import field_invalid, invalid
from freehold.wire.openai_schema import Name

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Risk = Annotated[float, Meta(ge=SHARE_MIN, le=SHARE_MAX)]

_IDS = ("receipt", "request_id", "response_id")
_OURS = re.compile(
    r"(?:chatcmpl-|cmpl-|msg_|resp_)?"
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?(7[0-9a-f]{3})-?([0-9a-f]{4})-?([0-9a-f]{12})"
)


class FeedbackBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/feedback``: one of the ids, and one of ``right`` and ``rating``."""

    receipt: Id | None = None
    request_id: Id | None = None
    response_id: Id | None = None
    right: bool | None = None
    rating: Literal["up", "down"] | None = None
    kind: Literal["feedback", "gold"] = "feedback"

    @property
    def named(self) -> str:
        """The answer's name, as it was given."""
        return self.receipt or self.request_id or self.response_id or ""

    @property
    def request(self) -> str:
        """Id of the request that the name tells; empty where it is an upstream's name."""
        return request_of(self.named)

    @property
    def is_right(self) -> bool:
        """Whether the answer was right."""
        return self.right if self.right is not None else self.rating == "up"


class GoldBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/gold``: a question with known answers, and who is asked."""

    model: Name
    question: dict[str, Any]


class CertifyBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/admin/certificates``."""

    name: Name
    tenant: str | None = None
    risk: Risk = 0.1
    sure: Risk = 0.9
    labels: Literal["gold", "feedback", "agreement"] | None = None


_ALLOWED = {
    "rating": '"up" and "down"',
    "kind": '"feedback" and "gold"',
    "labels": '"gold", "feedback" and "agreement"',
}
Body = TypeVar("Body", FeedbackBody, GoldBody, CertifyBody)


def decode_feedback(raw: bytes) -> FeedbackBody:
    """Read the body of ``POST /v1/feedback``.

    Raises:
        BodyNotJson: Not one unambiguous JSON object.
        FieldInvalid: A member has a wrong type, or does not say of what or what.
    """
    body = _decoded(raw, FeedbackBody)
    given = [name for name in _IDS if getattr(body, name) is not None]
    if len(given) != 1:
        shown = " and ".join(given) or "missing"
        raise invalid(given[1] if given else "receipt", shown, f"give one of {', '.join(_IDS)}")
    if (body.right is None) == (body.rating is None):
        shown = "missing" if body.right is None else "given beside rating"
        raise invalid("right", shown, 'give "right" (true or false) or "rating" ("up" or "down")')
    return body


def decode_gold(raw: bytes) -> GoldBody:
    """Read the body of ``POST /v1/gold``; errors as ``decode_feedback``."""
    return _decoded(raw, GoldBody)


def decode_certify(raw: bytes) -> CertifyBody:
    """Read the body of ``POST /v1/admin/certificates``; errors as ``decode_feedback``."""
    return _decoded(raw, CertifyBody)


def request_of(name: str) -> str:
    """The id of a request that a client knows by ``name``: itself, or with the prefix of some interface.

    Empty for a name of another form, which an upstream has given.
    """
    found = _OURS.fullmatch(name)
    return "-".join(found.groups()) if found else ""


def _decoded(raw: bytes, kind: type[Body]) -> Body:
    document = decode_document(raw)
    try:
        return msgspec.convert(document.values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=_ALLOWED) from None
