"""Feedback as clients send it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.domain.errors.request import BodyNotJson, FieldInvalid
from freehold.wire.feedback import decode_certify, decode_feedback, decode_gold, request_of

ID = "01a22a54-23bf-7984-a3a4-ec9513f040fb"
PLAIN = ID.replace("-", "")


@pytest.mark.parametrize(
    ("name", "request_id"),
    [
        (ID, ID),
        (f"chatcmpl-{ID}", ID),
        (f"msg_{PLAIN}", ID),
        (f"resp_{PLAIN}", ID),
        (PLAIN, ID),
        ("chatcmpl-AbC123", ""),
        (f"{ID}x", ""),
        (ID.upper(), ""),
        (ID.replace("-7984", "-4984"), ""),
    ],
)
def test_a_name_of_ours_tells_its_request(name: str, request_id: str) -> None:
    assert request_of(name) == request_id


@pytest.mark.parametrize(
    ("said", "right"),
    [({"right": True}, True), ({"right": False}, False), ({"rating": "up"}, True), ({"rating": "down"}, False)],
)
def test_what_is_said(said: dict[str, Any], right: bool) -> None:
    body = decode_feedback(json.dumps({"response_id": "x", **said}).encode())
    assert (body.is_right, body.kind, body.named, body.request) == (right, "feedback", "x", "")


@pytest.mark.parametrize(
    ("decode", "body", "field"),
    [
        (decode_feedback, {"right": True}, "receipt"),
        (decode_feedback, {"receipt": "", "right": True}, "receipt"),
        (decode_feedback, {"receipt": "x", "right": "yes"}, "right"),
        (decode_feedback, {"receipt": "x", "right": True, "kind": "agreement"}, "kind"),
        (decode_gold, {"model": "auto"}, "question"),
        (decode_gold, {"model": "auto", "question": "x"}, "question"),
        (decode_certify, {"name": "auto", "risk": 0}, "risk"),
        (decode_certify, {"name": "auto", "sure": 1}, "sure"),
        (decode_certify, {"name": "auto", "sure": 5e-324}, "sure"),
        (decode_certify, {"name": "auto", "risk": 1e-300}, "risk"),
        (decode_certify, {"name": "auto", "labels": "votes"}, "labels"),
    ],
)
def test_what_is_wrong_is_named(decode: Any, body: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as raised:
        decode(json.dumps(body).encode())
    assert raised.value.param == field


def test_other_bytes_are_no_body() -> None:
    with pytest.raises(BodyNotJson):
        decode_feedback(b"[]")
