"""Whether the time that a key's look-up takes tells anything of the keys: Welch's t, as in dudect.

    python -m bench.key_timing [--samples N]

Keys of each class are looked up one by one, in random order, each once, since each has its own place in the table and so
its own time: what disturbs the clock disturbs all classes alike. The slowest twentieth of all samples is left out. Of two classes whose times have the same mean, |t| is above 4.5
once in 150,000 runs, above 7 once in 4 × 10¹¹; a difference makes it grow with the square root of the samples. A
comparison that stops at the first wrong character is measured the same way: it must be found.

Keys that open something are not compared with such that do not: which of the two it is the answer says anyway.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from random import Random
from typing import cast

from freehold.domain.errors.auth import KeyUnknown
from freehold.domain.identity import Tenant
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, WORLD
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.keys import KeyRing, KeyStore, new_secret
from freehold.storage.keys import KeyRecord

THRESHOLD = 7.0
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_KEPT_SHARE = 0.95
_HALF = 0.5
_BOTTOM = Label(level=Level.PUBLIC, zones=frozenset({DEVICE, WORLD}))

LookUp = Callable[[str], object]


class Records:
    """A store of keys in memory; only what a key ring reads."""

    def __init__(self, records: Sequence[KeyRecord]) -> None:
        self._records = records

    def all(self) -> list[KeyRecord]:
        return [*self._records]


def ring_of(keys: int) -> tuple[KeyRing, list[str], list[str]]:
    """A key ring with as many good keys as revoked ones, and the two."""
    secrets = [new_secret() for _ in range(2 * keys)]
    records = [
        KeyRecord(
            id=f"key-{number}",
            sha256=hashlib.sha256(secret.encode()).digest(),
            name="timed",
            tenant="acme",
            scopes=frozenset({"infer"}),
            label="",
            created_unix_ms=0,
            revoked_unix_ms=None if number < keys else 1,
        )
        for number, secret in enumerate(secrets)
    ]
    clock = SystemClock()
    ring = KeyRing(
        cast("KeyStore", Records(records)),
        {"acme": Tenant(name="acme", label=_BOTTOM)},
        parse_label=lambda _: _BOTTOM,
        bottom=_BOTTOM,
        clock=clock,
        ids=SystemIds(clock),
    )
    return ring, secrets[:keys], secrets[keys:]


def wrong_at(chance: Random, secret: str, place: int) -> str:
    """The key with another character at one place."""
    other = chance.choice([letter for letter in _LETTERS if letter != secret[place]])
    return secret[:place] + other + secret[place + 1 :]


def refused(chance: Random, good: Sequence[str], revoked: Sequence[str], samples: int) -> dict[str, list[str]]:
    """Keys that open nothing, by what is wrong with them; ``samples`` of each class."""
    return {
        "wrong in the first character": [wrong_at(chance, chance.choice(good), 3) for _ in range(samples)],
        "wrong in the middle": [wrong_at(chance, chance.choice(good), 24) for _ in range(samples)],
        "wrong in the last character": [wrong_at(chance, chance.choice(good), 45) for _ in range(samples)],
        "revoked": list(revoked),
        "random": [new_secret() for _ in range(samples)],
    }


def accepted(chance: Random, good: Sequence[str]) -> dict[str, list[str]]:
    """Keys that open something, by what is in them; each once."""
    classes: dict[str, list[str]] = {}
    for key in good:
        place, where = ((3, "begins"), (44, "ends"))[chance.random() < _HALF]
        side = "early" if _LETTERS.index(key[place]) < len(_LETTERS) * _HALF else "late"
        classes.setdefault(f"{where} {side} in the alphabet", []).append(key)
    return classes


def timed(classes: Mapping[str, Sequence[str]], look_up: LookUp, chance: Random) -> dict[str, list[int]]:
    """How long each look-up took, in ns, by class; all in random order."""
    order = [(name, key) for name, keys in classes.items() for key in keys]
    chance.shuffle(order)
    # A copy each, made in the order of the look-ups: no class has its texts nearer at hand than another.
    order = [(name, "".join(list(key))) for name, key in order]
    taken: dict[str, list[int]] = {name: [] for name in classes}
    clock, was_on = time.perf_counter_ns, gc.isenabled()
    gc.disable()
    try:
        for name, key in order:
            started = clock()
            try:  # noqa: SIM105 - as little as can be between the two clocks
                look_up(key)
            except KeyUnknown:
                pass
            ended = clock()
            taken[name].append(ended - started)
    finally:
        if was_on:
            gc.enable()
    every = sorted(each for times in taken.values() for each in times)
    most = every[int(_KEPT_SHARE * len(every)) - 1]
    return {name: [each for each in times if each <= most] for name, times in taken.items()}


def welch_t(left: Sequence[int], right: Sequence[int]) -> float:
    """Difference of the means in its standard errors."""
    spread = statistics.variance(left) / len(left) + statistics.variance(right) / len(right)
    return (statistics.fmean(left) - statistics.fmean(right)) / math.sqrt(spread) if spread else 0.0


def worst_t(taken: Mapping[str, Sequence[int]]) -> tuple[float, str]:
    """The greatest |t| of any two classes, and which they are."""
    return max((abs(welch_t(taken[a], taken[b])), f"{a} / {b}") for a, b in combinations(taken, 2))


def prefix_comparison(good: Sequence[str]) -> LookUp:
    """What must not be: keys compared character by character until one differs."""

    def look_up(key: str) -> str:
        for secret in good[:4]:
            for ours, theirs in zip(secret, key, strict=False):
                if ours != theirs:
                    break
            else:
                return secret
        raise KeyUnknown

    return look_up


def measure(samples: int, seed: int) -> dict[str, tuple[float, str]]:
    """The worst |t|: of keys that open nothing, and of such that do."""
    chance = Random(seed)
    ring, good, revoked = ring_of(samples)
    return {
        "refused": worst_t(timed(refused(chance, good, revoked, samples), ring.authenticate, chance)),
        "accepted": worst_t(timed(accepted(chance, good), ring.authenticate, chance)),
    }


def control(samples: int, seed: int) -> tuple[float, str]:
    """The worst |t| of a comparison that must not be: what the measure has to find."""
    chance = Random(seed)
    _, good, revoked = ring_of(samples)
    return worst_t(timed(refused(chance, good[:4], revoked, samples), prefix_comparison(good), chance))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    words = parser.parse_args()
    found = measure(words.samples, words.seed) | {"control": control(words.samples, words.seed)}
    for name, (t, pair) in found.items():
        print(f"{name:9} worst |t| = {t:8.2f}  ({pair}; {words.samples} samples a class)")
    good = max(found["refused"][0], found["accepted"][0]) < THRESHOLD < found["control"][0]
    print("holds" if good else "DOES NOT HOLD", f"(threshold {THRESHOLD:g}; the control must be above it)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
