"""The request path over scripted engines: what is tried, what is held back, what is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from freehold.domain.decisions import Action, ConfidenceStatus, Outcome, Verdict
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, StreamMode, Terms, Uncalibrated
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.request import UnknownModel
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamUnreachable
from freehold.domain.labels import Level
from freehold.domain.request import InferenceRequest
from freehold.domain.response import ResponseChunk, Usage
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, decode_rerank
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import RESTRICTED, House, Leaving, MemorySink

REQUEST_ID = "01890000-0000-7000-8000-000000000001"


def engine(name: str, *, zone: Zone = DEVICE, default: FakeAnswer | None = None, **does: bool) -> FakeEngine:
    on_device = zone == DEVICE
    terms = Terms(clearance=Level.RESTRICTED if on_device else Level.INTERNAL, kinds=None, trains=False)
    card = ModelCard(name=f"{name}-model", **does)
    deployment = Deployment(name=name, engine=EngineKind.OPENAI, model=card, zone=zone, terms=terms)
    return FakeEngine(deployment=deployment, default=default or FakeAnswer(text=f"answer of {name}"))


def house(*engines: FakeEngine, **route: object) -> House:
    names = tuple(each.deployment.name for each in engines)
    auto = Route(name="auto", deployments=names, uncalibrated=Uncalibrated.ESCALATE, attempts_max=3)
    return House(
        engines={each.deployment.name: each for each in engines},
        routes={"auto": replace(auto, **route)},  # pyright: ignore[reportArgumentType] - tests name fields of Route
    )


def chat(
    text: str = "hello", *, model: str = "auto", stream: bool = False, label: str | None = None
) -> InferenceRequest:
    members = f'"model":"{model}","stream":{str(stream).lower()},"messages":[{{"role":"user","content":"{text}"}}]'
    return replace(decode_chat(b"{" + members.encode() + b"}", request_id=REQUEST_ID), label_header=label)


def text_of(sink: MemorySink) -> str:
    return sink.text


def started(sink: MemorySink) -> list[str]:
    return sink.deployments


def test_uncalibrated_answers_escalate_to_the_last_permitted_which_says_so() -> None:
    at = house(engine("small"), engine("large"))
    events = asyncio.run(at.ask(chat()))
    assert started(events) == ["large"]
    assert text_of(events) == "answer of large"
    first, second = at.receipt.attempts
    assert first.verdict and first.verdict.action is Action.ESCALATE
    assert second.verdict and second.verdict.action is Action.ABSTAIN
    assert first.confidence and first.confidence.status is ConfidenceStatus.UNCALIBRATED
    assert first.confidence.probability is None
    assert at.receipt.outcome is Outcome.COMPLETE
    assert at.receipt.answered_by is second


def test_the_operators_default_may_accept_what_is_not_calibrated() -> None:
    at = house(engine("small"), engine("large"), uncalibrated=Uncalibrated.ACCEPT)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert len(at.receipt.attempts) == 1


def test_attempts_max_ends_the_climb() -> None:
    at = house(engine("small"), engine("medium"), engine("large"), attempts_max=2)
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of medium"


def test_the_receipt_is_kept_before_the_last_event() -> None:
    at = house(engine("small"))

    def look(chunk: ResponseChunk) -> None:
        if chunk.finish_reason is not None:
            assert at.receipts.kept, "the end was sent before its receipt was stored"
            assert "request" in at.audit.events()

    sink = asyncio.run(at.ask(chat(stream=True), MemorySink(on_chunk=look)))
    assert any(chunk.finish_reason for chunk in sink.chunks)
    assert at.receipt.audit_index == at.audit.events().index("request")


def test_a_held_stream_shows_only_the_accepted_answer() -> None:
    at = house(engine("small"), engine("large"), attempts_max=2)
    events = asyncio.run(at.ask(chat(stream=True)))
    assert started(events) == ["large"]
    assert "small" not in text_of(events)


@pytest.mark.parametrize("route", [{"stream": StreamMode.COMMIT}, {"attempts_max": 1}])
def test_a_stream_passes_through_live_when_nothing_further_could_be_chosen(route: dict[str, object]) -> None:
    leaving = Leaving(at_piece=2)
    at = house(
        engine("small", default=FakeAnswer(text="one two three", before_piece=leaving.hold)), engine("large"), **route
    )
    sink = leaving.ask(at, chat(stream=True))
    assert sink.text == "one two"
    assert at.receipt.outcome is Outcome.CANCELLED


def test_a_client_that_leaves_aborts_the_engine_and_is_booked() -> None:
    async def hold(place: int) -> None:
        if place == 1:
            await asyncio.Event().wait()

    small = engine("small", default=FakeAnswer(text="one two three", before_piece=hold))
    at = house(small)

    async def leave() -> None:
        task = asyncio.ensure_future(at.ask(chat()))
        while not small.open_calls:
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    assert (small.open_calls, small.aborted_calls) == (0, 1)
    assert at.receipt.outcome is Outcome.CANCELLED
    assert at.receipt.attempts[0].outcome is Outcome.CANCELLED
    assert at.admission.out == {"small": 0}
    assert at.audit.events() == ["request"]


def test_a_failed_engine_is_followed_by_the_next_permitted_one() -> None:
    crash = FakeAnswer(error=EngineCrashed(deployment="small", how="by signal 9"))
    at = house(engine("small", default=crash), engine("large"))
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of large"
    failed, answered = at.receipt.attempts
    assert (failed.outcome, failed.error_code) == (Outcome.FAILED, "FH-ENGINE-001")
    assert answered.outcome is Outcome.COMPLETE
    assert at.admission.out == {"small": 0, "large": 0}


def test_a_live_stream_that_breaks_is_never_continued_by_another_model() -> None:
    at = house(
        engine("small", default=FakeAnswer(text="one two three", cut_at=2)), engine("large"), stream=StreamMode.COMMIT
    )
    with pytest.raises(UpstreamBroken):
        asyncio.run(at.ask(chat(stream=True)))
    assert at.receipt.outcome is Outcome.BROKEN
    assert at.receipt.error_code == "FH-UPSTREAM-003"
    assert len(at.receipt.attempts) == 1


def test_a_failed_escalation_gives_the_held_answer() -> None:
    broken = FakeAnswer(error=UpstreamBroken(deployment="large", reason="reset"))
    at = house(engine("small"), engine("large", default=broken))
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert at.receipt.answered_by is at.receipt.attempts[0]
    assert at.receipt.outcome is Outcome.COMPLETE


def test_what_never_reached_a_model_is_tried_once_more_and_only_once() -> None:
    unreachable = UpstreamUnreachable(deployment="small", reason="connection refused")
    unreachable.reached_model = "no"
    small = engine("small", default=FakeAnswer(error=unreachable))
    at = house(small)
    with pytest.raises(UpstreamUnreachable):
        asyncio.run(at.ask(chat()))
    assert len(small.calls) == 2
    assert len(at.receipt.attempts) == 2


def test_nothing_leaves_without_a_durable_record() -> None:
    cloud = engine("cloud", zone=WORLD)
    at = house(cloud)
    asyncio.run(at.ask(chat(label="public")))
    assert at.audit.events() == ["egress.intent", "egress.done", "request"]
    assert cloud.permits[0] is not None
    attempt = at.receipt.attempts[0]
    assert attempt.bytes_left == len(cloud.calls[0].body) == at.receipt.bytes_left
    assert attempt.egress_index == 0


def test_a_broken_audit_log_closes_the_way_out_and_leaves_the_way_home_open() -> None:
    small, cloud = engine("small"), engine("cloud", zone=WORLD)
    at = house(small, cloud)
    at.audit.broken = True
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert not cloud.calls


def test_an_audit_log_that_breaks_after_the_decision_still_stops_the_egress() -> None:
    small, cloud = engine("small"), engine("cloud", zone=WORLD)
    at = house(small, cloud)

    async def fail(*_: object, **__: object) -> None:
        raise AuditUnwritable(reason="disk full")

    at.audit.permit = fail  # type: ignore[method-assign]
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    assert not cloud.calls


def test_a_label_that_forbids_every_deployment_refuses_and_says_which_rule() -> None:
    cloud = engine("cloud", zone=WORLD)
    at = house(cloud)
    with pytest.raises(NoPermittedDeployment) as refusal:
        asyncio.run(at.ask(chat(label="restricted")))
    assert "restricted" in refusal.value.message
    assert not cloud.calls
    receipt = at.receipt
    assert (receipt.outcome, receipt.error_code, receipt.attempts) == (Outcome.REFUSED, "FH-POLICY-001", ())
    assert receipt.decisions[0].rules


def test_an_escalation_that_the_label_forbids_abstains_with_the_local_answer() -> None:
    small, cloud = engine("small"), engine("cloud", zone=WORLD)
    at = house(small, cloud)
    at.route_labels = {"auto": RESTRICTED}
    assert text_of(asyncio.run(at.ask(chat()))) == "answer of small"
    verdict = at.receipt.attempts[0].verdict
    assert verdict and verdict.action is Action.ABSTAIN
    assert not cloud.calls


def test_a_deployment_and_an_alias_can_be_asked_for_by_name() -> None:
    at = house(engine("small"), engine("large"))
    assert text_of(asyncio.run(at.ask(chat(model="large")))) == "answer of large"
    other = house(engine("small"), uncalibrated=Uncalibrated.ACCEPT)
    assert text_of(asyncio.run(other.ask(chat(model="gpt-4o-mini")))) == "answer of small"


def test_an_unknown_model_is_refused_with_the_nearest_name_and_a_receipt() -> None:
    at = house(engine("small"))
    with pytest.raises(UnknownModel) as refusal:
        asyncio.run(at.ask(chat(model="smal")))
    assert "did you mean 'small'" in refusal.value.message
    assert at.receipt.outcome is Outcome.REFUSED


def test_embeddings_run_the_same_path() -> None:
    at = house(engine("vectors", embeds=True))
    request = decode_embedding(b'{"model":"auto","input":["a","b"]}', request_id=REQUEST_ID)
    asyncio.run(at.ask(request))
    assert at.receipt.outcome is Outcome.COMPLETE
    assert at.receipt.attempts[0].confidence
    assert at.receipt.attempts[0].confidence.status is ConfidenceStatus.UNMEASURED


def test_rerankings_run_the_same_path() -> None:
    at = house(engine("ranks", reranks=True))
    request = decode_rerank(b'{"model":"auto","query":"a b","documents":["c","a b"]}', request_id=REQUEST_ID)
    asyncio.run(at.ask(request))
    assert at.receipt.outcome is Outcome.COMPLETE
    assert at.receipt.task == "rerank"
    assert at.receipt.answer_usage == Usage(input_tokens=3)
    assert at.receipt.attempts[0].confidence
    assert at.receipt.attempts[0].confidence.status is ConfidenceStatus.UNMEASURED


def test_a_reranking_that_fails_goes_on_to_the_next_deployment() -> None:
    hurt = FakeAnswer(error=EngineCrashed(deployment="ranks", how="x"))
    at = house(engine("ranks", reranks=True, default=hurt), engine("others", reranks=True), engine("talks"))
    request = decode_rerank(b'{"model":"auto","query":"a b","documents":["c","a b"]}', request_id=REQUEST_ID)
    asyncio.run(at.ask(request))
    assert [each.deployment for each in at.receipt.attempts] == ["ranks", "others"]
    assert at.receipt.outcome is Outcome.COMPLETE


def test_vectors_never_escalate_to_another_models() -> None:
    first, second = engine("first", embeds=True), engine("second", embeds=True)
    at = house(first, second)
    request = decode_embedding(b'{"model":"auto","input":["a"]}', request_id=REQUEST_ID)
    asyncio.run(at.ask(request))
    assert [attempt.deployment for attempt in at.receipt.attempts] == ["first"]


@pytest.mark.parametrize("answer", ["a continued text", ""])
def test_a_continued_text_is_not_judged_and_comes_at_once(answer: str) -> None:
    """No calibration is of one, so that each would be computed twice; and often there is nothing to fill in."""
    small, large = engine("small", default=FakeAnswer(text=answer)), engine("large")
    at = house(small, large)
    request = decode_completion(b'{"model":"auto","prompt":"a","stream":true}', request_id=REQUEST_ID)
    seen: list[bool] = []
    sink = MemorySink(on_chunk=lambda _: seen.append(not at.receipts.kept))
    asyncio.run(at.ask(request, sink))
    assert (started(sink), text_of(sink), large.calls) == (["small"], answer, [])
    assert not answer or seen[0]
    (attempt,) = at.receipt.attempts
    assert attempt.verdict == Verdict(action=Action.ACCEPT, reason="unmeasured")


def test_a_deployment_that_fails_to_continue_a_text_is_followed_by_the_next() -> None:
    hurt = FakeAnswer(error=EngineCrashed(deployment="small", how="x"))
    at = house(engine("small", default=hurt), engine("large"))
    request = decode_completion(b'{"model":"auto","prompt":"a","stream":true}', request_id=REQUEST_ID)
    assert started(asyncio.run(at.ask(request))) == ["large"]


def test_every_end_leaves_exactly_one_receipt_and_no_slot_taken() -> None:
    for error_at in range(4):
        at = house(
            engine(
                "small",
                default=FakeAnswer(text="one two", error=EngineCrashed(deployment="s", how="x"), error_at=error_at),
            )
        )
        with contextlib.suppress(FreeholdError):
            asyncio.run(at.ask(chat()))
        assert at.receipt.outcome in {Outcome.FAILED, Outcome.BROKEN}
        assert at.observed == at.receipts.kept
        assert at.admission.out == {"small": 0}
        assert len(at.receipts.entries) == 1
