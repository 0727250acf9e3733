"""What the engines behind an address do besides the contract: bodies, headers, health, and what they never tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.upstream import UpstreamStatus, UpstreamTimeout, UpstreamUnreachable
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EngineTimings, FinishReason, ResponseChunk, Usage
from freehold.domain.zones import Zone
from freehold.engines.detect import DetectedServer, detect
from freehold.engines.ejection import BUSY_MAX_S, FAILURES_MAX, REST_MAX_S, REST_S
from freehold.engines.outward import ANTHROPIC_VERSION as VERSION
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker
from freehold.wire.openai_response import Aggregator
from tests.contract.harnesses import (
    SECRET,
    AnthropicHarness,
    OpenAIHarness,
    RemoteHarness,
    chat,
    completion,
    embedding,
)
from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, TIMINGS, USAGE, OpenAIServer

Scenario = Callable[[Any], Awaitable[None]]


class SetClock:
    """A clock whose hands a test moves; real time passes as well, since connections live in it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._real = SystemClock()

    def unix_ms(self) -> int:
        return self._real.unix_ms()

    def monotonic_s(self) -> float:
        return self._real.monotonic_s() + self.ahead_s


def run(harness: RemoteHarness, scenario: Scenario) -> None:
    async def within() -> None:
        async with harness:
            await scenario(harness)

    asyncio.run(asyncio.wait_for(within(), 30))


async def ask(harness: RemoteHarness, request: InferenceRequest, *, want_logprobs: int = 0) -> list[ResponseChunk]:
    call = harness.engine.prepare(request, want_logprobs=want_logprobs)
    stream = harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s())
    async with contextlib.aclosing(stream):
        return [chunk async for chunk in stream]


async def refused(harness: RemoteHarness, request: InferenceRequest, *, want_logprobs: int = 0) -> FreeholdError:
    with pytest.raises(FreeholdError) as caught:
        await ask(harness, request, want_logprobs=want_logprobs)
    return caught.value


def exchange_of(harness: RemoteHarness) -> Exchange:
    return harness.server.exchanges[-1]


def whole_of(chunks: list[ResponseChunk], request: InferenceRequest) -> dict[str, Any]:
    answer = Aggregator()
    for chunk in chunks:
        answer.add(chunk)
    return answer.whole(request, model="home")


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_openai_body_and_headers() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        request = chat(stream_options={"include_obfuscation": False}, stream=False, min_p=0.05, top_k=3)
        await ask(harness, request, want_logprobs=5)
        sent = exchange_of(harness)
        assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
        assert sent.headers["authorization"] == f"Bearer {SECRET}"
        assert sent.headers["content-type"] == "application/json"
        assert sent.body == {
            "model": "scripted-1",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 24,
            "stream": True,
            "stream_options": {"include_obfuscation": False, "include_usage": True},
            "min_p": 0.05,
            "top_k": 3,
            "logprobs": True,
            "top_logprobs": 5,
        }

    run(OpenAIHarness(), scenario)


def test_the_client_may_want_more_alternatives_than_freehold() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        await ask(harness, chat(logprobs=True, top_logprobs=9), want_logprobs=5)
        assert exchange_of(harness).body["top_logprobs"] == 9
        await ask(harness, completion(), want_logprobs=5)
        assert exchange_of(harness).body["logprobs"] == 5
        await ask(harness, completion())
        assert "logprobs" not in exchange_of(harness).body

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize(("zone", "as_sent"), [("device", True), ("lan", False), ("world", False)])
def test_what_leaves_is_rebuilt_from_what_was_looked_at(zone: str, as_sent: bool) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        request = chat(x={"spaced": 1})
        body = harness.engine.prepare(request, want_logprobs=0).body
        assert (request.fields["messages"] in body) is as_sent
        assert json.loads(body)["messages"] == json.loads(request.fields["messages"])

    run(OpenAIHarness(zone=Zone(zone)), scenario)


