"""The computing itself; loaded in the worker only, since it needs the packages of the extra ``embed``.

One text, or one pair of texts, at a time, never a batch: the activations of an int8 model are scaled over all that is
computed together, so that a text's vector would depend on the texts that it happens to be sent with (by up to 0.007 of
the cosine), and a batch saves a third of the time for texts of ten words and nothing for those of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

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
        import onnxruntime
        import tokenizers

        self._numpy: Any = numpy
        runtime: Any = onnxruntime
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that spin while they wait would take the cores from the gateway.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names = frozenset(each.name for each in self._session.get_inputs())
        if "input_ids" not in self._names or not self._names <= _INPUTS:
            raise ValueError(f"a model with the inputs {sorted(self._names)} is no encoder of text")
        self._tokenizer: Any = cast("Any", tokenizers).Tokenizer.from_file(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._pooling = pooling
        self._tokens_max = tokens_max
        self._marks_alone = self._tokenizer.num_special_tokens_to_add(False)
        self._marks_pair = self._tokenizer.num_special_tokens_to_add(True)
        self._query = ""
        self._query_tokens: Any = self._plain("")

    def count(self, text: str, *, query: str | None = None, document_tokens_max: int | None = None) -> int:
        """Tokens of a text that is to be embedded, or of a document with its query, marks included."""
        if query is None:
            return len(self._plain(text).ids) + self._marks_alone
        return len(self._asked(query).ids) + len(self._document(text, document_tokens_max).ids) + self._marks_pair

    def embed(self, text: str, *, cut: bool) -> Computed:
        """The vector of a text.

        Args:
            text: What is embedded.
            cut: Leave the end of a text out that is too long.

        Raises:
            TooLongError: It is, and is not to be cut.
        """
        tokens = self._plain(text)
        room = self._tokens_max - self._marks_alone
        if len(tokens.ids) > room:
            if not cut:
                raise TooLongError(len(tokens.ids) + self._marks_alone)
            tokens.truncate(room)
        encoded = self._tokenizer.post_process(tokens)
        states = self._run(encoded)[0]
        vector = states[0] if self._pooling == "cls" else states.mean(axis=0)
        length = float(self._numpy.linalg.norm(vector))
        return self._computed(vector / (length or 1.0), encoded)

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
        asked, tokens = self._asked(query), self._document(document, document_tokens_max)
        room = self._tokens_max - len(asked.ids) - self._marks_pair
        if len(tokens.ids) > room:
            if not cut or room < 1:
                raise TooLongError(len(tokens.ids) + self._tokens_max - room)
            tokens.truncate(room)
        encoded = self._tokenizer.post_process(asked, tokens)
        logit = self._run(encoded).reshape(-1)[:1]
        return self._computed(1.0 / (1.0 + self._numpy.exp(-logit)), encoded)

    def _asked(self, query: str) -> Any:
        """The tokens of a query, which are the same for all its documents."""
        if query != self._query:
            self._query, self._query_tokens = query, self._plain(query)
        return self._query_tokens

    def _document(self, text: str, tokens_max: int | None) -> Any:
        tokens = self._plain(text)
        if tokens_max is not None:
            tokens.truncate(tokens_max)
        return tokens

    def _plain(self, text: str) -> Any:
        return self._tokenizer.encode(text, add_special_tokens=False)

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
