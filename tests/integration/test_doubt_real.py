"""Doubt with real models: a stream that is left after its first tokens, one that passes, and signals that are bought."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.decisions import Action, Outcome
from freehold.domain.deployment import Doubt, Route, StreamMode, Uncalibrated
from freehold.domain.receipt import Role
from freehold.hostinfo.clock import SystemClock
from freehold.routing.calibration import Calibration
from freehold.wire.openai_request import decode_chat
from tests.integration.test_llama_engine import CODER, TINY, Bench, bench
from tests.models import starter_model
from tests.support.gateway import House, MemorySink
from tests.support.routing import calibration

pytestmark = pytest.mark.models

REQUEST_ID = "01890000-0000-7000-8000-000000000001"
PREFIX_TOKENS = 8


def sure(score: float, **more: object) -> Calibration:
    """As sure of everything: the probability is the logistic of ``score``."""
    return calibration(tokens_max=4_096, features=(), intercept=score, n=100_000, **more)


def asked(text: str, *, stream: bool) -> Any:
    members = f'"model":"auto","max_tokens":48,"temperature":0,"stream":{str(stream).lower()}'
    body = f'{{{members},"messages":[{{"role":"user","content":"{text}"}}]}}'
    return decode_chat(body.encode(), request_id=REQUEST_ID)


def on_real_models(scenario: Callable[[House, Bench, Bench], Awaitable[None]], **route: Any) -> None:
    """Run a scenario with the two smallest starter models, ``small`` and ``medium``."""
    paths = starter_model(TINY), starter_model(CODER)

    async def main() -> None:
        async with bench(paths[0], context_tokens=2_048) as small, bench(paths[1], context_tokens=2_048) as medium:
            await asyncio.gather(small.engine.start(), medium.engine.start())
            for name, each in (("small", small), ("medium", medium)):
                each.engine._deployment = replace(each.engine._deployment, name=name)
                each.engine._shown = replace(each.engine._shown, name=name)
            plain = Route(name="auto", deployments=("small", "medium"), uncalibrated=Uncalibrated.ACCEPT)
            at = House(
                engines={"small": small.engine, "medium": medium.engine},
                routes={"auto": replace(plain, **route)},
                clock=SystemClock(),  # type: ignore[arg-type] - deadlines of real engines are of real time
            )
            await scenario(at, small, medium)

    asyncio.run(main())


def models_of(sink: MemorySink) -> set[object]:
    return {chunk.payload["model"] for chunk in sink.chunks if chunk.payload}


async def _is_idle(at: Bench) -> bool:
    return await at.busy_slots() == 0


def test_a_rejected_prefix_is_left_at_once_and_the_next_model_answers() -> None:
    async def scenario(at: House, small: Bench, medium: Bench) -> None:
        at.calibrations = {("small", "general"): (sure(5), sure(-5, id="first", scope=f"prefix-{PREFIX_TOKENS}"))}
        sink = await at.ask(asked("Tell me a long story about a river.", stream=True))
        await small.until(lambda: _is_idle(small), within_s=5)
        left, answered = at.receipt.attempts
        assert (left.deployment, left.outcome, answered.deployment) == ("small", Outcome.CANCELLED, "medium")
        assert left.prefix
        assert left.prefix.calibrated_on == "first"
        assert left.prefix.signals["tokens_log"] == pytest.approx(math.log(PREFIX_TOKENS))
        assert PREFIX_TOKENS <= left.usage.output_tokens < 48
        assert sink.text
        assert models_of(sink) == {"medium"}
        assert sink.deployments == ["medium"]
        assert at.receipt.answered_index == 1

    on_real_models(scenario, stream=StreamMode.PREFIX, prefix_tokens=PREFIX_TOKENS)


def test_a_prefix_that_is_good_enough_passes_and_the_rest_follows_live() -> None:
    async def scenario(at: House, small: Bench, medium: Bench) -> None:
        at.calibrations = {("small", "general"): (sure(-5), sure(5, id="first", scope=f"prefix-{PREFIX_TOKENS}"))}
        busy: list[bool] = []
        sink = MemorySink(on_chunk=lambda _: busy.append(not at.receipts.kept))
        await at.ask(asked("Tell me a long story about a river.", stream=True), sink)
        (attempt,) = at.receipt.attempts
        assert (attempt.deployment, attempt.outcome) == ("small", Outcome.COMPLETE)
        assert attempt.verdict
        assert attempt.verdict.action is Action.ACCEPT
        assert attempt.prefix
        assert attempt.confidence
        assert attempt.confidence.scope == "whole"
        assert attempt.confidence.signals["tokens_log"] > attempt.prefix.signals["tokens_log"]
        assert len(sink.chunks) > PREFIX_TOKENS
        assert busy.count(True) > PREFIX_TOKENS, "chunks were sent before the answer was whole and on record"
        assert models_of(sink) == {"small"}

    on_real_models(scenario, stream=StreamMode.PREFIX, prefix_tokens=PREFIX_TOKENS)


def test_another_model_is_asked_whether_it_agrees_and_whether_the_answer_is_right() -> None:
    async def scenario(at: House, small: Bench, medium: Bench) -> None:
        at.calibrations = {("small", "general"): sure(0)}
        await at.ask(asked("What is 2 + 3? Reply with the number only.", stream=False))
        roles = [(each.deployment, each.role) for each in at.receipt.attempts]
        assert roles[:4] == [
            ("small", Role.ANSWER),
            ("medium", Role.OPINION),
            ("small", Role.SAMPLE),
            ("medium", Role.SELF_CHECK),
        ]
        assert roles[4:] == [("medium", Role.ANSWER)]
        confidence = at.receipt.attempts[0].confidence
        assert confidence
        for name in ("agreement", "self_consistency", "p_true"):
            assert 0.0 <= confidence.signals[name] <= 1.0
        check = at.receipt.attempts[3]
        assert (check.usage.output_tokens, check.usage.measured) == (1, True)

    doubt = Doubt(second_opinion="medium", samples=1, self_check="medium", grey_zone=0.5)
    on_real_models(scenario, doubt=doubt)
