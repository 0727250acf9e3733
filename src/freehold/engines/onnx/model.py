"""The computing itself; loaded in the worker only, since it needs the packages of the extra ``embed``.

One text, or one pair of texts, at a time, never a batch: the activations of an int8 model are scaled over all that is
computed together, so that a text's vector would depend on the texts that it happens to be sent with (by up to 0.007 of
the cosine), and a batch saves a third of the time for texts of ten words and nothing for those of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from freehold.engines.onnx.pooled import CHARACTERS_MAX, pooled, windows
from freehold.engines.onnx.session import opened

_CHARACTERS_PER_TOKEN = 64
"""Of a text that is longer than so many characters for each token that the model can take, the rest is not looked at."""

_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class TooLongError(Exception):
    """A text that the model cannot take whole.

    Attributes:
        tokens: Its length, with the marks that the model wants around it.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__(f"{tokens} tokens")
        self.tokens = tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What came of one text or pair.

    Attributes:
        numbers: Little-endian 32-bit floats: a vector of length 1, or one relevance from 0 to 1.
        tokens: What was read.
    """

    numbers: bytes
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A text as tokens.

    Attributes:
        tokens: Those of its beginning, where it is far too long.
        tokens_at_least: How many the whole of it has.
    """

    tokens: Any
    tokens_at_least: int


class OnnxModel:
    """A model and its tokenizer.

    Args:
        model: Path of the ONNX file.
        tokenizer: Path of its ``tokenizer.json``.
        pooling: ``cls`` or ``mean``; empty for a model that gives one number for a pair.
        tokens_max: Longest text with its marks.
        threads: Computing threads.

    Raises:
        ValueError: It wants other inputs than an encoder of text does.
    """

    def __init__(self, *, model: str, tokenizer: str, pooling: str, tokens_max: int, threads: int) -> None:
        import numpy
        import tokenizers

        self._numpy: Any = numpy
        self._session = opened(model, threads=threads)
        self._names = frozenset(each.name for each in self._session.get_inputs())
        if "input_ids" not in self._names or not self._names <= _INPUTS:
            raise ValueError(f"a model with the inputs {sorted(self._names)} is no encoder of text")
        self._tokenizer: Any = cast("Any", tokenizers).Tokenizer.from_file(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pooling = pooling
        self.tokens_max = self._tokens_max = tokens_max
        self._marks_alone = self._tokenizer.num_special_tokens_to_add(False)
        self._marks_pair = self._tokenizer.num_special_tokens_to_add(True)
        self._characters_max = tokens_max * _CHARACTERS_PER_TOKEN
        self._query = ""
        self._query_read = self._text("")

    def count(self, text: str, *, query: str | None = None, document_tokens_max: int | None = None) -> int:
        """Tokens of a text that is to be embedded, or of a document with its query, marks included.

        Of a text that is far too long the beginning is counted only, which is too long too.
        """
        if query is None:
            return self._text(text).tokens_at_least + self._marks_alone
        asked, document = self._asked(query), self._document(text, document_tokens_max)
        return asked.tokens_at_least + document.tokens_at_least + self._marks_pair

    def embed(self, text: str, *, cut: bool) -> Computed:
        """The vector of a text.

        Args:
            text: What is embedded.
            cut: Leave the end of a text out that is too long.

        Raises:
            TooLongError: It is, and is not to be cut.
        """
        read = self._text(text)
        room = self._tokens_max - self._marks_alone
        if read.tokens_at_least > room:
            if not cut:
                raise TooLongError(read.tokens_at_least + self._marks_alone)
            read.tokens.truncate(room)
        encoded = self._tokenizer.post_process(read.tokens)
        return self._computed(self._vector(encoded), encoded)

    def embed_whole(self, text: str) -> bytes:
        """The vector of a text, however long: of its windows one after the other, and of those the mean."""
        tokens = self._text(text[:CHARACTERS_MAX]).tokens
        length, room = len(tokens.ids), self._tokens_max - self._marks_alone
        if length > room:
            tokens.truncate(len(windows(range(length), room)[0]))
        parts = [tokens, *tokens.overflowing]
        return pooled([(len(part.ids), self._vector(self._tokenizer.post_process(part))) for part in parts])

    def rank(self, query: str, document: str, *, document_tokens_max: int | None, cut: bool) -> Computed:
        """How well a document answers a query.

        Args:
            query: The query, never cut.
            document: The document.
            document_tokens_max: Where the document is cut; ``None`` for nowhere.
            cut: Cut the document where the model can take no more.

        Raises:
            TooLongError: Query and document together are, after that.
        """
        asked, read = self._asked(query), self._document(document, document_tokens_max)
        room = self._tokens_max - self._marks_pair - asked.tokens_at_least
        if read.tokens_at_least > room:
            if not cut or room < 1:
                raise TooLongError(read.tokens_at_least + self._tokens_max - room)
            read.tokens.truncate(room)
        encoded = self._tokenizer.post_process(asked.tokens, read.tokens)
        logit = self._run(encoded).reshape(-1)[:1]
        return self._computed(1.0 / (1.0 + self._numpy.exp(-logit)), encoded)

    def _asked(self, query: str) -> _Read:
        """A query, which is the same for all its documents."""
        if query != self._query:
            self._query, self._query_read = query, self._text(query)
        return self._query_read

    def _document(self, text: str, tokens_max: int | None) -> _Read:
        read = self._text(text)
        if tokens_max is None or len(read.tokens.ids) <= tokens_max:
            return read
        read.tokens.truncate(tokens_max)
        return _Read(tokens=read.tokens, tokens_at_least=len(read.tokens.ids))

    def _text(self, text: str) -> _Read:
        """A text as tokens, without marks.

        Of a text that is far too long only the beginning is looked at, since all of it would take gigabytes; what was
        not looked at counts, so that blanks and endless words hide nothing.
        """
        tokens = self._tokenizer.encode(text[: self._characters_max], add_special_tokens=False)
        is_whole = len(text) <= self._characters_max
        return _Read(
            tokens=tokens, tokens_at_least=len(tokens.ids) if is_whole else max(len(tokens.ids), self._tokens_max + 1)
        )

    def _vector(self, encoded: Any) -> Any:
        """Of length 1."""
        states = self._run(encoded)[0]
        vector = states[0] if self._pooling == "cls" else states.mean(axis=0)
        return vector / (float(self._numpy.linalg.norm(vector)) or 1.0)

    def _run(self, encoded: Any) -> Any:
        values = {
            "input_ids": encoded.ids,
            "attention_mask": encoded.attention_mask,
            "token_type_ids": encoded.type_ids,
        }
        int64 = self._numpy.int64
        given = {name: self._numpy.array([values[name]], dtype=int64) for name in self._names}
        return self._session.run(None, given)[0]

    def _computed(self, numbers: Any, encoded: Any) -> Computed:
        return Computed(numbers=numbers.astype("<f4").tobytes(), tokens=len(encoded.ids))
