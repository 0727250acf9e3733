"""What upstreams say when they refuse, in the words of servers that exist."""

from __future__ import annotations

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.request import ContextTooLong
from freehold.domain.errors.upstream import UpstreamStatus
from freehold.domain.zones import WORLD
from freehold.engines.reply_faults import (
    error_object,
    error_of_object,
    fault_of_event,
    retry_after_s,
    status_of_object,
    without_secret,
)
from freehold.wire.chunk_faults import ErrorEventError

CLOUD = Deployment(
    name="cloud",
    engine=EngineKind.OPENAI,
    model=ModelCard(name="m", context_tokens=8192),
    zone=WORLD,
    terms=Terms(),
)


@pytest.mark.parametrize(
    ("error", "prompt", "context"),
    [
        (
            {
                "code": 400,
                "message": "request (2100 tokens) exceeds the available context size (2048 tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 2100,
                "n_ctx": 2048,
            },
            2100,
            2048,
        ),
        (
            {
                "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in "
                "9001 tokens. Please reduce the length of the messages.",
                "code": "context_length_exceeded",
            },
            "9001",
            "8192",
        ),
        (
            {
                "message": "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens "
                "(2900 in the messages, 100 in the completion).",
                "type": "BadRequestError",
                "code": 400,
            },
            "3000",
            "2048",
        ),
        (
            {
                "message": "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
                "2049 input tokens, which exceeds this limit even without any output tokens.",
                "type": "BadRequestError",
                "param": "input_tokens",
                "code": 400,
            },
            "at least 2049",
            "2048",
        ),
        ({"message": "prompt is too long: 210000 tokens > 200000 maximum"}, "210000", "200000"),
        # Another Freehold.
        (
            {
                "message": "The prompt is too long: this model's maximum context length is 2048 tokens, answer included, "
                "and the prompt has 12031 ('small'). Send less text."
            },
            "12031",
            "2048",
        ),
        ({"message": "Too much.", "code": "context_length_exceeded"}, "too many", 8192),
    ],
)
def test_context_too_long(error: dict[str, object], prompt: object, context: object) -> None:
    found = error_of_object(error, status=400, deployment=CLOUD)
    assert isinstance(found, ContextTooLong)
    assert (found.values["prompt_tokens"], found.values["context_tokens"], found.source) == (prompt, context, "cloud")


def test_a_busy_server_may_speak_of_context_without_meaning_it() -> None:
    found = error_of_object({"message": "context window cache is full"}, status=503, deployment=CLOUD)
    assert isinstance(found, UpstreamStatus)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"message":"a"}}', {"message": "a"}),
        (b'{"error":"a"}', {"message": "a"}),
        (b'{"detail":"a"}', {"message": "a"}),
        (b'{"object":"error","message":"a"}', {"object": "error", "message": "a"}),
        (b'{"detail":[{"loc":1}]}', None),
        (b"{}", None),
        (b"<html>", None),
        (b"", None),
        (b'"\xff"', None),
        (b"[" * 100_000, None),
    ],
)
def test_error_object(body: bytes, error: dict[str, str] | None) -> None:
    assert error_object(body) == error


def test_a_refusal_without_words() -> None:
    found = error_of_object({}, status=418, deployment=CLOUD)
    assert isinstance(found, UpstreamStatus)
    assert found.message == "'cloud' answered 418: status 418, and says no more"
    assert found.wire_code == "FH-UPSTREAM-005"
    assert found.reached_model == "yes"


def test_a_long_text_is_cut_and_stays_one_line() -> None:
    found = error_of_object({"message": "a\r\nb" * 5000}, status=500, deployment=CLOUD)
    assert len(found.message) < 700
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999999", 86_400.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sat, 21 Nov 2026 10:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value, "date": "Sat, 21 Nov 2026 10:00:00 GMT"}) == seconds


def test_retry_after_without_anything_to_hold_a_date_against() -> None:
    assert retry_after_s({}) is None
    assert retry_after_s({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}) is None
    assert retry_after_s({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "yesterday"}) is None


@pytest.mark.parametrize(
    ("error", "status"),
    [({"code": 503}, 503), ({"status": 429}, 429), ({"type": "overloaded_error"}, 529), ({"code": 99}, 502), ({}, 502)],
)
def test_status_of_an_error_inside_a_stream(error: dict[str, object], status: int) -> None:
    assert status_of_object(error) == status


def test_without_secret() -> None:
    error = error_of_object({"message": "no sk-12345678 here"}, status=400, deployment=CLOUD, retry_after_s=2.0)
    error.unread = True
    clean = without_secret(error, "sk-12345678")
    assert isinstance(clean, UpstreamStatus)
    assert "sk-12345678" not in f"{clean.message}{clean.values}"
    assert (clean.http_status, clean.retry_after_s, clean.source, clean.reached_model) == (400, 2.0, "cloud", "yes")
    assert clean.unread
    assert without_secret(error, "") is error
    assert without_secret(error, "absent-secret") is error


@pytest.mark.parametrize("secret", ["", "sk-12345678"])
def test_what_an_upstream_says_is_told_and_never_kept(secret: str) -> None:
    said = {"message": f"{secret}: cannot read 'the patient is ill'"}
    whole = error_of_object(said, status=400, deployment=CLOUD)
    event = fault_of_event(ErrorEventError(said), deployment=CLOUD, begun=True)
    for error in (whole, event):
        shown = without_secret(error, secret).again()
        assert "the patient is ill" in shown.message
        assert shown.recorded == shown.message.replace(str(shown.values["reason"]), "(its words are not kept)")
    ours = ContextTooLong(deployment="x", prompt_tokens=2, context_tokens=1)
    assert ours.recorded == ours.message
