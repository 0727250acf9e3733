import asyncio
import json
from dataclasses import replace

import pytest

from freehold.domain.deployment import EngineFingerprint
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.evals import CalibrationImpossible, EngineUnidentified
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.zones import LAN
from freehold.evals.answers import AnswerFile
from freehold.evals.calibrate import ANSWER_TOKENS_MAX, ask_all, beginnings, calibrate, known_fingerprint
from freehold.evals.question import Grading, Part, Question, digest
from freehold.routing.calibration import applies
from freehold.routing.signals import LOGPROBS_PER_TOKEN
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.routing import deployment

QUESTIONS = tuple(
    Question(
        id=f"q{index}",
        kind="k",
        prompt=f"What is the code of item {index}?",
        grading=Grading.CONTAINS,
        answers=("yes",),
    )
    for index in range(240)
)
FINGERPRINT = EngineFingerprint(engine="fake", version="1", template_sha256="ff")


class FixedClock:
    def unix_ms(self):
        return 1_795_219_200_000

    def monotonic_s(self):
        return 0.0


def engine(**fields):
    """Right and sure, or wrong and unsure; every ninth answer the other way round."""
    where = deployment("small", digest="sha256:aa")
    answers = {}
    for index, question in enumerate(QUESTIONS):
        right = index % 2 == 0
        sure = right != (index % 9 == 0)
        answers[question.prompt] = FakeAnswer(
            text="yes" if right else "never", probability=0.95 if sure else 0.4 + index / 1000
        )
    return FakeEngine(deployment=where, answers=answers, **fields)


def run(target, folder, questions=QUESTIONS, what=ask_all, **more):
    return asyncio.run(what(target, questions, fingerprint=FINGERPRINT, folder=folder, clock=FixedClock(), **more))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return run(engine(), tmp_path_factory.mktemp("answers"), what=calibrate, workload="codes")


def test_asks_as_the_request_path_does(tmp_path):
    target = engine()
    run(target, tmp_path)
    first = target.calls[0]
    assert first.want_logprobs == LOGPROBS_PER_TOKEN
    body = json.loads(first.body)
    assert body["messages"] == [{"role": "user", "content": QUESTIONS[0].prompt}]
    assert (body["temperature"], body["max_tokens"], body["stream"]) == (0, ANSWER_TOKENS_MAX, True)
    assert target.permits == [None] * len(QUESTIONS)


def test_the_calibration_names_everything_it_holds_for(fitted):
    assert applies(
        fitted, model_digest="sha256:aa", engine="fake", engine_version="1", template_digest="ff", workload="codes"
    )
    assert fitted.created == "2026-11-21"
    assert fitted.question_digest == digest(QUESTIONS)


def test_fits_on_one_part_and_judges_on_the_others(fitted):
    parts = [question.part for question in QUESTIONS]
    assert fitted.n == parts.count(Part.FIT)
    assert fitted.held_out is not None
    assert fitted.held_out.n == parts.count(Part.CERTIFY) + parts.count(Part.CHECK)
    assert fitted.held_out.auroc > 0.75
    assert fitted.crossed.auroc > 0.75


def test_reports_progress(tmp_path):
    seen = []
    run(engine(), tmp_path, progress=seen.append)
    assert [step.asked for step in seen] == list(range(1, len(QUESTIONS) + 1))
    assert (seen[-1].total, seen[-1].right) == (240, 120)


def test_as_many_are_asked_at_once_as_there_are_slots(tmp_path):
    most = 0

    async def note(_piece):
        nonlocal most
        most = max(most, target.open_calls)
        await asyncio.sleep(0)

    target = engine()
    target.deployment = replace(target.deployment, slots=3)
    target.answers = {prompt: replace(answer, before_piece=note) for prompt, answer in target.answers.items()}
    graded = run(target, tmp_path)
    assert most == 3
    assert [each.question for each in graded] == list(QUESTIONS)


def test_the_first_failure_ends_the_other_calls(tmp_path):
    target = engine()
    target.deployment = replace(target.deployment, slots=4)
    crash = EngineCrashed(deployment="small", how="by signal 9")
    target.answers = {
        prompt: replace(answer, before_piece=lambda _: asyncio.sleep(0)) for prompt, answer in target.answers.items()
    } | {QUESTIONS[9].prompt: FakeAnswer(error=crash)}
    with pytest.raises(EngineCrashed):
        run(target, tmp_path)
    assert target.open_calls == 0
    assert len(target.calls) < 20


class Told(FakeEngine):
    """Says what it is with its first answer, as a server that is not ours; or never."""

    says: EngineFingerprint = EngineFingerprint(engine="openai:x", version="fp_1", template_sha256="known:1")

    def fingerprint(self):
        return self.says if self.calls else EngineFingerprint(engine="openai:x")


