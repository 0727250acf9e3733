"""``freehold calibrate``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.app.engines import build_engine
from freehold.app.known import CALIBRATIONS_FOLDER, CERTIFICATES_FOLDER, OUTCOMES_FOLDER
from freehold.app.leaving import Leaving
from freehold.app.rules import rulebook_of
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores
from freehold.cli import output
from freehold.cli.asking import asking
from freehold.cli.options import ConfigFile, Json
from freehold.config.compile import Compiled, DeploymentPlan, compile_config
from freehold.config.load import LoadedConfig, data_folder, find_file, load
from freehold.domain.certificates import SHARE_MAX, SHARE_MIN, WHOLE
from freehold.domain.deployment import EngineKind, ModelCard
from freehold.domain.errors.evals import CalibrationImpossible, QuestionsUnreadable
from freehold.domain.hardware import HardwareProfile
from freehold.domain.labels import Label
from freehold.evals.calibrate import Graded, Progress, ask_all, beginnings, fit_graded, known_fingerprint
from freehold.evals.pairing import Answered, forecast, pair
from freehold.evals.proof import prove
from freehold.evals.question import Question
from freehold.evals.questions import parse_questions, shipped_questions
from freehold.evals.report import Report, as_text, least_text, report
from freehold.hostinfo.arrays import find_numpy
from freehold.hostinfo.probe import probe
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import parse_label
from freehold.routing.calibration import Calibration, to_json
from freehold.routing.certificate import Aim
from freehold.routing.certificate import to_json as certificate_json
from freehold.routing.paired import to_json as paired_json
from freehold.routing.prefix import scope_of

WORKLOAD = "general"
_PAIR = 2

_WITH_LOGPROBS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER, EngineKind.OPENAI})
"""Engines that give log-probabilities, or may."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be certified, and what of a stream.

    Attributes:
        risk: Share of accepted answers that may be wrong.
        sure: How sure the certificate is to be of that.
        prefix: Calibrate streams too, by so many of their first tokens, for routes with stream = "prefix"; 0 for none.
    """

    risk: float = 0.1
    sure: float = 0.9
    prefix: int = 0


GOAL = Goal()


def calibrate(
    deployments: Annotated[tuple[str, ...], Parameter(name="DEPLOYMENT", negative=())] = (),
    /,
    *,
    questions: str = "",
    workload: str = WORKLOAD,
    goal: Goal = GOAL,
    label: str = "",
    out: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Ask local models questions with known answers, fit how far their confidence can be trusted, and certify it.

    Takes minutes to hours; interrupted, it goes on where it stopped. The server must be stopped meanwhile, since
    both would use the data folder. It takes the result over at its next start.

    Args:
        deployments: Deployments of the configuration; all on this device that give log-probabilities if none is given.
        questions: File of questions of your own, one JSON object a line; the shipped ones if not given.
        workload: Kind of task that the questions stand for; routes choose by it. "general" if not given.
        goal: What is to be certified.
        label: Label of the questions, for deployments beyond this device. "public" for the shipped ones.
        out: Folder for the results; the configuration's if not given.
    """
    aim = _aim(goal)
    loaded = load(find_file(config or None), check_label=parse_label)
    compiled = compile_config(loaded, environment=os.environ)
    asked = _questions(questions)
    plans = _wanted(compiled, deployments)
    labelled = _label(label, compiled, plans, are_shipped=not questions)
    folder = data_folder()
    target = _target(loaded, folder, out)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    made: dict[str, list[_Made]] = {}
    tenants = tenants_of(compiled)
    origin, broker = loaded.config.audit.origin, compiled.broker
    with open_stores(folder, origin=origin, tree=compiled.tree, tenants=tenants, broker=broker) as stores:
        profile = probe()
        for plan in plans:
            name = plan.deployment.name
            made[name] = asyncio.run(
                _calibrate(
                    plan,
                    stores,
                    profile,
                    _Task(asked, target, workload, aim, goal.prefix, labelled, rulebook_of(compiled)),
                )
            )
            for each in () if as_json else made[name]:
                output.say(f"{name}: {as_text(each.report)}\nWritten to {each.path}.\n")
    paired = _paired({name: found[0].answered for name, found in made.items()}, target, workload)
    if paired and not as_json:
        output.say(f"What they answered to the same questions is in {paired}, for routes with a worth.")
    if as_json:
        output.print_json(
            {
                name: [{"path": str(each.path), "report": each.report.as_json()} for each in found]
                for name, found in made.items()
            }
        )
    return output.OK


@dataclass(frozen=True, slots=True)
class _Task:
    """What is asked and what is to come of it."""

    questions: Sequence[Question]
    target: Path
    workload: str
    aim: Aim
    prefix: int
    label: Label
    policy: Rulebook


@dataclass(frozen=True, slots=True)
class _Made:
    """Where a calibration was written, and what it is worth."""

    path: Path
    report: Report
    answered: Answered


def _paired(answered: Mapping[str, Answered], target: Path, workload: str) -> Path | None:
    """Write what several deployments answered to the same questions, and what each tells of those behind it.

    ``None`` where there is one only.
    """
    if len(answered) < _PAIR:
        return None
    for lower, upper in combinations(answered, 2):
        try:
            told = forecast(answered[lower], answered[upper], numpy=find_numpy())
        except CalibrationImpossible as error:
            output.note(f"what {lower} tells of {upper}: {error}")
            continue
        (target / f"{lower}-{workload}-next-{upper}.json").write_text(to_json(told), encoding="utf-8")
    path = target / OUTCOMES_FOLDER / f"{workload}.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(paired_json(pair(list(answered.values()))), encoding="utf-8")
    return path


