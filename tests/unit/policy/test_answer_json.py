"""An answer that is JSON for a program loses values and stays JSON."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from freehold.policy.answer_json import redact_json, redact_text
from freehold.policy.answer_redactor import keeps_nothing


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ({"to": "jane@example.com", "n": 3}, {"to": "[EMAIL]", "n": 3}),
        ({"ssn": "914276083"}, {"ssn": "[SSN]"}),
        ({"ssn": 914276083}, {"ssn": "[SSN]"}),
        ({"ssn": 914276083.0}, {"ssn": "[SSN]"}),
        ({"total": 914276083, "is": True, "none": None, "share": 0.5, "all": 1e300}, None),
        ({"password": "correcthorse"}, {"password": "[LOGIN]"}),
        ({"jane@example.com": 1, "joe@example.com": 2}, {"[EMAIL]": 1, "[EMAIL]_": 2}),
        ([["call 590-555-0126", {"a": ["914-27-6083"]}]], [["call [PHONE]", {"a": ["[SSN]"]}]]),
        ("jane@example.com", "[EMAIL]"),
        ({"quote": 'say "914-27-6083"\n'}, {"quote": 'say "[SSN]"\n'}),
    ],
)
def test_values_go_and_it_stays_json(given: object, clean: object) -> None:
    text = json.dumps(given)
    removed: Counter[str] = Counter()
    found = redact_json(text, keeps_nothing, removed)
    assert json.loads(found) == (given if clean is None else clean)
    assert (found == text) is (clean is None)
    assert bool(removed) is (clean is not None)


def test_an_escape_hides_nothing() -> None:
    removed: Counter[str] = Counter()
    assert redact_json('{"to": "jane\\u0040example.com"}', keeps_nothing, removed) == '{"to": "[EMAIL]"}'
    assert removed == {"EMAIL": 1}


def test_a_member_that_another_of_its_name_hides_is_left_out() -> None:
    text = '{"to": "jane@example.com", "to": "nobody"}'
    assert redact_json(text, keeps_nothing, Counter()) == '{"to": "nobody"}'


@pytest.mark.parametrize(
    "text", ['{"to": "jane@example.com"', "[" * 100_000 + '"jane@example.com"', "9" * 5_000 + " jane@example.com"]
)
def test_what_cannot_be_read_is_cleaned_as_text(text: str) -> None:
    assert "jane" not in redact_json(text, keeps_nothing, Counter())


def test_what_is_kept_stays() -> None:
    text = '{"to": "jane@example.com"}'
    assert redact_json(text, lambda value: value.startswith("jane"), Counter()) == text


def test_a_short_text_is_cleaned_at_once() -> None:
    assert redact_text("call_jane@example.com", keeps_nothing, Counter()) == "[EMAIL]"
