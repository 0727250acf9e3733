"""Windows cover a text, and what two of them saw is one."""

from __future__ import annotations

from itertools import pairwise

import pytest

from freehold.domain.detect_ports import Mention
from freehold.engines.onnx.windows import OVERLAP_CHARACTERS, WINDOW_CHARACTERS, joined, windows


@pytest.mark.parametrize("length", [0, 1, 64, 479, 480, 481, 896, 897, 1_000, 12_345])
def test_windows_cover_all_overlap_and_are_equal(length: int) -> None:
    cut = windows(length)
    assert cut[0][0] == 0
    assert cut[-1][1] == length
    assert all(end - start <= WINDOW_CHARACTERS for start, end in cut)
    for (_, end), (start, _) in pairwise(cut):
        assert end - start == OVERLAP_CHARACTERS
    sizes = [end - start for start, end in cut]
    assert max(sizes) - min(sizes) <= len(cut)


def test_mentions_of_one_type_that_overlap_are_one() -> None:
    made = [
        Mention(start=5, end=9, type="SURNAME", score=0.4),
        Mention(start=0, end=6, type="SURNAME", score=0.9),
        Mention(start=3, end=4, type="CITY", score=0.5),
        Mention(start=9, end=12, type="SURNAME", score=0.7),
    ]
    assert joined(made) == (
        Mention(start=0, end=9, type="SURNAME", score=0.9),
        Mention(start=3, end=4, type="CITY", score=0.5),
        Mention(start=9, end=12, type="SURNAME", score=0.7),
    )
