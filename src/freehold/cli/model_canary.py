"""``freehold models canary`` and ``switch``: a new version is compared with the one that serves before it takes over."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.asking import ShowAsked, asking
from freehold.cli.learnt import open_learnt
from freehold.cli.model_versions import chosen, guesses_told
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import trusted_registry
from freehold.config.load import data_folder, load
from freehold.domain.errors.model_versions import CanaryFailed, CanaryImpossible, CanaryMissing
from freehold.hostinfo.clock import SystemClock
from freehold.serving.aside import aside
from freehold.serving.canary_records import LIVE, CanaryRecord, keep_record, looked_with, read_live, read_record
from freehold.serving.registry import ModelRegistry
from freehold.serving.versions import switch as switched

if TYPE_CHECKING:
    from collections.abc import Callable

    from freehold.app.canary import Comparison
    from freehold.evals.calibrate import Progress
    from freehold.evals.canary import Prompt
    from freehold.serving.installed import InstalledModel

DELTA_PERCENT = 5.0
_SHORT = 12
_PER_CENT = 100.0


def canary(
    name: str,
    /,
    *,
    to: str = "",
    prompts: str = "",
    live: bool = False,
    delta: float = DELTA_PERCENT,
    tenant: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Ask a new version and the one that serves the same questions, here, and say whether it may take over.

    A running server goes on serving. Exit code 1 where the new version does not pass.

    Args:
        name: Of the model.
        to: Digest of the version, or its beginning; the one that waits if not given.
        prompts: File of questions, one JSON object a line with "id" and "prompt" and, where the answer is known,
            "grade" and "answers"; the questions of "freehold gold" if not given.
        live: Ask nothing; go by what a route's canary has answered to live requests until now.
        delta: Right answers in a hundred that may be lost; 5 if not given.
        tenant: Only this tenant's gold questions.
    """
    if not 0.0 < delta < _PER_CENT:
        raise output.UsageError(f"--delta is {delta:g}; it lies between 0 and 100, without either.")
    if live and prompts:
        raise output.UsageError("--live asks nothing; leave --prompts out.")
    record = (
        _seen_live(name, to=to, delta=delta, config=config)
        if live
        else _compared(name, to=to, prompts=prompts, delta=delta, tenant=tenant, config=config)
    )
    if as_json:
        output.print_json(_record_json(record))
    else:
        output.say(_record_text(record))
    return output.OK if record.passes else output.FAILED


