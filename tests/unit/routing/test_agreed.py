"""Whether two answers say the same, where that can be told."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.routing.agreement import agrees, agrees_with

LONG = "The house on the hill was built by a mason from the north in the year of the great flood, and stands."
OTHER = "Built in the year of the great flood, the house was a mason's work, who had come from the north to stay."


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        ("Paris", "paris.", True),
        ("It is Paris.", "Paris", True),
        ("Paris", "Rome", False),
        ("43", "17 + 26 = 43", True),
        ("43", "44", False),
        ("B", "(B) because", True),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        (LONG, LONG, True),
        (LONG, OTHER, None),
        ("", "Paris", None),
        ("Paris", "  ", None),
    ],
)
def test_texts(left: str, right: str, said: bool | None) -> None:
    assert agrees(left, right) is said
    assert agrees(right, left) is said


def call(name: str, arguments: Any) -> dict[str, object]:
    return {"type": "function", "id": "x", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        ([call("w", '{"c": 1, "d": 2}')], [call("w", '{"d":2,"c":1}')], True),
        ([call("w", '{"c": 1}')], [call("w", '{"c": 2}')], False),
        ([call("w", "{}")], [call("v", "{}")], False),
        ([call("w", "{}"), call("v", "{}")], [call("v", "{}"), call("w", "{}")], True),
        ([call("w", "{}")], [], False),
        ([call("w", "no json")], [call("w", "no json")], True),
        ([{"function": None}], [{"function": None}], True),
    ],
)
def test_calls_of_tools(left: list[Any], right: list[Any], said: bool) -> None:
    assert agrees_with("", left, "any text", right) is said


def test_without_calls_texts_decide() -> None:
    assert agrees_with("Paris", [], "Paris.", []) is True
