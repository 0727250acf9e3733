"""Anthropic's own library."""

from __future__ import annotations

import asyncio
import time

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, case, left, main, raises
from pydantic import BaseModel

WEATHER = {
    "name": "weather",
    "description": "Tells the weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
LIMIT = {"max_tokens": 64}


class Report(BaseModel):
    city: str
    degrees: int


def client(key: str = KEY, **more) -> Anthropic:
    return Anthropic(base_url=URL, api_key=key, **{"max_retries": 0, "timeout": 20, **more})


def asynchronous() -> AsyncAnthropic:
    return AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=20)


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def ask(text: str, *, model: str = MODEL, **more):
    return client().messages.create(model=model, messages=user(text), **LIMIT, **more)


@case
def models() -> None:
    names = [model.id for model in client().models.list()]
    assert MODEL in names, names
    assert client().models.retrieve(MODEL).id == MODEL


@case
def plain() -> None:
    answer = ask("hello")
    assert [block.text for block in answer.content] == [TEXT]
    assert (answer.stop_reason, answer.role, answer.model) == ("end_turn", "assistant", MODEL)
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (5, 2, 6)


@case
def streaming() -> None:
    events = list(ask("hello", stream=True))
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == TEXT
    assert [events[0].type, events[-1].type] == ["message_start", "message_stop"]
    end = next(e for e in events if e.type == "message_delta")
    assert (end.delta.stop_reason, end.usage.output_tokens) == ("end_turn", 6)


@case
def streaming_helper() -> None:
    with client().messages.stream(model=MODEL, messages=user("hello"), **LIMIT) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()
    assert (len(pieces), "".join(pieces), answer.content[0].text) == (6, TEXT, TEXT)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 6)


@case
def one_tool() -> None:
    answer = ask("tools", tools=[WEATHER])
    (call,) = [block for block in answer.content if block.type == "tool_use"]
    assert (call.name, call.input, answer.stop_reason) == ("weather", {"city": "Paris"}, "tool_use")


@case
def parallel_tools() -> None:
    calls = [block for block in ask("two-tools", tools=[WEATHER]).content if block.type == "tool_use"]
    assert [call.input["city"] for call in calls] == ["Paris", "Oslo"]
    assert len({call.id for call in calls}) == 2


@case
def streamed_tools() -> None:
    with client().messages.stream(model=MODEL, messages=user("two-tools"), tools=[WEATHER], **LIMIT) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        answer = stream.get_final_message()
    assert len(pieces) >= 4
    assert [block.input["city"] for block in answer.content if block.type == "tool_use"] == ["Paris", "Oslo"]


