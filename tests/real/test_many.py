"""Sixteen at once: every client gets its own answer, whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from openai import AsyncOpenAI

from tests.real.house import House, Way
from tests.real.report import Report
from tests.support.server import eventually
from tools.real_servers import MODEL

MANY, TOKENS = 16, 12


def _prompt(number: int) -> str:
    return "again " * (number + 1)


async def _ask(client: AsyncOpenAI, model: str, number: int, *, streams: bool) -> tuple[int, int, str]:
    """Tokens of prompt and answer, which differ from request to request, and the answer's id."""
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": _prompt(number)}],
        "max_tokens": TOKENS,
        "extra_body": {"ignore_eos": True},
    }
    if not streams:
        whole = await client.chat.completions.create(**asked)
        assert whole.usage is not None
        assert whole.choices[0].finish_reason == "length"
        return whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.id
    usage, ids = None, set[str]()
    async with await client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ) as stream:
        async for chunk in stream:
            ids.add(chunk.id)
            usage = chunk.usage or usage
    assert usage is not None
    (own_id,) = ids
    return usage.prompt_tokens, usage.completion_tokens, own_id


async def _all(client: AsyncOpenAI, model: str, *, streams: bool | None) -> Sequence[tuple[int, int, str]]:
    async with client:
        return await asyncio.gather(
            *(
                _ask(client, model, number, streams=number % 2 == 0 if streams is None else streams)
                for number in range(MANY)
            )
        )


@pytest.mark.parametrize("streams", [True, False, None], ids=["streams", "whole answers", "both"])
def test_sixteen_at_once(real_house: House, way: Way, report: Report, *, streams: bool | None) -> None:
    server = real_house.server(way)
    first = server.post(
        "/v1/chat/completions",
        {"model": MODEL, "messages": [{"role": "user", "content": _prompt(0)}], "max_tokens": 1},
    ).json()["usage"]["prompt_tokens"]
    began_s = time.monotonic()
    answers = asyncio.run(_all(real_house.gateway.async_openai(), way.model, streams=streams))
    report.note(f"{way.model}: {MANY} requests of {TOKENS} tokens at once, s", time.monotonic() - began_s)
    assert [prompt for prompt, _, _ in answers] == [first + number for number in range(MANY)]
    assert {tokens for _, tokens, _ in answers} == {TOKENS}
    assert len({own_id for _, _, own_id in answers}) == MANY
    receipts = real_house.gateway.get(f"/v1/receipts?limit={MANY}")["data"]
    assert {receipt["outcome"] for receipt in receipts} == {"complete"}
    eventually(lambda: server.busy() == 0, what="an idle server")
