"""Placement against least-recently-used: ``python -m bench.placement [SEEDS]``.

Six synthetic models that need about twice the memory that there is, 2,000 requests a trace, three kinds of traces.
Everything is the same for all: queue, loader, patience before a busy model has to make way. ``lru, patient`` is
least-recently-used with the patience towards models in use that the gateway's own rules have.
"""

from __future__ import annotations

import statistics
import sys

from bench.placement_sim import LRU, LRU_PATIENT, Simulation, Told, kinds, percentile, trace
from freehold.serving.placement import RULES

SHAPES = ("zipf", "bursts", "phases")
REQUESTS = 2_000
BAR = 0.7
POLICIES = (("lru", LRU), ("lru, patient", LRU_PATIENT), ("freehold", RULES))


def run(shape: str, seed: int, *, requests: int = REQUESTS) -> dict[str, Told]:
    """The same trace under every policy."""
    models = kinds(seed)
    asked = trace(shape, models, requests=requests, seed=seed)
    return {name: Simulation(models, asked, rules).run() for name, rules in POLICIES}


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(
        f"{'trace':8}{'seed':>5}  {'policy':14}{'loads':>6}{'reload s':>10}{'of lru':>8}{'p50 s':>8}{'p95 s':>8}{'max s':>8}"
    )
    ratios: dict[str, list[float]] = {name: [] for name, _ in POLICIES}
    holds = True
    for shape in SHAPES:
        for seed in range(seeds):
            told = run(shape, seed)
            for name, each in told.items():
                ratio = each.reload_s / told["lru"].reload_s
                ratios[name].append(ratio)
                print(
                    f"{shape:8}{seed:>5}  {name:14}{each.loads:>6}{each.reload_s:>10.0f}{ratio:>8.2f}"
                    f"{percentile(each.waits_s, 0.5):>8.1f}{percentile(each.waits_s, 0.95):>8.1f}"
                    f"{max(each.waits_s):>8.1f}{'' if not (each.overfull or each.unserved) else '  FAILED'}"
                )
                holds = holds and not (each.overfull or each.unserved)
    print()
    for name, values in ratios.items():
        print(f"{name:14} of lru: mean {statistics.mean(values):.2f}, worst {max(values):.2f}")
    worst = max(ratios["freehold"])
    print(f"reload time of lru <= {BAR} | {worst:.2f} | {'holds' if worst <= BAR else 'FAILS'}")
    print(f"no out of memory, all served | {'holds' if holds else 'FAILS'}")


if __name__ == "__main__":
    main()
