"""The bar, in one language and fast: where the answer is not there it is told, where it is there it is not.

All of it: ``python -m bench.vault.abstain``.
"""

from __future__ import annotations

import asyncio

from bench.vault.abstain import ABSTAINED_MIN, ANSWERED_MIN, xquad
from bench.vault.citations import adversarial
from bench.vault.support_fit import support_quality
from freehold.vault.support_shipped import support_at, support_model
from tests.support.shared_data import shared_data


def test_questions_of_articles_that_taught_nothing() -> None:
    shared_data("vault", "xquad")
    cases = asyncio.run(xquad("de", 120))
    model = support_model("")
    assert model is not None
    found = support_quality(model, [each.searched for each in cases if not each.teaches], threshold=support_at())
    assert found.n >= 50
    assert found.abstained >= ABSTAINED_MIN
    assert found.answered >= ANSWERED_MIN


def test_no_made_quote_is_shown() -> None:
    shared_data("vault", "xquad")
    asked, shown, wrong, supported = adversarial(["en"], 12)
    assert wrong == 0
    assert shown["true"] == asked["true"] > 5
    for kind in ("number", "denial added", "denial left out", "paraphrase", "stitched", "made up", "name"):
        assert shown[kind] == 0, kind
    for kind in ("number", "denial added", "denial left out", "made up", "name"):
        assert supported[kind] == 0, kind
