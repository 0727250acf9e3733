"""Signals that are bought in the grey zone: by whom, whether, and what they change."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.decisions import Action, Outcome
from freehold.domain.deployment import Doubt
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.receipt import Role
from freehold.domain.zones import WORLD
from freehold.routing.calibration import Feature
from freehold.wire.openai_request import decode_chat
from tests.support.fake_engine import FakeAnswer
from tests.support.gateway import House
from tests.support.routing import calibration
from tests.unit.gateway.test_pipeline import REQUEST_ID, chat, engine, house, text_of

UNSURE = FakeAnswer(text="Oslo", probability=0.65)
"""Its mean log-probability is -0.43: with ``calibration()`` a probability of 0.57, and 0.13 below the threshold."""

GREY = 0.15
KEY = ("small", "general")
AGREES = calibration(
    id="with-agreement",
    features=(Feature(name="agreement", mean=0.5, scale=0.25, weight=2.0),),
    tokens_max=64,
)


def doubtful(*engines: Any, doubt: Doubt | None = None, **route: Any) -> House:
    at = house(*engines, **route)
    at.routes = {"auto": replace(at.routes["auto"], attempts_max=2, doubt=doubt or Doubt())}
    at.calibrations = {KEY: calibration()}
    return at


def opinion_of(answer: FakeAnswer, *, knows: bool = True, **more: Any) -> tuple[House, Any, Any]:
    small, helper, large = engine("small", default=UNSURE), engine("helper", default=answer), engine("large")
    at = doubtful(small, large, doubt=Doubt(second_opinion="helper", grey_zone=GREY, **more))
    at.engines = {**at.engines, "helper": helper}
    at.calibrations = {KEY: (calibration(), AGREES) if knows else calibration()}
    return at, helper, large


def roles(at: House) -> list[tuple[str, Role]]:
    return [(each.deployment, each.role) for each in at.receipt.attempts]


def test_a_second_opinion_that_agrees_makes_the_answer_good_enough() -> None:
    at, helper, large = opinion_of(FakeAnswer(text="It is Oslo."))
    assert text_of(asyncio.run(at.ask(chat()))) == "Oslo"
    assert roles(at) == [("small", Role.ANSWER), ("helper", Role.OPINION)]
    answer, asked = at.receipt.attempts
    assert answer.confidence and answer.confidence.signals["agreement"] == 1.0
    assert answer.confidence.calibrated_on == "with-agreement"
    assert answer.verdict and answer.verdict.action is Action.ACCEPT
    assert (asked.outcome, asked.verdict, asked.confidence) == (Outcome.COMPLETE, None, None)
    assert asked.usage.output_tokens == 3
    assert at.receipt.answered_index == 0
    assert at.receipt.steps[-8:] == ("attempt", "judge", "verdict", "admit", "attempt", "judge", "verdict", "record")
    assert at.admission.out == {"small": 0, "helper": 0}
    assert not large.calls
    assert len(helper.calls) == 1


def test_one_that_differs_escalates() -> None:
    at, _, _ = opinion_of(FakeAnswer(text="Bergen"))
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of large"
    assert roles(at) == [("small", Role.ANSWER), ("helper", Role.OPINION), ("large", Role.ANSWER)]
    assert at.receipt.answered_index == 2
    confidence = at.receipt.attempts[0].confidence
    assert confidence and confidence.signals["agreement"] == 0.0


def test_without_a_calibration_that_saw_it_an_opinion_is_recorded_and_changes_nothing() -> None:
    at, _, _ = opinion_of(FakeAnswer(text="Oslo"), knows=False)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of large"
    confidence = at.receipt.attempts[0].confidence
    assert confidence and confidence.signals["agreement"] == 1.0
    assert confidence.calibrated_on == "general-1"


@pytest.mark.parametrize("probability", [0.05, 0.99])
def test_outside_of_the_grey_zone_nobody_is_asked(probability: float) -> None:
    at, helper, _ = opinion_of(FakeAnswer(text="Oslo"))
    at.engines["small"].default = FakeAnswer(text="Oslo", probability=probability)  # type: ignore[attr-defined]
    asyncio.run(at.ask(chat()))
    assert not helper.calls


def test_nobody_is_asked_where_nothing_further_could_be_chosen() -> None:
    at, helper, _ = opinion_of(FakeAnswer(text="Oslo"))
    at.routes = {"auto": replace(at.routes["auto"], attempts_max=1)}
    assert text_of(asyncio.run(at.ask(chat()))) == "Oslo"
    assert not helper.calls


@pytest.mark.parametrize(
    "members",
    [
        '"tools":[{"type":"function","function":{"name":"f"}}]',
        '"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}',
    ],
)
def test_what_tools_or_a_schema_shape_is_not_compared(members: str) -> None:
    at, helper, _ = opinion_of(FakeAnswer(text="Oslo"))
    raw = f'{{"model":"auto","messages":[{{"role":"user","content":"x"}}],{members}}}'
    asyncio.run(at.ask(decode_chat(raw.encode(), request_id=REQUEST_ID)))
    assert not helper.calls


def test_an_opinion_that_fails_is_on_record_and_the_answer_is_judged_without_it() -> None:
    at, _, _ = opinion_of(
        FakeAnswer(text="Oslo", error=UpstreamBroken(deployment="helper", reason="reset"), error_at=1)
    )
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of large"
    failed = at.receipt.attempts[1]
    assert (failed.role, failed.outcome, failed.error_code) == (Role.OPINION, Outcome.BROKEN, "FH-UPSTREAM-003")
    assert at.admission.out == {"small": 0, "helper": 0, "large": 0}


def test_who_is_down_is_not_asked_and_not_waited_for() -> None:
    at, helper, _ = opinion_of(FakeAnswer(text="Oslo"))
    helper.ready = False
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of large"
    assert not helper.calls
    assert at.receipt.detours == ("helper is busy or down: not asked (opinion)",)


def cloud_helper(**more: Any) -> tuple[House, Any]:
    at, _, _ = opinion_of(FakeAnswer(text="Oslo"), **more)
    helper = engine("helper", zone=WORLD, default=FakeAnswer(text="Oslo"))
    at.engines = {**at.engines, "helper": helper}
    return at, helper


def test_nobody_beyond_this_device_is_asked_unless_the_route_says_so() -> None:
    at, helper = cloud_helper()
    asyncio.run(at.ask(chat(label="public")))
    assert not helper.calls


def test_policy_decides_about_opinions_as_about_answers() -> None:
    at, helper = cloud_helper(beyond_device=True)
    asyncio.run(at.ask(chat(label="restricted")))
    assert not helper.calls
    (denied,) = [each for each in at.receipt.decisions if each.deployment == "helper"]
    assert not denied.allowed


def test_an_opinion_from_beyond_this_device_is_recorded_before_it_is_asked_for() -> None:
    at, helper = cloud_helper(beyond_device=True)
    asyncio.run(at.ask(chat(label="public")))
    assert at.audit.events() == ["egress.intent", "egress.done", "request"]
    assert helper.permits[0] is not None
    assert at.receipt.attempts[1].bytes_left == len(helper.calls[0].body) == at.receipt.bytes_left


def test_a_client_that_leaves_while_an_opinion_is_asked_for_leaves_nothing_taken() -> None:
    async def scenario() -> House:
        reached = asyncio.Event()

        async def hold(place: int) -> None:
            reached.set()
            await asyncio.Event().wait()

        at, helper, _ = opinion_of(FakeAnswer(text="Oslo", before_piece=hold))
        task = asyncio.ensure_future(at.ask(chat()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (helper.open_calls, helper.aborted_calls) == (0, 1)
        return at

    at = asyncio.run(scenario())
    assert at.receipt.outcome is Outcome.CANCELLED
    assert [(each.role, each.outcome) for each in at.receipt.attempts] == [
        (Role.ANSWER, Outcome.COMPLETE),
        (Role.OPINION, Outcome.CANCELLED),
    ]
    assert at.receipt.answered_index is None
    assert at.admission.out == {"small": 0, "helper": 0}


def test_further_samples_are_asked_for_with_seeds_of_their_own() -> None:
    at = doubtful(engine("small", default=UNSURE), engine("large"), doubt=Doubt(samples=3, grey_zone=GREY))
    small: Any = at.engines["small"]
    asyncio.run(at.ask(chat()))
    assert [each.role for each in at.receipt.attempts] == [Role.ANSWER, *3 * [Role.SAMPLE], Role.ANSWER]
    assert [call.request.sampling.seed for call in small.calls] == [None, 1, 2, 3]
    assert all(b'"temperature":0.8' in call.body for call in small.calls[1:])
    confidence = at.receipt.attempts[0].confidence
    assert confidence and confidence.signals["self_consistency"] == 1.0


@pytest.mark.parametrize(("word", "expected"), [("Yes", 0.9), ("No", 0.1), ("Perhaps", None)])
def test_a_self_check_is_asked_for_one_word_about_the_answer(word: str, expected: float | None) -> None:
    judge = engine("judge", default=FakeAnswer(text=word, probability=0.9))
    at = doubtful(engine("small", default=UNSURE), engine("large"), doubt=Doubt(self_check="judge", grey_zone=GREY))
    at.engines = {**at.engines, "judge": judge}
    judge.alternative = {"Yes": "No", "No": "Yes"}.get(word, "…")
    asyncio.run(at.ask(chat("Capital of Norway?")))
    (call,) = judge.calls
    assert b'"max_tokens":1' in call.body
    assert [message.role for message in call.request.messages] == ["user", "assistant", "user"]
    assert call.request.messages[1].text == "Oslo"
    assert call.want_logprobs == 5
    confidence = at.receipt.attempts[0].confidence
    assert confidence
    assert confidence.signals.get("p_true") == (None if expected is None else pytest.approx(expected))


def test_who_is_sure_buys_nothing_more() -> None:
    at, _, _ = opinion_of(FakeAnswer(text="Oslo"), samples=3)
    asyncio.run(at.ask(chat()))
    assert [each.role for each in at.receipt.attempts] == [Role.ANSWER, Role.OPINION]


def test_an_engine_without_log_probabilities_is_judged_by_agreement_alone() -> None:
    at, helper, _ = opinion_of(FakeAnswer(text="Oslo"))
    at.calibrations = {KEY: AGREES}
    at.routes = {"auto": replace(at.routes["auto"], doubt=Doubt(second_opinion="helper"))}
    assert text_of(asyncio.run(at.ask(chat()))) == "Oslo"
    assert len(helper.calls) == 1
