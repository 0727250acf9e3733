"""Ollama's own library."""

from __future__ import annotations

import asyncio
import os

import ollama
from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, NotServed, case, left, main, raises
from ollama import AsyncClient, Client
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


def client(key: str = KEY) -> Client:
    return Client(host=URL, headers={"Authorization": f"Bearer {key}"}, timeout=20)


def user(text: str, **more) -> list[dict]:
    return [{"role": "user", "content": text, **more}]


@case
def environment_alone() -> None:
    """As people set it: two variables and no argument."""
    os.environ |= {"OLLAMA_HOST": URL, "OLLAMA_API_KEY": KEY}
    try:
        assert Client().chat(MODEL, messages=user("hello")).message.content == TEXT
    finally:
        del os.environ["OLLAMA_HOST"], os.environ["OLLAMA_API_KEY"]


@case
def models() -> None:
    names = [model.model for model in client().list().models]
    assert MODEL in names, names
    shown = client().show(MODEL)
    assert "completion" in shown.capabilities
    assert "tools" in shown.capabilities


@case
def plain() -> None:
    answer = client().chat(MODEL, messages=user("hello"))
    assert (answer.message.content, answer.done, answer.done_reason) == (TEXT, True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (7, 6)
    assert answer.total_duration > 0


@case
def streaming() -> None:
    lines = list(client().chat(MODEL, messages=user("hello"), stream=True))
    assert "".join(line.message.content for line in lines) == TEXT
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count == 6


@case
def generating() -> None:
    assert client().generate(MODEL, "hello").response == TEXT
    lines = list(client().generate(MODEL, "hello", stream=True, options={"num_predict": 8, "temperature": 0}))
    assert "".join(line.response for line in lines) == TEXT
    assert client().generate("filling", "def add(", suffix="return").response == TEXT


@case
def one_tool() -> None:
    (call,) = client().chat(MODEL, messages=user("tools"), tools=[WEATHER]).message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Paris"})


@case
def parallel_tools() -> None:
    def weather(city: str) -> str:
        """Tells the weather.

        Args:
            city: Where.
        """
        return city

    calls = client().chat(MODEL, messages=user("two-tools"), tools=[weather]).message.tool_calls
    assert [call.function.arguments["city"] for call in calls] == ["Paris", "Oslo"]


@case
def streamed_tools() -> None:
    lines = list(client().chat(MODEL, messages=user("two-tools"), tools=[WEATHER], stream=True))
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    assert [call.function.arguments["city"] for call in calls] == ["Paris", "Oslo"]


@case
def results_of_tools() -> None:
    asked = client().chat(MODEL, messages=user("two-tools"), tools=[WEATHER]).message
    results = [{"role": "tool", "tool_name": "weather", "content": f"{degrees} C"} for degrees in (21, 9)]
    answer = client().chat(MODEL, messages=[*user("two-tools"), asked, *results], tools=[WEATHER])
    assert answer.message.content == "The tools said: 21 C, 9 C"


@case
def a_call_of_a_tool_that_nobody_declared() -> None:
    """What tools gave back is in the context: the call is held, and the answer says so. Its library drops our member."""
    asked = client().chat(MODEL, messages=user("tools"), tools=[WEATHER]).message
    turns = [*user("tools"), asked, {"role": "tool", "tool_name": "weather", "content": "21 C"}, *user("tools")]
    answer = client().chat(MODEL, messages=turns, tools=[WEATHER])
    assert not answer.message.tool_calls
    assert "`[tools.weather]`" in answer.message.content
    parts = list(client().chat(MODEL, messages=turns, tools=[WEATHER], stream=True))
    assert "`[tools.weather]`" in "".join(part.message.content for part in parts)
    assert parts[-1].done_reason == "stop"


@case
def structured() -> None:
    answer = client().chat(MODEL, messages=user("structured"), format=Report.model_json_schema())
    assert Report.model_validate_json(answer.message.content) == Report(city="Paris", degrees=21)


@case
def embeddings() -> None:
    answer = client().embed("vectors", ["one", "three"])
    assert [list(vector) for vector in answer.embeddings] == [[3.0, 0.5], [5.0, 0.5]]
    assert list(client().embed("vectors", "one").embeddings[0]) == [3.0, 0.5]


@case
def older_embeddings() -> None:
    try:
        answer = client().embeddings("vectors", "one")
    except ollama.ResponseError as error:
        if error.status_code == 404:
            raise NotServed("/api/embeddings, which Ollama replaced by /api/embed") from None
        raise
    assert list(answer.embedding) == [3.0, 0.5]


@case
def running_models() -> None:
    try:
        client().ps()
    except ollama.ResponseError as error:
        if error.status_code == 404:
            raise NotServed("/api/ps") from None
        raise


@case
def images() -> None:
    answer = client().chat("seeing", messages=user("image", images=[PIXEL]))
    assert answer.message.content == "1 image: data:image/png;base64,"


@case
def thinking() -> None:
    answer = client().chat(MODEL, messages=user("reasoning"), think=True)
    assert (answer.message.thinking, answer.message.content) == ("Let me think.", TEXT)
    lines = list(client().chat(MODEL, messages=user("reasoning"), think=True, stream=True))
    assert "".join(line.message.thinking or "" for line in lines) == "Let me think."


@case
def errors() -> None:
    for key, model, status in ((KEY, "nothing", 404), ("fh-wrong", MODEL, 401), (KEY_WITHOUT_SCOPE, MODEL, 403)):
        with raises(ollama.ResponseError) as caught:
            client(key).chat(model, messages=user("hello"))
        assert caught[0].status_code == status
        assert caught[0].error
    for text, status in (("x" * 1_100_000, 413), ("context", 400)):
        with raises(ollama.ResponseError) as caught:
            client().chat(MODEL, messages=user(text))
        assert caught[0].status_code == status
    with raises(ollama.ResponseError) as caught:
        client().chat(MODEL, messages=user("hello"), options={"temperature": 9})
    assert caught[0].status_code == 400


@case
def errors_of_upstreams() -> None:
    for model, text, least in (("busy", "429", 429), ("failing", "503-always", 500), ("nowhere", "hello", 500)):
        with raises(ollama.ResponseError) as caught:
            client().chat(model, messages=user(text))
        assert least <= caught[0].status_code < 600


@case
def a_stream_that_breaks_is_an_error() -> None:
    for mode in ("error-event", "cut"):
        got = []
        with raises(Exception):
            got.extend(client().chat(MODEL, messages=user(mode), stream=True))
        assert got
        assert not any(line.done for line in got)


@case
def leaving_a_stream() -> dict:
    lines = client().chat(MODEL, messages=user("stall"), stream=True)
    next(lines)
    lines.close()
    return left()


@case
async def leaving_asynchronously() -> dict:
    once = AsyncClient(host=URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
    await once.chat(MODEL, messages=user("hello"))
    task = asyncio.ensure_future(once.chat(MODEL, messages=user("silent")))
    await asyncio.sleep(1)  # it is on its way by then
    task.cancel()
    told = left()
    with raises(asyncio.CancelledError):
        await task
    return told


@case
async def asynchronous_calls() -> None:
    once = AsyncClient(host=URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
    answers = await asyncio.gather(*(once.chat(MODEL, messages=user("hello")) for _ in range(4)))
    assert [answer.message.content for answer in answers] == [TEXT] * 4
    lines = await once.chat(MODEL, messages=user("hello"), stream=True)
    assert "".join([line.message.content async for line in lines]) == TEXT


if __name__ == "__main__":
    main()
