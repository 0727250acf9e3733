"""``python -m tests.simulation``: many seeds, or one with its trace."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable

from tests.simulation.run import Run, run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="just sim", description="Simulate the gateway: one seed is one run.")
    parser.add_argument("--seeds", default="0..20000", metavar="A..B", help="from A up to but not including B")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    started_s = time.monotonic()
    if options.seed is not None:
        runs: list[Run] = [run_seed(options.seed)]
    else:
        first, _, end = options.seeds.partition("..")
        runs = _many(range(int(first), int(end)), options.processes)
    failed = [run for run in runs if run.findings]
    for run in failed[:20] if options.seed is None else runs:
        print(f"seed {run.seed}")
        for finding in run.findings:
            print(f"  {finding}")
        if options.trace:
            print("\n".join(run.trace))
    requests, hours = sum(run.requests for run in runs), sum(run.virtual_s for run in runs) / 3600
    took_s = time.monotonic() - started_s
    print(f"{len(runs)} seeds, {len(failed)} failed, {requests} requests, {hours:.1f} virtual hours in {took_s:.1f} s")
    return 1 if failed else 0


def _many(seeds: Iterable[int], processes: int) -> list[Run]:
    if processes == 1:
        return [_thin(run_seed(seed)) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return list(pool.imap_unordered(_run_thin, seeds, chunksize=50))


def _run_thin(seed: int) -> Run:
    return _thin(run_seed(seed))


def _thin(run: Run) -> Run:
    """Without the trace of a clean run."""
    return run if run.findings else Run(run.seed, (), (), run.requests, run.virtual_s)


if __name__ == "__main__":
    sys.exit(main())
