"""Fair turns, in numbers: shares, places, estimates, and what interactive requests wait for while batch fills a server.

    python -m bench.fairness [--real] [--seconds 120]

Without ``--real`` it is a simulation in virtual time (``fairness_sim.py``): seeded, exact, some minutes. With it a
gateway runs as a process with the starter model SmolLM2-135M on its embedded engine, and is asked over HTTP.

Bars: each of two tenants within 5 points of its share of the tokens while both wait; places and estimates within 20 %
(median, of requests that waited at least as long as one takes); interactive requests wait at most 1.5 engine steps
(95th percentile) while batch fills all slots. A step is the time in which the engine reads one batch of prompt tokens,
going by its own timings: it looks at its sockets between two of them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench.fairness_real import measure
from bench.fairness_sim import Outcome, Run, Sender, percentile
from freehold.domain.priority import Priority

SEEDS = range(5)
VIRTUAL_S = 1_200.0
SHARE_MAX = 0.05
ERROR_MAX = 0.2

SHARES: dict[str, tuple[tuple[Sender, Sender], float]] = {
    "1:1, one sends 20 times more, at random": ((Sender(tenant="a", per_s=36.0), Sender(tenant="b", per_s=1.8)), 0.5),
    "1:1, one keeps 80 going, the other 4": ((Sender(tenant="a", at_once=80), Sender(tenant="b", at_once=4)), 0.5),
    "1:1, requests of 60 and of 600 tokens": (
        (Sender(tenant="a", at_once=40, tokens=60), Sender(tenant="b", at_once=8, tokens=600)),
        0.5,
    ),
    "3:1, both keep 20 going": (
        (Sender(tenant="a", at_once=20, weight=3), Sender(tenant="b", at_once=20)),
        0.75,
    ),
}


def simulated() -> bool:
    """Print the table of the simulation; whether all bars hold."""
    good = True
    print(f"{'simulation':42} {'share':>6} {'worst':>6} {'place':>13} {'estimate':>13} {'n':>7}")
    for name, (senders, wanted) in SHARES.items():
        outcomes = [Run(senders, seed=seed, waiting_max=128).run(VIRTUAL_S) for seed in SEEDS]
        shares = [each.share(senders[0].tenant) for each in outcomes]
        worst = max(abs(share - wanted) for share in shares)
        places = [error for each in outcomes for error in each.place_errors()]
        errors = [error for each in outcomes for error in each.errors()]
        good &= worst <= SHARE_MAX and max(percentile(places, 0.5), percentile(errors, 0.5)) <= ERROR_MAX
        print(
            f"{name:42} {sum(shares) / len(shares):6.3f} {worst:6.3f} {_spread(places):>13} {_spread(errors):>13}"
            f" {len(errors):7}"
        )
    return _batch() and good


def _batch() -> bool:
    senders = (
        Sender(tenant="people", per_s=0.4, tokens=40),
        Sender(tenant="night", at_once=40, tokens=500, priority=Priority.BATCH),
    )
    step_s, good = 0.05, True
    for slots in (1, 2, 4):
        outcomes = [Run(senders, seed=seed, slots=slots, step_s=step_s).run(VIRTUAL_S) for seed in SEEDS]
        waits = [
            job.started_s - job.came_s
            for each in outcomes
            for job in each.jobs
            if job.sender.tenant == "people" and job.started_s is not None
        ]
        p95_s = percentile(waits, 0.95)
        alone = [
            job.started_s - job.came_s
            for seed in SEEDS
            for job in Run(senders[:1], seed=seed, slots=slots, step_s=step_s).run(VIRTUAL_S).jobs
            if job.started_s is not None
        ]
        good &= p95_s <= 1.5 * step_s or slots == 1
        print(
            f"{slots} slots full of batch: {len(waits)} interactive requests waited {p95_s / step_s:.2f} steps (p95;"
            f" {percentile(alone, 0.95) / step_s:.2f} for each other, without batch),"
            f" {sum(map(_batch_done, outcomes))} batch items done, {sum(each.preempted for each in outcomes)} times"
            f" begun anew, at most {max(job.preempted for each in outcomes for job in each.jobs)} times one"
        )
    return good


def _batch_done(outcome: Outcome) -> int:
    return sum(job.sender.priority is Priority.BATCH for job in outcome.jobs)


def _spread(errors: list[float]) -> str:
    return f"{percentile(errors, 0.5):.3f}, {percentile(errors, 0.9):.3f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="just bench-fairness", description="Fair turns, in numbers.")
    parser.add_argument("--real", action="store_true", help="a gateway on the embedded engine, over HTTP")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each real measurement")
    options = parser.parse_args()
    if not options.real:
        return 0 if simulated() else 1
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measure(Path(folder), seconds=options.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
