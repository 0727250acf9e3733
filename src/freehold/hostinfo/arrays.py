"""What this machine has to compute with arrays: numpy, where it is installed."""

from __future__ import annotations

import os
from typing import Any


def find_numpy() -> Any:
    """The module, or ``None``: it makes fitting a hundred times faster, and nothing else needs it.

    Its threads would wait for each other longer than they compute, the matrices being small; they read how many they
    are when they are loaded.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        import numpy  # pyright: ignore[reportMissingImports]  # lazy: it takes long to load, and need not be there
    except ImportError:
        return None
    return numpy  # pyright: ignore[reportUnknownVariableType]  # used as Any
