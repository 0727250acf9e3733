"""The commit's share of seeds: the promises hold in every one of them."""

from __future__ import annotations

import functools

import pytest

from tests.simulation import faults
from tests.simulation.regressions import SEEDS
from tests.simulation.run import Run, run_seed

CHUNKS = 20
SEEDS_A_CHUNK = 25
ENOUGH_FOR_EVERYTHING = 80


@functools.cache
def _kept(seed: int) -> Run:
    return run_seed(seed)


def run_of(seed: int) -> Run:
    """One run a seed, also where two tests look at it."""
    return _kept(seed) if seed < ENOUGH_FOR_EVERYTHING else run_seed(seed)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_seed_is_clean(chunk: int) -> None:
    for seed in range(chunk * SEEDS_A_CHUNK, (chunk + 1) * SEEDS_A_CHUNK):
        run = run_of(seed)
        assert not run.findings, _told(seed, run.findings)


@pytest.mark.parametrize("seed", SEEDS, ids=str)
def test_seeds_that_once_found_a_bug_are_clean(seed: int) -> None:
    findings = run_seed(seed).findings
    assert not findings, _told(seed, findings)


def test_everything_that_can_go_wrong_does() -> None:
    lines = "\n".join(line for seed in range(ENOUGH_FOR_EVERYTHING) for line in run_of(seed).trace)
    never = [
        kind
        for before, table in (
            ("connect: ", faults.CONNECT),
            (": ", faults.ANSWER),
            ("world          ", faults.WORLD),
            (": ", faults.ASK),
        )
        for kind in table
        if before + kind not in lines
    ]
    assert not never


def _told(seed: int, findings: tuple[str, ...]) -> str:
    return "\n".join([f"seed {seed}; replay it with: just sim --seed {seed} --trace", *findings])
