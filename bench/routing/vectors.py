"""Vectors of many texts, by the embedder that the product runs, each computed once on this machine.

They are kept in ``$XDG_CACHE_HOME/freehold-bench/vectors.sqlite`` (``~/.cache`` where that is not set), by digest of the
model, tokens read and hash of the text; take the file away to compute them anew.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from freehold.engines.onnx.model import OnnxModel
from tests.models import onnx_model

EMBEDDER = "bge-small-en"
TOKENS_MAX = 128
"""Tokens read of a text: what is behind them changes little, and long texts would take most of the time."""

_KEPT_EVERY = 500


def vectors(texts: Sequence[str], *, tokens_max: int = TOKENS_MAX, embedder: str = EMBEDDER) -> np.ndarray:
    """One row of length 1 a text."""
    found = onnx_model(embedder)
    keys = [hashlib.sha256(f"{found.model.sha256} {tokens_max} {text}".encode()).digest() for text in texts]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold-bench"
    folder.mkdir(parents=True, exist_ok=True)
    kept = sqlite3.connect(folder / "vectors.sqlite")
    try:
        kept.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
        rows = [kept.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone() for key in keys]
        missing = [place for place, row in enumerate(rows) if row is None]
        if missing:
            print(f"computing {len(missing)} vectors of {len(texts)}", file=sys.stderr)
            paths = {"model": str(found.model.path), "tokenizer": str(found.tokenizer)}
            model = OnnxModel(**paths, pooling=found.pooling, tokens_max=tokens_max, threads=1)
            for done, place in enumerate(missing, 1):
                rows[place] = (model.embed(texts[place], cut=True).numbers,)
                kept.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?)", (keys[place], rows[place][0]))
                if done % _KEPT_EVERY == 0:
                    kept.commit()
            kept.commit()
    finally:
        kept.close()
    return np.array([np.frombuffer(row[0], dtype="<f4") for row in rows])
