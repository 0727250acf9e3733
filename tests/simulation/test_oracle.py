"""The oracle sees what it must see, and nothing else: each excuse that it knows has a run beside it without the excuse."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.api.http1_limits import ServerLimits
from tests.simulation.oracle import Oracle
from tests.simulation.world import Ask, Call, World

TOTAL_S = 25.0
STALL_S = ServerLimits().stall_s
TAG = "tag-0-0"
BROKEN = b'data: {"error": {}}\n\n'


def _event(place: int, deployment: str, **more: Any) -> dict[str, Any]:
    return {"x_place": place, "model": f"sim-{deployment}", "choices": [], **more}


def _call(deployment: str, tokens: int, line_end: bytes = b"\n") -> Call:
    """A whole answer; those of all deployments have the same text."""
    word = {"choices": [{"delta": {"content": f"{TAG}:0 "}}]}
    events = [_event(0, deployment, **word), _event(1, deployment, usage={"completion_tokens": tokens})]
    pieces = [b"data: %b%b%b" % (json.dumps(event).encode(), line_end, line_end) for event in events]
    return Call(
        tag=TAG,
        deployment=deployment,
        mode="good",
        body=b"",
        started_s=1_000.0,
        text=f"{TAG}:0 ",
        output_tokens=tokens,
        events=events,
        sent=b"".join([*pieces, b"data: [DONE]\n\n"]),
        usage_event=pieces[1],
        whole=True,
        ended_s=1_000.5,
    )


def _findings(ask: Ask, *calls: Call, answered: str) -> list[str]:
    """What the oracle has against an answer, given what upstreams sent and whom the receipt names."""
    world = World(0, lambda: 0.0)
    for call in calls:
        world.add_call(call)
    receipt = SimpleNamespace(id="one", detours=(), answered_by=SimpleNamespace(deployment=answered))
    request = SimpleNamespace(id="one", messages=[SimpleNamespace(text=TAG)])
    house: Any = SimpleNamespace(
        receipts=SimpleNamespace(offered=[receipt]), requests=[request], total_s=TOTAL_S, loop=None
    )
    return list(Oracle(world, house)._of_ask(ask))


def _ask(body: bytes, *, ended: str, after_s: float = 1.0, unread_s: float = 0.0) -> Ask:
    return Ask(
        tag=TAG,
        tenant="ann",
        kind="good",
        route="ladder",
        stream=True,
        usage_wanted=True,
        sent_s=1_000.0,
        unread_s=unread_s,
        status=200,
        body=bytearray(body),
        ended=ended,
        ended_s=1_000.0 + after_s,
    )


@pytest.mark.parametrize("answered", ["home", "big"])
def test_of_two_answers_with_one_text_the_receipt_says_which_it_is(answered: str) -> None:
    home, big = _call("home", 7), _call("big", 8)
    body = b": ping\n\n" + home.sent
    found = _findings(_ask(body, ended="complete"), home, big, answered=answered)
    assert [each[:30] for each in found] == (
        [] if answered == "home" else ["I2 passed through, but not byt", "I2 usage {'completion_tokens':"]
    )


def test_an_answer_is_one_of_two_tries_and_not_a_piece_of_each() -> None:
    first, second = _call("home", 7), _call("home", 8, b"\r\n")
    mixed = first.sent.replace(first.usage_event, second.usage_event)
    for whole in (first, second):
        assert not _findings(_ask(whole.sent, ended="complete"), first, second, answered="home")
    assert _findings(_ask(mixed, ended="complete"), first, second, answered="home")


def test_the_answer_and_the_receipt_name_the_same_deployment() -> None:
    ask = _ask((home := _call("home", 7)).sent, ended="complete")
    ask.headers["freehold-deployment"] = "home"
    assert not _findings(ask, home, answered="home")
    assert [each[:2] for each in _findings(ask, home, answered="big")] == ["I7"]


@pytest.mark.parametrize(
    ("after_s", "unread_s", "is_excused"),
    [
        (TOTAL_S - 0.01, 0.0, False),
        (TOTAL_S, 0.0, True),
        (TOTAL_S - 0.01, STALL_S - 0.01, False),
        (TOTAL_S - 0.01, STALL_S, True),
    ],
    ids=["in time", "at the deadline", "read late", "read too late"],
)
def test_a_stream_breaks_only_at_its_deadline_or_unread(after_s: float, unread_s: float, is_excused: bool) -> None:
    ask = _ask(BROKEN, ended="eof", after_s=after_s, unread_s=unread_s)
    assert _findings(ask, _call("home", 7), answered="home") == (
        [] if is_excused else ["I1 broken although all went well"]
    )


@pytest.mark.parametrize(("unread_s", "is_excused"), [(STALL_S - 0.01, False), (STALL_S, True)])
def test_only_who_leaves_it_unread_for_long_is_cut_off_without_a_word(unread_s: float, is_excused: bool) -> None:
    ask = _ask(b"data: {}\n\n", ended="reset", after_s=STALL_S, unread_s=unread_s)
    found = _findings(ask, _call("home", 7), answered="home")
    assert [each[:42] for each in found] == ([] if is_excused else ["I1 a stream broke without an error event: "])
