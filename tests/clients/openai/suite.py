"""OpenAI's own library."""

from __future__ import annotations

import asyncio
import json
import time

import openai
from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, NotServed, case, left, main, raises
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Report(BaseModel):
    city: str
    degrees: int


def client(key: str = KEY, **more) -> OpenAI:
    return OpenAI(base_url=f"{URL}/v1", api_key=key, **{"max_retries": 0, "timeout": 20, **more})


def asynchronous() -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@case
def models() -> None:
    names = [model.id for model in client().models.list()]
    assert MODEL in names, names
    assert client().models.retrieve(MODEL).id == MODEL


@case
def plain() -> None:
    answer = client().chat.completions.create(model=MODEL, messages=user("hello"))
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 6)
    assert answer.usage.prompt_tokens_details.cached_tokens == 2


@case
def streaming() -> None:
    stream = client().chat.completions.create(
        model=MODEL, messages=user("hello"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == TEXT
    assert len(pieces) == 6
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 6


@case
def streaming_without_usage_has_none() -> None:
    chunks = list(client().chat.completions.create(model=MODEL, messages=user("hello"), stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


@case
def one_tool() -> None:
    answer = client().chat.completions.create(model=MODEL, messages=user("tools"), tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
    assert answer.choices[0].finish_reason == "tool_calls"


@case
def parallel_tools() -> None:
    answer = client().chat.completions.create(model=MODEL, messages=user("two-tools"), tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    assert len({call.id for call in calls}) == 2


@case
def streamed_tools() -> None:
    with client().chat.completions.stream(model=MODEL, messages=user("two-tools"), tools=[WEATHER]) as stream:
        deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        answer = stream.get_final_completion()
    assert len(deltas) >= 6
    cities = [json.loads(call.function.arguments)["city"] for call in answer.choices[0].message.tool_calls]
    assert cities == ["Paris", "Oslo"]


@case
def results_of_tools() -> None:
    asked = client().chat.completions.create(model=MODEL, messages=user("two-tools"), tools=[WEATHER])
    message = asked.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{degrees} C"}
        for call, degrees in zip(message.tool_calls, (21, 9), strict=True)
    ]
    answer = client().chat.completions.create(
        model=MODEL, messages=[*user("two-tools"), message, *results], tools=[WEATHER]
    )
    assert answer.choices[0].message.content == "The tools said: 21 C, 9 C"


@case
def a_call_of_a_tool_that_nobody_declared() -> None:
    """What tools gave back is in the context: the call is held, and the answer says so to people and programs."""
    create = client().chat.completions.create
    asked = create(model=MODEL, messages=user("tools"), tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "21 C"}
    turns = [*user("tools"), asked, result, *user("tools")]
    answer = create(model=MODEL, messages=turns, tools=[WEATHER])
    assert not answer.choices[0].message.tool_calls
    assert "`[tools.weather]`" in answer.choices[0].message.content
    assert [each["tool"] for each in answer.freehold["held"]] == ["weather"]
    chunks = list(create(model=MODEL, messages=turns, tools=[WEATHER], stream=True))
    told = [chunk.freehold for chunk in chunks if "freehold" in (chunk.model_extra or {})]
    assert [each["tool"] for each in told[0]["held"]] == ["weather"]


@case
def structured() -> None:
    answer = client().chat.completions.parse(model=MODEL, messages=user("structured"), response_format=Report)
    assert answer.choices[0].message.parsed == Report(city="Paris", degrees=21)


@case
def structured_streamed() -> None:
    with client().chat.completions.stream(model=MODEL, messages=user("structured"), response_format=Report) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    assert answer.choices[0].message.parsed == Report(city="Paris", degrees=21)


@case
def embeddings() -> None:
    """The library asks for base64 unless told otherwise, and unpacks it."""
    for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
        answer = client().embeddings.create(model="vectors", input=["one", "three"], **more)
        assert [row.index for row in answer.data] == [0, 1]
        if "base64" not in more.values():
            assert [row.embedding for row in answer.data] == [[3.0, 0.5], [5.0, 0.5]]
    assert answer.usage.prompt_tokens == 3


@case
def completions() -> None:
    answer = client().completions.create(model=MODEL, prompt="hello", max_tokens=8)
    assert answer.choices[0].text == TEXT
    chunks = list(client().completions.create(model=MODEL, prompt="hello", max_tokens=8, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == TEXT
    filled = client().completions.create(model="filling", prompt="def add(", suffix="return", max_tokens=8)
    assert filled.choices[0].text == TEXT


@case
def responses() -> None:
    answer = client().responses.create(model=MODEL, input="hello")
    assert answer.output_text == TEXT
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 6)


@case
def responses_streamed() -> None:
    with client().responses.stream(model=MODEL, input="hello") as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert ("".join(pieces), answer.output_text, answer.status) == (TEXT, TEXT, "completed")


@case
def responses_with_tools() -> None:
    tool = {"type": "function", **WEATHER["function"]}
    answer = client().responses.create(model=MODEL, input="two-tools", tools=[tool])
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{degrees} C"}
        for call, degrees in zip(calls, (21, 9), strict=True)
    ]
    turns = [*user("two-tools"), *(call.model_dump(exclude_none=True) for call in calls), *results]
    assert client().responses.create(model=MODEL, input=turns, tools=[tool]).output_text == "The tools said: 21 C, 9 C"


@case
def responses_structured() -> None:
    answer = client().responses.parse(model=MODEL, input="structured", text_format=Report)
    assert answer.output_parsed == Report(city="Paris", degrees=21)


@case
def images() -> None:
    parts = [
        {"type": "text", "text": "image"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    answer = client().chat.completions.create(model="seeing", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "1 image: data:image/png;base64,"
    with raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert caught[0].body["freehold_code"] == "FH-REQUEST-006"


@case
def reasoning() -> None:
    answer = client().chat.completions.create(model=MODEL, messages=user("reasoning"))
    assert answer.choices[0].message.reasoning_content == "Let me think."
    stream = client().chat.completions.create(model=MODEL, messages=user("reasoning"), stream=True)
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in stream if chunk.choices]
    assert "".join(each for each in thoughts if each) == "Let me think."


@case
def receipts() -> None:
    raw = client().chat.completions.with_raw_response.create(model=MODEL, messages=user("hello"))
    assert raw.headers["freehold-deployment"] == "small"
    assert raw.parse().choices[0].message.content == TEXT
    receipt = client().get(f"/receipts/{raw.headers['freehold-receipt']}", cast_to=object)
    assert receipt["outcome"] == "complete"
    with client().chat.completions.with_streaming_response.create(
        model=MODEL, messages=user("hello"), stream=True
    ) as streamed:
        assert streamed.headers["freehold-receipt"]


@case
def errors() -> None:
    chat = {"messages": user("hello")}
    with raises(openai.AuthenticationError) as caught:
        client("fh-wrong").chat.completions.create(model=MODEL, **chat)
    assert (caught[0].status_code, caught[0].body["freehold_code"]) == (401, "FH-AUTH-002")
    with raises(openai.PermissionDeniedError):
        client(KEY_WITHOUT_SCOPE).chat.completions.create(model=MODEL, **chat)
    with raises(openai.NotFoundError) as caught:
        client().chat.completions.create(model="nothing", **chat)
    assert (caught[0].code, caught[0].param) == ("model_not_found", "model")
    with raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model=MODEL, temperature=9, **chat)
    assert caught[0].param == "temperature"
    with raises(openai.APIStatusError) as caught:
        client().chat.completions.create(model=MODEL, messages=user("x" * 1_100_000))
    assert caught[0].status_code == 413
    with raises(openai.BadRequestError) as caught:
        client().chat.completions.create(model=MODEL, messages=user("context"))
    assert caught[0].code == "context_length_exceeded"


@case
def errors_of_upstreams() -> None:
    with raises(openai.RateLimitError) as caught:
        client().chat.completions.create(model="busy", messages=user("429"))
    assert caught[0].response.headers["retry-after"] == "7"
    with raises(openai.InternalServerError) as caught:
        client().chat.completions.create(model="failing", messages=user("503-always"))
    assert caught[0].body["source"] == "failing"
    with raises(openai.InternalServerError):
        client().chat.completions.create(model="nowhere", messages=user("hello"))


@case
def a_forbidden_text_is_refused_and_not_tried_again() -> None:
    with raises(openai.PermissionDeniedError) as caught:
        client(max_retries=2).chat.completions.create(model="public-only", messages=user("hello"))
    assert caught[0].body["freehold_code"].startswith("FH-POLICY")


@case
def retries_wait_as_long_as_they_are_told() -> dict:
    begun_s = time.monotonic()
    answer = client(max_retries=2).chat.completions.create(model="once", messages=user("429-once openai"))
    waited_s = time.monotonic() - begun_s
    assert answer.choices[0].message.content == TEXT
    assert waited_s >= 1
    return {"waited_s": round(waited_s, 2)}


@case
def a_stream_that_breaks_is_an_error() -> None:
    for mode in ("error-event", "cut"):
        got = []
        with raises(openai.OpenAIError if mode == "error-event" else Exception):
            got.extend(client().chat.completions.create(model=MODEL, messages=user(mode), stream=True))
        assert got


@case
def leaving_a_stream() -> dict:
    with client() as once:
        stream = once.chat.completions.create(model=MODEL, messages=user("stall"), stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()
        return left()


@case
async def leaving_asynchronously() -> dict:
    async with asynchronous() as once:
        await once.chat.completions.create(model=MODEL, messages=user("hello"))
        task = asyncio.ensure_future(once.chat.completions.create(model=MODEL, messages=user("silent")))
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
            *(once.chat.completions.create(model=MODEL, messages=user("hello")) for _ in range(4))
        )
        assert [answer.choices[0].message.content for answer in answers] == [TEXT] * 4
        stream = await once.chat.completions.create(model=MODEL, messages=user("hello"), stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(pieces) == TEXT
        vectors = await once.embeddings.create(model="vectors", input="one")
        assert vectors.data[0].embedding == [3.0, 0.5]


@case
def other_dialect() -> None:
    """The same through a deployment that speaks Anthropic's."""
    answer = client().chat.completions.create(model="claude", messages=user("tools"), tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    stream = client().chat.completions.create(model="claude", messages=user("hello"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices).startswith("It answers")


@case
def batches() -> None:
    try:
        page = client().batches.list(limit=1)
    except openai.NotFoundError:
        raise NotServed("/v1/batches") from None
    assert page.object == "list"


if __name__ == "__main__":
    main()
