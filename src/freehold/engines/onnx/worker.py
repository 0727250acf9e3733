"""The engine's child process: ``python -m freehold.engines.onnx.worker``, started by ``child`` only.

It begins as ``process.worker`` says, loads one model, and answers one message after the other until standard input
closes, which happens at the latest when the gateway is gone. It holds no secret and has no socket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from freehold.engines.onnx.model import Computed, OnnxModel, TooLongError
from freehold.engines.process.frames import frame, messages, write_whole
from freehold.engines.process.worker import begin


def main() -> None:
    """Run one order."""
    order, descriptor = begin()
    model = OnnxModel(
        model=order["model"],
        tokenizer=order["tokenizer"],
        pooling=order["pooling"],
        tokens_max=order["tokens_max"],
        threads=order["threads"],
    )
    with os.fdopen(descriptor, "wb", buffering=0) as answers:
        for asked in messages(sys.stdin.buffer):
            write_whole(answers, answer(model, asked))
    # No orderly stop: the model's memory goes with the process.
    os._exit(0)


class Model(Protocol):
    """What computes; ``model.OnnxModel`` is one."""

    def count(self, text: str, *, query: str | None = None, document_tokens_max: int | None = None) -> int:
        """Tokens of a text, or of a document with its query."""
        ...

    def embed(self, text: str, *, cut: bool) -> Computed:
        """The vector of a text."""
        ...

    def rank(self, query: str, document: str, *, document_tokens_max: int | None, cut: bool) -> Computed:
        """How well a document answers a query."""
        ...


def answer(model: Model, asked: Mapping[str, Any]) -> bytes:
    """The frame that answers one message."""
    number = asked["id"]
    try:
        if "texts" in asked:
            query, most = asked.get("query"), asked.get("document_tokens_max")
            tokens = [model.count(text, query=query, document_tokens_max=most) for text in asked["texts"]]
            return frame({"id": number, "tokens": tokens})
        if "query" in asked:
            most = asked["document_tokens_max"]
            found = model.rank(asked["query"], asked["text"], document_tokens_max=most, cut=asked["cut"])
        else:
            found = model.embed(asked["text"], cut=asked["cut"])
    except TooLongError as error:
        return frame({"id": number, "too_long": error.tokens})
    return frame({"id": number, "tokens": found.tokens}, found.numbers)


if __name__ == "__main__":
    main()
