"""To count the tokens of a prompt is a request like others: decided, recorded, and never more than asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from freehold.domain.decisions import Action
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import TokenCount, Usage
from freehold.domain.zones import WORLD
from tests.support.fake_engine import FakeAnswer
from tests.unit.gateway.test_pipeline import chat, engine, house


def counting(text: str = "hello", *, label: str | None = None) -> InferenceRequest:
    return replace(chat(text, label=label), task=Task.COUNT)


def test_the_first_permitted_deployment_counts_and_nothing_escalates() -> None:
    small, large = engine("small"), engine("large")
    at = house(small, large)
    sink = asyncio.run(at.ask(counting()))
    assert sink.count == TokenCount(tokens=17)
    assert (len(small.calls), len(large.calls)) == (1, 0)
    (attempt,) = at.receipt.attempts
    assert (at.receipt.task, attempt.usage) == ("count", Usage())
    assert attempt.verdict
    assert attempt.verdict.action is Action.ACCEPT


def test_what_is_counted_elsewhere_leaves_with_a_record() -> None:
    cloud = engine("cloud", zone=WORLD)
    at = house(cloud)
    asyncio.run(at.ask(counting()))
    assert cloud.permits[0] is not None
    assert at.receipt.bytes_left == len(cloud.calls[0].body)


def test_a_text_that_may_not_leave_is_not_counted_elsewhere() -> None:
    cloud = engine("cloud", zone=WORLD)
    at = house(cloud)
    with pytest.raises(NoPermittedDeployment):
        asyncio.run(at.ask(counting(label="restricted")))
    assert cloud.calls == []


def test_where_nobody_can_tell_nothing_is_sent_and_it_is_an_estimate() -> None:
    cloud = engine("cloud", zone=WORLD)
    cloud.tokens = None
    at = house(cloud)
    sink = asyncio.run(at.ask(counting("four" * 100)))
    assert sink.count == TokenCount(tokens=101, measured=False)
    assert (cloud.calls, at.receipt.bytes_left) == ([], 0)


def test_a_prompt_that_does_not_fit_is_counted_all_the_same() -> None:
    small = engine("small")
    at = house(small)
    assert asyncio.run(at.ask(counting("word " * 20_000))).count == TokenCount(tokens=17)


def test_a_deployment_that_fails_to_count_is_followed_by_the_next() -> None:
    crash = EngineCrashed(source="small", deployment="small", how="killed by signal 9")
    small, large = engine("small", default=FakeAnswer(error=crash)), engine("large")
    at = house(small, large)
    assert asyncio.run(at.ask(counting())).count == TokenCount(tokens=17)
    assert len(large.calls) == 1
