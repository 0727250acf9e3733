"""LangChain's package for OpenAI."""

from __future__ import annotations

import asyncio
import time

import openai
from kit import KEY, KEY_WITHOUT_SCOPE, MODEL, PIXEL, TEXT, URL, case, left, main, raises
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return city


class Report(BaseModel):
    """A report of the weather."""

    city: str
    degrees: int


def chat(model: str = MODEL, *, key: str = KEY, **more) -> ChatOpenAI:
    settings = {"max_retries": 0, "timeout": 20, **more}
    return ChatOpenAI(base_url=f"{URL}/v1", api_key=key, model=model, **settings)


@case
def plain() -> None:
    answer = chat().invoke("hello")
    assert answer.content == TEXT
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (7, 6)
    assert answer.response_metadata["finish_reason"] == "stop"


@case
def streaming() -> None:
    chunks = list(chat(stream_usage=True).stream("hello"))
    assert "".join(chunk.content for chunk in chunks) == TEXT
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.usage_metadata["output_tokens"] == 6


@case
def one_tool() -> None:
    (call,) = chat().bind_tools([weather]).invoke("tools").tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})


@case
def parallel_tools() -> None:
    calls = chat().bind_tools([weather]).invoke("two-tools").tool_calls
    assert [call["args"]["city"] for call in calls] == ["Paris", "Oslo"]


@case
def streamed_tools() -> None:
    chunks = list(chat().bind_tools([weather]).stream("two-tools"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["args"]["city"] for call in whole.tool_calls] == ["Paris", "Oslo"]


@case
def results_of_tools() -> None:
    model = chat().bind_tools([weather])
    asked = model.invoke("two-tools")
    results = [
        ToolMessage(f"{degrees} C", tool_call_id=call["id"])
        for call, degrees in zip(asked.tool_calls, (21, 9), strict=True)
    ]
    assert model.invoke([HumanMessage("two-tools"), asked, *results]).content == "The tools said: 21 C, 9 C"


@case
def a_call_of_a_tool_that_nobody_declared() -> None:
    """What tools gave back is in the context: the call is held, and the answer says how to declare the tool."""
    model = chat().bind_tools([weather])
    asked = model.invoke("tools")
    turns = [
        HumanMessage("tools"),
        asked,
        ToolMessage("21 C", tool_call_id=asked.tool_calls[0]["id"]),
        HumanMessage("tools"),
    ]
    answer = model.invoke(turns)
    assert answer.tool_calls == []
    assert "`[tools.weather]`" in answer.content
    assert "`[tools.weather]`" in "".join(chunk.content for chunk in model.stream(turns))


@case
def structured() -> None:
    for method in ("json_schema", "json_mode"):
        model = chat().with_structured_output(Report, method=method)
        assert model.invoke("structured") == Report(city="Paris", degrees=21), method


@case
def embeddings() -> None:
    """Its default counts tokens with files that it fetches, and sends token numbers: that must be switched off."""
    model = OpenAIEmbeddings(
        base_url=f"{URL}/v1", api_key=KEY, model="vectors", check_embedding_ctx_length=False, max_retries=0
    )
    assert model.embed_documents(["one", "three"]) == [[3.0, 0.5], [5.0, 0.5]]
    assert model.embed_query("one") == [3.0, 0.5]


@case
def text_completion() -> None:
    model = OpenAI(base_url=f"{URL}/v1", api_key=KEY, model=MODEL, max_tokens=8, max_retries=0)
    assert model.invoke("hello") == TEXT
    assert "".join(model.stream("hello")) == TEXT


@case
def responses() -> None:
    answer = chat(use_responses_api=True).invoke("hello")
    assert answer.text == TEXT
    assert "".join(chunk.text for chunk in chat(use_responses_api=True).stream("hello")) == TEXT


@case
def images() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    answer = chat("seeing").invoke([HumanMessage([{"type": "text", "text": "image"}, image])])
    assert answer.content == "1 image: data:image/png;base64,"


@case
def receipts() -> None:
    answer = chat(include_response_headers=True).invoke("hello")
    assert answer.response_metadata["headers"]["freehold-receipt"]


@case
def errors() -> None:
    with raises(openai.AuthenticationError):
        chat(key="fh-wrong").invoke("hello")
    with raises(openai.PermissionDeniedError):
        chat(key=KEY_WITHOUT_SCOPE).invoke("hello")
    with raises(openai.NotFoundError):
        chat("nothing").invoke("hello")
    with raises(openai.BadRequestError):
        chat(temperature=9).invoke("hello")
    with raises(openai.BadRequestError):
        chat().invoke("context")
    with raises(openai.APIStatusError) as caught:
        chat().invoke("x" * 1_100_000)
    assert caught[0].status_code == 413


@case
def errors_of_upstreams() -> None:
    with raises(openai.RateLimitError):
        chat("busy").invoke("429")
    with raises(openai.InternalServerError):
        chat("failing").invoke("503-always")
    with raises(openai.InternalServerError):
        chat("nowhere").invoke("hello")


@case
def retries_wait_as_long_as_they_are_told() -> dict:
    begun_s = time.monotonic()
    assert chat("once", max_retries=2).invoke("429-once langchain").content == TEXT
    waited_s = time.monotonic() - begun_s
    assert waited_s >= 1
    return {"waited_s": round(waited_s, 2)}


@case
def a_stream_that_breaks_is_an_error() -> None:
    for mode in ("error-event", "cut"):
        got = []
        with raises(Exception):
            got.extend(chat().stream(mode))
        assert got


@case
def leaving_a_stream() -> dict:
    stream = chat().stream("stall")
    for chunk in stream:
        if chunk.content:
            break
    stream.close()
    return left()


@case
async def leaving_asynchronously() -> dict:
    model = chat()
    await model.ainvoke("hello")
    task = asyncio.ensure_future(model.ainvoke("silent"))
    await asyncio.sleep(1)  # it is on its way by then
    task.cancel()
    told = left()
    with raises(asyncio.CancelledError):
        await task
    return told


@case
async def asynchronous_calls() -> None:
    answers = await asyncio.gather(*(chat().ainvoke("hello") for _ in range(4)))
    assert [answer.content for answer in answers] == [TEXT] * 4
    assert "".join([chunk.content async for chunk in chat().astream("hello")]) == TEXT
    assert [answer.content for answer in chat().batch(["hello", "hello"])] == [TEXT] * 2


if __name__ == "__main__":
    main()