def _aim(goal: Goal) -> Aim:
    """What is to be certified.

    Raises:
        UsageError: A share is none, or a number of tokens is below 0.
    """
    for flag, value in (("--risk", goal.risk), ("--sure", goal.sure)):
        if not SHARE_MIN <= value <= SHARE_MAX:
            raise output.UsageError(f"{flag} {value} is not between {SHARE_MIN} and {SHARE_MAX}, for example 0.1.")
    if goal.prefix < 0:
        raise output.UsageError(f"--prefix {goal.prefix} is not a number of tokens, for example 32.")
    return Aim(risk_max=goal.risk, delta=1.0 - goal.sure)


async def _calibrate(plan: DeploymentPlan, stores: Stores, profile: HardwareProfile, task: _Task) -> list[_Made]:
    """Ask, say what cannot be spared, then fit, certify and write for whole answers and, if wanted, for prefixes."""
    engine = build_engine(plan, stores, profile)
    name = plan.deployment.name
    leave = Leaving(stores=stores, deployment=engine.deployment, label=task.label, policy=task.policy)
    if not plan.deployment.is_on_device:
        leave.rules(plan.settings.base_url)  # asked again for every question; here so that nothing is started in vain
    output.note(f"{name}: starting {plan.deployment.model.name}")
    try:
        await engine.start()
        fingerprint = await known_fingerprint(engine, clock=stores.clock, leave=leave)
        with _progress(name) as progress:
            graded = await ask_all(
                engine,
                task.questions,
                fingerprint=fingerprint,
                folder=task.target,
                clock=stores.clock,
                progress=progress,
                leave=leave,
            )
    finally:
        await engine.close()
    output.note(f"{name}: {least_text(graded, task.aim.risk_max)}")
    sets = {WHOLE: graded}
    if task.prefix:
        sets[scope_of(task.prefix)] = beginnings(graded, task.prefix)
    made: list[_Made] = []
    for scope, answers in sets.items():
        try:
            fitted = fit_graded(
                answers,
                engine=engine,
                fingerprint=fingerprint,
                clock=stores.clock,
                workload=task.workload,
                scope=scope,
                numpy=find_numpy(),
            )
        except CalibrationImpossible as error:
            if scope == WHOLE:
                raise CalibrationImpossible(
                    model=name, reason=f"of the 42 in 100 that it is fitted on, {error.values['reason']}"
                ) from error
            output.note(f"{name}, {scope}: {error}")
            continue
        made.append(_written(name, engine.deployment.model, fitted, answers, task, unix_ms=stores.clock.unix_ms()))
    return made


def _written(
    name: str, model: ModelCard, fitted: Calibration, graded: Sequence[Graded], task: _Task, *, unix_ms: int
) -> _Made:
    """Certify, and write calibration and certificate."""
    proof = prove(fitted, graded, aim=task.aim, unix_ms=unix_ms)
    file = f"{name}-{task.workload}{'' if fitted.scope == WHOLE else f'-{fitted.scope}'}.json"
    path = task.target / file
    path.write_text(to_json(fitted), encoding="utf-8")
    certificate = task.target / CERTIFICATES_FOLDER / file
    certificate.unlink(missing_ok=True)  # one of an earlier calibration does not hold for this one
    if proof.certificate is not None:
        certificate.parent.mkdir(mode=0o700, exist_ok=True)
        certificate.write_text(certificate_json(proof.certificate), encoding="utf-8")
    return _Made(path, report(fitted, graded, [proof]), Answered(model=model, calibration=fitted, graded=graded))


def _wanted(compiled: Compiled, names: Sequence[str]) -> list[DeploymentPlan]:
    """The deployments to calibrate: those named, else all on this device.

    Raises:
        UsageError: A name is none of them, or there are none.
    """
    able = {plan.deployment.name: plan for plan in compiled.deployments if _can_be_asked(plan)}
    here = {name: plan for name, plan in able.items() if plan.deployment.is_on_device}
    if unknown := [name for name in names if name not in able]:
        known = ", ".join(able) or "none"
        raise output.UsageError(
            f"{', '.join(unknown)}: no deployment that answers with log-probabilities. There are: {known}."
        )
    if not names and not here:
        raise output.UsageError("The configuration has no deployment on this device that gives log-probabilities.")
    return [able[name] for name in names] or list(here.values())


def _can_be_asked(plan: DeploymentPlan) -> bool:
    return plan.deployment.engine in _WITH_LOGPROBS and not plan.deployment.model.embeds


def _label(text: str, compiled: Compiled, plans: Sequence[DeploymentPlan], *, are_shipped: bool) -> Label:
    """The label of the questions.

    Raises:
        UsageError: Questions of the user's own would leave, and nobody said what they are.
        LabelUnreadable: It is none.
    """
    away = [plan.deployment.name for plan in plans if not plan.deployment.is_on_device]
    if away and not text and not are_shipped:
        raise output.UsageError(f"{', '.join(away)} is beyond this device: say with --label what may be read there.")
    return parse_label(text or "public", compiled.tree, param="--label")


def _target(loaded: LoadedConfig, folder: Path, out: str) -> Path:
    chosen = out or loaded.config.calibration.folder
    return Path(chosen).expanduser() if chosen else folder / CALIBRATIONS_FOLDER


def _questions(path: str) -> tuple[Question, ...]:
    if not path:
        return shipped_questions()
    try:
        return parse_questions(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise QuestionsUnreadable(path=path, reason=str(error)) from error


@contextlib.contextmanager
def _progress(name: str) -> Generator[Callable[[Progress], None]]:
    with asking() as show:
        yield lambda progress: show(name, progress.asked, progress.total, f", {progress.right} right")
