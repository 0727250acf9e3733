"""How long a processor takes for weights of each type, beside Q4_K: writing for a byte, reading a prompt for a weight.

Measured by ``python -m bench.planner.weight_types`` on one thread of an AVX2 processor (llama.cpp b11549, medians of three
runs of models that are of one type); a run on the machine itself moves what all have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from freehold.domain.hardware import WeightRead

_SLOWNESS: Final = {
    "Q4_K": (1.0, 1.0),
    "Q4_0": (0.97, 1.17),
    "Q4_1": (1.39, 3.07),
    "Q5_0": (1.34, 2.15),
    "Q5_1": (1.25, 3.43),
    "Q8_0": (0.82, 1.64),
    "Q2_K": (1.41, 1.10),
    "Q3_K": (1.43, 1.23),
    "Q5_K": (1.02, 1.41),
    "Q6_K": (0.88, 1.76),
    "IQ4_XS": (1.39, 1.16),
    "IQ4_NL": (0.96, 1.12),
    "F16": (0.67, 2.57),
    "BF16": (0.67, 2.52),
}
_UNKNOWN: Final = (1.2, 1.8)
_BITS_OF_Q4_K: Final = 4.5


def worked_bytes(reads: Iterable[WeightRead]) -> float:
    """Bytes of Q4_K that take as long to write a token with."""
    return sum(each.read_bytes * _SLOWNESS.get(each.type, _UNKNOWN)[0] for each in reads)


def worked_weights(reads: Iterable[WeightRead]) -> float:
    """Weights of Q4_K that take as long to read a token of a prompt with."""
    return sum(each.block_weights * _SLOWNESS.get(each.type, _UNKNOWN)[1] for each in reads)


def weights_of_bytes(read_bytes: float) -> float:
    """The same where types are not known: a mix of about four and a half bits, of the slowness that most have."""
    return read_bytes * 8 / _BITS_OF_Q4_K * _UNKNOWN[1]
