"""What passes an answer on passes all of it on, and lets nothing through as it came."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.gateway.answer import PassingSink, Sink
from freehold.gateway.citing import CitingSink
from freehold.gateway.found_sink import FoundSink
from freehold.gateway.guard import GuardedSink

TOLD = ("limited", "waits", "waited", "started", "chunk", "collected", "vectors", "ranked", "counted", "finished")
PASSED = ("events", "whole")
ASKED = ("dialect", "is_full", "drained")


class Ear:
    """Hears what it is told."""

    is_full = True

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> Any:
        if name in TOLD:
            return lambda value, **more: self.heard.append((name, (value, more) if more else value))
        raise AttributeError(name)


def test_every_word_of_a_sink_is_known_here() -> None:
    words = {name for name in vars(Sink) if not name.startswith("_")}
    assert words == {*TOLD, *PASSED, *ASKED}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_is_told_on(name: str) -> None:
    ear, value = Ear(), object()
    sink = PassingSink(ear)  # pyright: ignore[reportArgumentType] - it hears everything
    getattr(sink, name)(value)
    assert ear.heard == [(name, (value, {"end": b""}) if name == "finished" else value)]
    assert sink.is_full
    assert sink.dialect is None


def test_nothing_passes_as_it_came() -> None:
    sink = PassingSink(Ear())  # pyright: ignore[reportArgumentType] - it hears everything
    with pytest.raises(RuntimeError):
        _ = sink.events
    with pytest.raises(RuntimeError):
        sink.whole(b"secret")


@pytest.mark.parametrize("kind", [CitingSink, FoundSink, GuardedSink])
def test_those_on_the_way_keep_only_what_they_change(kind: type[PassingSink]) -> None:
    assert issubclass(kind, PassingSink)
    assert not {*PASSED, *ASKED, "limited", "waits", "waited", "vectors", "ranked", "counted"} & vars(kind).keys()
