"""What every engine keeps to, whatever it speaks underneath."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import pytest

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.request import ContentUnsupported, ContextTooLong, RequestError
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamError, UpstreamProtocol, UpstreamStatus
from freehold.domain.ports import UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.domain.zones import Zone
from freehold.wire.openai_response import Aggregator
from tests.contract.harnesses import (
    HARNESSES,
    WEATHER,
    Harness,
    RemoteHarness,
    chat,
    completion,
    counting,
    embedding,
    rerank,
)

HarnessKind = type[Harness]
every_engine = pytest.mark.parametrize("kind", HARNESSES)


def run(kind: HarnessKind, scenario: Callable[[Harness], Awaitable[None]], *, zone: Zone | None = None) -> None:
    async def within() -> None:
        async with kind(**({} if zone is None else {"zone": zone})) as harness:
            await scenario(harness)

    asyncio.run(asyncio.wait_for(within(), 120))


def engines_that_play(*modes: str) -> pytest.MarkDecorator:
    """Every engine with every mode that can be scripted for it."""
    pairs = [
        pytest.param(each.values[0], mode, id=f"{each.id}-{mode}", marks=each.marks)
        for each in HARNESSES
        for mode in modes
        if mode in each.values[0].modes
    ]
    return pytest.mark.parametrize(("kind", "mode"), pairs)


async def collect(
    harness: Harness, request: InferenceRequest, *, want_logprobs: int = 0
) -> tuple[list[ResponseChunk], Aggregator]:
    call = harness.engine.prepare(request, want_logprobs=want_logprobs)
    chunks, answer = [], Aggregator()
    stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            chunks.append(chunk)
            answer.add(chunk)
    return chunks, answer


async def failure(harness: Harness, request: InferenceRequest) -> tuple[FreeholdError, Aggregator]:
    call = harness.engine.prepare(request, want_logprobs=0)
    answer = Aggregator()
    stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
    with pytest.raises(FreeholdError) as caught:
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                answer.add(chunk)
    return caught.value, answer


# --- answers ---------------------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_whole(kind: HarnessKind, stream: bool) -> None:
    async def scenario(harness: Harness) -> None:
        request = chat(stream=stream)
        chunks, answer = await collect(harness, request)
        assert answer.text
        assert harness.text in (None, answer.text)
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [answer.finish_reason]
        assert answer.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        assert answer.usage is not None
        assert answer.usage.measured
        assert answer.usage.output_tokens > 0
        sent = [chunk.payload for chunk in chunks if chunk.payload is not None]
        assert {payload["model"] for payload in sent} == {"home"}
        assert {payload["object"] for payload in sent} == {"chat.completion.chunk"}
        if stream:
            assert all(payload["choices"] and "usage" not in payload for payload in sent)
        whole = answer.whole(request, model="home")
        assert whole["choices"][0]["message"]["content"] == answer.text
        assert whole["usage"]["total_tokens"] == answer.usage.input_tokens + answer.usage.output_tokens
        json.dumps(whole)

    run(kind, scenario)


@every_engine
def test_usage_is_the_last_event_for_those_who_ask(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        chunks, _ = await collect(harness, chat(stream=True, stream_options={"include_usage": True}))
        last = chunks[-1].payload
        assert last is not None
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0

    run(kind, scenario)


@every_engine
def test_log_probabilities_for_freehold_stay_with_freehold(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        chunks, answer = await collect(harness, chat(stream=True), want_logprobs=5)
        assert bool(answer.logprobs) is harness.has_logprobs
        assert all(each.logprob <= 0 for each in answer.logprobs)
        assert all(each.token in [text for text, _ in each.alternatives] for each in answer.logprobs)
        sent = [chunk.payload for chunk in chunks if chunk.payload is not None]
        assert not [payload for payload in sent for choice in payload["choices"] if choice.get("logprobs")]

    run(kind, scenario)


@every_engine
def test_log_probabilities_for_the_client(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        request = chat(logprobs=True, top_logprobs=1)
        if not harness.has_logprobs:
            with pytest.raises(RequestError):
                harness.engine.prepare(request, want_logprobs=0)
            return
        _, answer = await collect(harness, request, want_logprobs=5)
        items = answer.whole(request, model="home")["choices"][0]["logprobs"]["content"]
        assert "".join(item["token"] for item in items) == answer.text
        assert {len(item["top_logprobs"]) for item in items} == {1}

    run(kind, scenario)


@engines_that_play("tools")
def test_tool_calls(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        chunks, answer = await collect(harness, chat(mode, tools=[WEATHER]))
        assert any(chunk.tool_call for chunk in chunks)
        assert answer.finish_reason is FinishReason.TOOL_CALLS
        (call,) = answer.tool_calls
        assert (call["type"], call["function"]["name"]) == ("function", "weather")
        assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
        assert call["id"]

    run(kind, scenario)


@every_engine
def test_completions(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        request = completion()
        if "completion" not in harness.tasks:
            with pytest.raises(ContentUnsupported):
                harness.engine.prepare(request, want_logprobs=0)
            return
        _, answer = await collect(harness, request)
        whole = answer.whole(request, model="home")
        assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", answer.text)
        assert answer.text

    run(kind, scenario)


@every_engine
@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(kind: HarnessKind, form: str) -> None:
    async def scenario(harness: Harness) -> None:
        request = embedding("one", "three", encoding_format=form)
        if "embedding" not in harness.tasks:
            with pytest.raises(ContentUnsupported):
                harness.engine.prepare(request, want_logprobs=0)
            return
        call = harness.engine.prepare(request, want_logprobs=0)
        result = await harness.engine.embed(call, permit=None, deadline_s=harness.deadline_s())
        rows = result.payload["data"]
        assert [row["index"] for row in rows] == [0, 1]
        assert {type(row["embedding"]) for row in rows} == {list if form == "float" else str}
        assert result.payload["model"] == "home"
        assert result.usage.input_tokens > 0

    run(kind, scenario)


@every_engine
def test_reranking(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        request = rerank("a b c", "a", "a b c of it", "a b it", top_n=2)
        if "rerank" not in harness.tasks:
            with pytest.raises(ContentUnsupported):
                harness.engine.prepare(request, want_logprobs=0)
            return
        call = harness.engine.prepare(request, want_logprobs=0)
        result = await harness.engine.rerank(call, permit=None, deadline_s=harness.deadline_s())
        assert [index for index, _ in result.ranked] == [1, 2]
        assert result.ranked[0][1] > result.ranked[1][1]
        assert result.usage.measured
        assert result.usage.input_tokens > 0

    run(kind, scenario)


async def count(harness: Harness, request: InferenceRequest) -> int | None:
    assert harness.engine.counts
    call = harness.engine.prepare(request, want_logprobs=0)
    return await harness.engine.count(call, permit=None, deadline_s=harness.deadline_s())


@every_engine
def test_tokens_are_counted_without_generating(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        tool = {"name": "weather", "input_schema": WEATHER["function"]["parameters"]}
        plain = await count(harness, counting("How many tokens are these?"))
        with_tools = await count(harness, counting("How many tokens are these?", tools=[tool], tool_choice=None))
        if harness.text is not None:
            assert (plain, with_tools) == (17, 17)
            return
        _, answer = await collect(harness, chat("How many tokens are these?"))
        assert answer.usage is not None
        assert plain == answer.usage.input_tokens
        assert with_tools is not None

    run(kind, scenario)


@engines_that_play("429", "context")
def test_a_refusal_to_count_is_an_error(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        with pytest.raises(ContextTooLong if mode == "context" else UpstreamStatus):
            await count(harness, counting(mode))
        assert harness.engine.counts

    run(kind, scenario)


# --- the call --------------------------------------------------------------------------------------------------------


@every_engine
def test_preparing_is_pure_and_sends_nothing(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        request = chat(x_unknown={"b": 1, "a": [1.0]})
        first = harness.engine.prepare(request, want_logprobs=3)
        assert harness.engine.prepare(request, want_logprobs=3) == first
        assert first.request is request
        assert first.path.startswith("/")
        body = json.loads(first.body)
        assert body["stream"] is True
        assert body["x_unknown"] == {"b": 1, "a": [1.0]}
        assert "Authorization" not in dict(first.headers)
        if isinstance(harness, RemoteHarness):
            assert not [each for each in harness.server.exchanges if "Hi" in each.raw.decode()]

    run(kind, scenario)


@every_engine
def test_what_the_model_cannot_take_is_refused_before_anything_is_sent(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
        with pytest.raises(ContentUnsupported) as caught:
            harness.engine.prepare(chat(messages=[{"role": "user", "content": image}]), want_logprobs=0)
        assert "'home'" in caught.value.message

    run(kind, scenario)


@pytest.mark.parametrize("kind", [each for each in HARNESSES if issubclass(each.values[0], RemoteHarness)])
def test_nothing_leaves_without_a_permit(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        assert isinstance(harness, RemoteHarness)
        call = harness.engine.prepare(chat(), want_logprobs=0)
        before = harness.server.connections, harness.engine.state()
        stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
        with pytest.raises(EgressDenied):
            await anext(stream)
        assert (harness.server.connections, harness.engine.state()) == before

    run(kind, scenario, zone=Zone("world"))


# --- failures --------------------------------------------------------------------------------------------------------


@engines_that_play("429")
def test_busy_is_told_at_once_with_the_upstreams_words(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, _ = await failure(harness, chat(mode))
        assert isinstance(error, UpstreamStatus)
        assert (error.http_status, error.retry_after_s, error.source) == (429, 7.0, "home")
        assert error.wire_code in ("rate_limit_exceeded", "rate_limit_error")
        assert "slow down" in error.message

    run(kind, scenario)


@engines_that_play("500")
def test_server_error(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, _ = await failure(harness, chat(mode))
        assert isinstance(error, UpstreamStatus)
        assert (error.http_status, error.retryable) == (500, True)
        assert "it hurts" in error.message

    run(kind, scenario)


@engines_that_play("context")
def test_too_long_a_prompt_is_told_with_both_numbers(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, _ = await failure(harness, chat(mode))
        assert isinstance(error, ContextTooLong)
        assert (error.http_status, error.wire_code) == (400, "context_length_exceeded")
        numbers = (str(error.values["prompt_tokens"]), str(error.values["context_tokens"]))
        assert numbers in (("12031", "2048"), ("210000", "200000"))

    run(kind, scenario)


@engines_that_play("cut", "no-end", "error-event", "garbage")
def test_an_answer_that_breaks_off_never_looks_whole(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, answer = await failure(harness, chat(mode))
        assert isinstance(error, UpstreamBroken)
        assert error.source == "home"
        assert answer.text
        assert answer.finish_reason is None

    run(kind, scenario)


@engines_that_play("error-first")
def test_an_error_instead_of_an_answer_is_a_refusal(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, answer = await failure(harness, chat(mode))
        assert isinstance(error, UpstreamError)
        assert error.http_status in (503, 529)
        assert answer.text == ""

    run(kind, scenario)


@engines_that_play("html")
def test_a_page_is_no_answer(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        error, _ = await failure(harness, chat(mode))
        assert isinstance(error, UpstreamProtocol)
        assert "text/html" in error.message

    run(kind, scenario)


@engines_that_play("cut")
def test_a_failure_does_not_stick(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        await failure(harness, chat(mode))
        _, answer = await collect(harness, chat())
        assert answer.text == harness.text

    run(kind, scenario)


# --- leaving ---------------------------------------------------------------------------------------------------------


@every_engine
def test_leaving_in_the_middle_is_noticed_by_the_other_side(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        mode = "stall" if "stall" in harness.modes else "Tell me a long story."
        call = harness.engine.prepare(chat(mode, max_tokens=200), want_logprobs=0)
        stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
        assert (await anext(stream)) is not None
        await stream.aclose()
        await harness.left()
        if "stall" not in harness.modes:
            _, answer = await collect(harness, chat())
            assert answer.text

    run(kind, scenario)


@engines_that_play("stall")
def test_cancelling_while_nothing_comes(kind: HarnessKind, mode: str) -> None:
    async def scenario(harness: Harness) -> None:
        call = harness.engine.prepare(chat(mode), want_logprobs=0)
        begun = asyncio.Event()
        task = asyncio.create_task(_read(harness, call, begun))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await harness.left()

    run(kind, scenario)


async def _read(harness: Harness, call: UpstreamCall, begun: asyncio.Event) -> None:
    stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
    async with contextlib.aclosing(stream):
        async for _ in stream:
            begun.set()


@every_engine
def test_closing_twice_is_harmless(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        await collect(harness, chat())
        await harness.engine.close()
        await harness.engine.close()

    run(kind, scenario)


@every_engine
def test_an_engine_that_answered_is_ready(kind: HarnessKind) -> None:
    async def scenario(harness: Harness) -> None:
        await collect(harness, chat())
        state = harness.engine.state()
        assert state.ready
        assert state.detail
        assert harness.engine.deployment.name == "home"

    run(kind, scenario)
