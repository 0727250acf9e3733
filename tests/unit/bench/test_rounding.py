"""Where two answers part, and what is counted there."""

from __future__ import annotations

import math

import pytest

from bench.llama_child import Token
from bench.rounding import Compared, Drafted, drafted, judge


def token(name: int, second: int, gap: float) -> Token:
    return Token(name, ((name, -0.5), (second, -0.5 - gap)))


def test_answers_part_at_the_first_token_that_differs() -> None:
    plain = [token(1, 9, 3.0), token(2, 8, 0.25), token(3, 7, 3.0)]
    found = drafted(plain, [token(1, 9, 3.0), token(8, 2, 0.1), token(5, 6, 1.0)])
    assert (found.same, found.of, found.is_second) == (1, 3, True)
    assert found.gap == pytest.approx(0.25)
    assert not drafted(plain, [token(1, 9, 3.0), token(4, 2, 0.1)]).is_second
    assert math.isnan(drafted(plain, plain).gap)


@pytest.mark.parametrize(
    ("alone", "pair", "holds"),
    [
        (0.0, Drafted(5, 48, 0.1, is_second=True), True),
        (0.0, Drafted(48, 48, math.nan, is_second=False), True),
        (0.0, Drafted(5, 48, 0.1, is_second=False), False),
        (0.0, Drafted(5, 48, 2.0, is_second=True), False),
        (0.2, Drafted(48, 48, math.nan, is_second=False), False),
    ],
)
def test_what_is_no_near_tie_is_no_rounding(alone: float, pair: Drafted, holds: bool) -> None:
    found = {1: Compared(40, alone, ()), 4: Compared(40, 0.3, ())}
    assert all(bar.holds for bar in judge("kernel", found, [pair])) is holds
