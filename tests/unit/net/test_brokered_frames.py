"""Frames over the broker's socket: whole or not at all, and errors that come out as they went in."""

from __future__ import annotations

import asyncio
import random

import pytest

from freehold.domain.errors.audit import AuditUnwritable, EgressBrokerAway
from freehold.domain.errors.auth import KeyMissing
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from freehold.net.answer import ToldError, ViolationError
from freehold.net.brokered.answer import FramedAnswer
from freehold.net.brokered.frames import (
    FRAME_BYTES_MAX,
    Fault,
    FrameError,
    Head,
    Hello,
    Kind,
    error_of,
    fault_of,
    frame,
    next_frame,
    read,
    said,
)
from freehold.net.limits import HttpLimits

HEAD = said(Kind.HEAD, Head(status=404, headers={"content-type": "text/plain"}, by_close=True))


def answer(**more: int) -> FramedAnswer:
    loop = asyncio.new_event_loop()
    made = FramedAnswer(loop=loop, limits=HttpLimits(**more), head_only=False)
    loop.close()
    return made


ERRORS = [
    UpstreamUnreachable(deployment="d", source="d", reason="connection refused"),
    UpstreamBroken(deployment="d", source="d", reason="the connection was closed"),
    UpstreamProtocol(deployment="d", source="d", reason="status 302, and redirects are not followed"),
    UpstreamTimeout(deployment="d", source="d", what="start to answer", seconds="60"),
    EgressDenied(origin="https://x.test:443", reason="no"),
    AuditUnwritable(reason="disk full"),
    EgressBrokerAway(place="unix:///x", reason="connection refused"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_comes_out_as_it_went_in(error: FreeholdError) -> None:
    if isinstance(error, UpstreamBroken):
        error.reached_model, error.reused, error.unread = "yes", True, True
    told = error_of(read(said(Kind.FAULT, fault_of(error))[5:], Fault))
    assert type(told) is type(error)
    assert (told.message, told.source, told.values) == (error.message, error.source, error.values)
    if isinstance(error, UpstreamBroken) and isinstance(told, UpstreamBroken):
        assert (told.reached_model, told.reused, told.unread) == ("yes", True, True)


def test_an_error_that_is_not_of_this_wire_is_a_refusal() -> None:
    told = error_of(fault_of(KeyMissing()))
    assert isinstance(told, EgressDenied)
    assert KeyMissing().message in told.message


@pytest.mark.parametrize(
    "fault",
    [
        Fault(code="FH-SERVER-000", source="x", values={}),
        Fault(code="FH-POLICY-003", source="x", values={"origin": "x"}),
        Fault(code="FH-POLICY-003", source="x", values={"origin": "x", "reason": "y", "source": "z"}),
    ],
)
def test_a_fault_that_is_none_is_refused(fault: Fault) -> None:
    with pytest.raises(FrameError):
        error_of(fault)


def test_frames_are_found_wherever_they_are_cut() -> None:
    pieces = [random.Random(seed).randbytes(seed * 37) for seed in range(20)]
    wire = HEAD + b"".join(frame(Kind.PIECE, piece) for piece in pieces) + frame(Kind.END)
    for step in (1, 2, 3, 7, 64, 1000, len(wire)):
        made = answer()
        for start in range(0, len(wire), step):
            assert not made.ended
            made.feed(wire[start : start + step])
        assert made.ended
        assert made.keep_alive
        assert made.take() == b"".join(pieces)
        assert (made.upstream_status, made.upstream_by_close, made.status) == (404, True, 200)
        assert not made.by_close, "a connection to the broker that ends is never the end of an answer"


@pytest.mark.parametrize(
    "wire",
    [
        frame(Kind.PIECE, b"x"),
        frame(Kind.END),
        HEAD + HEAD,
        HEAD + frame(Kind.END) + frame(Kind.PIECE, b"x"),
        HEAD + frame(Kind.END) + b"\x12",
        HEAD + frame(Kind.PERMIT, b"{}"),
        frame(Kind.HELLO, b"{}"),
        frame(Kind.HEAD, b"{}"),
        frame(Kind.HEAD, b'{"status":200,"headers":{},"by_close":false,"more":1}'),
        frame(Kind.FAULT, b"[]"),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x11" + (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
    ],
)
def test_what_is_not_its_turn_is_a_violation(wire: bytes) -> None:
    with pytest.raises(ViolationError, match="egress broker"):
        answer().feed(wire)


def test_a_fault_is_told_at_any_place() -> None:
    fault = said(Kind.FAULT, fault_of(ERRORS[1]))
    for before in (b"", HEAD, HEAD + frame(Kind.PIECE, b"x")):
        with pytest.raises(ToldError, match="broke off"):
            answer().feed(before + fault)


def test_an_unfinished_frame_is_none() -> None:
    whole = said(Kind.HELLO, Hello(protocol=1))
    assert all(next_frame(whole[:cut], 0) is None for cut in range(len(whole)))
    assert next_frame(whole, 0) == (Kind.HELLO, whole[5:], len(whole))


def test_much_that_is_unread_makes_the_broker_wait() -> None:
    made = answer(queue_bytes=10)
    made.feed(HEAD + frame(Kind.PIECE, b"x" * 11))
    assert made.overfull()
