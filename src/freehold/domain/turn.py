"""Whose turn a request is."""

from __future__ import annotations

from freehold.domain.priority import Priority
from freehold.domain.values import value


@value
class Turn:
    """What a queue has to know of a request.

    Attributes:
        tenant: Whose it is.
        weight: The tenant's share of a busy deployment against other tenants', 1 to 1,000.
        priority: How urgent it is.
        tokens: What it will about cost, prompt and answer; 0 where nothing is known.
        awaited: Whether anybody waits for the answer; of a shadow nobody does.
    """

    tenant: str
    weight: int = 1
    priority: Priority = Priority.NORMAL
    tokens: int = 0
    awaited: bool = True


@value
class Waiting:
    """One request that waits, for people who want to know why.

    Attributes:
        turn: Whose it is.
        position: Its place now; 1 is next.
        waited_s: Since when.
        expected_s: How much longer.
    """

    turn: Turn
    position: int
    waited_s: float
    expected_s: float
