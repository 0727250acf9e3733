"""``freehold bench``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from freehold.app.benched import Variant, plain_plan, running, varied, verdicts_of
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.cli.pulling import trusted_registry
from freehold.config.compile import DeploymentPlan
from freehold.config.load import data_folder
from freehold.domain.deployment import EngineKind
from freehold.domain.engine_options import Speculation
from freehold.domain.speculation import SpeculationVerdict
from freehold.evals.side_by_side import Row, read_prompts, side_by_side
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.probe import probe
from freehold.planner import wording
from freehold.planner.options import figures
from freehold.serving.verdicts import keep_verdict

_TOKENS_LEAST = 2


def bench(
    name: str,
    /,
    *,
    prompts: str,
    with_: Annotated[tuple[str, ...], Parameter(name="--with")] = (),
    tokens: int = 64,
    rounds: int = 1,
    ctx: int = 4_096,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Ask a model your own prompts as it is and with other options, and compare speed, memory and answers.

    Args:
        name: A deployment of the configuration, an installed model, or the path of a GGUF file.
        prompts: A text file with prompts between lines of ---, or JSON lines with prompt or messages.
        with_: Options to compare with, several by commas: kv, flash, draft, draft_tokens, speculation, adapter, model,
            threads, context, batch, gpu_layers. Give it once for each set: --with kv=q8_0 --with draft=NAME.
        tokens: Most tokens of an answer.
        rounds: How often each prompt is asked.
        ctx: Tokens of one request, prompt and answer together, for a model that is no deployment.
    """
    if tokens < _TOKENS_LEAST or rounds < 1 or ctx < 1:
        raise output.UsageError(f"--tokens is at least {_TOKENS_LEAST}, --rounds and --ctx at least 1.")
    asked = read_prompts(Path(prompts))
    base = _base(name, config, ctx=ctx)
    try:
        variants = (Variant(name=name, plan=base), *(varied(base, text) for text in with_))
    except ValueError as error:
        raise output.UsageError(f"--with: {error}.") from error
    if len({each.name for each in variants}) < len(variants):
        raise output.UsageError("--with: a set of options is given twice.")
    folder, machine, clock = data_folder(), probe(), SystemClock()
    models = trusted_registry(config)

    async def measure() -> tuple[Row, ...]:
        async with running(variants, models=models, machine=machine, clock=clock, starting=_starting) as found:
            return await side_by_side(
                found.contestants, asked, tokens=tokens, rounds=rounds, clock=clock, progress=_progress
            )

    rows = asyncio.run(measure())
    verdicts = verdicts_of(variants, rows, models=models, machine=machine, unix_ms=clock.unix_ms())
    for verdict in verdicts:
        keep_verdict(folder, verdict)
    if as_json:
        output.print_json({"prompts": len(asked), "rows": [_document(row) for row in rows], "kept": _kept(verdicts)})
    else:
        output.say(_text(rows, verdicts))
    return output.OK


def _base(name: str, config: str, *, ctx: int) -> DeploymentPlan:
    plans = {plan.deployment.name: plan for plan in compiled_or_default(config).deployments}
    plan = plans.get(name)
    if plan is None:
        return plain_plan(name, context_tokens=ctx)
    if plan.deployment.engine not in {EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER} or plan.settings.base_url:
        raise output.UsageError(f"{name} is run by somebody else; what is measured here is what Freehold runs.")
    options = plan.settings.options
    if options.speculation is Speculation.AUTO:  # as it is without, so that it can be compared
        plan = replace(plan, settings=replace(plan.settings, options=replace(options, speculation=Speculation.OFF)))
    return plan


def _starting(name: str) -> None:
    output.note(f"starting {name}")


def _progress(done: int, of: int) -> None:
    output.note(f"{done} of {of} answers")


def _text(rows: Sequence[Row], verdicts: Sequence[SpeculationVerdict]) -> str:
    cells = [
        (
            row.name,
            f"{row.tok_per_s:.1f}",
            f"{row.prompt_tok_per_s:.0f}",
            f"{row.tok_per_cpu_s:.1f}" if row.tok_per_cpu_s else "not known",
            f"{row.first_token_ms:,.0f} ms",
            wording.size(row.peak_bytes) if row.peak_bytes else "not known",
            f"{row.same} of {row.answers}",
        )
        for row in rows
    ]
    head = ("options", "tok/s", "prompt tok/s", "tok/CPU-s", "first token", "memory", "same answers")
    kept = [f"Kept for this machine: {figures(each)}." for each in verdicts]
    return "\n".join([output.table(cells, head=head), *kept])


def _document(row: Row) -> dict[str, object]:
    return {
        "options": row.name,
        "tok_per_s": round(row.tok_per_s, 2),
        "prompt_tok_per_s": round(row.prompt_tok_per_s, 2),
        "tok_per_cpu_s": round(row.tok_per_cpu_s, 2) or None,
        "first_token_ms": round(row.first_token_ms, 1),
        "peak_bytes": row.peak_bytes or None,
        "tokens": row.tokens,
        "same_answers": row.same,
        "answers": row.answers,
    }


def _kept(verdicts: Sequence[SpeculationVerdict]) -> list[dict[str, object]]:
    return [
        {"kind": each.key.kind.value, "gain": round(each.gain, 3), "pays": each.pays, "same": each.same_answers}
        for each in verdicts
    ]
