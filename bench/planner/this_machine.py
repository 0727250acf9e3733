"""How near the expected speed of each starter model is to what it does on this very machine.

Two questions. As a user has it: ``freehold hardware --run`` ran the starter models here, and what is expected of each is
held against runs after that. And harder: each model left out in turn, predicted from the runs of the others alone, as a
model is that was never run here. The runs of all models are interleaved, so that others who use the machine meanwhile
disturb all alike. By the time that the engine's threads had (what it does with the machine to itself) the fastest counts,
by the clock the middle. ``python -m bench.planner.this_machine [ROUNDS]``, two at least; the bar is 10 %.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
from dataclasses import replace

from freehold.app.machine_run import Ran, measured, runner
from freehold.domain.hardware import HardwareProfile, ModelShape
from freehold.domain.speed import MachineRuns
from freehold.hostinfo.probe import probe
from freehold.planner.choose import threads_for
from freehold.planner.speed_cpu import reads, writes
from freehold.serving.gguf import read_header
from tests.models import FILES, starter_model

BAR = 0.10
READING_BAR = 0.25


async def interleaved(rounds: int, threads: int) -> dict[str, tuple[ModelShape, list[Ran]]]:
    """The runs of each starter model, one of each in each round; one child at a time, for its time to be its own."""
    found: dict[str, tuple[ModelShape, list[Ran]]] = {}
    for round_ in range(rounds):
        for name in FILES:
            path = starter_model(name)
            _, runs = found.setdefault(name, (read_header(path).shape, []))
            async with contextlib.AsyncExitStack() as stack:
                child = await stack.enter_async_context(runner(path, threads=threads))
                runs += [await child.run(seed=2 * round_ + again) for again in range(2)]
    return found


def compare(
    found: dict[str, tuple[ModelShape, list[Ran]]],
    profile: HardwareProfile,
    threads: int,
    *,
    by_clock: bool,
    alone: bool,
) -> None:
    """Print what is expected beside what was measured; ``alone``: of a model by the others' runs, else by runs before."""
    after = {
        name: measured(shape, ran if alone else ran[len(ran) // 2 :], by_clock=by_clock)
        for name, (shape, ran) in found.items()
    }
    before = (
        after
        if alone
        else {name: measured(shape, ran[: len(ran) // 2], by_clock=by_clock) for name, (shape, ran) in found.items()}
    )
    told = "each by the others" if alone else "each after it ran"
    print(
        f"\n{told + (', by the clock' if by_clock else ', by its threads'):34s} {'predicted':>10s} {'measured':>9s} {'off':>6s}"
    )
    for place, (kind, bar) in enumerate((("writing", BAR), ("reading", READING_BAR))):
        off: list[float] = []
        for name, (shape, _) in found.items():
            used = {other: each for other, each in before.items() if not alone or other != name}
            here = MachineRuns(
                threads=threads,
                writing=tuple(each[0] for each in used.values()),
                reading=tuple(each[1] for each in used.values()),
                models=tuple(used),
                unix_ms=0,
            )
            machine = replace(profile, measured=here, bandwidth_bytes_per_s=0)
            own = after[name][place]
            expected = (
                reads(shape, machine, threads=threads, prompt_tokens=own.prompt_tokens)
                if place
                else writes(shape, machine, threads=threads, depth_tokens=own.depth_tokens)
            )
            off.append(abs(expected.tok_per_s / own.tok_per_s - 1))
            print(f"{kind} {name:26s} {expected.tok_per_s:10.1f} {own.tok_per_s:9.1f} {off[-1]:6.1%}")
        verdict = "holds" if max(off) <= bar else "does not hold"
        print(f"{kind}: worst {max(off):.1%}, mean {statistics.mean(off):.1%}; bar {bar:.0%} {verdict}")


def main() -> None:
    """Print."""
    rounds = max(2, int(sys.argv[1])) if len(sys.argv) > 1 else 4
    profile = probe(measure=True)
    threads = threads_for(profile)
    found = asyncio.run(interleaved(rounds, threads))
    print(
        f"{profile.cpu_name}, {threads} of {profile.cores} threads, copy {profile.bandwidth_bytes_per_s / 1e9:.1f} GB/s"
    )
    for alone in (False, True):
        for by_clock in (False, True):
            compare(found, profile, threads, by_clock=by_clock, alone=alone)
    for name, (_, ran) in found.items():
        print(
            f"{name:26s} written, each run by threads: "
            + " ".join(f"{each.own_write_tok_per_s:.1f}" for each in ran)
            + "; by the clock: "
            + " ".join(f"{each.write_tok_per_s:.1f}" for each in ran)
        )


if __name__ == "__main__":
    main()
