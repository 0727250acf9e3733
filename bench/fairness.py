"""Fair turns, in numbers: shares, places, estimates, and what interactive requests wait for while batch fills a server.

    python -m bench.fairness [--real] [--seconds 120]

Without ``--real`` it is a simulation in virtual time (``fairness_sim.py``): seeded, exact, some minutes. With it a
gateway runs as a process with the starter model SmolLM2-135M on its embedded engine, and is asked over HTTP.

Bars: each of two tenants within 5 points of its share of the tokens while both wait; places and estimates within 20 %
(median, of requests that waited at least as long as one takes), and nine of ten estimates where requests are all as long
as each other; interactive requests wait at most 1.5 engine steps (95th percentile) while batch fills all slots. A step is
the time in which the engine reads one batch of prompt tokens,
going by its own timings: it looks at its sockets between two of them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.fairness_real import measure
from bench.fairness_sim import AllKnowing, Outcome, Run, Sender, percentile
from freehold.domain.priority import Priority
from freehold.serving.queue import SlotQueue

SEEDS = range(5)
VIRTUAL_S = 600.0
SHARE_MAX = 0.05
ERROR_MAX = 0.2
STEPS_MAX = 1.5
STEP_S = 0.05
SELDOM_PER_S = 0.05
"""Interactive requests a second that take 2 % of one slot, so that one in fifty finds another one there."""

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
    """Print the tables of the simulation; whether all bars hold."""
    good = True
    print(f"{'simulation':42} {'share':>6} {'worst':>6} {'place':>13} {'estimate':>13} {'n':>7}")
    for name, (senders, wanted) in SHARES.items():
        outcomes = _outcomes(senders)
        shares = [each.share(senders[0].tenant) for each in outcomes]
        worst = max(abs(share - wanted) for share in shares)
        places = [error for each in outcomes for error in each.place_errors()]
        errors = [error for each in outcomes for error in each.errors()]
        good &= worst <= SHARE_MAX and max(percentile(places, 0.5), percentile(errors, 0.5)) <= ERROR_MAX
        print(
            f"{name:42} {sum(shares) / len(shares):6.3f} {worst:6.3f} {_spread(places):>13} {_spread(errors):>13}"
            f" {len(errors):7}"
        )
    return _estimates() and _batch() and good


def _estimates() -> bool:
    """What an estimate can be: of the same senders, where more is known of their requests.

    ``allowed`` is by what clients allow, which is up to twice of what they get; ``floor`` knows the length of every
    request that has come, and only not who will come; ``equal`` has requests that are all as long as each other, so
    that there is nothing to guess.
    """
    good = True
    print(f"{'estimate off':42} {'as above':>13} {'allowed':>13} {'floor':>13} {'equal':>13}")
    for name, (senders, _) in SHARES.items():
        cases = [
            _outcomes(senders),
            _outcomes([replace(each, allows=2.0) for each in senders]),
            _outcomes(senders, queue=AllKnowing),
            _outcomes([replace(each, spread=0.0) for each in senders]),
        ]
        errors = [[error for each in outcomes for error in each.errors()] for outcomes in cases]
        good &= percentile(errors[-1], 0.9) <= ERROR_MAX
        print(f"{name:42} " + " ".join(f"{_spread(each):>13}" for each in errors))
    return good


def _outcomes(senders: Sequence[Sender], *, queue: Callable[..., SlotQueue] = SlotQueue) -> list[Outcome]:
    return [Run(senders, seed=seed, waiting_max=128, queue=queue).run(VIRTUAL_S) for seed in SEEDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """Interactive requests of about 0.4 s each, while batch fills all slots.

    Attributes:
        per_s: Interactive requests a second.
        item_s: How long a batch item takes, on average.
        seconds: To be looked at.
    """

    per_s: float
    item_s: float
    seconds: float


FILLED = (
    Filled(per_s=SELDOM_PER_S, item_s=5.0, seconds=10_000.0),
    Filled(per_s=SELDOM_PER_S, item_s=60.0, seconds=40_000.0),
    Filled(per_s=0.4, item_s=5.0, seconds=2_500.0),
)


def _batch() -> bool:
    """Interactive requests while batch fills all slots, against the very same ones on a server without batch.

    Where they seldom meet each other, what they wait is what batch does to them, and the bar is on that. Where they
    often do, it is on what batch adds to the wait of each.
    """
    print(f"{'full of batch: slots, requests/s, item':42} {'p95':>6} {'alone':>6} {'adds':>6} {'more':>6} {'n':>7}")
    good = True
    for slots, filled in itertools.product((1, 2, 4), FILLED):
        people = Sender(tenant="people", per_s=filled.per_s, tokens=40)
        night = Sender(tenant="night", at_once=40, tokens=filled.item_s * 100, priority=Priority.BATCH)
        waits: list[tuple[float, float]] = []
        done, most = 0, 0
        for seed in SEEDS:
            outcome = Run((people, night), seed=seed, slots=slots, step_s=STEP_S).run(filled.seconds)
            alone = Run((people,), seed=seed, slots=slots, step_s=STEP_S).run(filled.seconds).waits("people")
            waits += [(wait, alone[at]) for at, wait in outcome.waits("people").items() if at in alone]
            done += outcome.done["night"]
            most = max(most, *(job.preempted for job in outcome.jobs))
        added = [wait - before for wait, before in waits]
        p95, alone_p95, adds_p95 = (
            percentile(each, 0.95) / STEP_S
            for each in ([wait for wait, _ in waits], [before for _, before in waits], added)
        )
        good &= (p95 if filled.per_s <= SELDOM_PER_S else adds_p95) <= STEPS_MAX
        print(
            f"{f'{slots}, {filled.per_s}, {filled.item_s:.0f} s':42} {p95:6.2f} {alone_p95:6.2f} {adds_p95:6.2f}"
            f" {sum(each > STEPS_MAX * STEP_S for each in added) / len(added):6.1%} {len(waits):7}"
            f"  {done} items done, one begun anew at most {most} times"
        )
    return good


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
