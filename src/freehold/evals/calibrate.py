"""Calibrating an engine: ask questions with known answers as clients ask, measure as the request path does, fit.

Answers are decoded greedily, so that the same engine gives the same calibration. An answer sampled at llama.cpp's
default temperature scores lower than it deserves (SmolLM2-135M: 0.07 on average where 0.20 were right, AUROC 0.75
against 0.78): on that model doubt errs towards escalation; the others were not measured so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from freehold.domain.certificates import WHOLE
from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Deployment, EngineFingerprint
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.evals import EngineUnidentified
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.judging_ports import Fingerprinted
from freehold.domain.ports import Clock, Engine, UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.evals.answers import Answer, AnswerFile
from freehold.evals.grade import is_right
from freehold.evals.question import Grading, Part, Question, digest
from freehold.routing.calibration import Calibration
from freehold.routing.fit import Origin, Sample, fit
from freehold.routing.prefix import measure_prefix
from freehold.routing.signals import LOGPROBS_PER_TOKEN, measure
from freehold.wire.openai_request import decode_chat
from freehold.wire.openai_whole import Aggregator

ANSWER_TOKENS_MAX = 160
"""Most tokens of an answer. Longer answers are outside what the calibration knows, and it says so."""

_ANSWER_TIMEOUT_S = 600.0
_GREETING = Question(id="greeting", kind="", prompt="Say hello.", grading=Grading.CONTAINS, answers=("hello",))


class Leave(Protocol):
    """How a question may leave this device."""

    async def permit(self, request: InferenceRequest, call: UpstreamCall) -> EgressPermit:
        """Leave to send exactly this call.

        Raises:
            EgressDenied: It may not leave.
        """
        ...

    def done(self, permit: EgressPermit, request: InferenceRequest, *, outcome: str, bytes_sent: int) -> None:
        """Record how it went."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the asking is. ``asked`` counts answers found on disk too."""

    asked: int
    total: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One question, what was answered, its signals and whether it was right."""

    question: Question
    answer: Answer
    signals: dict[str, float]
    right: bool

    @property
    def sample(self) -> Sample:
        """What fitting needs of it."""
        return Sample(id=self.question.id, signals=self.signals, right=self.right)


async def calibrate(
    engine: Engine,
    questions: Sequence[Question],
    *,
    fingerprint: EngineFingerprint,
    folder: Path,
    clock: Clock,
    workload: str = "general",
    seed: int = 1,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Calibration:
    """Ask every question and fit a calibration on the part for that; the others only say how good it is.

    Args:
        engine: Started, and on this device.
        questions: With known answers.
        fingerprint: What besides the weights decides how the engine answers.
        folder: Where answers are kept, so that a second call goes on where the first was interrupted.
        clock: Time; the calibration's date is taken from it.
        workload: Kind of task that the questions stand for.
        seed: Chooses the folds of cross-validation.
        progress: Called after every answer; must not block.

    Raises:
        CalibrationImpossible: Too few answers, or too few right or wrong ones.
        EgressDenied: The engine is not on this device.
        FreeholdError: The engine failed; what was answered until then is kept.
    """
    graded = await ask_all(engine, questions, fingerprint=fingerprint, folder=folder, clock=clock, progress=progress)
    return fit_graded(graded, engine=engine, fingerprint=fingerprint, clock=clock, workload=workload, seed=seed)


async def known_fingerprint(engine: Engine, *, clock: Clock, leave: Leave | None = None) -> EngineFingerprint:
    """What besides the weights decides how the engine answers; a server that is not ours says so with an answer.

    Raises:
        EngineUnidentified: It does not say: nothing would tell when it changes, so no calibration could hold.
        EgressDenied: The engine is not on this device, and there is no ``leave`` for it.
        FreeholdError: The engine failed.
    """
    deployment = _asked(engine, leave)
    if not isinstance(engine, Fingerprinted):
        raise EngineUnidentified(deployment=deployment.name, reason="its engine does not say what runs there")
    found = engine.fingerprint()
    if not found.template_sha256:
        request = decode_chat(question_body(_GREETING, deployment.name), request_id="calibrate-fingerprint")
        await _ask(engine, request, deadline_s=clock.monotonic_s() + _ANSWER_TIMEOUT_S, leave=leave)
        found = engine.fingerprint()
    if not (found.version and found.template_sha256):
        raise EngineUnidentified(deployment=deployment.name, reason="its server gives no system_fingerprint")
    return found


async def ask_all(
    engine: Engine,
    questions: Sequence[Question],
    *,
    fingerprint: EngineFingerprint,
    folder: Path,
    clock: Clock,
    progress: Callable[[Progress], None] = lambda _: None,
    leave: Leave | None = None,
) -> list[Graded]:
    """Ask the questions, as many at once as the deployment has slots, and grade the answers in their order.

    Arguments and errors as ``calibrate``; with ``leave`` an engine beyond this device is asked too.
    """
    deployment = _asked(engine, leave)
    model_digest = fingerprint.model_digest(deployment.model)
    kept = AnswerFile(folder / f"{deployment.name}-answers.jsonl")
    found: dict[str, Graded] = {}

    async def ask(question: Question) -> None:
        body = question_body(question, deployment.name)
        request = decode_chat(body, request_id=f"calibrate-{question.id}")
        key = AnswerFile.key(
            *(model_digest, fingerprint.engine, fingerprint.version, fingerprint.template_sha256),
            body.decode(),
        )
        answer = kept.get(key)
        if answer is None:
            answer = await _ask(engine, request, deadline_s=clock.monotonic_s() + _ANSWER_TIMEOUT_S, leave=leave)
            kept.add(key, answer)
        found[question.id] = _graded(question, request, answer)
        progress(Progress(asked=len(found), total=len(questions), right=sum(each.right for each in found.values())))

    await _all_of(questions, ask, at_once=deployment.slots)
    return [found[question.id] for question in questions]


async def _all_of(questions: Sequence[Question], ask: Callable[[Question], Awaitable[None]], *, at_once: int) -> None:
    """``ask`` each, ``at_once`` at a time; the first failure ends the others and is raised."""
    left = iter(questions)

    async def work() -> None:
        for question in left:
            await ask(question)

    workers = [asyncio.create_task(work()) for _ in range(at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def beginnings(graded: Sequence[Graded], tokens: int) -> list[Graded]:
    """The answers of more than so many tokens, with the signals of these first ones: what a stream is judged by."""
    found: list[Graded] = []
    for each in graded:
        answer = each.answer
        if len(answer.logprobs) > tokens:
            request = decode_chat(question_body(each.question, "prefix"), request_id=f"calibrate-{each.question.id}")
            signals = measure_prefix(request, text=answer.text, logprobs=answer.logprobs, tokens=tokens)
            found.append(replace(each, signals=signals))
    return found


def fit_graded(
    graded: Sequence[Graded],
    *,
    engine: Engine,
    fingerprint: EngineFingerprint,
    clock: Clock,
    workload: str = "general",
    scope: str = WHOLE,
    seed: int = 1,
    numpy: Any = None,
) -> Calibration:
    """Fit a calibration on graded answers.

    Arguments and errors as ``calibrate``; ``scope`` says what of the answers was graded, numpy speeds it up where it is
    installed.
    """
    origin = Origin(
        workload=workload,
        model_digest=fingerprint.model_digest(engine.deployment.model),
        engine=fingerprint.engine,
        engine_version=fingerprint.version,
        template_digest=fingerprint.template_sha256,
        question_digest=digest(each.question for each in graded),
        created=datetime.fromtimestamp(clock.unix_ms() / 1000, UTC).date().isoformat(),
        scope=scope,
    )
    parts = {part: [each.sample for each in graded if each.question.part is part] for part in Part}
    held_out = parts[Part.CERTIFY] + parts[Part.CHECK]
    return fit(parts[Part.FIT], seed=seed, origin=origin, held_out=held_out, numpy=numpy)


def _asked(engine: Engine, leave: Leave | None) -> Deployment:
    deployment = engine.deployment
    if leave is None and not deployment.is_on_device:
        raise EgressDenied(origin=deployment.name, reason="calibration asks only engines on this device")
    return deployment


def question_body(question: Question, model: str) -> bytes:
    """The request as a client sends it."""
    members = {
        "model": model,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_tokens": ANSWER_TOKENS_MAX,
        "temperature": 0,
    }
    return json.dumps(members, ensure_ascii=False).encode()


async def _ask(engine: Engine, request: InferenceRequest, *, deadline_s: float, leave: Leave | None) -> Answer:
    call = engine.prepare(request, want_logprobs=LOGPROBS_PER_TOKEN)
    if leave is None or engine.deployment.is_on_device:
        return await _answered(engine, call, None, deadline_s)
    permit, outcome = await leave.permit(request, call), Outcome.FAILED
    try:
        answer = await _answered(engine, call, permit, deadline_s)
        outcome = Outcome.COMPLETE
    finally:
        leave.done(permit, request, outcome=outcome.value, bytes_sent=len(call.body))
    return answer


async def _answered(engine: Engine, call: UpstreamCall, permit: EgressPermit | None, deadline_s: float) -> Answer:
    whole = Aggregator()
    async with contextlib.aclosing(engine.stream(call, permit=permit, deadline_s=deadline_s)) as chunks:
        async for chunk in chunks:
            whole.add(chunk)
    usage, timings = whole.usage, whole.timings
    return Answer(
        text=whole.text,
        finish_reason=whole.finish_reason,
        logprobs=whole.logprobs,
        input_tokens=usage.input_tokens if usage is not None else 0,
        busy_ms=timings.prompt_ms + timings.generation_ms if timings is not None else 0.0,
    )


def _graded(question: Question, request: InferenceRequest, answer: Answer) -> Graded:
    signals = measure(request, text=answer.text, logprobs=answer.logprobs, finish_reason=answer.finish_reason)
    return Graded(question=question, answer=answer, signals=signals, right=is_right(question, answer.text))
