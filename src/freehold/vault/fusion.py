"""Two lists of hits made one. Pure.

Which way and what share is a setting of each vault (``tuning``): over 29 public sets neither way is best on all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from freehold.domain.vault import Hit

MINMAX, RRF = "minmax", "rrf"
RRF_CONSTANT = 60
"""Of Cormack, Clarke and Büttcher, SIGIR 2009."""


def fused(words: Sequence[Hit], vectors: Sequence[Hit], *, fusion: str, share: float) -> dict[int, float]:
    """Scores of the pieces that either list holds, from 0 to 1, best first; of equal ones the smaller id first.

    ``minmax``: ``share · norm(words) + (1 - share) · norm(vectors)`` with ``norm(s) = (s - min) / (max - min)`` over that
    list; missing is 0. ``rrf``: ``share / (60 + rank)`` and ``(1 - share) / (60 + rank)``, over what rank 1 in both is.
    Where one list is empty the other's order stands, whatever its share.

    Args:
        words: By words, best first.
        vectors: By vectors, best first.
        fusion: ``minmax`` or ``rrf``.
        share: Of words, 0 to 1.
    """
    if not words or not vectors:
        share = 1.0 if words else 0.0
    scaled = _ranked if fusion == RRF else _normed
    total: dict[int, float] = {}
    for hits, weight in ((words, share), (vectors, 1.0 - share)):
        for chunk_id, score in scaled(hits).items():
            total[chunk_id] = total.get(chunk_id, 0.0) + weight * score
    return ordered(total)


def ordered(scores: Mapping[int, float]) -> dict[int, float]:
    """The same, best first; of equal ones the smaller id first, so that an order never depends on chance."""
    return dict(sorted(scores.items(), key=lambda each: (-each[1], each[0])))


def _normed(hits: Sequence[Hit]) -> dict[int, float]:
    if not hits:
        return {}
    least, most = min(hit.score for hit in hits), max(hit.score for hit in hits)
    if most == least:
        return {hit.chunk_id: 1.0 for hit in hits}
    return {hit.chunk_id: (hit.score - least) / (most - least) for hit in hits}


def _ranked(hits: Sequence[Hit]) -> dict[int, float]:
    return {hit.chunk_id: (RRF_CONSTANT + 1) / (RRF_CONSTANT + rank) for rank, hit in enumerate(hits, start=1)}
