"""The part of a found piece that answers: a few lines of it, by the question's own words. Pure.

A piece is as long as finding it needs, which is longer than an answer. Where there is a budget, pieces give up their
parts one by one, best first, so that the same characters hold more answers. Decision 48 has what that measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from freehold.domain.vault import Passage
from freehold.vault.chunking import pieces_of
from freehold.vault.words import asked_terms, counted

WINDOW_CHARACTERS = 400
"""Longest part: two to four sentences."""
SOURCES_MAX = 30
"""Pieces that are looked into."""
_BESIDE = (0.7, 0.4)
"""What the words of the part beside count, and of the one beside that."""
_OF_PIECE = 0.3
"""Weight of the piece's own score."""
_K1, _B = 1.2, 0.75


def parts_of(question: str, passages: Sequence[Passage], rarity: Mapping[str, float]) -> list[Passage]:
    """The parts of passages, best first, scored from 0 to 1.

    A part's score is its passage's, and BM25 of its words together with those of the two parts before and the two
    behind, which count less the farther they are: an answer seldom repeats what its question is about, but stands near
    to it. Those may be of the piece before or behind, where that was found too; never of another document.

    Args:
        question: What was asked.
        passages: Pieces, each once.
        rarity: ``idf`` of the question's terms over all that the reader may read; a term that isn't there is not counted.
    """
    in_order = sorted(passages, key=lambda each: each.chunk_id)
    parts = [part for passage in in_order for part in _cut(passage)]
    terms = [term for term in asked_terms(question) if term in rarity]
    words = counted([part.text for part in parts], terms)
    beside = _beside(parts)
    lengths = _around([float(length) for length, _ in words], beside)
    mean = max(math.fsum(lengths) / max(len(lengths), 1), 1.0)
    norms = [_K1 * (1 - _B + _B * length / mean) for length in lengths]
    scores = [0.0] * len(parts)
    for term in terms:
        for at, often in enumerate(_around([float(has[term]) for _, has in words], beside)):
            if often:
                scores[at] += rarity[term] * often * (_K1 + 1) / (often + norms[at])
    most = max(scores, default=0.0) or 1.0
    scored = [
        replace(part, score=(_OF_PIECE * part.score + score / most) / (_OF_PIECE + 1))
        for part, score in zip(parts, scores, strict=True)
    ]
    return sorted(scored, key=lambda each: (-each.score, each.document.id, each.start))


def _cut(passage: Passage) -> list[Passage]:
    return [
        replace(passage, start=passage.start + start, end=passage.start + end, text=passage.text[start:end])
        for start, end in pieces_of(passage.text, WINDOW_CHARACTERS)
    ]


def _beside(parts: Sequence[Passage]) -> list[list[tuple[int, float]]]:
    """Of each part where those are that count with it, and what: itself whole."""
    follows = [False] + [
        part.document.id == before.document.id and part.chunk_id - before.chunk_id <= 1
        for before, part in itertools.pairwise(parts)
    ]
    found: list[list[tuple[int, float]]] = [[(at, 1.0)] for at in range(len(parts))]
    for at in range(len(parts)):
        for far, weight in enumerate(_BESIDE, start=1):
            if at < far or not follows[at - far + 1]:
                break
            found[at].append((at - far, weight))
            found[at - far].append((at, weight))
    return found


def _around(numbers: Sequence[float], beside: Sequence[Sequence[tuple[int, float]]]) -> list[float]:
    """Each number with those that count with it."""
    return [math.fsum(numbers[at] * weight for at, weight in near) for near in beside]
