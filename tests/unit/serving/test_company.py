"""How many others come while somebody waits."""

from __future__ import annotations

import pytest

from freehold.serving.demand import Company


def test_who_comes_while_nobody_waits_is_no_company() -> None:
    company = Company()
    before = company.per_s(now_s=0.0)
    for _ in range(100):
        company.came()
    assert company.per_s(now_s=0.0) == before < 0.02


def test_it_nears_what_comes_a_second_of_waiting() -> None:
    company = Company()
    for second in range(0, 200, 4):
        company.seen(now_s=float(second), somebody_waits=True)
        company.came()
    assert company.per_s(now_s=200.0) == pytest.approx(0.25, rel=0.1)


def test_who_waits_alone_is_told_apart_sooner_the_longer_he_waits() -> None:
    company = Company()
    company.seen(now_s=0.0, somebody_waits=True)
    told = [company.per_s(now_s=now_s) for now_s in (0.0, 10.0, 40.0)]
    assert told == sorted(told, reverse=True)
    assert told[-1] < told[0] / 4


def test_what_was_seen_long_ago_is_forgotten() -> None:
    company = Company()
    for second in range(60):
        company.seen(now_s=float(second), somebody_waits=True)
        company.came()
    company.seen(now_s=60.0, somebody_waits=False)
    assert company.per_s(now_s=60.0) > 0.5
    assert company.per_s(now_s=60.0 + 24 * 3_600.0) == pytest.approx(Company().per_s(now_s=0.0))
