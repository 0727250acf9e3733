"""Labelled data outside the repository, for tests that can do without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "FREEHOLD_TEST_DATA"
_BESIDE = Path(__file__).parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """A file or folder of the labelled data; skips where it is not here.

    Looked for in ``FREEHOLD_TEST_DATA``, else in ``shared/data`` beside the checkout.
    """
    folder = Path(os.environ.get(VARIABLE) or _BESIDE)
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not in {VARIABLE} ({folder})")
    return path
