"""The gateway as a process in front of scripted servers, driven by the official client: what a program relies on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from pathlib import Path

import openai
import pytest

from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.proofs import verify_receipt_proof
from freehold.audit.verify import verify_folder
from tests.servers import anthropic_server, openai_server
from tests.support.server import eventually
from tests.support.site import Site, site

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("remote")) as running:
        yield running


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_a_whole_answer_has_its_usage_and_its_receipt_in_the_headers(house: Site) -> None:
    reply = house.ask("hello")

    answer = reply.parse()
    assert answer.choices[0].message.content == openai_server.TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 6, 13)
    assert answer.usage.prompt_tokens_details.cached_tokens == 2
    sent = house.small.exchanges[-1]
    assert {name: value for name, value in reply.headers.items() if name.startswith("freehold-")} == {
        "freehold-receipt": reply.headers["freehold-receipt"],
        "freehold-deployment": "small",
        "freehold-zone": "lan",
        "freehold-label": "internal",
        "freehold-confidence": "unmeasured",
        "freehold-verdict": "accept; unmeasured",
        "freehold-certified": "uncertified",
        "freehold-bytes-left": str(len(sent.raw)),
        "freehold-cost": "unpriced",
    }
    receipt = house.receipt_of(reply)
    assert receipt["outcome"] == "complete"
    assert receipt["attempts"][0]["usage"]["measured"]


def test_a_streamed_answer_comes_in_pieces_and_has_usage_only_where_asked_for(house: Site) -> None:
    client = house.gateway.openai()
    with client.chat.completions.create(model="commit", messages=messages("hello"), stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == openai_server.TEXT
    assert len([chunk for chunk in chunks if chunk.choices[0].delta.content]) == len(openai_server.TEXT.split())
    assert all(chunk.usage is None and chunk.choices[0].logprobs is None for chunk in chunks)
    assert {chunk.id for chunk in chunks} == {chunks[0].id}

    counted = client.chat.completions.create(
        model="plain", messages=messages("hello"), stream=True, stream_options={"include_usage": True}
    )
    with counted as stream:
        last = list(stream)[-1]
    assert last.choices == []
    assert last.usage.total_tokens == 13


def test_a_stream_ends_with_done_and_with_the_receipt_where_asked_for(house: Site) -> None:
    body = {"model": "commit", "messages": messages("hello"), "stream": True}
    with house.gateway.http() as client:
        plain = client.post("/v1/chat/completions", json=body)
        told = client.post("/v1/chat/completions", json=body, headers={"freehold-include-receipt": "true"})
        in_body = client.post("/v1/chat/completions", json=body | {"freehold": {"include_receipt": True}})

    assert plain.text.endswith("\n\ndata: [DONE]\n\n")
    assert plain.headers["freehold-deployment"] == "small"
    assert "freehold-receipt" not in plain.text
    for reply in (told, in_body):
        line = next(x for x in reply.text.splitlines() if x.startswith(": freehold-receipt "))
        receipt = json.loads(line.removeprefix(": freehold-receipt "))
        assert receipt["id"] == reply.headers["freehold-receipt"]
        assert receipt["outcome"] == "complete"
        assert reply.text.endswith("data: [DONE]\n\n")
    assert "freehold" not in house.small.exchanges[-1].body


def test_the_asynchronous_client_gets_the_same(house: Site) -> None:
    async def scenario() -> tuple[str | None, str]:
        async with house.gateway.async_openai() as client:
            whole = await client.chat.completions.create(model="plain", messages=messages("hello"))
            stream = await client.chat.completions.create(model="plain", messages=messages("hello"), stream=True)
            async with stream:
                pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
        return whole.choices[0].message.content, "".join(pieces)

    assert asyncio.run(scenario()) == (openai_server.TEXT, openai_server.TEXT)


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "weather"}}], ids=str)
@pytest.mark.parametrize("model", ["plain", "claude"])
def test_tool_calls_come_back_whole_from_every_dialect(house: Site, model: str, choice: object) -> None:
    reply = house.ask("tools", model=model, tools=[WEATHER], tool_choice=choice)

    answer = reply.parse().choices[0]
    assert answer.finish_reason == "tool_calls"
    call = answer.message.tool_calls[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    sent = (house.small if model == "plain" else house.claude).exchanges[-1].body
    assert sent["tool_choice"] == (choice if model == "plain" else _anthropic_choice(choice))


def _anthropic_choice(choice: object) -> dict[str, str]:
    if isinstance(choice, str):
        return {"type": {"auto": "auto", "required": "any"}[choice]}
    return {"type": "tool", "name": "weather"}


def test_options_reach_the_upstream_as_they_were_sent(house: Site) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY_SCHEMA, "strict": True}}
    reply = house.ask(
        "hello",
        response_format=form,
        logprobs=True,
        top_logprobs=2,
        seed=7,
        stop=["\n"],
        temperature=0,
        max_tokens=20,
        n=1,
        extra_body={"x_vendor": {"a": [1, 2.5, "ü"]}},
    )

    sent = house.small.exchanges[-1].body
    assert sent["response_format"] == form
    assert (sent["seed"], sent["stop"], sent["temperature"], sent["max_tokens"], sent["n"]) == (7, ["\n"], 0, 20, 1)
    assert sent["x_vendor"] == {"a": [1, 2.5, "ü"]}
    assert sent["model"] == "scripted-small"
    assert "stream" not in sent, "an answer that passes through is asked for as the client asked for it"
    first = reply.parse().choices[0].logprobs.content[0]
    assert first.token == "It"
    assert len(first.top_logprobs) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_members_that_nobody_knows_come_back(house: Site, stream: bool) -> None:
    with house.gateway.http() as client:
        body = {"model": "commit", "messages": messages("unknown"), "stream": stream}
        reply = client.post("/v1/chat/completions", json=body)
    if stream:
        chunk = json.loads(reply.text.split("\n\n")[0].removeprefix("data: "))
        assert chunk["x_top"] == {"kept": True}
        assert chunk["choices"][0]["x_choice"] == 1
    else:
        assert reply.json()["x_top"] == {"kept": True}


def test_several_answers_to_one_request_are_refused(house: Site) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        house.ask("hello", n=2)
    assert refused.value.body["freehold_code"] == "FH-REQUEST-007"
    assert refused.value.param == "n"


@pytest.mark.parametrize("stream", [False, True])
def test_completions(house: Site, stream: bool) -> None:
    client = house.gateway.openai()
    if stream:
        with client.completions.create(model="plain", prompt="hello", stream=True, max_tokens=9) as chunks:
            text = "".join(chunk.choices[0].text for chunk in chunks)
    else:
        text = client.completions.create(model="plain", prompt="hello", max_tokens=9).choices[0].text
    assert text == openai_server.TEXT
    assert house.small.exchanges[-1].path == "/v1/completions"


def test_embeddings_as_numbers_and_as_the_client_asks_by_default(house: Site) -> None:
    client = house.gateway.openai()
    packed = client.embeddings.create(model="vectors", input=["a", "bcd"])  # asks for base64 by itself
    plain = client.embeddings.create(model="vectors", input=["a", "bcd"], encoding_format="float")
    assert [row.embedding for row in packed.data] == [row.embedding for row in plain.data] == [[1.0, 0.5], [3.0, 0.5]]
    assert packed.usage.prompt_tokens == 3
    assert house.small.exchanges[-1].body["encoding_format"] == "float"

    with pytest.raises(openai.BadRequestError, match="embedding requests"):
        client.embeddings.create(model="plain", input="a")


def test_the_list_of_models_is_what_can_be_asked_for(house: Site) -> None:
    client = house.gateway.openai()
    listed = {model.id: model for model in client.models.list()}
    assert {"plain", "auto", "small", "large", "claude", "vectors", "gpt-4o-mini"} <= set(listed)
    assert client.models.retrieve("gpt-4o-mini").freehold["route"] == "plain"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")
    assert house.ask("hello", model="gpt-4o-mini").headers["freehold-deployment"] == "small"


def test_an_answer_of_the_messages_api_looks_like_any_other(house: Site) -> None:
    reply = house.ask("hello", model="claude")
    assert reply.parse().choices[0].message.content == anthropic_server.TEXT
    assert reply.headers["freehold-deployment"] == "claude"
    assert reply.headers["freehold-confidence"] == "unmeasured"

    client = house.gateway.openai()
    with client.chat.completions.create(model="claude", messages=messages("reasoning"), stream=True) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == anthropic_server.TEXT


@pytest.mark.parametrize("stream", [False, True])
def test_an_unsure_answer_is_escalated_and_the_receipt_tells_both(house: Site, stream: bool) -> None:
    before = len(house.large.exchanges)
    with house.gateway.http() as client:
        body = {"model": "auto", "messages": messages("hello"), "stream": stream}
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200
    assert reply.headers["freehold-deployment"] == "large"
    assert len(house.large.exchanges) == before + 1

    receipt = house.receipt_of(reply)
    assert [attempt["deployment"] for attempt in receipt["attempts"]] == ["small", "large"]
    verdict = receipt["attempts"][0]["verdict"]
    assert (verdict["action"], verdict["reason"], verdict["threshold"]) == ("escalate", "uncalibrated", None)
    assert (verdict["certificate"], verdict["certified_by"]) == ("", None)
    assert receipt["attempts"][1]["verdict"]["action"] == "abstain"
    assert receipt["bytes_left"] == sum(len(each.exchanges[-1].raw) for each in (house.small, house.large))


def test_a_label_keeps_an_unsure_answer_from_escalating(house: Site) -> None:
    before = len(house.large.exchanges)
    reply = house.ask("hello", model="auto", extra_headers={"freehold-label": "confidential"})
    assert reply.headers["freehold-deployment"] == "small"
    assert reply.headers["freehold-verdict"] == "abstain; last_permitted"
    assert reply.headers["freehold-label"] == "confidential"
    assert len(house.large.exchanges) == before
    denied = next(each for each in house.receipt_of(reply)["decisions"] if each["deployment"] == "large")
    assert not denied["allowed"]


def test_a_text_that_may_go_nowhere_is_refused_with_the_reason(house: Site) -> None:
    before = len(house.small.exchanges)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        house.ask("hello", extra_headers={"freehold-label": "restricted;zones=device"})
    body = refused.value.body
    assert body["freehold_code"] == "FH-POLICY-001"
    assert "restricted" in body["message"]
    assert len(house.small.exchanges) == before
    receipt = house.gateway.receipt(refused.value.response.headers["freehold-receipt"])
    assert (receipt["outcome"], receipt["error_code"], receipt["bytes_left"]) == ("refused", "FH-POLICY-001", 0)


def test_a_receipt_is_proven_by_the_log_and_shown_to_nobody_else(house: Site) -> None:
    reply = house.ask("hello")
    receipt = house.receipt_of(reply)
    proven = eventually(lambda: house.receipt_of(reply).get("proof"), what="the checkpoint that covers the receipt")

    vkey = (house.gateway.audit_folder / VERIFIER_KEY).read_text(encoding="ascii").strip()
    record = verify_receipt_proof(proven, vkey=vkey)
    assert record.request_id == receipt["id"]
    assert record.event == "request"

    other_key, _ = house.gateway.new_key(tenant="other")
    with house.gateway.http(other_key) as client:
        assert client.get(f"/v1/receipts/{receipt['id']}").status_code == 404
        assert client.get("/v1/receipts").json()["data"] == []
        assert client.get("/metrics").status_code == 403


def test_receipts_are_paged_newest_first(house: Site) -> None:
    ids = [house.ask("hello").headers["freehold-receipt"] for _ in range(3)]
    listed = [row["id"] for row in house.gateway.get("/v1/receipts?limit=2")["data"]]
    assert listed == [ids[2], ids[1]]
    following = [row["id"] for row in house.gateway.get(f"/v1/receipts?limit=1&before={ids[1]}")["data"]]
    assert following == [ids[0]]
    with house.gateway.http() as client:
        for wrong in ("0", "201", "x", "-1", "²", "9" * 5000):
            assert client.get("/v1/receipts", params={"limit": wrong}).status_code == 400


def test_the_whole_log_verifies_and_every_egress_has_its_end(house: Site) -> None:
    house.ask("hello")
    vkey = (house.gateway.audit_folder / VERIFIER_KEY).read_text(encoding="ascii").strip()

    def ended() -> bool:
        report = verify_folder(Path(house.gateway.audit_folder), vkey)
        assert report.intents >= 1
        return report.orphans == ()

    # The end of an egress is written once the answer is out.
    eventually(ended, what="the end of every egress")
