"""Whose calls a revoked key ends, and how often."""

from __future__ import annotations

from typing import Any, cast

from freehold.api.inference import Hosts, Inference, Running
from freehold.identity.access import INFER


class CountedTask:
    """A task that takes its time to end."""

    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


def test_calls_of_keys_that_open_nothing_are_ended_once() -> None:
    nothing = cast("Any", None)
    inference = Inference(
        pipeline=nothing, ids=nothing, hosts=Hosts(frozenset()), routes={}, access=INFER, body_limit_bytes=1,
        door=nothing, refused=nothing,
    )  # fmt: skip
    tasks = {key_id: CountedTask() for key_id in ("good", "revoked", "")}
    for key_id, task in tasks.items():
        running = Running(cast("Any", task))
        running.key_id = key_id
        inference._running.add(running)
    for _ in range(3):
        inference.end_revoked({"good"})
    assert {key_id: task.cancelled for key_id, task in tasks.items()} == {"good": 0, "revoked": 1, "": 0}
