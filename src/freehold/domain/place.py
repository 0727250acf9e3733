"""Where a request stands while it waits."""

from __future__ import annotations

from freehold.domain.values import value


@value
class Place:
    """Where a request stands when it begins to wait.

    Attributes:
        position: Its place among those who wait; 1 is next.
        expected_s: How long it may expect to wait.
    """

    position: int
    expected_s: float
