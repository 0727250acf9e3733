"""Which answer is given when none was good enough, and what the response says of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from freehold.domain.certificates import Certificate, LabelKind, Standing
from freehold.domain.decisions import Action, Outcome
from freehold.domain.deployment import Uncalibrated
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.request import InferenceRequest
from freehold.routing.ladder import scored_on
from freehold.wire.receipt import receipt_comment, receipt_headers
from tests.support.fake_engine import FakeAnswer
from tests.support.gateway import House
from tests.support.routing import calibration
from tests.unit.gateway.test_pipeline import chat, engine, house, text_of

FITTED = calibration()
CERTIFICATE = Certificate(
    id="cert-1",
    scored_on=scored_on(FITTED),
    label_kind=LabelKind.GOLD,
    risk_max=0.1,
    delta=0.1,
    threshold=0.8,
    n=500,
    accepted=300,
    errors=10,
    created_unix_ms=0,
    expires_unix_ms=1 << 62,
)


def three(*probabilities: float, **route: Any) -> House:
    names = ("small", "medium", "large")[: len(probabilities)]
    engines = [
        engine(name, default=FakeAnswer(text=f"answer of {name}", probability=probability))
        for name, probability in zip(names, probabilities, strict=True)
    ]
    at = house(*engines, attempts_max=3, **route)
    at.calibrations = {(name, "general"): FITTED for name in names}
    return at


@pytest.mark.parametrize("stream", [False, True])
def test_abstaining_gives_the_most_probable_answer_not_the_last(stream: bool) -> None:
    at = three(0.3, 0.6, 0.4)
    assert text_of(asyncio.run(at.ask(chat(stream=stream)))) == "answer of medium"
    assert at.receipt.answered_index == 1
    actions = [each.verdict and each.verdict.action for each in at.receipt.attempts]
    assert actions == [Action.ESCALATE, Action.ESCALATE, Action.ABSTAIN]
    headers = dict(receipt_headers(at.receipt))
    assert headers[b"freehold-verdict"] == b"abstain; best_held"
    assert headers[b"freehold-deployment"] == b"medium"
    assert headers[b"freehold-certified"] == b"uncertified"
    probability = at.receipt.attempts[1].confidence
    assert probability and headers[b"freehold-confidence"] == f"{probability.probability:.3f}".encode()


def test_of_answers_that_cannot_be_compared_the_routes_last_is_given() -> None:
    at = three(0.6, 0.4)
    at.calibrations = {("small", "general"): FITTED}
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of medium"
    assert at.receipt.answered_index == 1


def test_a_refusal_never_stands_before_an_answer() -> None:
    at = three(0.3, 0.6)
    at.engines["medium"].default = FakeAnswer(text="I'm sorry, I cannot help with that.")  # type: ignore[attr-defined]
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"


def test_a_failed_escalation_gives_the_most_probable_of_what_is_held() -> None:
    at = three(0.6, 0.4, 0.9)
    at.engines["large"].default = FakeAnswer(error=UpstreamBroken(deployment="large", reason="reset"))  # type: ignore[attr-defined]
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert at.receipt.answered_index == 0
    assert at.receipt.outcome is Outcome.COMPLETE


def test_an_accepted_answer_is_given_whatever_is_held() -> None:
    at = three(0.3, 0.95)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of medium"
    assert at.receipt.answered_index == 1


@pytest.mark.parametrize(("ready", "status"), [(False, "uncalibrated"), (True, "unmeasured")])
def test_a_model_that_still_loads_is_measured_since_its_calibration_is_not_known_yet(ready: bool, status: str) -> None:
    at = three(0.6, uncalibrated=Uncalibrated.ACCEPT)
    at.calibrations = {}
    at.engines["small"].ready = ready  # type: ignore[attr-defined]
    asyncio.run(at.ask(chat()))
    judged = at.receipt.attempts[0].confidence
    assert judged is not None
    assert judged.status == status


def test_two_stages_are_tried_unless_the_route_says_more() -> None:
    at = three(0.3, 0.4, 0.5)
    at.routes = {"auto": replace(at.routes["auto"], attempts_max=2)}
    asyncio.run(at.ask(chat()))
    assert len(at.receipt.attempts) == 2


# --- certificates on the request path ------------------------------------------------------------


class Fixed:
    """The same standing for all."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.asked: list[tuple[str, str, str]] = []

    def of(self, deployment: str, workload: str, *, tenant: str) -> Standing:
        self.asked.append((deployment, workload, tenant))
        return self.standing


def certified_house(probability: float, **route: Any) -> House:
    at = three(probability, 0.9, **route)
    at.certificates = (CERTIFICATE,)
    return at


def shown(at: House) -> bytes:
    return dict(receipt_headers(at.receipt))[b"freehold-certified"]


def greedy() -> InferenceRequest:
    """As the answers were that certificates of files are made from."""
    request = chat()
    return replace(request, sampling=replace(request.sampling, temperature=0.0))


def test_a_certificate_of_greedy_answers_says_nothing_of_drawn_ones() -> None:
    at = certified_house(0.99)
    asyncio.run(at.ask(chat()))
    assert shown(at) == b"uncertified"
    strict = certified_house(0.99, risk_max=0.1, uncalibrated=Uncalibrated.ESCALATE)
    asyncio.run(strict.ask(chat()))
    first = strict.receipt.attempts[0].verdict
    assert first and (first.action, first.reason) == (Action.ESCALATE, "uncertified")


def test_an_answer_that_reaches_a_certified_threshold_says_so_everywhere() -> None:
    at = certified_house(0.99)
    asyncio.run(at.ask(greedy()))
    verdict = at.receipt.attempts[0].verdict
    assert verdict and (verdict.certificate, verdict.certified_by) == ("cert-1", LabelKind.GOLD)
    assert shown(at) == b"certified"
    assert b'"certificate":"cert-1","certified_by":"gold"' in receipt_comment(at.receipt)


def test_the_stricter_threshold_counts_where_the_route_names_a_risk() -> None:
    probability = 0.82  # 0.77 calibrated: enough for accept_at, not for the certificate
    plain, strict = certified_house(probability), certified_house(probability, risk_max=0.1)
    asyncio.run(plain.ask(greedy()))
    asyncio.run(strict.ask(greedy()))
    assert (len(plain.receipt.attempts), shown(plain)) == (1, b"uncertified")
    first = strict.receipt.attempts[0]
    assert first.verdict and (first.verdict.action, first.verdict.threshold) == (Action.ESCALATE, 0.8)


def test_what_a_live_standing_says_counts_too() -> None:
    at = three(0.99, 0.9)
    at.standings = Fixed(Standing(certificate=CERTIFICATE))
    asyncio.run(at.ask(chat()))
    assert shown(at) == b"certified"
    assert at.standings.asked == [("small", "general", "default")]


def test_on_an_alarm_nothing_is_accepted_while_something_further_is_permitted() -> None:
    at = certified_house(0.99)
    at.standings = Fixed(Standing(certificate=CERTIFICATE, alarm="drift"))
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small", "the likelier of both"
    first, second = at.receipt.attempts
    assert first.verdict and (first.verdict.action, first.verdict.reason) == (Action.ESCALATE, "alarm")
    assert second.verdict and second.verdict.action is Action.ABSTAIN
    assert shown(at) == b"uncertified"


def test_an_agreement_certificate_says_that_it_is_one() -> None:
    at = certified_house(0.99)
    at.certificates = (replace(CERTIFICATE, label_kind=LabelKind.AGREEMENT),)
    asyncio.run(at.ask(greedy()))
    assert shown(at) == b"certified; agreement"
