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


class Embeds(Protocol):
    """What makes vectors."""

    def vector(self, text: str, *, query: bool) -> bytes:
        """Unit vector of a text."""
        ...


class OnnxEmbeds:
    """A model of ONNX form that embeds.

    Args:
        model: It.
        query_prefix: What stands before a question.
    """

    def __init__(self, model: OnnxModel, *, query_prefix: str) -> None:
        self._model = model
        self._prefix = query_prefix

    def vector(self, text: str, *, query: bool) -> bytes:
        """See ``Embeds``."""
        return self._model.embed_whole(self._prefix + text if query else text)


class Embedding:
    """The task of a model that embeds."""

    def __init__(self, model: Embeds) -> None:
        self._model = model

    def numbers(self, asked: Mapping[str, Any]) -> bytes:
        """Unit vector of a text."""
        return self._model.vector(asked["text"], query=asked["query"])


class Ranking:
    """The task of a model that ranks."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model

    def numbers(self, asked: Mapping[str, Any]) -> bytes:
        """How well a text answers a question, from 0 to 1; of a question that leaves no room for one, the beginning."""
        question: str = asked["question"]
        while self._model.count("", query=question) + _DOCUMENT_TOKENS_LEAST > self._model.tokens_max:
            question = question[: len(question) // 2]
        return self._model.rank(question, asked["text"], document_tokens_max=None, cut=True).numbers


Task = Embedding | Ranking
"""What a worker does: one of both for all its life, as its model is made for."""


def main() -> None:
    """Run one order."""
    order, descriptor = begin()
    task = loaded(order)
    with os.fdopen(descriptor, "wb", buffering=0) as answers:
        for asked in messages(sys.stdin.buffer):
            write_whole(answers, answer(task, asked))
    # No orderly stop: the model's memory goes with the process.
    os._exit(0)


def loaded(order: Mapping[str, Any]) -> Task:
    """The task of an order (``child.EmbedSpec.order``), with its model."""
    if not order["tokenizer"]:
        return Embedding(E5Model(path=order["model"], threads=order["threads"]))
    model = OnnxModel(
        model=order["model"],
        tokenizer=order["tokenizer"],
        pooling=order["pooling"],
        tokens_max=order["tokens_max"],
        threads=order["threads"],
    )
    return Ranking(model) if order["ranks"] else Embedding(OnnxEmbeds(model, query_prefix=order["query_prefix"]))


def answer(task: Task, asked: Mapping[str, Any]) -> bytes:
    """The frame that answers one message; one that asks for nothing is a sign of life."""
    head: dict[str, object] = {"id": asked["id"]}
    return frame(head, task.numbers(asked)) if "text" in asked else frame(head)


if __name__ == "__main__":
    main()
