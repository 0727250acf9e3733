"""What the worker needs that most installations have no use for. Nothing is loaded to find out."""

from __future__ import annotations

import importlib.util

PACKAGES = ("numpy", "onnxruntime", "tokenizers")
"""What the worker imports."""

INSTALL = 'pip install "freehold[embed]"'


def missing_packages() -> tuple[str, ...]:
    """Those of ``PACKAGES`` that are not installed."""
    return tuple(name for name in PACKAGES if importlib.util.find_spec(name) is None)
