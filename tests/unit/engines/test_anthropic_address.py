"""The address of the Messages API is taken as Anthropic's clients write it and as OpenAI's do."""

from __future__ import annotations

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms, Upstream
from freehold.domain.zones import WORLD
from freehold.engines.anthropic import AnthropicEngine
from freehold.hostinfo.clock import SystemClock
from freehold.net.broker import Broker
from tests.contract.harnesses import chat


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/", "/v1/messages"),
        ("https://api.anthropic.com/v1", "/v1/messages"),
        ("https://api.anthropic.com/v1/", "/v1/messages"),
        ("https://proxy.test/anthropic", "/anthropic/v1/messages"),
    ],
)
def test_with_and_without_version(base_url: str, path: str) -> None:
    clock = SystemClock()
    deployment = Deployment(
        name="cloud", engine=EngineKind.ANTHROPIC, model=ModelCard(name="m"), zone=WORLD, terms=Terms()
    )
    engine = AnthropicEngine(
        deployment=deployment,
        upstream=Upstream(base_url=base_url),
        broker=Broker(clock=clock, permit_key=bytes(32)),
        clock=clock,
    )
    assert engine.prepare(chat(), want_logprobs=0).path == path
