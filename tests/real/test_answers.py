"""The official client gets from a real server through Freehold what it asks for."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Literal

import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.real.house import WAYS, House, Way
from tests.real.report import Report
from tools.real_servers import MODEL

QUESTION = "Repeat after me: Paris is the capital of France."
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Lyon"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


class Person(pydantic.BaseModel):
    """What an answer must look like."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: Literal["Ann", "Bob"]
    age: Literal[20, 30, 40]


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def client(real_house: House) -> OpenAI:
    return real_house.gateway.openai().with_options(timeout=180)


def test_chat(real_house: House, client: OpenAI, way: Way) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=way.model, messages=said(QUESTION), max_tokens=16, temperature=0
    )
    answer = raw.parse()
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 16
    receipt = real_house.gateway.receipt(raw.headers["freehold-receipt"])
    assert receipt["outcome"] == "complete"
    assert receipt["bytes_left"] == 0
    usage = receipt["attempts"][-1]["usage"]
    assert usage["measured"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )


@pytest.mark.parametrize("asks_usage", [True, False])
def test_stream(real_house: House, client: OpenAI, way: Way, *, asks_usage: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks_usage else {}
    newest = real_house.newest_id()
    with client.chat.completions.create(
        model=way.model, messages=said(QUESTION), max_tokens=16, temperature=0, stream=True, **options
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in text
    assert {chunk.choices[0].finish_reason for chunk in chunks if chunk.choices} == {None, "stop"}
    assert len(chunks) > 5
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert len(usages) == (1 if asks_usage else 0)
    assert all(chunk.choices[0].logprobs is None for chunk in chunks if chunk.choices)
    receipt = real_house.receipt_after(newest)
    assert receipt["outcome"] == "complete"
    usage = receipt["attempts"][-1]["usage"]
    assert usage["measured"]
    if usages:
        assert usage["output_tokens"] == usages[0].completion_tokens


async def _ask_async(client: AsyncOpenAI, model: str) -> tuple[str, str]:
    whole = await client.chat.completions.create(model=model, messages=said(QUESTION), max_tokens=16, temperature=0)
    text = ""
    async with await client.chat.completions.create(
        model=model, messages=said(QUESTION), max_tokens=16, temperature=0, stream=True
    ) as stream:
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    return whole.choices[0].message.content or "", text


def test_the_asynchronous_client(real_house: House, way: Way) -> None:
    async def main() -> tuple[str, str]:
        async with real_house.gateway.async_openai() as client:
            return await _ask_async(client, way.model)

    whole, streamed = asyncio.run(main())
    assert whole == streamed
    assert "Paris" in whole


@pytest.mark.parametrize("streams", [True, False])
def test_logprobs(client: OpenAI, way: Way, *, streams: bool) -> None:
    asked = {"model": way.model, "messages": said(QUESTION), "max_tokens": 6, "temperature": 0}
    if streams:
        with client.chat.completions.create(**asked, logprobs=True, top_logprobs=3, stream=True) as stream:
            choices = [chunk.choices[0] for chunk in stream if chunk.choices]
        tokens = [token for choice in choices if choice.logprobs for token in choice.logprobs.content or ()]
        text = "".join(choice.delta.content or "" for choice in choices)
    else:
        choice = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3).choices[0]
        assert choice.logprobs is not None
        tokens, text = choice.logprobs.content or [], choice.message.content or ""
    assert len(tokens) == 6
    assert "".join(token.token for token in tokens) == text
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token
        assert token.top_logprobs[0].logprob == token.logprob


def test_json_schema(client: OpenAI, way: Way) -> None:
    parsed = client.chat.completions.parse(
        model=way.model,
        messages=said("Bob is 40 years old. Answer as JSON with name and age."),
        max_tokens=60,
        temperature=0,
        response_format=Person,
    )
    assert isinstance(parsed.choices[0].message.parsed, Person)


def test_json_schema_in_a_stream(client: OpenAI, way: Way) -> None:
    form = {
        "type": "json_schema",
        "json_schema": {"name": "person", "strict": True, "schema": Person.model_json_schema()},
    }
    with client.chat.completions.create(
        model=way.model,
        messages=said("Bob is 40 years old. Answer as JSON with name and age."),
        max_tokens=60,
        temperature=0,
        response_format=form,  # pyright: ignore[reportArgumentType]
        stream=True,
    ) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert Person.model_validate_json(text).name


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("model", ["vllm", "vllm-judged", "llama-native"])
def test_a_named_tool_is_called(client: OpenAI, model: str, *, streams: bool) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "messages": said("What is the weather in Paris? Call the tool."),
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "max_tokens": 64,
        "temperature": 0,
    }
    if streams:
        with client.chat.completions.stream(**asked) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**asked).choices[0].message
    assert message.tool_calls, message
    call = message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city"}


