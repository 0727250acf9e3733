"""Guessing tokens with the real models: the 0.5B drafts for the 1.5B, and lookup, on code completion.

``python -m bench.speculation`` asks each of them in turn to go on with pieces of this repository's own sources, greedily,
and counts the processor seconds of their worker processes. The bar: as many answers equal, and at least 1.15 times as many
tokens a processor second; or the planner, given what was measured, leaves it off and shows the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.bars import Bar, all_of, bar_table
from freehold.app.benched import Variant, plain_plan, running, varied, verdicts_of
from freehold.app.llama_engines import prepare_llama, speculation_keys
from freehold.evals.side_by_side import Prompt, Row, side_by_side
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.probe import probe
from freehold.planner.options import Wanted, decide, figures
from freehold.serving.registry import ModelRegistry
from tests.models import DEMO_FOLDER, starter_model

MODEL, DRAFT = "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"
GAIN_MIN = 1.15
SOURCES = Path(__file__).parents[1] / "src" / "freehold"
FILES = ("domain/receipt_json.py", "domain/limits.py", "config/paths.py", "planner/speed.py", "engines/llama/seats.py")
PROMPT_CHARACTERS = 700


def prompts(count: int) -> list[Prompt]:
    """Pieces of sources, cut in the middle: what an editor sends for a completion."""
    found: list[Prompt] = []
    for name in FILES[:count]:
        text = (SOURCES / name).read_text(encoding="utf-8")
        middle = len(text) // 2
        found.append(Prompt(text=text[middle - PROMPT_CHARACTERS : middle]))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=len(FILES))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--with", dest="sets", action="append", default=[], help="further option sets")
    asked = parser.parse_args(arguments)
    for name in (MODEL, DRAFT):
        starter_model(name)
    models, machine, clock = ModelRegistry(DEMO_FOLDER / "models"), probe(), SystemClock()
    base = plain_plan(MODEL, context_tokens=2_048)
    sets = [f"draft={DRAFT}", "speculation=lookup", *asked.sets]
    variants = (Variant(name="plain", plan=base), *(varied(base, text) for text in sets))

    async def measure() -> tuple[Row, ...]:
        async with running(variants, models=models, machine=machine, clock=clock) as found:
            return await side_by_side(
                found.contestants, prompts(asked.prompts), tokens=asked.tokens, rounds=1, clock=clock, progress=_told
            )

    rows = asyncio.run(measure())
    for row in rows:
        print(
            f"{row.name:40} {row.tok_per_cpu_s:6.2f} tok/CPU-s  {row.tok_per_s:6.2f} tok/s "
            f" {row.same} of {row.answers} answers the same  {row.peak_bytes / 1e9:.2f} GB"
        )
    verdicts = verdicts_of(variants, rows, models=models, machine=machine, unix_ms=clock.unix_ms())
    plan = varied(base, sets[0]).plan
    prepared = prepare_llama(plan, models=models, machine=machine)
    keys = speculation_keys(prepared.verified, prepared.draft, machine, options=plan.settings.options)
    shape = prepared.verified.header.shape
    decided = decide(Wanted(shape=shape, quantisation="", context_tokens=2_048, slots=1, keys=keys), machine, verdicts)
    (shown,) = (each for each in decided.reasons if each.name == "speculation")
    print(f"\nThe planner then says: speculation {shown.value}: {shown.reason}\n")
    bars: list[Bar] = []
    for verdict in verdicts:
        pays = verdict.gain >= GAIN_MIN and verdict.same_answers
        is_left_off = decided.speculation is not verdict.key.kind and figures(verdict) in shown.reason
        what = (
            f"{verdict.key.kind.value}, {verdict.gain:.2f} x: pays {GAIN_MIN} x with the same answers, or is left off"
        )
        bars.append(all_of(f"{what} with its figures shown", int(pays or is_left_off), 1))
    print(bar_table(bars))
    return 0 if all(bar.holds for bar in bars) else 1


def _told(done: int, of: int) -> None:
    print(f"{done} of {of}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
