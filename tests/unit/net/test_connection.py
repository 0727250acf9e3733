"""A connection without a network: a transport and a pool that only take notes."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable

import pytest

from freehold.domain.errors.upstream import UpstreamBroken
from freehold.net.answer import Answer
from freehold.net.client import HttpReply
from freehold.net.connection import Connection, Setting
from freehold.net.faults import Faults
from freehold.net.limits import HttpLimits
from tests.support.transports import Transport
from tests.support.virtual_time import run_virtual

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Notes:
    def __init__(self) -> None:
        self.told: list[str] = []

    def opened(self, connection: Connection) -> None:
        self.told.append("opened")

    def clean(self, connection: Connection) -> None:
        self.told.append("clean")

    def gone(self, connection: Connection) -> None:
        self.told.append("gone")

    def closed(self, connection: Connection) -> None:
        self.told.append("closed")


class Bench:
    def __init__(self, limits: HttpLimits) -> None:
        loop = asyncio.get_running_loop()
        self.until_s = loop.time() + 60.0
        self.pool = Notes()
        self.transport = Transport()
        setting = Setting(limits=limits, first_byte_s=60.0, faults=Faults("box"))
        self.connection = Connection(loop=loop, setting=setting, owner=self.pool)

    def open(self) -> Connection:
        self.connection.connection_made(self.transport)
        return self.connection


def on_bench(scenario: Callable[[Bench], Awaitable[None]], limits: HttpLimits | None = None) -> None:
    async def main() -> None:
        bench = Bench(limits or HttpLimits())
        await scenario(bench)
        bench.connection.abort()

    asyncio.run(main())


def test_a_life() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.write(b"GET")
        connection.data_received(OK)
        assert (answer.take(), answer.whole, bench.transport.written) == (b"ok", True, b"GET")
        connection.release(answer)
        assert connection.is_quiet()
        connection.eof_received()
        assert not connection.is_quiet()
        connection.connection_lost(None)
        assert bench.pool.told == ["opened", "clean", "gone", "closed"]

    on_bench(scenario)


def test_22_a_connect_that_succeeds_after_its_caller_gave_up_is_aborted() -> None:
    async def scenario(bench: Bench) -> None:
        bench.connection.abort()
        bench.open()
        assert bench.transport.calls == ["abort"]

    on_bench(scenario)


def test_abort_is_told_once() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        connection.abort()
        connection.abort()
        connection.connection_lost(None)
        assert bench.pool.told == ["opened", "gone", "closed"]

    on_bench(scenario)


def test_nothing_is_asked_of_a_connection_that_died_meanwhile() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        connection.abort()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=True)
        connection.write(b"GET")
        await connection.write_slices(b"GET", b"x" * 200_000)
        assert bench.transport.written == b""
        assert answer.error is not None
        assert (answer.error.reached_model, answer.error.reused) == ("no", True)

    on_bench(scenario)


@pytest.mark.parametrize("fault", ["unsent", "closing", "half-written"])
def test_in_doubt_it_is_not_used_again(fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        if fault == "unsent":
            bench.transport.unsent_bytes = 1
        elif fault == "closing":
            bench.transport.calls.append("abort")
        else:
            connection.pause_writing()
            writing = asyncio.create_task(connection.write_slices(b"POST", b"x" * 200_000))
            await asyncio.sleep(0)
        connection.data_received(OK)
        assert answer.whole
        assert bench.pool.told == ["opened", "gone"]
        if fault == "half-written":
            await writing
            assert len(bench.transport.written) == 4 + HttpLimits().write_slice_bytes

    on_bench(scenario)


def test_the_head_of_an_early_answer_stops_the_writing() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.pause_writing()
        writing = asyncio.create_task(connection.write_slices(b"POST", b"x" * 200_000))
        await asyncio.sleep(0)
        connection.data_received(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n")
        await writing
        assert len(bench.transport.written) == 4 + HttpLimits().write_slice_bytes

    on_bench(scenario)


def test_writing_goes_on_when_the_server_catches_up() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.pause_writing()
        writing = asyncio.create_task(connection.write_slices(b"", b"x" * 200_000))
        await asyncio.sleep(0)
        assert len(bench.transport.written) < 200_000
        connection.resume_writing()
        await writing
        assert len(bench.transport.written) == 200_000

    on_bench(scenario)


def test_reading_pauses_while_too_much_is_unread() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        connection.data_received(b"x" * 10)
        assert bench.transport.calls == []
        connection.data_received(b"x" * 1)
        connection.data_received(b"x" * 1)  # a transport may deliver what it had read already
        assert bench.transport.calls == ["pause"]
        assert len(answer.take()) == 12
        connection.read_on(answer)
        assert bench.transport.calls == ["pause", "resume"]
        for _ in range(4):
            connection.data_received(b"x")
        assert bench.transport.calls == ["pause", "resume", "pause"]
        connection.drop(answer)
        connection.read_on(answer)
        assert bench.transport.calls == ["pause", "resume", "pause", "abort"]

    on_bench(scenario, HttpLimits(queue_bytes=10, queue_pieces=3))


@pytest.mark.parametrize("is_read", [False, True])
def test_an_answer_that_nobody_read_when_its_time_was_over_is_told_apart(is_read: bool) -> None:
    async def scenario() -> None:
        bench = Bench(HttpLimits(queue_bytes=10))
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=asyncio.get_running_loop().time() + 5.0, reused=False)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 11)
        if is_read:
            answer.take()
            connection.read_on(answer)
        await answer.changed()
        assert answer.error is not None
        assert "finish its answer within 5 s" in answer.error.message
        assert answer.error.unread is not is_read

    run_virtual(scenario)


def test_an_answer_to_head_takes_no_body_even_if_one_comes() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=True, until_s=bench.until_s, reused=False)
        connection.data_received(OK)
        assert (answer.whole, answer.take()) == (True, b"")
        assert bench.pool.told == ["opened", "gone"]

    on_bench(scenario)


def test_a_whole_answer_that_its_reader_refuses_takes_the_connection_along() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=True)
        connection.data_received(OK)
        assert answer.whole
        assert bench.pool.told == ["opened"], "nobody may have it before the reader has said that it is the answer"
        connection.drop(answer)
        assert (bench.pool.told, bench.transport.calls) == (["opened", "gone"], ["abort"])
        connection.release(answer)
        assert bench.pool.told == ["opened", "gone"]

    on_bench(scenario)


def test_a_released_connection_is_not_closed_by_who_had_it() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.data_received(OK)
        connection.release(answer)
        connection.release(answer)
        connection.drop(answer)
        assert bench.pool.told == ["opened", "clean"]

    on_bench(scenario)


def test_the_kernel_is_asked_before_reuse() -> None:
    async def scenario(bench: Bench) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        connection = bench.open()
        connection.watch_socket(ours)
        assert connection.is_quiet()
        theirs.send(b"x")
        assert not connection.is_quiet()
        ours.recv(1)
        assert connection.is_quiet()
        theirs.close()
        assert not connection.is_quiet()
        ours.close()
        assert not connection.is_quiet()

    on_bench(scenario)


def test_a_dropped_answer_says_so_to_its_reader() -> None:
    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        waiting = answer.changed()
        connection.drop(answer)
        await waiting
        assert "gave it up" in str(answer.error)

    on_bench(scenario)


@pytest.mark.parametrize("dropped", [True, False])
def test_a_connection_that_is_gone_leaves_no_cycle_behind(dropped: bool) -> None:
    """The cycle collector comes so seldom here that cycles would pile up to tens of thousands of objects."""

    async def main() -> None:
        bench = Bench(HttpLimits())
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        if dropped:
            connection.drop(answer)
        else:
            connection.data_received(OK)
            connection.release(answer)
            connection.eof_received()
        connection.connection_lost(None)
        del bench, connection, answer
        assert not [each for each in gc.get_objects() if isinstance(each, Connection)]

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_a_connection_that_is_gone_is_not_watched_again() -> None:
    async def scenario(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        connection = bench.open()
        connection.abort()
        armed: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_at", lambda when_s, *_: armed.append(when_s))
            answer = connection.begin(head_only=False, until_s=bench.until_s, reused=True)
        assert "the connection was closed" in str(answer.error)
        assert not armed

    on_bench(scenario)


def test_a_transport_that_is_closed_without_a_word_is_let_go() -> None:
    """As uvloop does where the creation of a connection is cancelled in its last moment."""

    async def scenario(bench: Bench) -> None:
        connection = bench.open()
        connection.abort()
        assert bench.transport.calls == ["abort"]
        gone = weakref.ref(bench.transport)
        bench.transport = Transport()
        assert gone() is None

    on_bench(scenario)


@pytest.mark.parametrize("how", ["next_piece", "read", "pass_on"])
def test_an_answer_that_broke_goes_with_its_error(how: str) -> None:
    """An error holds the frames it came through, and in them the request: the answer must not hold that error."""

    async def read(bench: Bench) -> str:
        connection = bench.open()
        answer = connection.begin(head_only=False, until_s=bench.until_s, reused=False)
        connection.data_received(OK[:-1])
        reply = HttpReply(answer=answer, connection=connection, faults=Faults("box"))
        connection.connection_lost(ConnectionResetError())
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "next_piece": reply.next_piece,
            "read": lambda: reply.read(limit_bytes=100),
            "pass_on": lambda: reply.pass_on(lambda _: False),
        }
        if how == "next_piece":
            assert await reply.next_piece() == b"o"
        for _ in range(2):
            with pytest.raises(UpstreamBroken, match="in the middle"):
                await ways[how]()
        return how

    async def main() -> None:
        await read(Bench(HttpLimits()))
        assert not [each for each in gc.get_objects() if isinstance(each, Answer)]

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
