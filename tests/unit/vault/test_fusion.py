"""Two lists of hits made one."""

from __future__ import annotations

import pytest

from freehold.domain.vault import Hit
from freehold.vault.fusion import fused


def hits(**scores: float) -> list[Hit]:
    return [Hit(chunk_id=int(name[1:]), score=score) for name, score in scores.items()]


WORDS, VECTORS = hits(c1=9.0, c2=5.0, c3=1.0), hits(c3=0.9, c2=0.8, c4=0.7)


def test_minmax_is_as_its_formula_says() -> None:
    assert fused(WORDS, VECTORS, fusion="minmax", share=0.5) == pytest.approx({1: 0.5, 2: 0.5, 3: 0.5, 4: 0.0})
    assert fused(WORDS, VECTORS, fusion="minmax", share=0.7) == pytest.approx({1: 0.7, 2: 0.5, 3: 0.3, 4: 0.0})


def test_rrf_is_as_its_formula_says() -> None:
    scores = fused(WORDS, VECTORS, fusion="rrf", share=0.5)
    assert scores == pytest.approx(
        {3: 0.5 * 61 / 63 + 0.5, 2: 61 / 62, 1: 0.5, 4: 0.5 * 61 / 63},
    )
    assert list(scores) == [3, 2, 1, 4]


@pytest.mark.parametrize("fusion", ["minmax", "rrf"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_where_one_half_found_nothing_the_other_decides(fusion: str, share: float) -> None:
    assert list(fused(WORDS, [], fusion=fusion, share=share)) == [1, 2, 3]
    assert list(fused([], VECTORS, fusion=fusion, share=share)) == [3, 2, 4]
    assert fused([], [], fusion=fusion, share=share) == {}


def test_of_equal_scores_the_smaller_id_is_first() -> None:
    assert list(fused(hits(c7=1.0, c2=1.0), [], fusion="minmax", share=0.5)) == [2, 7]
