"""``freehold calibrate``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.app.engines import build_engine
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores
from freehold.cli import output
from freehold.cli.options import ConfigFile, Json
from freehold.config.compile import Compiled, DeploymentPlan, compile_config
from freehold.config.load import LoadedConfig, data_folder, find_file, load
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.evals import QuestionsUnreadable
from freehold.domain.hardware import HardwareProfile
from freehold.engines.llama.engine import LlamaEngine
from freehold.evals.calibrate import Progress, ask_all, fit_graded
from freehold.evals.question import Question
from freehold.evals.questions import parse_questions, shipped_questions
from freehold.evals.report import Report, as_text, report
from freehold.hostinfo.probe import probe
from freehold.policy.text import parse_label
from freehold.routing.calibration import to_json

CALIBRATIONS_FOLDER = "calibrations"
WORKLOAD = "general"

_OURS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER})


def calibrate(
    deployments: Annotated[tuple[str, ...], Parameter(name="DEPLOYMENT", negative=())] = (),
    /,
    *,
    questions: str = "",
    workload: str = WORKLOAD,
    out: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Ask local models questions with known answers and fit how far their confidence can be trusted.

    Takes minutes to an hour; interrupted, it goes on where it stopped. The server must be stopped meanwhile, since
    both would use the data folder. It takes the result over at its next start.

    Args:
        deployments: Deployments of the configuration; all whose engine is ours if none is given.
        questions: File of questions of your own, one JSON object a line; the shipped ones if not given.
        workload: Kind of task that the questions stand for; routes choose by it. "general" if not given.
        out: Folder for the results; the configuration's if not given.
    """
    loaded = load(find_file(config or None), check_label=parse_label)
    compiled = compile_config(loaded, environment=os.environ)
    asked = _questions(questions)
    plans = _wanted(compiled, deployments)
    folder = data_folder()
    target = _target(loaded, folder, out)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    reports: dict[str, Report] = {}
    paths: dict[str, Path] = {}
    tenants = tenants_of(compiled)
    with open_stores(folder, origin=loaded.config.audit.origin, tree=compiled.tree, tenants=tenants) as stores:
        profile = probe()
        for plan in plans:
            name = plan.deployment.name
            text, reports[name] = asyncio.run(_calibrate(plan, stores, profile, asked, target, workload))
            paths[name] = target / f"{name}-{workload}.json"
            paths[name].write_text(text, encoding="utf-8")
            if not as_json:
                output.say(f"{name}: {as_text(reports[name])}\nWritten to {paths[name]}.\n")
    if as_json:
        output.print_json({name: {"path": str(paths[name]), "report": reports[name].as_json()} for name in reports})
    return output.OK


async def _calibrate(
    plan: DeploymentPlan,
    stores: Stores,
    profile: HardwareProfile,
    questions: Sequence[Question],
    target: Path,
    workload: str,
) -> tuple[str, Report]:
    """The calibration of one deployment as JSON text, and what it is worth."""
    engine = build_engine(plan, stores, profile)
    if not isinstance(engine, LlamaEngine):
        raise output.UsageError(f"{plan.deployment.name} has no engine of ours.")
    name = plan.deployment.name
    output.note(f"{name}: starting {plan.deployment.model.name}")
    try:
        await engine.start()
        fingerprint = engine.fingerprint()
        with _progress(name) as progress:
            graded = await ask_all(
                engine, questions, fingerprint=fingerprint, folder=target, clock=stores.clock, progress=progress
            )
    finally:
        await engine.close()
    fitted = fit_graded(graded, engine=engine, fingerprint=fingerprint, clock=stores.clock, workload=workload)
    return to_json(fitted), report(fitted, graded)


def _wanted(compiled: Compiled, names: Sequence[str]) -> list[DeploymentPlan]:
    """The deployments to calibrate.

    Raises:
        UsageError: A name is none of them, or there are none.
    """
    ours = {plan.deployment.name: plan for plan in compiled.deployments if _is_ours(plan)}
    if unknown := [name for name in names if name not in ours]:
        known = ", ".join(ours) or "none"
        raise output.UsageError(
            f"{', '.join(unknown)}: no deployment with an engine of ours that answers questions. There are: {known}."
        )
    if not ours:
        raise output.UsageError("The configuration has no deployment with an engine of ours.")
    return [ours[name] for name in names] or list(ours.values())


def _is_ours(plan: DeploymentPlan) -> bool:
    return plan.deployment.engine in _OURS and plan.deployment.is_on_device and not plan.deployment.model.embeds


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
    """How far the asking is, on standard error: one line that is overwritten on a terminal, a line a tenth elsewhere."""
    is_terminal = sys.stderr.isatty()
    shown = -1

    def show(progress: Progress) -> None:
        nonlocal shown
        tenth = progress.asked * 10 // progress.total
        line = f"{name}: {progress.asked} of {progress.total} questions asked, {progress.right} right"
        if is_terminal:
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()
        elif tenth != shown:
            output.note(line)
        shown = tenth

    try:
        yield show
    finally:
        if is_terminal:
            output.note("")
