"""Whether one model may guess tokens for another: both must have the same vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from freehold.domain.errors.engine import DraftUnfit
from freehold.serving.gguf_pieces import Pieces, read_pieces

_SIZES_MAX_APART: Final = 128
"""llama.cpp's own bound: makers fill vocabularies up with unused tokens at the end."""

_SAME: Final = (
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
)


def check_draft(draft: Path, model: Path, *, draft_name: str, model_name: str, deployment: str) -> None:
    """Compare the vocabularies of two verified model files by their headers; some 0.2 s.

    Raises:
        DraftUnfit: They differ.
    """
    if reason := difference(read_pieces(draft), read_pieces(model)):
        raise DraftUnfit(source=deployment, draft=draft_name, model=model_name, reason=reason)


def difference(draft: Pieces, model: Pieces) -> str:
    """How two vocabularies differ; empty where one may guess for the other."""
    for key in _SAME:
        if draft.text(key) != model.text(key):
            return f"{key} is {draft.text(key)!r} in the one and {model.text(key)!r} in the other"
    mine, other = draft.tokens, model.tokens
    if not mine or abs(len(mine) - len(other)) > _SIZES_MAX_APART:
        return f"it has {len(mine):,} tokens and the other {len(other):,}"
    apart = next((at for at, (one, two) in enumerate(zip(mine, other, strict=False)) if one != two), None)
    return "" if apart is None else f"token {apart} is {mine[apart]!r} in the one and {other[apart]!r} in the other"
