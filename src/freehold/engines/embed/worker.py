"""The vault's child for one model: ``python -m freehold.engines.embed.worker``, started by ``child`` only.

It begins as ``process.worker`` says, loads one model, and answers one message after the other until standard input
closes. It holds no secret and has no socket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from freehold.engines.embed.e5 import E5Model
from freehold.engines.onnx.model import OnnxModel
from freehold.engines.process.frames import frame, messages, write_whole
from freehold.engines.process.worker import begin

_DOCUMENT_TOKENS_LEAST = 64
"""Of a passage at least, however long the question is."""


class Model(Protocol):
    """What computes."""

    def vector(self, text: str, *, query: bool) -> bytes:
        """Unit vector of a text."""
        ...

    def relevance(self, question: str, text: str) -> bytes:
        """How well a text answers a question, one number from 0 to 1."""
        ...


class OnnxText:
    """A model of ONNX form.

    Args:
        model: It.
        query_prefix: What stands before a question.
    """

    def __init__(self, model: OnnxModel, *, query_prefix: str) -> None:
        self._model = model
        self._prefix = query_prefix

    def vector(self, text: str, *, query: bool) -> bytes:
        """See ``Model``."""
        return self._model.embed_whole(self._prefix + text if query else text)

    def relevance(self, question: str, text: str) -> bytes:
        """See ``Model``; of a question that leaves no room for a text, the beginning."""
        while self._model.count("", query=question) + _DOCUMENT_TOKENS_LEAST > self._model.tokens_max:
            question = question[: len(question) // 2]
        return self._model.rank(question, text, document_tokens_max=None, cut=True).numbers


class E5Text:
    """The model of ``e5``."""

    def __init__(self, model: E5Model) -> None:
        self._model = model

    def vector(self, text: str, *, query: bool) -> bytes:
        """See ``Model``."""
        return self._model.vector(text, query=query)

    def relevance(self, question: str, text: str) -> bytes:
        """Never asked for."""
        raise NotImplementedError("it ranks nothing")


def main() -> None:
    """Run one order."""
    order, descriptor = begin()
    model = loaded(order)
    with os.fdopen(descriptor, "wb", buffering=0) as answers:
        for asked in messages(sys.stdin.buffer):
            write_whole(answers, answer(model, asked))
    # No orderly stop: the model's memory goes with the process.
    os._exit(0)


def loaded(order: Mapping[str, Any]) -> Model:
    """The model of an order (``child.EmbedSpec.order``)."""
    if not order["tokenizer"]:
        return E5Text(E5Model(path=order["model"], threads=order["threads"]))
    model = OnnxModel(
        model=order["model"],
        tokenizer=order["tokenizer"],
        pooling=order["pooling"],
        tokens_max=order["tokens_max"],
        threads=order["threads"],
    )
    return OnnxText(model, query_prefix=order["query_prefix"])


def answer(model: Model, asked: Mapping[str, Any]) -> bytes:
    """The frame that answers one message; one that asks for nothing is a sign of life."""
    head: dict[str, object] = {"id": asked["id"]}
    if "text" not in asked:
        return frame(head)
    if "question" in asked:
        return frame(head, model.relevance(asked["question"], asked["text"]))
    return frame(head, model.vector(asked["text"], query=asked["query"]))


if __name__ == "__main__":
    main()