def test_embeddings_are_asked_for_as_numbers() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        call = harness.engine.prepare(embedding("a", encoding_format="base64"), want_logprobs=5)
        result = await harness.engine.embed(call, permit=None, deadline_s=harness.deadline_s())
        assert exchange_of(harness).body == {"model": "scripted-1", "input": ["a"], "encoding_format": "float"}
        assert result.payload["extra"] == 1

    run(OpenAIHarness(), scenario)


def test_anthropic_body_and_headers() -> None:
    async def scenario(harness: AnthropicHarness) -> None:
        await ask(harness, chat(seed=5), want_logprobs=5)
        sent = exchange_of(harness)
        assert sent.path == "/v1/messages"
        assert (sent.headers["x-api-key"], sent.headers["anthropic-version"]) == (SECRET, VERSION)
        assert "authorization" not in sent.headers
        assert sent.body == {
            "model": "scripted-1",
            "max_tokens": 24,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "stream": True,
        }

    run(AnthropicHarness(), scenario)


@pytest.mark.parametrize("mode", ["no-blank-line", "no-close"])
def test_a_message_that_is_whole_needs_neither_a_last_blank_line_nor_the_end_of_the_transfer(mode: str) -> None:
    async def scenario(harness: AnthropicHarness) -> None:
        async with asyncio.timeout(5):
            last = (await ask(harness, chat(mode)))[-1]
        assert last.usage == Usage(input_tokens=8, output_tokens=6, cached_tokens=2)
        assert harness.engine.state().ready

    run(AnthropicHarness(), scenario)


@pytest.mark.parametrize("kind", [OpenAIHarness, AnthropicHarness])
def test_starting_and_closing_call_nobody(kind: type[RemoteHarness]) -> None:
    async def scenario(harness: RemoteHarness) -> None:
        await harness.engine.start()
        assert harness.engine.state().ready
        await harness.engine.close()
        assert harness.server.connections == 0

    run(kind(), scenario)


# --- what comes back -------------------------------------------------------------------------------------------------


def test_unknown_members_come_back() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        request = chat("unknown")
        chunks = await ask(harness, request)
        assert all(chunk.payload is None or chunk.payload["x_top"] == {"kept": True} for chunk in chunks)
        whole = whole_of(chunks, request)
        assert (whole["x_top"], whole["choices"][0]["x_choice"]) == ({"kept": True}, 1)
        assert (whole["timings"], whole["usage"], whole["system_fingerprint"]) == (TIMINGS, USAGE, "fp_scripted")

    run(OpenAIHarness(), scenario)


def test_a_server_is_known_by_what_its_answers_say_of_it() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        engine = harness.engine
        assert isinstance(engine, Fingerprinted)
        unknown = engine.fingerprint()
        assert (unknown.version, unknown.template_sha256, unknown.stands_for_model) == ("", "", "")
        await ask(harness, chat())
        known = engine.fingerprint()
        assert known.version == "fp_scripted"
        assert known.stands_for_model.startswith("known:")
        assert known.model_digest(engine.deployment.model) == known.stands_for_model
        await ask(harness, chat())
        assert engine.fingerprint() is known, "the same object while nothing has changed"

    run(OpenAIHarness(), scenario)


def test_a_server_without_log_probabilities_is_not_known() -> None:
    async def scenario(harness: AnthropicHarness) -> None:
        await ask(harness, chat())
        assert isinstance(harness.engine, Fingerprinted)
        assert harness.engine.fingerprint().version == ""

    run(AnthropicHarness(), scenario)


def test_usage_and_timings() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        last = (await ask(harness, chat()))[-1]
        assert last.usage == Usage(input_tokens=7, output_tokens=6, cached_tokens=2, reasoning_tokens=1)
        assert last.timings == EngineTimings(
            prompt_tokens=7, cached_tokens=2, prompt_ms=10.0, generated_tokens=6, generation_ms=30.0
        )

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize("kind", [OpenAIHarness, AnthropicHarness])
def test_reasoning_is_kept_apart(kind: type[RemoteHarness]) -> None:
    async def scenario(harness: RemoteHarness) -> None:
        request = chat("reasoning")
        chunks = await ask(harness, request)
        message = whole_of(chunks, request)["choices"][0]["message"]
        assert (message["reasoning_content"], message["content"]) == ("Let me think.", harness.text)
        assert "".join(chunk.text for chunk in chunks) == harness.text

    run(kind(), scenario)


