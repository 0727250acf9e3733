"""A gateway with calibrations and certificates in files, made for a server that is not ours."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import Certificate, LabelKind
from freehold.engines.openai_compatible import _fingerprint
from freehold.routing.calibration import Calibration, to_json
from freehold.routing.certificate import About, Aim, certify
from freehold.routing.certificate import to_json as certificate_json
from freehold.routing.ladder import scored_on
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.routing import calibration
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
[calibration]
folder = "calibrations"

[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "device"
base_url = "{small}"
[deployments.renamed]
engine = "openai"
model = "another-model"
zone = "device"
base_url = "{small}"
[deployments.large]
engine = "openai"
model = "scripted-large"
zone = "device"
base_url = "{large}"

[routes.good]
deployments = ["small", "large"]
workload = "good"
risk_max = 0.1
uncalibrated = "escalate"
[routes.other]
deployments = ["renamed", "large"]
workload = "good"
risk_max = 0.1
uncalibrated = "escalate"
[routes.live]
deployments = ["small", "large"]
workload = "good"
stream = "prefix"
prefix_tokens = 3
[routes.bad]
deployments = ["small", "large"]
workload = "bad"
stream = "prefix"
prefix_tokens = 3
[routes.grey]
deployments = ["small", "large"]
workload = "good"
accept_at = 0.96
second_opinion = "large"
"""


@dataclass
class Place:
    gateway: Gateway
    small: OpenAIServer
    large: OpenAIServer


def files(folder: Path, address: str) -> None:
    """Calibrations that are as sure of everything, and a certificate for the one of whole good answers."""
    known = _fingerprint(address, "scripted-small", "", "fp_scripted")
    made_there: dict[str, Any] = {
        "model_digest": known.stands_for_model,
        "engine": known.engine,
        "engine_version": known.version,
        "template_digest": known.template_sha256,
    }
    plain = calibration(features=(), tokens_max=64, n=100_000, **made_there)
    found: dict[str, Calibration] = {}
    for workload, score in (("good", 3.0), ("bad", -3.0)):
        whole = replace(plain, id=f"{workload}-1", workload=workload, intercept=score)
        found[workload] = whole
        found[f"{workload}-prefix"] = replace(whole, id=f"{workload}-first", scope="prefix-3", tokens_max=3)
    (folder / "certificates").mkdir(parents=True)
    for name, each in found.items():
        (folder / f"{name}.json").write_text(to_json(each), encoding="utf-8")
    (folder / "certificates" / "good.json").write_text(certificate_json(certificate(found["good"])), encoding="utf-8")
    (folder / "certificates" / "broken.json").write_text("{}", encoding="utf-8")


def certificate(about: Calibration) -> Certificate:
    scores = [place / 500 for place in range(500)]
    made = certify(
        scores,
        [score < 0.3 for score in scores],
        traffic=scores,
        aim=Aim(risk_max=0.1),
        about=About(scored_on=scored_on(about), label_kind=LabelKind.GOLD, created_unix_ms=0, expires_unix_ms=1 << 50),
    )
    assert isinstance(made, Certificate)
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    folder = tmp_path_factory.mktemp("certified")
    with ExitStack() as stack:
        small, large = (stack.enter_context(in_thread(OpenAIServer())) for _ in range(2))
        files(folder / "calibrations", small.base_url)
        config = CONFIG.format(small=small.base_url, large=large.base_url)
        yield Place(stack.enter_context(running(config, folder)), small, large)


def ask(place: Place, model: str, text: str = "say:It is Oslo", *, stream: bool = False) -> Any:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": stream,
        "temperature": 0,
    }
    with place.gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    return reply


def attempts_of(place: Place, reply: Any) -> list[dict[str, Any]]:
    return place.gateway.receipt(reply.headers["freehold-receipt"])["attempts"]


def test_an_answer_of_what_was_certified_says_so(place: Place) -> None:
    reply = ask(place, "good")
    assert reply.headers["freehold-deployment"] == "small"
    assert reply.headers["freehold-confidence"] == "0.953"
    assert reply.headers["freehold-certified"] == "certified"
    (attempt,) = attempts_of(place, reply)
    assert attempt["confidence"]["calibrated_on"] == "good-1"
    assert attempt["verdict"]["certificate"].startswith("cert-")
    assert attempt["verdict"]["certified_by"] == "gold"


def test_another_model_at_the_same_server_is_neither_calibrated_nor_certified(place: Place) -> None:
    reply = ask(place, "other")
    assert reply.headers["freehold-deployment"] == "large"
    assert reply.headers["freehold-certified"] == "uncertified"
    first, _ = attempts_of(place, reply)
    assert (first["confidence"]["status"], first["verdict"]["reason"]) == ("uncalibrated", "uncalibrated")


def test_a_file_that_is_no_certificate_is_passed_over_with_a_warning(place: Place) -> None:
    assert "broken.json is passed over" in place.gateway.log


def said(reply: Any) -> tuple[str, set[str]]:
    """Text and models of a stream."""
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    return "".join(pieces), {event["model"] for event in events}


def test_a_stream_whose_prefix_is_good_enough_passes(place: Place) -> None:
    reply = ask(place, "live", "hello", stream=True)
    assert said(reply) == (TEXT, {"small"})
    assert reply.text.endswith("data: [DONE]\n\n")
    (attempt,) = attempts_of(place, reply)
    assert (attempt["prefix"]["calibrated_on"], attempt["confidence"]["calibrated_on"]) == ("good-first", "good-1")


def test_nothing_of_a_rejected_prefix_reaches_the_client(place: Place) -> None:
    reply = ask(place, "bad", "hello", stream=True)
    assert said(reply) == (TEXT, {"scripted-large"})  # it passes through as it comes
    assert reply.headers["freehold-deployment"] == "large"
    left, answered = attempts_of(place, reply)
    assert (left["outcome"], left["confidence"]["scope"]) == ("cancelled", "prefix-3")
    assert answered["outcome"] == "complete"
    assert place.gateway.receipt(reply.headers["freehold-receipt"])["answered_by"] == "large"


def test_an_opinion_is_on_the_receipt_with_its_role_and_tokens(place: Place) -> None:
    reply = ask(place, "grey")
    roles = [(each["deployment"], each["role"], each["usage"]["output_tokens"]) for each in attempts_of(place, reply)]
    assert roles == [("small", "answer", 6), ("large", "opinion", 6), ("large", "answer", 6)]
    first = attempts_of(place, reply)[0]
    assert first["confidence"]["signals"]["agreement"] == 1.0
    assert place.gateway.receipt(reply.headers["freehold-receipt"])["answered_index"] == 2
