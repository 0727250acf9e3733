"""Further signals from beyond this device: bought only where all that is sent for them may go there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.deployment import Doubt, Uncalibrated
from freehold.domain.receipt import Role
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import House
from tests.support.routing import calibration
from tests.unit.gateway.test_crossing import MAIL, ask, cloud, house
from tests.unit.gateway.test_doubting import AGREES, GREY, KEY
from tests.unit.gateway.test_pipeline import chat, engine

OPINION, CHECK = Doubt(second_opinion="cloud"), Doubt(self_check="cloud")
IN_DOUBT = 0.65


def doubtful(doubt: Doubt, far: FakeEngine, *, says: str = "Oslo") -> House:
    """An answer at home that is neither clearly good nor clearly bad, and another model here that could follow."""
    small = engine("small", default=FakeAnswer(text=says, probability=IN_DOUBT))
    at = house(small, engine("large"), uncalibrated=Uncalibrated.ACCEPT)
    asked = replace(doubt, grey_zone=GREY, beyond_device=True)
    at.routes = {"auto": replace(at.routes["auto"], doubt=asked)}
    at.engines = {**at.engines, "cloud": far}
    at.calibrations = {KEY: (calibration(), AGREES)}
    return at


def roles(at: House) -> list[tuple[str, Role]]:
    return [(each.deployment, each.role) for each in at.receipt.attempts if each.role is not Role.ANSWER]


@pytest.mark.parametrize(("doubt", "role"), [(OPINION, Role.OPINION), (CHECK, Role.SELF_CHECK)])
def test_they_are_bought_where_nothing_is_found(doubt: Doubt, role: Role) -> None:
    far = cloud()
    at = doubtful(doubt, far)
    ask(at, chat("which town?"))
    assert roles(at) == [("cloud", role)] and len(far.calls) == 1


@pytest.mark.parametrize("doubt", [OPINION, CHECK])
def test_they_are_not_bought_where_the_text_may_not_go(doubt: Doubt) -> None:
    far = cloud()
    at = doubtful(doubt, far)
    ask(at, chat(f"write to {MAIL}"))
    assert not roles(at) and not far.calls


@pytest.mark.parametrize(
    ("kinds", "may"), [(frozenset[str](), False), (frozenset({"pii"}), False), (None, True)], ids=["no", "pii", "all"]
)
def test_an_answer_that_is_to_be_checked_is_looked_through_too(kinds: Any, may: bool) -> None:
    far = cloud(kinds=kinds)
    at = doubtful(CHECK, far, says="card 4111 1111 1111 1111")
    ask(at, chat("which card?"))
    assert bool(far.calls) is may
    assert may or any("is not asked" in each for each in at.receipt.detours)