@case
def results_of_tools() -> None:
    asked = ask("two-tools", tools=[WEATHER])
    calls = [block for block in asked.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{degrees} C", "is_error": degrees < 10}
        for call, degrees in zip(calls, (21, 9), strict=True)
    ]
    turns = [*user("two-tools"), {"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    answer = client().messages.create(model=MODEL, messages=turns, tools=[WEATHER], **LIMIT)
    assert answer.content[0].text == "The tools said: 21 C, Error: 9 C"


@case
def a_call_of_a_tool_that_nobody_declared() -> None:
    """What tools gave back is in the context: the call is held, and the answer says so to people and programs."""
    asked = ask("tools", tools=[WEATHER])
    call = next(block for block in asked.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 C"}
    said = [result, {"type": "text", "text": "tools"}]
    turns = [*user("tools"), {"role": "assistant", "content": asked.content}, {"role": "user", "content": said}]
    answer = client().messages.create(model=MODEL, messages=turns, tools=[WEATHER], **LIMIT)
    assert [block.type for block in answer.content] == ["text"]
    assert "`[tools.weather]`" in answer.content[0].text
    assert [each["tool"] for each in answer.freehold["held"]] == ["weather"]
    with client().messages.stream(model=MODEL, messages=turns, tools=[WEATHER], **LIMIT) as stream:
        told = [event.freehold for event in stream if event.type == "message_delta"]
        assert "`[tools.weather]`" in stream.get_final_message().content[0].text
    assert [each["tool"] for each in told[0]["held"]] == ["weather"]


@case
def structured() -> None:
    answer = client().messages.parse(model=MODEL, messages=user("structured"), output_format=Report, **LIMIT)
    assert answer.parsed_output == Report(city="Paris", degrees=21)


@case
def counting() -> None:
    counted = client().messages.count_tokens(model=MODEL, messages=user("hello"), system="Be brief.", tools=[WEATHER])
    assert counted.input_tokens == 17
    assert client().messages.count_tokens(model="claude", messages=user("hello")).input_tokens == 17
    raw = client().messages.with_raw_response.count_tokens(model=MODEL, messages=user("hello"))
    assert raw.headers["freehold-receipt"]
    with raises(anthropic.NotFoundError):
        client().messages.count_tokens(model="nothing", messages=user("hello"))
    with raises(anthropic.PermissionDeniedError):
        client().messages.count_tokens(model="public-only", messages=user("hello"))


@case
def images() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    turn = {"role": "user", "content": [{"type": "text", "text": "image"}, {"type": "image", "source": source}]}
    answer = client().messages.create(model="seeing", messages=[turn], **LIMIT)
    assert answer.content[0].text == "1 image: data:image/png;base64,"


@case
def thinking() -> None:
    for model in (MODEL, "claude"):
        answer = ask("reasoning", model=model)
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert answer.content[0].thinking == "Let me think."
    with client().messages.stream(model=MODEL, messages=user("reasoning"), **LIMIT) as stream:
        thoughts = [event.thinking for event in stream if event.type == "thinking"]
    assert "".join(thoughts) == "Let me think."
    turns = [*user("reasoning"), {"role": "assistant", "content": answer.content}, *user("hello")]
    assert client().messages.create(model=MODEL, messages=turns, **LIMIT).content[0].text == TEXT


@case
def receipts() -> None:
    raw = client().messages.with_raw_response.create(model=MODEL, messages=user("hello"), **LIMIT)
    assert raw.headers["request-id"] == raw.headers["freehold-receipt"]
    assert raw.parse()._request_id == raw.headers["freehold-receipt"]
    receipt = client().get(f"/v1/receipts/{raw.headers['freehold-receipt']}", cast_to=object)
    assert receipt["outcome"] == "complete"


@case
def errors() -> None:
    with raises(anthropic.AuthenticationError) as caught:
        client("fh-wrong").messages.create(model=MODEL, messages=user("hello"), **LIMIT)
    assert caught[0].body["error"]["freehold_code"] == "FH-AUTH-002"
    assert caught[0].request_id
    with raises(anthropic.PermissionDeniedError):
        client(KEY_WITHOUT_SCOPE).messages.create(model=MODEL, messages=user("hello"), **LIMIT)
    with raises(anthropic.NotFoundError):
        ask("hello", model="nothing")
    with raises(anthropic.BadRequestError) as caught:
        ask("hello", extra_body={"temperature": 9})
    assert caught[0].body["error"]["type"] == "invalid_request_error"
    with raises(anthropic.APIStatusError) as caught:
        ask("x" * 1_100_000)
    assert caught[0].status_code == 413
    with raises(anthropic.BadRequestError):
        ask("context")


@case
def errors_of_upstreams() -> None:
    with raises(anthropic.RateLimitError) as caught:
        ask("429", model="busy")
    assert int(caught[0].response.headers["retry-after"]) > 0
    with raises(anthropic.InternalServerError):
        ask("503-always", model="failing")
    with raises(anthropic.InternalServerError):
        ask("hello", model="nowhere")


@case
def retries_wait_as_long_as_they_are_told() -> dict:
    begun_s = time.monotonic()
    answer = client(max_retries=2).messages.create(model="once", messages=user("429-once anthropic"), **LIMIT)
    waited_s = time.monotonic() - begun_s
    assert answer.content[0].text == TEXT
    assert waited_s >= 1
    return {"waited_s": round(waited_s, 2)}


@case
def a_stream_that_breaks_is_an_error() -> None:
    for mode in ("error-event", "cut"):
        got = []
        with raises(anthropic.APIStatusError if mode == "error-event" else Exception):
            got.extend(ask(mode, stream=True))
        assert got


@case
def leaving_a_stream() -> dict:
    with client().messages.stream(model=MODEL, messages=user("stall"), **LIMIT) as stream:
        next(iter(stream.text_stream))
        stream.close()
        return left()


@case
async def leaving_asynchronously() -> dict:
    async with asynchronous() as once:
        await once.messages.create(model=MODEL, messages=user("hello"), **LIMIT)
        task = asyncio.ensure_future(once.messages.create(model=MODEL, messages=user("silent"), **LIMIT))
        await asyncio.sleep(1)  # it is on its way by then
        task.cancel()
        told = left()
        with raises(asyncio.CancelledError):
            await task
        return told


@case
async def asynchronous_calls() -> None:
    async with asynchronous() as once:
        answers = await asyncio.gather(
            *(once.messages.create(model=MODEL, messages=user("hello"), **LIMIT) for _ in range(4))
        )
        assert [answer.content[0].text for answer in answers] == [TEXT] * 4
        async with once.messages.stream(model=MODEL, messages=user("hello"), **LIMIT) as stream:
            assert "".join([piece async for piece in stream.text_stream]) == TEXT
        assert (await once.messages.count_tokens(model=MODEL, messages=user("hello"))).input_tokens == 17


if __name__ == "__main__":
    main()
