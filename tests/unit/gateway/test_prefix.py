"""Streams that are judged by their first tokens: what of them reaches the client, and what becomes of the upstream."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.decisions import Action, ConfidenceStatus, Outcome
from freehold.domain.deployment import StreamMode, Uncalibrated
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.wire.openai_request import decode_chat
from tests.support.fake_engine import FakeAnswer
from tests.support.gateway import House, Leaving, MemorySink
from tests.support.routing import calibration
from tests.unit.gateway.test_pipeline import REQUEST_ID, chat, engine, house

WORDS = "one two three four five six"
SURE, UNSURE = 0.99, 0.3
KEY = ("small", "general")
WHOLE, PREFIX = calibration(id="whole"), calibration(id="first", scope="prefix-3", tokens_max=3)


def staged(small: FakeAnswer, large: FakeAnswer | None = None, **route: Any) -> House:
    at = house(
        engine("small", default=small),
        engine("large", default=large),
        stream=StreamMode.PREFIX,
        prefix_tokens=3,
        attempts_max=2,
        **route,
    )
    at.calibrations = {KEY: (WHOLE, PREFIX)}
    return at


def says(probability: float, text: str = WORDS, **more: Any) -> FakeAnswer:
    return FakeAnswer(text=text, probability=probability, **more)


def test_a_rejected_prefix_never_reaches_the_client_and_its_upstream_is_left_at_once() -> None:
    at = staged(says(UNSURE))
    sink = asyncio.run(at.ask(chat(stream=True)))
    assert sink.text == "answer of large"
    assert sink.deployments == ["large"]
    small: Any = at.engines["small"]
    assert (small.aborted_calls, small.open_calls) == (1, 0)
    left, answered = at.receipt.attempts
    assert (left.outcome, answered.outcome) == (Outcome.CANCELLED, Outcome.COMPLETE)
    assert left.prefix == left.confidence
    assert left.confidence and left.confidence.scope == "prefix-3"
    assert left.confidence.calibrated_on == "first"
    assert left.verdict and (left.verdict.action, left.verdict.reason) == (Action.ESCALATE, "low_confidence")
    assert left.usage.output_tokens == 3
    assert not left.usage.measured
    assert at.receipt.answered_index == 1
    assert at.admission.out == {"small": 0, "large": 0}


def test_a_prefix_that_is_good_enough_is_sent_and_the_rest_follows_live() -> None:
    leaving = Leaving(at_piece=4)
    at = staged(says(SURE, before_piece=leaving.hold))
    sink = leaving.ask(at, chat(stream=True))
    assert sink.text == "one two three four"
    assert at.receipt.outcome is Outcome.CANCELLED
    assert at.receipt.answered_index is None


def test_nothing_is_sent_before_the_prefix_is_judged() -> None:
    leaving = Leaving(at_piece=2)
    at = staged(says(SURE, before_piece=leaving.hold))
    sink = leaving.ask(at, chat(stream=True))
    assert (sink.text, sink.deployments) == ("", [])
    small: Any = at.engines["small"]
    assert small.aborted_calls == 1


def test_the_whole_answer_is_judged_too_for_the_receipt() -> None:
    at = staged(says(SURE))
    asyncio.run(at.ask(chat(stream=True)))
    (attempt,) = at.receipt.attempts
    assert attempt.prefix and attempt.prefix.calibrated_on == "first"
    assert attempt.confidence and attempt.confidence.calibrated_on == "whole"
    assert (attempt.confidence.scope, attempt.prefix.scope) == ("whole", "prefix-3")
    assert attempt.verdict and attempt.verdict.action is Action.ACCEPT


def test_an_answer_shorter_than_the_prefix_is_judged_whole() -> None:
    at = staged(says(UNSURE, "one two"))
    sink = asyncio.run(at.ask(chat(stream=True)))
    assert sink.text == "answer of large"
    short = at.receipt.attempts[0]
    assert (short.outcome, short.prefix) == (Outcome.COMPLETE, None)
    assert short.confidence and short.confidence.scope == "whole"


def test_without_a_calibration_of_prefixes_the_whole_answer_is_held() -> None:
    at = staged(says(UNSURE))
    at.calibrations = {KEY: WHOLE}
    asyncio.run(at.ask(chat(stream=True)))
    held = at.receipt.attempts[0]
    assert (held.outcome, held.prefix) == (Outcome.COMPLETE, None)
    at.calibrations = {KEY: (WHOLE, replace(PREFIX, scope="prefix-4"))}
    other = replace_receipts(at)
    asyncio.run(other.ask(chat(stream=True)))
    assert other.receipt.attempts[0].prefix is None, "a prefix of another length is another thing"


def replace_receipts(at: House) -> House:
    return replace(at, receipts=type(at.receipts)())


def test_where_nothing_is_calibrated_a_refusal_is_still_seen_at_its_beginning() -> None:
    at = staged(says(SURE, "I'm sorry, I cannot help with that at all"), uncalibrated=Uncalibrated.ACCEPT)
    at.routes = {"auto": replace(at.routes["auto"], prefix_tokens=6)}
    at.calibrations = {}
    sink = asyncio.run(at.ask(chat(stream=True)))
    assert sink.text == "answer of large"
    left = at.receipt.attempts[0]
    assert left.verdict and left.verdict.reason == "refused"
    assert left.confidence and left.confidence.status is ConfidenceStatus.UNCALIBRATED


def test_the_last_permitted_deployment_passes_live_from_its_first_token() -> None:
    leaving = Leaving(at_piece=1)
    at = staged(says(UNSURE, before_piece=leaving.hold))
    at.routes = {"auto": replace(at.routes["auto"], attempts_max=1)}
    sink = leaving.ask(at, chat(stream=True))
    assert sink.text == "one"
    assert at.receipt.attempts[0].prefix is None


def test_a_stream_that_breaks_within_its_prefix_is_followed_by_the_next() -> None:
    at = staged(says(SURE, cut_at=2))
    sink = asyncio.run(at.ask(chat(stream=True)))
    assert sink.text == "answer of large"
    assert at.receipt.attempts[0].outcome is Outcome.BROKEN


def test_one_that_breaks_after_it_is_never_continued_by_another_model() -> None:
    at = staged(says(SURE, cut_at=4))
    sink = MemorySink()
    with pytest.raises(UpstreamBroken):
        asyncio.run(at.ask(chat(stream=True), sink))
    assert sink.text == "one two three four"
    assert at.receipt.outcome is Outcome.BROKEN
    assert len(at.receipt.attempts) == 1


def test_one_that_was_left_is_let_pass_when_everything_else_failed() -> None:
    at = staged(says(UNSURE), FakeAnswer(error=EngineCrashed(deployment="large", how="by signal 9")))
    sink = asyncio.run(at.ask(chat(stream=True)))
    assert sink.text == WORDS
    assert [each.outcome for each in at.receipt.attempts] == [Outcome.CANCELLED, Outcome.FAILED, Outcome.COMPLETE]
    last = at.receipt.attempts[-1]
    assert last.verdict and (last.verdict.action, last.verdict.reason) == (Action.ABSTAIN, "last_permitted")
    assert at.receipt.answered_index == 2
    assert at.receipt.outcome is Outcome.COMPLETE


@pytest.mark.parametrize(
    "members",
    [
        '"tools":[{"type":"function","function":{"name":"f"}}]',
        '"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}',
    ],
)
def test_what_tools_or_a_schema_shape_is_judged_whole(members: str) -> None:
    at = staged(says(UNSURE), uncalibrated=Uncalibrated.ACCEPT)
    raw = f'{{"model":"auto","stream":true,"messages":[{{"role":"user","content":"x"}}],{members}}}'
    asyncio.run(at.ask(decode_chat(raw.encode(), request_id=REQUEST_ID)))
    assert at.receipt.attempts[0].prefix is None


def test_a_whole_answer_is_not_judged_by_its_prefix() -> None:
    at = staged(says(UNSURE))
    asyncio.run(at.ask(chat()))
    assert at.receipt.attempts[0].prefix is None
    assert at.receipt.attempts[0].outcome is Outcome.COMPLETE
