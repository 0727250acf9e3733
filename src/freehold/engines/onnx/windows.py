"""How a long text is cut into windows that a small model can take, and how what it marks in them is put together."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from freehold.domain.detect_ports import Mention

WINDOW_CHARACTERS = 480
"""Longest window: what the model was measured to see best in."""
OVERLAP_CHARACTERS = 64
"""Shared by neighbours, so that a name at an edge is whole in one of them."""


def windows(length: int) -> list[tuple[int, int]]:
    """Places where the windows of a text of ``length`` characters begin and end: as few as can be, of equal length.

    Equal, since the model computes the shorter ones of a call as if they were as long as the longest.
    """
    count = max(1, ceil((length - OVERLAP_CHARACTERS) / (WINDOW_CHARACTERS - OVERLAP_CHARACTERS)))
    size = ceil((length + (count - 1) * OVERLAP_CHARACTERS) / count)
    step = size - OVERLAP_CHARACTERS
    return [(place * step, min(length, place * step + size)) for place in range(count)]


def joined(mentions: Iterable[Mention]) -> tuple[Mention, ...]:
    """Mentions by place, those of one type that overlap made one."""
    last: dict[str, int] = {}
    found: list[Mention] = []
    for each in sorted(mentions, key=lambda mention: (mention.start, mention.end)):
        place = last.get(each.type)
        if place is not None and each.start < found[place].end:
            before = found[place]
            end, score = max(before.end, each.end), max(before.score, each.score)
            found[place] = Mention(start=before.start, end=end, type=each.type, score=score)
        else:
            last[each.type] = len(found)
            found.append(each)
    return tuple(found)
