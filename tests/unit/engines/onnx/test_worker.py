"""What the worker answers, with a model that is none."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from freehold.engines.onnx.model import Computed, TooLongError
from freehold.engines.onnx.worker import answer
from freehold.engines.process.frames import LENGTHS, head_of, lengths


class WordModel:
    """Counts words; takes five at most."""

    def count(self, text: str, *, query: str | None = None, document_tokens_max: int | None = None) -> int:
        return len(text.split()[:document_tokens_max]) + len((query or "").split())

    def embed(self, text: str, *, cut: bool) -> Computed:
        return self._computed(len(text.split()), cut=cut)

    def rank(self, query: str, document: str, *, document_tokens_max: int | None, cut: bool) -> Computed:
        return self._computed(self.count(document, query=query, document_tokens_max=document_tokens_max), cut=cut)

    def _computed(self, tokens: int, *, cut: bool) -> Computed:
        if tokens > 5 and not cut:
            raise TooLongError(tokens)
        return Computed(numbers=b"1234", tokens=min(tokens, 5))


def asked(**message: Any) -> tuple[dict[str, Any], bytes]:
    raw = answer(WordModel(), {"id": 3, **message})
    head_bytes, _ = lengths(raw[: LENGTHS.size])
    end = LENGTHS.size + head_bytes
    return head_of(raw[LENGTHS.size : end]), raw[end:]


@pytest.mark.parametrize(
    ("message", "head", "numbers"),
    [
        ({"text": "a b", "cut": False}, {"tokens": 2}, b"1234"),
        ({"text": "a b c d e f", "cut": False}, {"too_long": 6}, b""),
        ({"text": "a b c d e f", "cut": True}, {"tokens": 5}, b"1234"),
        ({"query": "q", "text": "a b", "cut": False, "document_tokens_max": None}, {"tokens": 3}, b"1234"),
        ({"query": "q", "text": "a b c d e", "cut": False, "document_tokens_max": None}, {"too_long": 6}, b""),
        ({"query": "q", "text": "a b c d e", "cut": False, "document_tokens_max": 2}, {"tokens": 3}, b"1234"),
        ({"texts": ["a", "a b c d e f"]}, {"tokens": [1, 6]}, b""),
        ({"texts": ["a b c"], "query": "q q", "document_tokens_max": 2}, {"tokens": [4]}, b""),
        ({"texts": []}, {"tokens": []}, b""),
    ],
)
def test_answers(message: dict[str, Any], head: dict[str, Any], numbers: bytes) -> None:
    assert asked(**message) == ({"id": 3, **head}, numbers)


def test_the_gateway_never_loads_what_the_worker_computes_with() -> None:
    program = "import sys, freehold.app.engines; print({'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
