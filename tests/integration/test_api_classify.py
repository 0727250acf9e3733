"""Classifiers over HTTP, trained with vectors and letters of a scripted server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.server import eventually
from tests.support.site import Site, site

TOPICS = {"win": 0, "prize": 0, "money": 0, "meeting": 1, "report": 1, "lunch": 1}
MORE = """
[routes.embed]
deployments = ["vectors"]
[deployments.other-vectors]
engine = "openai"
model = "scripted-other"
zone = "lan"
base_url = "{small}"
clearance = "internal"
embeds = true
"""


class TopicServer(OpenAIServer):
    """Its vectors tell the topic of a text; its letter is the option that the text names, with a taste for A."""

    silent = 0

    async def _embeddings(self, exchange: Exchange) -> None:
        texts = exchange.body["input"]
        texts = [texts] if isinstance(texts, str) else texts
        rows = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
        usage = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
        await exchange.reply_json(200, {"object": "list", "data": rows, "model": "m", "usage": usage})

    async def _stream(self, exchange: Exchange, mode: str) -> None:
        if "Options:" not in mode:
            await super()._stream(exchange, mode)
            return
        text, _, options = mode.partition("\n\nOptions:\n")
        letters = {line[0]: line[3:].partition(":")[0] for line in options.splitlines() if line[1:3] == ". "}
        if "silence" in text:
            self.silent += 1
            await asyncio.Event().wait()
        wanted = [each for each, label in letters.items() if label in text]
        shares = {each: (0.6 if each in wanted else 0.1) + (0.25 if each == "A" else 0.0) for each in letters}
        if "mumble" in text:
            shares = {"Well": 0.9, "Hm": 0.1}
        first = max(shares, key=lambda each: shares[each])
        alternatives = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
        logprobs = {"content": [{"token": first, "logprob": math.log(shares[first]), "top_logprobs": alternatives}]}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        await exchange.start()
        piece = {"index": 0, "delta": {"content": first}, "finish_reason": None, "logprobs": logprobs}
        for choice in (piece, {"index": 0, "delta": {}, "finish_reason": "length"}):
            await exchange.send(b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n")
        await exchange.send(b"data: [DONE]\n\n")
        await exchange.end()

    async def _whole(self, exchange: Exchange, mode: str) -> None:
        if "Options:" in mode:
            raise AssertionError("a chat that is looked into is streamed")
        await super()._whole(exchange, mode)


def vector(text: str) -> list[float]:
    """Four numbers: how much of each topic, and two of noise that depends on the text alone."""
    noise = hashlib.sha256(text.encode()).digest()
    counts = [sum(text.count(word) for word, topic in TOPICS.items() if topic == each) for each in (0, 1)]
    return [*(count + noise[i] / 512 for i, count in enumerate(counts)), noise[2] / 255, noise[3] / 255]


def examples(*, n: int = 20) -> list[dict[str, str]]:
    words = {"spam": ("win", "prize", "money"), "ham": ("meeting", "report", "lunch")}
    return [
        {"text": f"{words[label][i % 3]} number {i}", "label": label} for label in ("spam", "ham") for i in range(n)
    ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    server = TopicServer()
    with site(
        tmp_path_factory.mktemp("classify"), more=MORE.replace('base_url = "{small}"', PLACE), small=server
    ) as it:
        it.classifier = call(it, "POST", "/v1/classifiers", name="mail", model="embed", examples=examples())  # pyright: ignore[reportAttributeAccessIssue]
        yield it


PLACE = 'base_url = "http://127.0.0.1:1/v1"'


def call(house: Site, verb: str, path: str, /, *, key: str | None = None, label: str = "", **body: Any) -> Any:
    headers = {"freehold-label": label} if label else {}
    with house.gateway.http(key) as client:
        return client.request(verb, path, headers=headers, **({"json": body} if body else {}))


def classify(house: Site, text: Any, *, model: str = "mail", **more: Any) -> Any:
    return call(house, "POST", "/v1/classify", model=model, input=text, **more)


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["freehold_code"]


def test_a_spam_filter_from_twenty_examples_a_class(house: Site) -> None:
    made = house.classifier.json()  # pyright: ignore[reportAttributeAccessIssue]
    assert (made["id"], made["method"], made["model"]) == ("mail", "embedding", "embed")
    assert made["labels"] == [
        {"label": "ham", "examples": 20, "description": ""},
        {"label": "spam", "examples": 20, "description": ""},
    ]
    assert made["trained_with"] == {"model": "scripted-vectors", "digest": ""}
    assert made["cross_validated"]["accuracy"]["value"] > 0.9
    assert made["label"] == "internal;zones=world"
    assert made["warnings"] == []
    reply = classify(house, ["win a prize and money", "the meeting and the report"])
    answer = reply.json()
    first, second = answer["data"]
    assert (first["label"], second["label"]) == ("spam", "ham")
    assert first["probability"] > 0.9
    assert first["probability"] == first["probabilities"]["spam"]
    assert math.isclose(sum(first["probabilities"].values()), 1.0, abs_tol=1e-5)
    assert (first["calibrated"], first["abstain"], first["num_classes"]) == (True, False, 2)
    assert first["probs"] == [first["probabilities"]["ham"], first["probabilities"]["spam"]]
    assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 0, "total_tokens": 6, "calls": 1}
    receipt = house.receipt_of(reply)
    assert (receipt["id"], receipt["task"], receipt["model_asked"]) == (answer["id"], "embedding", "embed")
    assert reply.headers["freehold-deployment"] == "vectors"


def test_below_the_threshold_it_abstains(house: Site) -> None:
    texts = ["win money prize", "win the meeting"]
    sure, unsure = (row["probability"] for row in classify(house, texts).json()["data"])
    assert unsure < sure
    rows = classify(house, texts, threshold=(sure + unsure) / 2).json()["data"]
    assert [row["abstain"] for row in rows] == [False, True]


def test_only_the_likeliest_labels_where_so_many_are_wanted(house: Site) -> None:
    (row,) = classify(house, "win money", top_k=1).json()["data"]
    assert list(row["probabilities"]) == ["spam"]
    assert len(row["probs"]) == 2


def test_letters_of_a_chat_model_are_scores_and_a_taste_for_a_place_cancels(house: Site) -> None:
    reply = classify(house, "this is ham", model="small", labels=["spam", {"label": "ham", "description": "good"}])
    answer = reply.json()
    (row,) = answer["data"]
    assert (row["label"], row["calibrated"], row["abstain"]) == ("ham", False, None)
    assert not {"probability", "probabilities", "probs"} & row.keys()
    # 0.85 against 0.1 with the wanted one first, 0.6 against 0.35 with it second: the mean of the logarithms.
    odds = math.sqrt(0.85 / 0.1 * 0.6 / 0.35)
    assert row["scores"]["ham"] == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert answer["usage"]["calls"] == len(set(answer["receipts"])) == 2
    for receipt_id in answer["receipts"]:
        assert house.gateway.receipt(receipt_id)["task"] == "chat"
    one = classify(house, "this is ham", model="small", labels=["spam", "ham"], rotations=1).json()
    assert one["usage"]["calls"] == 1
    assert one["data"][0]["scores"]["ham"] == pytest.approx(0.6 / 0.95, abs=1e-6)


def test_examples_turn_letters_into_probabilities(house: Site) -> None:
    told = [{"text": f"{label} {i}", "label": label} for label in ("spam", "ham") for i in range(10)]
    made = call(house, "POST", "/v1/classifiers", name="asked", model="small", method="logprobs", examples=told)
    assert made.status_code == 200, made.text
    assert any("10 examples" in warning for warning in made.json()["warnings"])
    (row,) = classify(house, "this is ham", model="asked").json()["data"]
    assert (row["label"], row["calibrated"]) == ("ham", True)
    assert row["probability"] > 0.9
    assert code(classify(house, "mumble", model="asked")) == (422, "FH-CLASSIFY-006")


def test_classifiers_are_listed_shown_and_removed(house: Site) -> None:
    made = call(
        house, "POST", "/v1/classifiers", name="short-lived", model="embed", examples=examples(n=5), keep_examples=True
    )
    assert len(made.json()["warnings"]) == 2
    names = [each["id"] for each in call(house, "GET", "/v1/classifiers").json()["data"]]
    assert {"mail", "short-lived"} <= set(names) and names == sorted(names)
    assert call(house, "GET", "/v1/classifiers/short-lived").json()["examples"][0] == examples()[0]
    assert call(house, "GET", "/v1/classifiers/mail").json()["examples"] is None
    again = call(house, "POST", "/v1/classifiers", name="short-lived", model="embed", examples=examples(n=5))
    assert code(again) == (409, "FH-CLASSIFY-005")
    before = made.json()["version"]
    replaced = call(
        house, "POST", "/v1/classifiers", name="short-lived", model="embed", examples=examples(n=6), replace=True
    )
    assert replaced.json()["version"] != before
    assert classify(house, "win", model="short-lived").status_code == 200
    gone = call(house, "DELETE", "/v1/classifiers/short-lived")
    assert gone.json() == {"id": "short-lived", "object": "classifier", "deleted": True}
    assert code(classify(house, "win", model="short-lived")) == (404, "FH-CLASSIFY-001")
    assert code(call(house, "DELETE", "/v1/classifiers/short-lived")) == (404, "FH-CLASSIFY-001")


def test_another_tenants_classifier_is_not_there(house: Site) -> None:
    stranger, _ = house.gateway.new_key(tenant="other", scopes=("infer", "manage", "admin"))
    missing = code(call(house, "GET", "/v1/classifiers/nothing", key=stranger))
    assert missing == (404, "FH-CLASSIFY-001")
    assert code(call(house, "GET", "/v1/classifiers/mail", key=stranger)) == missing
    assert code(call(house, "DELETE", "/v1/classifiers/mail", key=stranger)) == missing
    assert code(call(house, "POST", "/v1/classify", key=stranger, model="mail", input="win")) == missing
    assert call(house, "GET", "/v1/classifiers", key=stranger).json()["data"] == []
    own = call(house, "POST", "/v1/classifiers", key=stranger, name="mail", model="embed", examples=examples(n=5))
    assert own.status_code == 200
    assert own.json()["version"] != house.classifier.json()["version"]  # pyright: ignore[reportAttributeAccessIssue]


def test_what_it_learnt_from_labels_what_it_classifies(house: Site) -> None:
    made = call(
        house,
        "POST",
        "/v1/classifiers",
        name="secret",
        model="small",
        method="logprobs",
        label="confidential",
        examples=[{"text": f"{label} {i}", "label": label} for label in ("spam", "ham") for i in range(5)],
    )
    assert made.json()["label"].startswith("confidential")
    reply = classify(house, "ham", model="secret")
    assert reply.headers["freehold-label"] == "confidential"
    assert classify(house, "win").headers["freehold-label"] == "internal"
    # The embedder is cleared for internal only: neither the examples nor what such a classifier sees may go there.
    refused = call(
        house, "POST", "/v1/classifiers", name="never", model="embed", label="confidential", examples=examples(n=5)
    )
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert refused.headers["freehold-receipt"] == error["error_id"]
    assert house.gateway.receipt(error["error_id"])["outcome"] == "refused"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "embed"}, "name"),
        ({"examples": [{"text": "x", "label": "y"}]}, "examples"),
        ({"examples": [{"text": "", "label": "y"}]}, "examples[0].text"),
        ({"examples": examples(n=4)}, "examples"),
        ({"labels": ["spam", "ham", "eggs"]}, "examples"),
        ({"labels": ["spam", "eggs"]}, "labels"),
        ({"labels": ["spam", "spam"]}, "labels[1]"),
        ({"threshold": 0.5, "risk": 0.1}, "risk"),
        ({"risk": 1}, "risk"),
        ({"model": "nothing"}, "model"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_cannot_train_is_said(house: Site, body: dict[str, Any], param: str) -> None:
    reply = call(
        house, "POST", "/v1/classifiers", **{"name": "bad", "model": "embed", "examples": examples(n=5)} | body
    )
    assert reply.status_code in (400, 404), reply.text
    assert reply.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"threshold": 2}, "threshold"),
        ({"rotations": 2}, "rotations"),
        ({"labels": ["one"]}, "labels"),
        ({"model": "small", "labels": ["a", "b"], "threshold": 0.5}, "threshold"),
        ({"model": "small", "labels": [f"label {i}" for i in range(21)]}, "labels"),
        ({"model": "small", "labels": ["a", {"label": "a"}]}, "labels[1]"),
    ],
)
def test_what_cannot_be_classified_is_said(house: Site, body: dict[str, Any], param: str) -> None:
    reply = call(house, "POST", "/v1/classify", **{"model": "mail", "input": "win"} | body)
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.json()["error"]["param"] == param


def test_a_model_without_log_probabilities(house: Site) -> None:
    reply = classify(house, "x", model="claude", labels=["spam", "ham"])
    assert 400 <= reply.status_code < 500, reply.text


def test_a_key_that_is_revoked_asks_no_further(house: Site) -> None:
    server = house.small
    assert isinstance(server, TopicServer)
    secret, key_id = house.gateway.new_key(tenant="other")
    texts = [f"silence {number}" for number in range(20)]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            call, house, "POST", "/v1/classify", key=secret, model="small", input=texts, labels=["a", "b"]
        )
        eventually(lambda: server.silent > 0, what="the first question")
        with house.gateway.key_ring() as ring:
            ring.revoke(key_id)
        assert code(asked.result(timeout=5)) == (401, "FH-AUTH-002")
    assert server.silent < len(texts)


def test_a_classifier_is_void_once_its_model_is_another(house: Site) -> None:
    config = house.gateway.config.read_text(encoding="utf-8")
    house.gateway.config.write_text(
        config.replace('model = "scripted-vectors"', 'model = "scripted-newer"'), encoding="utf-8"
    )
    try:
        reply = eventually(
            lambda: (found := classify(house, "win")).status_code == 409 and found, within_s=10, what="the new model"
        )
    finally:
        house.gateway.config.write_text(config, encoding="utf-8")
    error = reply.json()["error"]
    assert error["freehold_code"] == "FH-CLASSIFY-002"
    assert "scripted-vectors" in error["message"] and "scripted-newer" in error["message"]
    eventually(lambda: classify(house, "win").status_code == 200, within_s=10, what="the old model")
