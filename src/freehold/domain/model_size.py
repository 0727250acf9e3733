"""How large a model is, as far as its name tells."""

from __future__ import annotations

import re

SELF_CHECK_BILLIONS_MIN = 7.0
"""Parameters from which a model tells its right answers from its wrong ones: AUROC of P(True) on open questions is
0.487 at 1 billion, 0.806 at 3, 0.870 at 8 (recorded outcomes, TriviaQA)."""

_BILLIONS = re.compile(r"(?<![a-z0-9.])(?:\d+x)?(\d+(?:\.\d+)?)b(?![a-z0-9])")


def billions_of(model: str) -> float | None:
    """Billions of parameters that a model's name tells (``qwen2.5-7b-instruct``); ``None`` where it tells none.

    The greatest number counts; of a mixture (``8x7b``) that of one expert.
    """
    found = [float(each) for each in _BILLIONS.findall(model.casefold())]
    return max(found) if found else None
