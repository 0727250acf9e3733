"""Both versions of a model answer a saved set of questions here, one after the other, and what follows is kept.

A gateway that runs goes on serving meanwhile: nothing of its data folder is locked, and engines of our own answer, so
that no more than one further copy of the model is in memory at a time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from freehold.app.engines import EngineParts, build_engine
from freehold.app.snapshot import CalibrationLookup
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.model_versions import CanaryImpossible
from freehold.domain.hardware import HardwareProfile
from freehold.domain.ports import Clock, Engine
from freehold.evals.calibrate import Graded, Progress, ask_all, known_fingerprint
from freehold.evals.canary import Chance, Prompt, pairs_of
from freehold.evals.question import digest
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.routing.calibration import Calibration
from freehold.routing.canary import DELTA, LEAST, Finding, compare, level
from freehold.routing.ladder import appraise
from freehold.serving.canary_records import CanaryRecord, looked_before, looked_with
from freehold.serving.installed import InstalledModel
from freehold.serving.registry import ModelRegistry

log = logging.getLogger("freehold.app")

FAILED = "failed"
WORKLOAD = "general"
_CONTEXT_TOKENS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared.

    Attributes:
        name: The name that is to be switched.
        old: The version that serves.
        new: The one that may take over.
        prompts: The saved set.
        folder: Where answers are kept meanwhile.
        delta: Loss of right answers that is borne.
        calibrations: Those whose word on the old version's answers counts where nobody knows what is right.
        earlier: The last comparison of these two.
    """

    name: str
    old: InstalledModel
    new: InstalledModel
    prompts: Sequence[Prompt]
    folder: Path
    delta: float = DELTA
    calibrations: Sequence[Calibration] = ()
    earlier: CanaryRecord | None = None


async def compare_versions(
    comparison: Comparison,
    *,
    engine_of: Callable[[str], Engine],
    clock: Clock,
    progress: Callable[[InstalledModel, Progress], None] = lambda _model, _progress: None,
) -> CanaryRecord:
    """Ask both, and decide.

    Args:
        comparison: What.
        engine_of: The engine of a version, by its reference ``NAME@sha256:DIGEST``; on this device. It is closed here.
        clock: Time.
        progress: Receives each answer: which version is asked, and how far that is.

    Returns:
        What was found. A new version that does not run has failed, and does not pass.

    Raises:
        CanaryImpossible: The version that serves does not run.
    """
    questions = [each.question for each in comparison.prompts]
    record = CanaryRecord(
        name=comparison.name,
        old_sha256=comparison.old.sha256,
        new_sha256=comparison.new.sha256,
        verdict=FAILED,
        passes=False,
        delta=comparison.delta,
        question_digest=digest(questions),
        unix_ms=clock.unix_ms(),
        looked=looked_before(comparison.earlier),
    )
    try:
        old, chance = await _answers(comparison, comparison.old, engine_of, clock, partial(progress, comparison.old))
    except FreeholdError as error:
        raise CanaryImpossible(name=comparison.name, reason=f"the version that serves: {error.message}") from error
    try:
        new, _ = await _answers(comparison, comparison.new, engine_of, clock, partial(progress, comparison.new))
    except FreeholdError as error:
        return replace(record, reason=f"it does not run: {error.code}: {error.message}")
    looked = looked_with(comparison.earlier, record.question_digest)
    pairs = pairs_of(comparison.prompts, old, new, chance=chance)
    found = compare(pairs, delta=comparison.delta, alpha=level(looked.index(record.question_digest)), least=LEAST)
    return with_finding(record if len(pairs) < LEAST else replace(record, looked=looked), found)


def with_finding(record: CanaryRecord, found: Finding) -> CanaryRecord:
    """The record of a comparison, with what it found."""
    return replace(
        record,
        verdict=found.verdict.value,
        passes=found.verdict.passes,
        questions=found.questions,
        lost=found.lost,
        won=found.won,
        unknown=found.unknown,
        low=found.low,
        high=found.high,
        delta=found.delta,
        alpha=found.alpha,
        more=found.more,
    )


async def _answers(
    comparison: Comparison,
    model: InstalledModel,
    engine_of: Callable[[str], Engine],
    clock: Clock,
    progress: Callable[[Progress], None],
) -> tuple[list[Graded], Chance]:
    """A version's answers, and how far its confidence can be trusted."""
    engine = await asyncio.to_thread(engine_of, f"{comparison.name}@sha256:{model.sha256}")
    try:
        await engine.start()
        fingerprint = await known_fingerprint(engine, clock=clock)
        name = engine.deployment.name
        calibrations = CalibrationLookup({name: engine}, comparison.calibrations)(name, WORKLOAD)
        questions = [each.question for each in comparison.prompts]
        graded = await ask_all(
            engine, questions, fingerprint=fingerprint, folder=comparison.folder, clock=clock, progress=progress
        )
    finally:
        await engine.close()

    def chance(signals: Mapping[str, float]) -> float | None:
        return appraise(signals, calibrations)[0].probability

    return graded, chance


@dataclass(frozen=True, slots=True)
class OwnParts:
    """What an engine needs that is built beside a running gateway."""

    models: ModelRegistry
    broker: Broker
    clock: SystemClock
    ids: SystemIds

    @classmethod
    def of(cls, models: ModelRegistry) -> OwnParts:
        """Parts that lock nothing and connect to nowhere but this device."""
        clock = SystemClock()
        broker = Broker(clock=clock, permit_key=secrets.token_bytes(32))
        return cls(models=models, broker=broker, clock=clock, ids=SystemIds(clock))


def engine_maker(
    compiled: Compiled, name: str, *, parts: EngineParts, machine: HardwareProfile
) -> Callable[[str], Engine]:
    """Builds the engine of a version as the configuration runs that model, which it does somewhere (``runs``)."""
    plan = next(plan for plan in compiled.deployments if runs(plan, name))

    def build(reference: str) -> Engine:
        model = replace(plan.deployment.model, name=reference)
        return build_engine(replace(plan, deployment=replace(plan.deployment, model=model)), parts, machine)

    return build


def runs(plan: DeploymentPlan, name: str) -> bool:
    """Whether a deployment is an engine of ours with the model of this name."""
    kinds = {EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER}
    is_ours = plan.deployment.engine in kinds and not plan.settings.base_url
    return is_ours and plan.deployment.model.name == name


def plain_flags(name: str) -> dict[str, object]:
    """A configuration that runs a model that no configuration runs."""
    return {
        "deployments.canary.engine": EngineKind.EMBEDDED.value,
        "deployments.canary.model": name,
        "deployments.canary.context_tokens": _CONTEXT_TOKENS,
    }
