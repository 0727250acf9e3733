"""Vectors of test sets, made once: a folder keeps them by the model and the hash of the text."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from freehold.engines.onnx.model import OnnxModel
from tests.models import onnx_model

DIMENSIONS = 384
ASKING = ""
"""Before a question. The instruction of bge's model card is worse here: .7705 on SciFact's train claims, .7718 without."""
_SAVED_EVERY = 200


class KeptVectors:
    """An embedder that looks up what it made before.

    Args:
        model: ``bge-small-en``, or another ONNX embedder of the catalogue.
        folder: Where vectors are kept.
        asking: What is put before questions.
        makes: Whether what isn't kept is made; else it is refused.
    """

    dimensions = DIMENSIONS

    def __init__(self, model: str, folder: Path, *, asking: str = "", makes: bool = True) -> None:
        self.model = model
        self._path = folder / f"{model}.npz"
        self._asking = asking
        self._makes = makes
        self._onnx: OnnxModel | None = None
        self._held: dict[str, np.ndarray] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                self._held = dict(zip(kept["names"].tolist(), kept["vectors"], strict=True))
        self._unsaved = 0

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        return [await asyncio.to_thread(self._of, text) for text in texts]

    async def query(self, text: str) -> bytes:
        return await asyncio.to_thread(self._of, self._asking + text)

    def has(self, text: str) -> bool:
        """Whether it is kept."""
        return text_name(text) in self._held

    def keep(self, text: str, vector: np.ndarray) -> None:
        """Keep one that was made elsewhere."""
        self._held[text_name(text)] = np.asarray(vector, dtype="<f4")

    def save(self) -> None:
        """Write what is kept."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, names=np.array(list(self._held)), vectors=np.array(list(self._held.values()), dtype="<f4"))
        partial.replace(self._path)

    def _of(self, text: str) -> bytes:
        name = text_name(text)
        if name not in self._held:
            if not self._makes:
                raise LookupError(f"no vector is kept for {text[:60]!r}")
            self._held[name] = np.frombuffer(self._model().embed(text, cut=True).numbers, dtype="<f4")
            self._unsaved += 1
            if self._unsaved % _SAVED_EVERY == 0:
                self.save()
        return self._held[name].tobytes()

    def _model(self) -> OnnxModel:
        if self._onnx is None:
            it = onnx_model(self.model)
            paths = {"model": str(it.model.path), "tokenizer": str(it.tokenizer)}
            self._onnx = OnnxModel(**paths, pooling=it.pooling, tokens_max=it.card.context_tokens, threads=1)
        return self._onnx


def text_name(text: str) -> str:
    """What a text's vector is kept under."""
    # Blanks of any kind and number are one for these tokenizers.
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:32]
