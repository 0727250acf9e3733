"""Is an answer right, going by a stronger model's? Only where two texts can be compared at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

from freehold.routing.agreement import likeness

Calls = Sequence[Mapping[str, object]]


def agrees(left: str, right: str) -> bool | None:
    """Whether two answers say the same; ``None`` where that cannot be told.

    It can be told of choices, numbers, JSON and short answers, which are the same or are not, and of texts that are
    equal. Of two long texts that share some words it cannot.
    """
    if not left.strip() or not right.strip():
        return None
    alike = likeness(left, right)
    return bool(alike) if alike in {0.0, 1.0} else None


def agrees_with(text: str, calls: Calls, other_text: str, other_calls: Calls) -> bool | None:
    """The same for answers that may call tools: then the tools and their arguments must be the same, by value."""
    if calls or other_calls:
        return _plain(calls) == _plain(other_calls)
    return agrees(text, other_text)


def _plain(calls: Calls) -> list[tuple[str, object]]:
    """Names and arguments, in an order of their own: calls that come together have none."""
    found: list[tuple[str, object]] = []
    for call in calls:
        function = call.get("function")
        named = cast("Mapping[str, object]", function if isinstance(function, Mapping) else {})
        arguments = named.get("arguments")
        try:
            value: object = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:
            value = arguments
        found.append((str(named.get("name")), value))
    return sorted(found, key=lambda each: (each[0], json.dumps(each[1], sort_keys=True, default=str)))
