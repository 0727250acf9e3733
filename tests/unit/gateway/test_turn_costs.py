"""What a queue is told of the cost of requests that write nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from freehold.domain.request import Task
from freehold.gateway.attempt import tokens_about
from freehold.wire.openai_request import decode_embedding, decode_rerank
from tests.unit.gateway.test_pipeline import chat, engine, house


def test_counting_costs_its_tenant_next_to_nothing_of_its_turn() -> None:
    """Neither at the start nor in the end is it taken for a chat."""
    at = house(engine("small"))
    counting = replace(chat("hello" * 1_000), task=Task.COUNT)
    asyncio.run(at.ask(counting))
    assert (tokens_about(counting), at.admission.costs) == (1, [1])


def test_vectors_and_relevance_are_expected_to_cost_what_is_read() -> None:
    texts = b'{"model":"auto","input":"%s"}' % (b"x" * 398)
    assert tokens_about(decode_embedding(texts, request_id="r")) == 400 // 4
    documents = b'{"model":"auto","query":"%s","documents":["a","b"]}' % (b"x" * 100)
    assert tokens_about(decode_rerank(documents, request_id="r")) == (102 + 9 + 2 * 100) // 4
