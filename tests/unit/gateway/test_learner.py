"""Who is told of judged answers, and of which."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from freehold.domain.identity import Principal
from freehold.domain.outcomes import Judged
from freehold.domain.request import InferenceRequest
from freehold.gateway.pipeline import Pipeline
from tests.support.gateway import GOOD_KEY, MemorySink
from tests.unit.gateway.test_pipeline import chat, engine, house


@dataclass
class Listener:
    """Wants everybody's answers, or nobody's."""

    is_listening: bool
    heard: list[Judged] = field(default_factory=list[Judged])

    def begins(self, request: InferenceRequest) -> None:
        """Nothing is in its way."""

    def wants(self, _principal: Principal) -> bool:
        return self.is_listening

    def told(self, judged: Judged) -> None:
        self.heard.append(judged)


@pytest.mark.parametrize("is_listening", [True, False])
def test_only_who_listens_is_told(*, is_listening: bool) -> None:
    """Nothing is put together for one who does not."""
    at, listener = house(engine("small"), engine("large")), Listener(is_listening)
    pipeline = Pipeline(services=replace(at.services(), learn=listener), runtime=at.runtime)
    asyncio.run(pipeline.answer(chat(), pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert len(listener.heard) == is_listening
    assert all(each.receipt == at.receipt and each.answers for each in listener.heard)
