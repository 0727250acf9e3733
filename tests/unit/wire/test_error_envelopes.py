"""What a client gets for every error of the catalogue. ``FREEHOLD_GOLDEN=write`` writes the files anew."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import string
from pathlib import Path

import pytest

import freehold.domain.errors as families
from freehold.domain.errors.base import FreeholdError, catalogue, message_template
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.errors.upstream import UpstreamStatus
from freehold.wire.openai_response import error_envelope, error_event
from freehold.wire.sse import SseParser

GOLDEN = Path(__file__).parents[2] / "golden" / "errors"

for module in pkgutil.iter_modules(families.__path__):
    __import__(f"{families.__name__}.{module.name}")

CATALOGUE = {code: kind for code, kind in catalogue().items() if kind.__module__.startswith(families.__name__)}

SAMPLES: dict[str, object] = {
    "allowed": "GET",
    "base_url": "http://user@host/v1",
    "body_bytes": 1024,
    "content": "an image",
    "context_tokens": 2048,
    "count": 2,
    "deployment": "home",
    "detail": "loading",
    "error_id": "0193-…",
    "field": "messages[2].role",
    "found": "sha256:aaaa",
    "free": "2.0 GiB",
    "host": "evil.example",
    "how": "by signal 9",
    "label": "confidential; zones=device",
    "left": "400 tokens",
    "limit_bytes": 16_777_216,
    "method": "PUT",
    "mistakes": "line 3: unknown key 'mdoel', did you mean 'model'?",
    "model": "gpt-5",
    "name": "qwen2.5-1.5b",
    "needs": "4.1 GiB",
    "origin": "https://api.example:443",
    "packages": "onnxruntime, tokenizers",
    "command": 'pip install "freehold[embed]"',
    "path": "/v1/nothing",
    "pid": 4711,
    "port": 8080,
    "prompt_tokens": 12_031,
    "reason": "it says why here",
    "reserved": "1,200 tokens",
    "resets": "2026-12-01 00:00 UTC",
    "resource": "memory",
    "retry_s": 3,
    "route": "auto",
    "running": 2,
    "refused": "new streams",
    "scope": "admin",
    "state": "busy",
    "seconds": 10,
    "size_bytes": 99_000_000,
    "status": 500,
    "subject": "tenant legal",
    "suggestion": "; did you mean 'auto'?",
    "upstream_status": 429,
    "used": "4,600 tokens",
    "url": "http://127.0.0.1:4141",
    "value": '"robot"',
    "waited_s": 30,
    "waiting": 8,
    "wanted": "900 tokens",
    "what": "send its first token",
    "window": "day",
    "worker": 2,
}


def sample(kind: type[FreeholdError]) -> FreeholdError:
    names = {name for _, name, _, _ in string.Formatter().parse(message_template(kind)) if name}
    param = "messages[2].role" if kind is FieldInvalid else None
    source = "home" if "deployment" in names else "freehold"
    return kind(source=source, param=param, **{name: SAMPLES.get(name, name) for name in sorted(names)})


def rendered(error: FreeholdError) -> str:
    answer = {"status": error.http_status, "retryable": error.retryable, "body": error_envelope(error, error_id="e1")}
    return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("code", CATALOGUE)
def test_golden(code: str) -> None:
    file = GOLDEN / f"{code}.json"
    shown = rendered(sample(CATALOGUE[code]))
    if os.environ.get("FREEHOLD_GOLDEN") == "write":
        file.write_text(shown, "utf-8")
    assert file.is_file(), f"{code} has no golden file; run with FREEHOLD_GOLDEN=write and look at it"
    assert shown == file.read_text("utf-8")


def test_no_golden_file_without_an_error() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CATALOGUE)


@pytest.mark.parametrize("code", CATALOGUE)
def test_message_says_what_happened_in_one_line(code: str) -> None:
    error = sample(CATALOGUE[code])
    assert re.fullmatch(r"FH-[A-Z]+-\d{3}", code)
    assert 400 <= error.http_status < 600
    assert "\n" not in error.message
    assert not re.search(r"[{}]", error.message)


def test_envelope() -> None:
    error = FieldInvalid(field="n", value="2", reason="why", param="n")
    assert error_envelope(error, error_id="e1") == {
        "error": {
            "message": "n is 2: why.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "FH-REQUEST-002",
            "freehold_code": "FH-REQUEST-002",
            "source": "freehold",
            "error_id": "e1",
        }
    }


@pytest.mark.parametrize(
    ("upstream", "status", "code"),
    [
        ({"upstream_status": 429, "upstream_code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"upstream_status": 500, "upstream_code": ""}, 500, "FH-UPSTREAM-005"),
        ({"upstream_status": 401, "upstream_code": "invalid_api_key"}, 502, "invalid_api_key"),
        ({"upstream_status": 418}, 418, "FH-UPSTREAM-005"),
    ],
)
def test_upstream_status_keeps_the_upstreams_words(upstream: dict[str, object], status: int, code: str) -> None:
    error = UpstreamStatus(source="cloud", deployment="cloud", reason="slow down", **upstream)
    envelope = error_envelope(error, error_id="e1")["error"]
    assert error.http_status == status
    assert (envelope["code"], envelope["freehold_code"], envelope["source"]) == (code, "FH-UPSTREAM-005", "cloud")


def test_error_event_is_one_event_and_not_the_end() -> None:
    error = UpstreamStatus(source="cloud", deployment="cloud", upstream_status=500, reason="a\r\n\r\ndata: [DONE]\n\n")
    (event,) = SseParser().feed(error_event(error, error_id="e1"))
    assert json.loads(event.data) == error_envelope(error, error_id="e1")
