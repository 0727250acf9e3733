"""Routes that say what a right answer is worth go on where that gives more than it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from freehold.domain.decisions import Action
from freehold.domain.deployment import ModelCard
from freehold.routing.forecast import scope_of_next
from tests.support.fake_engine import FakeAnswer
from tests.support.gateway import House
from tests.support.routing import calibration
from tests.unit.gateway.test_pipeline import chat, engine, house, text_of

OWN = calibration()


def by_gain(first: float, second: float, *, foreseen: float, costs: float = 0.1) -> House:
    """A route of two, whose first one's answer tells that the second would be right with about ``foreseen``."""
    engines = [
        engine(name, default=FakeAnswer(text=f"answer of {name}", probability=probability))
        for name, probability in (("small", first), ("medium", second))
    ]
    at = house(*engines, gains=(("small", 0.0), ("medium", costs)), accept_at=0.3)
    medium = ModelCard(name=engines[1].deployment.model.name, digest=engines[1].deployment.model.digest)
    level = replace(OWN, id="next", scope=scope_of_next(medium), features=(), intercept=0.0, slope=0.0)
    odds = {0.95: 3.0, 0.5: 0.0}[foreseen]
    at.calibrations = {
        ("small", "general"): (OWN, replace(level, offset=odds)),
        ("medium", "general"): (OWN,),
    }
    return at


def test_it_goes_on_where_the_next_one_would_do_better():
    at = by_gain(0.6, 0.95, foreseen=0.95)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of medium"
    first = at.receipt.attempts[0].verdict
    assert first is not None
    assert (first.action, first.threshold) == (Action.ESCALATE, pytest.approx(0.8526, abs=1e-3))


def test_it_stays_where_the_next_one_would_do_no_better():
    at = by_gain(0.6, 0.95, foreseen=0.5)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert len(at.receipt.attempts) == 1


def test_it_stays_where_doing_better_costs_more_than_it_is_worth():
    at = by_gain(0.6, 0.95, foreseen=0.95, costs=0.9)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"


def test_of_two_answers_the_likelier_is_given():
    at = by_gain(0.8, 0.6, foreseen=0.95, costs=0.0)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert len(at.receipt.attempts) == 2
    assert at.receipt.answered_index == 0


def test_without_a_forecast_the_routes_threshold_holds():
    at = by_gain(0.6, 0.95, foreseen=0.95)
    at.calibrations = {(name, "general"): (OWN,) for name in ("small", "medium")}
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
