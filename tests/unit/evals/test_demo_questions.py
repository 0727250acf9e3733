"""The demo shows confidences; they would be flattered on questions that a calibration has seen."""

from __future__ import annotations

import re

from demo.asks import ASKS
from freehold.evals.questions import shipped_questions


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def test_no_demo_question_is_in_the_calibration_set() -> None:
    seen = {_plain(question.prompt) for question in shipped_questions()}
    assert seen
    assert not [ask.text for ask in ASKS if _plain(ask.text) in seen]
