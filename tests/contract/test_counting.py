"""What is sent to have tokens counted, and what is taken for a number of them."""

from __future__ import annotations

import pytest

from freehold.domain.errors.upstream import UpstreamProtocol
from freehold.domain.request import InferenceRequest
from freehold.engines.outward import ANTHROPIC_VERSION as VERSION
from freehold.wire.messages_request import with_betas
from tests.contract.harnesses import (
    SECRET,
    AnthropicHarness,
    LlamaRemoteHarness,
    OpenAIHarness,
    RemoteHarness,
    counting,
)
from tests.contract.test_remote_engines import exchange_of, run


async def count(harness: RemoteHarness, request: InferenceRequest) -> int | None:
    call = harness.engine.prepare(request, want_logprobs=0)
    return await harness.engine.count(call, permit=None, deadline_s=harness.deadline_s())


def test_to_count_openai_servers_get_what_the_template_reads_and_no_more() -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        asked = counting("Hi", system="Be brief.", temperature=0.2, brand_new=1, chat_template_kwargs={"x": 1})
        assert await count(harness, asked) == 17
        sent = exchange_of(harness)
        assert (sent.path, sent.headers["authorization"]) == ("/tokenize", f"Bearer {SECRET}")
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        assert sent.body == {
            "model": "scripted-1",
            "messages": turns,
            "chat_template_kwargs": {"x": 1},
            "add_generation_prompt": True,
        }

    run(OpenAIHarness(), scenario)


def test_to_count_anthropic_gets_the_message_without_how_it_is_answered() -> None:
    async def scenario(harness: AnthropicHarness) -> None:
        thinking = {"type": "enabled", "budget_tokens": 1024}
        asked = counting(
            "Hi", system="Be brief.", max_tokens=9, temperature=0.2, stop_sequences=["A"], thinking=thinking
        )
        assert await count(harness, asked) == 17
        sent = exchange_of(harness)
        assert (sent.path, sent.headers["anthropic-version"]) == ("/v1/messages/count_tokens", VERSION)
        assert sent.body == {
            "model": "scripted-1",
            "messages": [{"role": "user", "content": "Hi"}],
            "system": "Be brief.",
            "thinking": thinking,
        }

    run(AnthropicHarness(), scenario)


def test_anthropic_counts_what_it_would_be_sent_to_answer() -> None:
    """Signed thoughts, its own tools and a document by address: what a chat has no word for, with what goes beside it."""
    call = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    turns = [
        {
            "role": "user",
            "content": [{"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}],
        },
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "so", "signature": "c2ln"}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ]
    members = {
        "messages": turns,
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}, {"name": "look"}],
        "cache_control": {"type": "ephemeral"},
        "context_management": {"edits": []},
    }

    async def scenario(harness: AnthropicHarness) -> None:
        assert await count(harness, with_betas(counting(**members), "context-management-2025-06-27")) == 17
        sent = exchange_of(harness)
        assert sent.body == {"model": "scripted-1", **members}
        assert sent.headers["anthropic-beta"] == "context-management-2025-06-27"

    run(AnthropicHarness(), scenario)


@pytest.mark.parametrize("harness", [OpenAIHarness, AnthropicHarness, LlamaRemoteHarness])
def test_a_server_that_does_not_count_is_asked_once(harness: type[RemoteHarness]) -> None:
    async def scenario(harness: RemoteHarness) -> None:
        harness.server.tokens = None
        assert await count(harness, counting()) is None
        assert not harness.engine.counts
        assert harness.engine.state().ready

    run(harness(), scenario)


@pytest.mark.parametrize("tokens", ["17", -1, 1.5, True, {}])
def test_what_is_no_number_of_tokens_is_not_taken_for_one(tokens: object) -> None:
    async def scenario(harness: OpenAIHarness) -> None:
        harness.server.tokens = tokens
        with pytest.raises(UpstreamProtocol):
            await count(harness, counting())

    run(OpenAIHarness(), scenario)
