"""Vectors in two parts, each looked at in a transaction of its own: what is found is of one state all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from freehold.domain.vault import Hit
from freehold.vault.store_vectors import by_parts


class Changing:
    """A file whose document moves from one part to the other; every so many transactions see another state."""

    def __init__(self, *changes: int) -> None:
        self._states = list(changes)
        self.read_count = 0
        self.state = 0

    def execute(self, _: str) -> Changing:
        return self

    def fetchall(self) -> list[tuple[int]]:
        return [(self.state,)]

    async def read(self, work: Callable[[Any], Any]) -> Any:
        if self.read_count < len(self._states):
            self.state = self._states[self.read_count]
        self.read_count += 1
        return work(self)

    def look(self, part: int, _: object) -> list[Hit]:
        return [Hit(chunk_id=7, score=1.0)] if part == self.state % 2 else [Hit(chunk_id=part, score=0.5)]


def found(file: Changing, limit: int = 5) -> list[int]:
    return [hit.chunk_id for hit in asyncio.run(by_parts(file.read, file.look, limit))]


def test_one_state_is_believed_at_once() -> None:
    file = Changing(4, 4)
    assert found(file) == [7, 1]
    assert file.read_count == 2
    assert found(Changing(4, 4), limit=1) == [7]


def test_two_states_are_asked_again() -> None:
    file = Changing(1, 2, 2, 2)  # the first two would both have missed it
    assert found(file) == [7, 1]
    assert file.read_count == 4


def test_a_file_that_always_changes_is_read_in_one_transaction() -> None:
    file = Changing(1, 2, 3, 4, 5, 6, 8)
    assert found(file) == [7, 1]
    assert file.read_count == 7