def test_a_server_of_others_is_asked_what_it_is():
    target = Told(deployment=deployment("small"))
    assert asyncio.run(known_fingerprint(target, clock=FixedClock())) == Told.says
    assert len(target.calls) == 1


def test_a_server_that_never_says_what_it_is_is_not_calibrated():
    target = Told(deployment=deployment("small"))
    target.says = EngineFingerprint(engine="openai:x")
    with pytest.raises(EngineUnidentified, match="system_fingerprint"):
        asyncio.run(known_fingerprint(target, clock=FixedClock()))


def test_goes_on_where_it_was_interrupted(tmp_path):
    crash = EngineCrashed(deployment="small", how="by signal 9")
    broken = engine()
    broken.answers = broken.answers | {QUESTIONS[100].prompt: FakeAnswer(error=crash)}
    with pytest.raises(EngineCrashed):
        run(broken, tmp_path)
    again = engine()
    resumed = run(again, tmp_path)
    assert len(again.calls) == 140
    assert resumed == run(engine(), tmp_path / "fresh")


def test_answers_of_another_model_or_version_are_not_taken(tmp_path):
    run(engine(), tmp_path)
    other = engine()
    other.deployment = replace(other.deployment, model=replace(other.deployment.model, digest="sha256:bb"))
    run(other, tmp_path)
    assert len(other.calls) == len(QUESTIONS)


def test_a_line_cut_off_by_a_kill_is_asked_again(tmp_path):
    run(engine(), tmp_path)
    (file,) = tmp_path.iterdir()
    text = file.read_text("utf-8")
    file.write_text(text[:-20], "utf-8")
    again = engine()
    run(again, tmp_path)
    assert len(again.calls) == 1


def test_an_engine_elsewhere_is_never_asked(tmp_path):
    away = engine()
    away.deployment = replace(away.deployment, zone=LAN)
    with pytest.raises(EgressDenied):
        run(away, tmp_path, what=calibrate)
    assert away.calls == []


class Leaving:
    def __init__(self):
        self.asked, self.ended = [], []

    async def permit(self, request, call):
        self.asked.append((request.id, call.body))
        return f"permit {request.id}"

    def done(self, permit, request, *, outcome, bytes_sent):
        self.ended.append((permit, outcome, bytes_sent))


def test_beyond_this_device_every_question_has_leave_and_an_end(tmp_path):
    away = engine()
    away.deployment = replace(away.deployment, zone=LAN)
    leave = Leaving()
    run(away, tmp_path, QUESTIONS[:5], leave=leave)
    assert [body for _, body in leave.asked] == [call.body for call in away.calls]
    assert away.permits == [f"permit {name}" for name, _ in leave.asked]
    assert [outcome for _, outcome, _ in leave.ended] == ["complete"] * 5


def test_leave_that_is_refused_sends_nothing(tmp_path):
    away = engine()
    away.deployment = replace(away.deployment, zone=LAN)
    leave = Leaving()

    async def refuse(request, call):
        raise EgressDenied(origin=call.origin, reason="no")

    leave.permit = refuse
    with pytest.raises(EgressDenied):
        run(away, tmp_path, QUESTIONS[:5], leave=leave)
    assert (away.calls, leave.ended) == ([], [])


def test_a_failure_beyond_this_device_is_recorded_as_one(tmp_path):
    away = engine()
    away.deployment = replace(away.deployment, zone=LAN)
    away.answers = {QUESTIONS[0].prompt: FakeAnswer(error=EngineCrashed(deployment="small", how="by signal 9"))}
    leave = Leaving()
    with pytest.raises(EngineCrashed):
        run(away, tmp_path, QUESTIONS[:1], leave=leave)
    assert [outcome for _, outcome, _ in leave.ended] == ["failed"]


def test_on_this_device_no_leave_is_asked(tmp_path):
    leave = Leaving()
    run(engine(), tmp_path, QUESTIONS[:5], leave=leave)
    assert leave.asked == []


def test_beginnings_are_of_answers_that_go_on(tmp_path):
    target = engine()
    target.answers = {QUESTIONS[0].prompt: FakeAnswer(text="a b c d e f"), QUESTIONS[1].prompt: FakeAnswer(text="a b")}
    graded = run(target, tmp_path, QUESTIONS[:2])
    (begun,) = beginnings(graded, 2)
    assert begun.question == QUESTIONS[0]
    assert begun.signals["tokens_log"] == pytest.approx(0.6931, abs=1e-4)
    assert "finish_length" not in begun.signals


def test_too_few_questions_are_refused(tmp_path):
    with pytest.raises(CalibrationImpossible, match="sha256:aa"):
        run(engine(), tmp_path, QUESTIONS[:40], calibrate)


def test_keys_of_different_parts_differ():
    assert AnswerFile.key("a", "bc") != AnswerFile.key("ab", "c")