def switch(
    name: str,
    /,
    *,
    to: str = "",
    prompts: str = "",
    delta: float = DELTA_PERCENT,
    without_canary: bool = False,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Let another version serve, once it was compared with the one that does. A running server takes it over.

    Args:
        name: Of the model.
        to: Digest of the version, or its beginning; the one that waits if not given.
        prompts: Compare now, by this file of questions, instead of relying on the last "freehold models canary".
        delta: Right answers in a hundred that may be lost; 5 if not given.
        without_canary: Take the version without a comparison.
    """
    if not 0.0 < delta < _PER_CENT:
        raise output.UsageError(f"--delta is {delta:g}; it lies between 0 and 100, without either.")
    registry = trusted_registry(config)
    old, new = chosen(registry, name, to)
    if prompts:
        record = _compared(name, to=new.sha256, prompts=prompts, delta=delta, tenant="", config=config)
        if not as_json:
            output.note(_record_text(record))
    else:
        record = read_record(registry.folder, old_sha256=old.sha256, new_sha256=new.sha256)
    if not without_canary:
        if record is None:
            raise CanaryMissing(name=name)
        if not record.passes:
            raise CanaryFailed(name=name, reason=_reason(record))
    state = switched(registry, name, new.sha256, unix_ms=SystemClock().unix_ms())
    if as_json:
        output.print_json({"name": name, "digest": f"sha256:{state.sha256}", "before": old.digest})
    else:
        output.say(f"{name} serves sha256:{state.sha256[:_SHORT]} now. A running server takes it over within seconds.")
        kept = f'The version before is kept: "freehold models rollback {name}" goes back to it.'
        output.say("\n".join([kept, *guesses_told(name, config)]))
    return output.OK


def _compared(name: str, *, to: str, prompts: str, delta: float, tenant: str, config: str) -> CanaryRecord:
    """Compare, and keep what was found."""
    from freehold.app.canary import Comparison  # lazy: loads engines

    folder = data_folder()
    registry = trusted_registry(config)
    old, new = chosen(registry, name, to)
    asked = _prompts(name, prompts, tenant=tenant, config=config)
    with aside(folder, ".canary-") as answers:  # nobody's text stays
        comparison = Comparison(
            name=name,
            old=old,
            new=new,
            prompts=asked,
            folder=answers,
            delta=delta / _PER_CENT,
            earlier=read_record(registry.folder, old_sha256=old.sha256, new_sha256=new.sha256),
        )
        record = _ask(comparison, registry, folder, config)
    keep_record(registry.folder, record)
    return record


def _seen_live(name: str, *, to: str, delta: float, config: str) -> CanaryRecord:
    """Decide by what was answered to live requests, and keep that.

    Raises:
        CanaryImpossible: Nothing was.
    """
    from freehold.app.canary import with_finding  # lazy: loads engines
    from freehold.routing.canary import Pair, level
    from freehold.routing.canary_sequence import compare_so_far

    registry = trusted_registry(config)
    old, new = chosen(registry, name, to)
    pairs = read_live(registry.folder, old_sha256=old.sha256, new_sha256=new.sha256)
    if not pairs:
        reason = "no live request was answered by both; a route asks a canary with canary and canary_share"
        raise CanaryImpossible(name=name, reason=reason)
    looked = looked_with(read_record(registry.folder, old_sha256=old.sha256, new_sha256=new.sha256), LIVE)
    found = compare_so_far(
        (Pair(alike=each.alike, old_chance=each.old_chance) for each in pairs),
        delta=delta / _PER_CENT,
        alpha=level(looked.index(LIVE)),
    )
    record = CanaryRecord(
        name=name,
        old_sha256=old.sha256,
        new_sha256=new.sha256,
        verdict=found.verdict.value,
        passes=found.verdict.passes,
        unix_ms=SystemClock().unix_ms(),
        looked=looked,
    )
    record = with_finding(record, found)
    keep_record(registry.folder, record)
    return record


def _ask(comparison: Comparison, registry: ModelRegistry, folder: Path, config: str) -> CanaryRecord:
    # Lazy: all of these load engines.
    from dataclasses import replace

    from freehold.app.canary import OwnParts, compare_versions, engine_maker, plain_flags, runs
    from freehold.app.known import known_from
    from freehold.cli.configured import loaded_or_default
    from freehold.config.compile import compile_config
    from freehold.hostinfo.probe import probe

    loaded, name = loaded_or_default(config), comparison.name
    compiled = compile_config(loaded, environment=os.environ)
    if not any(runs(plan, name) for plan in compiled.deployments):
        compiled = compile_config(load(None, flags=plain_flags(name)), environment={})
    parts = OwnParts.of(registry)
    comparison = replace(comparison, calibrations=known_from(loaded, folder).calibrations)
    engine_of = engine_maker(compiled, name, parts=parts, machine=probe())

    def shows(show: ShowAsked) -> Callable[[InstalledModel, Progress], None]:
        standing = {comparison.old.sha256: "which serves", comparison.new.sha256: "the new one"}

        def told(model: InstalledModel, progress: Progress) -> None:
            who = f"{name}, {model.sha256[:_SHORT]}, {standing[model.sha256]}"
            show(who, progress.asked, progress.total)

        return told

    async def ask(show: ShowAsked) -> CanaryRecord:
        try:
            return await compare_versions(comparison, engine_of=engine_of, clock=parts.clock, progress=shows(show))
        finally:
            await parts.broker.close()

    output.note(f"{name}: {len(comparison.prompts):,} questions to each of two versions")
    with asking() as show:
        return asyncio.run(ask(show))


def _prompts(name: str, path: str, *, tenant: str, config: str) -> tuple[Prompt, ...]:
    """The saved set.

    Raises:
        CanaryImpossible: There is none, or it cannot be read.
    """
    from freehold.evals.canary import parse_prompts

    if path:
        try:
            return parse_prompts(Path(path).expanduser().read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise CanaryImpossible(name=name, reason=f"{path}: {error}") from error
    text = ""
    if (data_folder() / "freehold.db").exists():
        with open_learnt(config) as learnt:
            found = asyncio.run(learnt.certificates.gold(tenant=tenant))
        lines = {f"{owner}/{workload}/{each}": document for owner, workload, each, document in found}
        text = "\n".join(lines.values())
    if not text:
        reason = 'there are no questions; give a file with --prompts, or keep some with "freehold gold add FILE"'
        raise CanaryImpossible(name=name, reason=reason)
    try:
        return parse_prompts(text)
    except ValueError as error:
        raise CanaryImpossible(name=name, reason=f"gold questions: {error}") from error


def _reason(record: CanaryRecord) -> str:
    """Why a version does not pass, in one line."""
    if record.reason:
        return record.reason
    shown = f"{record.questions:,} questions, {record.lost} lost, {record.won} won, {record.unknown} unknown"
    if record.verdict == "undecided":
        more = f"; some {record.more:,} more would decide it" if record.more else ""
        return f"it is undecided whether it is as good ({shown}){more}"
    return f"it answers worse ({shown})"


def _record_text(record: CanaryRecord) -> str:
    from freehold.routing.canary import level  # lazy: as above

    told = f"{record.name}: {record.new_sha256[:_SHORT]} against {record.old_sha256[:_SHORT]}, which serves: {record.verdict}"
    if record.reason:
        return f"{told}\n  {record.reason}"
    lines = [
        told,
        (
            f"  questions   {record.questions:,}: {record.lost} lost, {record.won} won,"
            f" {record.unknown} on which they differ and nobody knows who is right"
        ),
        (
            f"  difference  {record.low:+.1%} to {record.high:+.1%} of right answers ({1 - record.alpha:.1%} on each"
            f" side); a loss of {record.delta:.1%} is borne"
        ),
    ]
    if record.alpha < level(0):
        lines.append("  these two were compared on other questions before: each further look has to be clearer")
    if record.more:
        lines.append(f"  undecided; some {record.more:,} more questions would decide it")
    return "\n".join(lines)


def _record_json(record: CanaryRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
