"""Division of integers, rounded half to even."""

from __future__ import annotations


def divide_half_even(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` rounded to the nearest integer, ties to the even one (IEEE 754, banker's rounding).

    Args:
        numerator: Any integer.
        denominator: At least 1.

    Raises:
        ValueError: ``denominator`` is below 1.
    """
    if denominator < 1:
        raise ValueError(f"cannot divide by {denominator}")
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))