@pytest.mark.parametrize("request_of", [chat, completion])
def test_json_where_events_were_asked_for_is_converted(request_of: Callable[..., InferenceRequest]) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        request = request_of("json")
        chunks = await ask(harness, request)
        choice = whole_of(chunks, request)["choices"][0]
        assert TEXT in (choice.get("text"), choice.get("message", {}).get("content"))
        assert "".join(chunk.text for chunk in chunks) == TEXT
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [FinishReason.STOP]
        assert whole_of(chunks, request)["usage"] == USAGE

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize("mode", ["bare-end", "no-close"])
def test_an_end_that_proves_itself_is_enough(mode: str) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        chunks = await asyncio.wait_for(ask(harness, chat(mode)), 5)
        assert "".join(chunk.text for chunk in chunks) == TEXT

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize("kind", [OpenAIHarness, AnthropicHarness])
def test_a_whole_answer_leaves_the_connection_for_the_next(kind: type[RemoteHarness]) -> None:
    async def scenario(harness: RemoteHarness) -> None:
        for _ in range(3):
            await ask(harness, chat())
        assert harness.server.connections == 1

    run(kind(), scenario)


# --- failures --------------------------------------------------------------------------------------------------------


def test_retry_after_as_a_date_is_held_against_the_servers_own_clock() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        assert (await refused(harness, chat("429-date"))).retry_after_s == 7.0

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize(
    ("kind", "mode"), [(OpenAIHarness, "401"), (OpenAIHarness, "400-quote"), (AnthropicHarness, "401")]
)
def test_the_credential_is_never_told(kind: type[RemoteHarness], mode: str) -> None:
    async def scenario(harness: RemoteHarness) -> None:
        error = await refused(harness, chat(mode))
        assert isinstance(error, UpstreamStatus)
        assert error.http_status == (502 if mode == "401" else 400)
        assert SECRET not in f"{error.message} {error.values} {error!r}"
        assert SECRET not in repr(harness.engine)
        assert str(harness.server.port) not in error.message

    run(kind(), scenario)


def test_a_server_without_log_probabilities_is_not_asked_again() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        error = await refused(harness, chat("no-logprobs"), want_logprobs=5)
        assert error.values["about"] == "logprobs"
        assert "logprobs" not in json.loads(harness.engine.prepare(chat(), want_logprobs=5).body)
        chunks = await ask(harness, chat("no-logprobs"), want_logprobs=5)
        assert "".join(chunk.text for chunk in chunks) == TEXT
        assert harness.engine.state().ready

    run(OpenAIHarness(), scenario)


def test_a_client_that_wants_log_probabilities_gets_the_refusal() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        assert (await refused(harness, chat("no-logprobs", logprobs=True))).http_status == 400
        assert json.loads(harness.engine.prepare(chat(), want_logprobs=5).body)["logprobs"] is True

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize("mode", ["silent", "stall"])
def test_the_deadline_ends_a_call(mode: str) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        call = harness.engine.prepare(chat(mode), want_logprobs=0)
        with pytest.raises(UpstreamTimeout):
            async for _ in harness.engine.stream(call, permit=None, deadline_s=harness.deadline_s(1.0)):
                pass
        await harness.left()

    run(OpenAIHarness(), scenario)


def test_leaving_before_the_first_byte() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        task = asyncio.create_task(ask(harness, chat("silent")))
        await harness.server.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await harness.left()

    run(OpenAIHarness(), scenario)


def test_failed_embedding() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        call = harness.engine.prepare(embedding("500"), want_logprobs=0)
        with pytest.raises(UpstreamStatus) as caught:
            await harness.engine.embed(call, permit=None, deadline_s=harness.deadline_s())
        assert caught.value.http_status == 500

    run(OpenAIHarness(), scenario)


# --- health ----------------------------------------------------------------------------------------------------------


