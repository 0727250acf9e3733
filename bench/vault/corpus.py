"""Made pieces and questions: words as rare as words are, vectors that lie in heaps, and who may read what."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DIMENSIONS = 384
TENANTS = 50
LEVELS = 4
WORDS_IN_PIECE = 100
WORDS_IN_QUESTION = 6
PIECES_IN_DOCUMENT = 50
_VOCABULARY = 50_000
_HEAPS = 200

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by a reader cleared for ``level``, among one tenant's pieces or among all."""

    words: str
    vector: Vectors
    tenant: int
    level: int


class Corpus:
    """So many pieces; the same ones each time. A piece's tenant and level are its document's."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self._words = [f"w{number:x}" for number in range(_VOCABULARY)]
        self._shares = list(itertools.accumulate(1 / (number + 1) for number in range(_VOCABULARY)))

    def vectors(self) -> Vectors:
        """One of length 1 for each piece."""
        chance = np.random.default_rng(1)
        heaps = chance.normal(size=(_HEAPS, DIMENSIONS)).astype(np.float32)
        made = chance.normal(size=(self.pieces, DIMENSIONS)).astype(np.float32)
        made += heaps[chance.integers(_HEAPS, size=self.pieces)]
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def texts(self) -> Iterator[str]:
        """One for each piece."""
        chance = random.Random(2)
        for _ in range(self.pieces):
            yield self._text(chance, WORDS_IN_PIECE)

    def tenant(self, piece: int) -> int:
        """Whose a piece is."""
        return piece // PIECES_IN_DOCUMENT % TENANTS

    def level(self, piece: int) -> int:
        """How sensitive a piece is."""
        return piece // PIECES_IN_DOCUMENT // TENANTS % LEVELS

    def questions(self, count: int, vectors: Vectors) -> list[Question]:
        """Each near some piece."""
        chance, noise = random.Random(3), np.random.default_rng(3)
        made: list[Question] = []
        for _ in range(count):
            near = chance.randrange(self.pieces)
            vector = vectors[near] + 0.05 * noise.normal(size=DIMENSIONS).astype(np.float32)
            vector /= np.linalg.norm(vector)
            words = self._text(chance, WORDS_IN_QUESTION)
            made.append(Question(words, vector.astype(np.float32), self.tenant(near), chance.randrange(1, LEVELS)))
        return made

    def _text(self, chance: random.Random, words: int) -> str:
        return " ".join(chance.choices(self._words, cum_weights=self._shares, k=words))
