"""LiteLLM as a client, by each of the three dialects that it can speak to Freehold."""

from __future__ import annotations

import asyncio
import json
import time

import litellm
from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, case, left, main, raises
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
DIALECTS = {"openai": f"{URL}/v1", "anthropic": URL, "ollama_chat": URL}


class Report(BaseModel):
    city: str
    degrees: int


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def where(model: str = MODEL, *, dialect: str = "openai", key: str = KEY) -> dict:
    return {
        "model": f"{dialect}/{model}",
        "api_base": DIALECTS[dialect],
        "api_key": key,
        "max_retries": 0,
        "timeout": 20,
    }


@case
def plain() -> None:
    for dialect in DIALECTS:
        answer = litellm.completion(**where(dialect=dialect), messages=user("hello"))
        assert answer.choices[0].message.content == TEXT, dialect
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 6), dialect


@case
def streaming() -> None:
    for dialect in DIALECTS:
        chunks = list(
            litellm.completion(
                **where(dialect=dialect), messages=user("hello"), stream=True, stream_options={"include_usage": True}
            )
        )
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert "".join(piece for piece in pieces if piece) == TEXT, dialect
        assert chunks[-1].usage.completion_tokens == 6, dialect


@case
def tools() -> None:
    for dialect in DIALECTS:
        for text, cities in (("tools", ["Paris"]), ("two-tools", ["Paris", "Oslo"])):
            answer = litellm.completion(**where(dialect=dialect), messages=user(text), tools=[WEATHER])
            calls = answer.choices[0].message.tool_calls
            assert [json.loads(call.function.arguments)["city"] for call in calls] == cities, dialect
            assert answer.choices[0].finish_reason == "tool_calls", dialect


@case
def streamed_tools() -> None:
    for dialect in DIALECTS:
        messages = user("two-tools")
        chunks = list(litellm.completion(**where(dialect=dialect), messages=messages, tools=[WEATHER], stream=True))
        answer = litellm.stream_chunk_builder(chunks, messages=messages)
        calls = answer.choices[0].message.tool_calls
        assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Oslo"], dialect


@case
def results_of_tools() -> None:
    for dialect in DIALECTS:
        message = litellm.completion(**where(dialect=dialect), messages=user("two-tools"), tools=[WEATHER]).choices[0]
        calls = message.message.tool_calls
        results = [
            {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": f"{degrees} C"}
            for call, degrees in zip(calls, (21, 9), strict=True)
        ]
        turns = [*user("two-tools"), message.message.model_dump(exclude_none=True), *results]
        answer = litellm.completion(**where(dialect=dialect), messages=turns, tools=[WEATHER])
        assert answer.choices[0].message.content == "The tools said: 21 C, 9 C", dialect


@case
def structured() -> None:
    for dialect in ("openai", "ollama_chat"):
        answer = litellm.completion(**where(dialect=dialect), messages=user("structured"), response_format=Report)
        assert Report.model_validate_json(answer.choices[0].message.content) == Report(city="Paris", degrees=21)


@case
def embeddings() -> None:
    answer = litellm.embedding(**where("vectors"), input=["one", "three"])
    assert [row["embedding"] for row in answer.data] == [[3.0, 0.5], [5.0, 0.5]]


@case
def text_completion() -> None:
    target = where() | {"model": f"text-completion-openai/{MODEL}"}
    assert litellm.text_completion(**target, prompt="hello", max_tokens=8).choices[0].text == TEXT


@case
def images() -> None:
    parts = [
        {"type": "text", "text": "image"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    for dialect in DIALECTS:
        answer = litellm.completion(**where("seeing", dialect=dialect), messages=[{"role": "user", "content": parts}])
        assert answer.choices[0].message.content.startswith("1 image: data:image/"), dialect


@case
def reasoning() -> None:
    for dialect in ("openai", "anthropic"):
        answer = litellm.completion(**where(dialect=dialect), messages=user("reasoning"))
        assert answer.choices[0].message.reasoning_content == "Let me think.", dialect


@case
def receipts() -> None:
    answer = litellm.completion(**where(), messages=user("hello"))
    headers = answer._hidden_params["additional_headers"]
    assert headers["llm_provider-freehold-receipt"]


@case
def errors() -> None:
    for dialect in DIALECTS:
        with raises(litellm.AuthenticationError):
            litellm.completion(**where(dialect=dialect, key="fh-wrong"), messages=user("hello"))
        with raises(litellm.NotFoundError):
            litellm.completion(**where("nothing", dialect=dialect), messages=user("hello"))
        with raises(litellm.BadRequestError):
            litellm.completion(**where(dialect=dialect), messages=user("context"))
    with raises(Exception) as caught:
        litellm.completion(**where(key=KEY_WITHOUT_SCOPE), messages=user("hello"))
    assert caught[0].status_code == 403
    with raises(litellm.ContextWindowExceededError):
        litellm.completion(**where(), messages=user("context"))
    with raises(litellm.BadRequestError):
        litellm.completion(**where(), messages=user("hello"), temperature=9)


@case
def errors_of_upstreams() -> None:
    with raises(litellm.RateLimitError):
        litellm.completion(**where("busy"), messages=user("429"))
    for model, text in (("failing", "503-always"), ("nowhere", "hello")):
        with raises(Exception) as caught:
            litellm.completion(**where(model), messages=user(text))
        assert caught[0].status_code >= 500


@case
def retries_wait_as_long_as_they_are_told() -> dict:
    begun_s = time.monotonic()
    target = where("once") | {"max_retries": 2}
    answer = litellm.completion(**target, messages=user("429-once litellm"))
    waited_s = time.monotonic() - begun_s
    assert answer.choices[0].message.content == TEXT
    assert waited_s >= 1
    return {"waited_s": round(waited_s, 2)}


@case
def a_stream_that_breaks_is_an_error() -> None:
    for mode in ("error-event", "cut"):
        got = []
        with raises(Exception):
            got.extend(litellm.completion(**where(), messages=user(mode), stream=True))


@case
async def leaving_a_stream() -> dict:
    stream = await litellm.acompletion(**where(), messages=user("stall"), stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.completion_stream.close()
    return left()


@case
async def leaving_asynchronously() -> dict:
    task = asyncio.ensure_future(litellm.acompletion(**where(), messages=user("silent")))
    await asyncio.sleep(1)
    task.cancel()
    told = left()
    with raises(asyncio.CancelledError):
        await task
    return told


@case
async def asynchronous_calls() -> None:
    answers = await asyncio.gather(*(litellm.acompletion(**where(), messages=user("hello")) for _ in range(4)))
    assert [answer.choices[0].message.content for answer in answers] == [TEXT] * 4
    stream = await litellm.acompletion(**where(), messages=user("hello"), stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == TEXT


if __name__ == "__main__":
    main()
