"""The gateway attacked for as long as one likes: ``python -m tests.fuzz_access --seconds N [--seed S]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.hostile import Attack, World, allowed, attack, fault
from tests.support.inside import inside


@dataclass
class Found:
    """What a run came to."""

    attacks: int = 0
    passed: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])
    routes_passed: set[str] = field(default_factory=set[str])
    faults: list[str] = field(default_factory=list[str])


def both_lanes(sent: Attack, world: World, found: Found | None = None) -> list[str]:
    """Send it over our own protocol, and as another ASGI server would hand it on; what is wrong with the answers."""
    headers = [(name.lower().encode(), value.strip().encode("utf-8")) for name, value in sent.fields]
    answers = {
        "http1": world.gateway.send(sent.raw, is_head=sent.method == "HEAD"),
        "asgi": world.gateway.ask_asgi(sent.method, sent.target.encode(), headers, sent.body),
    }
    if found is not None:
        found.attacks += 1
        for answer in answers.values():
            found.statuses[answer.status] += 1
        if 0 < answers["http1"].status < 400:
            found.passed += 1
            found.routes_passed.add(f"{sent.method} {allowed(sent, world).path}")
    return [f"{lane}: {wrong}" for lane, answer in answers.items() if (wrong := fault(sent, answer, world))]


def fuzz(world: World, *, seed: int, attacks: int = sys.maxsize, seconds: float = float("inf")) -> Found:
    """Attack until one of the two is reached, or ten faults are found."""
    chance, found = Random(seed), Found()
    until_s = time.monotonic() + seconds
    while found.attacks < attacks and len(found.faults) < 10 and time.monotonic() < until_s:
        sent = attack(chance, world)
        found.faults += [f"{wrong}: {sent}" for wrong in both_lanes(sent, world, found)]
    return found


def main() -> int:
    """Run; exit code 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    words = parser.parse_args()
    seed = time.time_ns() % 1_000_000 if words.seed is None else words.seed
    with tempfile.TemporaryDirectory() as folder, inside(Path(folder)) as gateway:
        found = fuzz(World.make(gateway), seed=seed, seconds=words.seconds)
    print(f"seed {seed}: {found.attacks} attacks, each over both lanes; {found.passed} may pass and did")
    print(", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items())))
    for each in found.faults:
        print(each)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