def test_failures_in_a_row_give_it_a_rest_and_a_trial_afterwards() -> None:
    clock = SetClock()

    async def scenario(harness: OpenAIHarness) -> None:
        for _ in range(FAILURES_MAX):
            assert harness.engine.state().ready
            await refused(harness, chat("500"))
        for round_ in (1, 2, 3):
            state = harness.engine.state()
            assert not state.ready
            assert "5 failures in a row" in state.detail
            clock.ahead_s += REST_S * round_ - 5
            assert not harness.engine.state().ready
            clock.ahead_s += 6
            assert harness.engine.state().ready
            await refused(harness, chat("500"))  # one trial is enough to find out
        clock.ahead_s += REST_MAX_S
        await ask(harness, chat())
        await refused(harness, chat("500"))
        assert harness.engine.state().ready

    harness = OpenAIHarness()
    harness.clock = clock
    run(harness, scenario)


def test_one_trial_at_a_time_and_one_that_its_client_left_says_nothing() -> None:
    clock = SetClock()

    async def scenario(harness: OpenAIHarness) -> None:
        for _ in range(FAILURES_MAX):
            await refused(harness, chat("500"))
        clock.ahead_s += REST_S + 1
        trial = asyncio.create_task(ask(harness, chat("silent")))
        while not any(b"silent" in each.raw for each in harness.server.exchanges):
            harness.server.arrived.clear()
            await harness.server.arrived.wait()
        assert "on trial" in harness.engine.state().detail
        assert not harness.engine.state().ready
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        assert harness.engine.state().ready

    harness = OpenAIHarness()
    harness.clock = clock
    run(harness, scenario)


def test_one_success_wipes_the_slate() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        for _ in range(2):
            for _ in range(FAILURES_MAX - 1):
                await refused(harness, chat("500"))
            await ask(harness, chat())
        assert harness.engine.state().ready

    run(OpenAIHarness(), scenario)


@pytest.mark.parametrize("mode", ["context", "400-quote"])
def test_what_the_request_is_to_blame_for_does_not_count(mode: str) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        for _ in range(FAILURES_MAX + 1):
            await refused(harness, chat(mode))
        assert harness.engine.state().ready

    run(OpenAIHarness(), scenario)


def test_busy_is_a_rest_and_no_illness() -> None:
    clock = SetClock()

    async def scenario(harness: OpenAIHarness) -> None:
        await refused(harness, chat("429"))
        state = harness.engine.state()
        assert (state.ready, "busy" in state.detail) == (False, True)
        clock.ahead_s += 7 * 1.25 + 0.5
        assert harness.engine.state().ready
        assert BUSY_MAX_S == 60

    harness = OpenAIHarness()
    harness.clock = clock
    run(harness, scenario)


def test_nobody_there() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        await harness.server.__aexit__()
        error = await refused(harness, chat())
        assert isinstance(error, UpstreamUnreachable)
        assert str(error.values["deployment"]) == "home"
        await harness.server.__aenter__()

    run(OpenAIHarness(), scenario)


# --- detection -------------------------------------------------------------------------------------------------------


def test_detect_offers_who_lists_models() -> None:
    async def scenario() -> None:
        clock = SystemClock()
        broker = Broker(clock=clock, permit_key=b"k" * 32)
        async with OpenAIServer() as server, OpenAIServer() as page, OpenAIServer() as closed, OpenAIServer() as mute:
            page.answer = lambda exchange: exchange.reply(200, b"<html></html>", content_type="text/html")
            mute.answer = lambda exchange: asyncio.Event().wait()
            ports = {"vLLM": server.port, "page": page.port, "closed": closed.port, "mute": mute.port}
            await closed.__aexit__()
            found = await detect(broker=broker, clock=clock, ports=ports, timeout_s=0.3)
            assert found == [DetectedServer(kind="vLLM", base_url=server.base_url, models=("scripted-1", "scripted-2"))]
            assert [exchange.path for exchange in server.exchanges] == ["/v1/models"]
            await closed.__aenter__()
        await broker.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))
