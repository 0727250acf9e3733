"""What the worker needs that most installations have no use for. Nothing is loaded to find out."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

PACKAGES = ("numpy", "onnxruntime", "tokenizers")
"""What the worker imports."""

NAMES_PACKAGES = (*PACKAGES, "py3langid")
"""What the detector's worker imports to look for names."""

INSTALL = 'pip install "freehold[embed]"'


def missing_packages(packages: Sequence[str] = PACKAGES) -> tuple[str, ...]:
    """Those of ``packages`` that are not installed."""
    return tuple(name for name in packages if importlib.util.find_spec(name) is None)