def test_stop(client: OpenAI, way: Way) -> None:
    answer = client.chat.completions.create(
        model=way.model, messages=said(QUESTION), max_tokens=16, temperature=0, stop=[" of"]
    )
    assert answer.choices[0].message.content == "Paris is the capital"
    assert answer.choices[0].finish_reason == "stop"


def test_seed(client: OpenAI, way: Way) -> None:
    def answer(seed: int) -> str:
        reply = client.chat.completions.create(
            model=way.model, messages=said("Tell a story."), max_tokens=12, temperature=1.0, seed=seed
        )
        return reply.choices[0].message.content or ""

    assert answer(7) == answer(7)
    assert len({answer(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("way", [each for each in WAYS if each.passes], ids=str)
def test_text_completion_with_logprobs(client: OpenAI, way: Way) -> None:
    answer = client.completions.create(
        model=way.model, prompt="The capital of France is", max_tokens=2, temperature=0, logprobs=2
    )
    choice = answer.choices[0]
    assert "Paris" in choice.text
    assert choice.finish_reason == "length"
    assert choice.logprobs is not None
    with client.completions.create(
        model=way.model, prompt="The capital of France is", max_tokens=2, temperature=0, stream=True
    ) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == choice.text


def test_members_that_freehold_does_not_know_reach_the_server(client: OpenAI, way: Way) -> None:
    answer = client.chat.completions.create(
        model=way.model,
        messages=said(QUESTION),
        max_tokens=24,
        temperature=2.0,
        extra_body={"top_k": 1, "ignore_eos": True},
    )
    assert (answer.choices[0].message.content or "").startswith("Paris is the capital of France.")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 24


@pytest.mark.parametrize("streams", [True, False])
def test_members_of_the_reply_that_freehold_does_not_know_reach_the_client(
    real_house: House, client: OpenAI, way: Way, *, streams: bool
) -> None:
    asked: dict[str, Any] = {"model": way.model, "messages": said(QUESTION), "max_tokens": 4, "temperature": 0}
    asked["extra_body"] = {"return_token_ids": True, "timings_per_token": True}
    if streams:
        with client.chat.completions.create(**asked, stream=True) as stream:
            chunks = list(stream)
    else:
        chunks = [client.chat.completions.create(**asked)]
    if real_house.server(way) is real_house.llama:
        assert any((chunk.model_extra or {}).get("timings", {}).get("predicted_n") for chunk in chunks)
    else:
        assert any((chunk.model_extra or {}).get("prompt_token_ids") for chunk in chunks)
        numbers = [(chunk.choices[0].model_extra or {}).get("token_ids") for chunk in chunks if chunk.choices]
        assert sum(len(some or ()) for some in numbers) == 4


def test_first_token_and_whole_answer_take_as_long_as_direct(real_house: House, way: Way, report: Report) -> None:
    """Measured, not held to a bar: the machine is shared."""
    server = real_house.server(way)
    clients = {"direct": (server.openai(), MODEL), way.model: (real_house.gateway.openai(), way.model)}
    for _ in range(5):
        for name, (client, model) in clients.items():
            began_s = time.perf_counter()
            with client.chat.completions.create(
                model=model, messages=said(QUESTION), max_tokens=8, temperature=0, stream=True
            ) as stream:
                next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
                report.note(f"{server.name} {name}: first token, ms", 1000 * (time.perf_counter() - began_s))
                assert list(stream)
            report.note(
                f"{server.name} {name}: streamed answer of 8 tokens, ms", 1000 * (time.perf_counter() - began_s)
            )
