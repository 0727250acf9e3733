"""One vector for a text that is longer than a model's window: the mean of its windows' vectors, by their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CHARACTERS_MAX = 8_000
"""Of a longer text the rest is not looked at: pieces of documents are a fifth of that, and in a script
of one token a character even so many are the work of seconds."""


def windows(tokens: Sequence[int], room: int) -> list[list[int]]:
    """Tokens in parts of ``room`` at most and of about one length, in order; one empty part of none."""
    count = max(1, -(-len(tokens) // room))
    size = -(-len(tokens) // count)
    return [list(tokens[at * size : (at + 1) * size]) for at in range(count)]


def pooled(parts: Sequence[tuple[int, Any]]) -> bytes:
    """The unit vector of windows with their lengths, as little-endian 32-bit floats."""
    import numpy

    np: Any = numpy
    whole = np.sum([max(1, length) * vector for length, vector in parts], axis=0)
    return (whole / (float(np.linalg.norm(whole)) or 1.0)).astype("<f4").tobytes()
