"""Placement against least-recently-used: ``python -m bench.placement [SEEDS]``.

Six synthetic models that need about twice the memory that there is, 2,000 requests a trace, three kinds of traces.
Everything is the same for all: queue, loader, patience before a busy model has to make way. ``lru, patient`` is
least-recently-used with the patience towards models in use that the gateway's own rules have.
"""

from __future__ import annotations

import sys

from bench.placement_sim import LRU, LRU_PATIENT, Simulation, Told, kinds, memory_bytes, percentile, trace
from freehold.serving.placement import RULES

SHAPES = ("zipf", "bursts", "phases")
REQUESTS = 2_000
BAR = 0.7
POLICIES = (("lru", LRU), ("lru, patient", LRU_PATIENT), ("freehold", RULES))


def run(shape: str, seed: int, *, requests: int = REQUESTS) -> dict[str, Told]:
    """The same trace under every policy."""
    models = kinds(seed)
    asked = trace(shape, models, requests=requests, seed=seed)
    return {
        name: Simulation(models, asked, rules, bytes_max=memory_bytes(models, seed=seed)).run()
        for name, rules in POLICIES
    }


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    print(
        f"{'trace':8}{'seed':>5}  {'policy':14}{'loads':>6}{'reload s':>10}{'of lru':>8}{'p50 s':>8}{'p95 s':>8}{'max s':>8}"
    )
    totals: dict[tuple[str, str], float] = {}
    worst, faults, longest_s = 0.0, 0, 0.0
    for shape in SHAPES:
        for seed in range(seeds):
            told = run(shape, seed)
            for name, each in told.items():
                ratio = each.reload_s / told["lru"].reload_s
                totals[shape, name] = totals.get((shape, name), 0.0) + each.reload_s
                print(
                    f"{shape:8}{seed:>5}  {name:14}{each.loads:>6}{each.reload_s:>10.0f}{ratio:>8.2f}"
                    f"{percentile(each.waits_s, 0.5):>8.1f}{percentile(each.waits_s, 0.95):>8.1f}"
                    f"{max(each.waits_s):>8.1f}"
                )
                faults += each.overfull + each.unserved
            worst = max(worst, told["freehold"].reload_s / told["lru"].reload_s)
            longest_s = max(longest_s, told["freehold"].longest_turn_s)
    print()
    for shape in SHAPES:
        for name, _ in POLICIES[1:]:
            ratio = totals[shape, name] / totals[shape, "lru"]
            holds = "" if name != "freehold" else "| holds" if ratio <= BAR else "| FAILS"
            print(f"{shape}: reload time of {name} <= {BAR} of lru | {ratio:.2f} {holds}")
    print(f"worst single trace | {worst:.2f}")
    print(f"no out of memory, all served | {faults} faults | {'holds' if not faults else 'FAILS'}")
    print(f"longest that a model which was waited for was not there | {longest_s:.1f} s")


if __name__ == "__main__":
    main()
