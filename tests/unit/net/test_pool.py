"""The line for connections, with connections that were never dialled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.net.connection import Connection, Setting
from freehold.net.dial import Dialer
from freehold.net.faults import Faults
from freehold.net.limits import HttpLimits
from freehold.net.pool import Pool
from tests.support.transports import Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class NoNetwork:
    """Dials at once; ``gate`` holds it up."""

    def __init__(self) -> None:
        self.transports: list[Transport] = []
        self.gate: asyncio.Event | None = None

    async def open(self, connection: Connection, *, until_s: float) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.transports.append(Transport())
        connection.connection_made(self.transports[-1])


def with_pool(scenario: Callable[[Pool, NoNetwork], Awaitable[None]], connections_max: int = 1) -> None:
    async def main() -> None:
        network = NoNetwork()
        setting = Setting(limits=HttpLimits(), first_byte_s=60.0, faults=Faults("box"))
        pool = Pool(dialer=cast("Dialer", network), setting=setting, connections_max=connections_max)
        await scenario(pool, network)

    asyncio.run(main())


def soon() -> float:
    return asyncio.get_running_loop().time() + 5.0


def serve_one(connection: Connection) -> None:
    answer = connection.begin(head_only=False, until_s=soon(), reused=False)
    connection.data_received(OK)
    connection.release(answer)


def test_a_pool_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        with_pool(lambda _pool, _network: asyncio.sleep(0), connections_max=0)


def test_a_connection_that_dies_in_the_hands_of_the_first_in_line_costs_it_no_turn() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        connection, reused = await pool.get(until_s=soon())
        assert not reused
        order: list[str] = []

        async def wait(name: str) -> Connection:
            got, _ = await pool.get(until_s=soon())
            order.append(name)
            return got

        first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
        await asyncio.sleep(0)
        serve_one(connection)  # handed to the first…
        connection.eof_received()  # …and closed before it woke up; its slot goes to the second
        (await second).abort()
        (await first).abort()
        assert sorted(order) == ["first", "second"]

    with_pool(scenario)


def test_a_dead_connection_in_hand_is_replaced() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        connection, _ = await pool.get(until_s=soon())
        waiting = asyncio.create_task(pool.get(until_s=soon()))
        await asyncio.sleep(0)
        serve_one(connection)
        connection.eof_received()
        fresh, reused = await waiting
        assert fresh is not connection
        assert not reused
        assert len(network.transports) == 2
        fresh.abort()

    with_pool(scenario)


def test_who_leaves_with_a_dead_connection_in_hand_frees_nothing_twice() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        connection, _ = await pool.get(until_s=soon())
        leaves = asyncio.create_task(pool.get(until_s=soon()))
        await asyncio.sleep(0)
        serve_one(connection)
        connection.eof_received()
        leaves.cancel()
        await asyncio.wait([leaves])
        one, _ = await pool.get(until_s=soon())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pool.get(until_s=soon())), 0.02)
        one.abort()
        await asyncio.sleep(0)

    with_pool(scenario)


def test_who_leaves_with_a_good_connection_in_hand_puts_it_back() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        connection, _ = await pool.get(until_s=soon())
        leaves = asyncio.create_task(pool.get(until_s=soon()))
        await asyncio.sleep(0)
        serve_one(connection)
        leaves.cancel()
        await asyncio.wait([leaves])
        assert pool.take() is connection
        connection.abort()

    with_pool(scenario)


def test_a_pool_closed_while_dialling_hands_nothing_out() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        network.gate = asyncio.Event()
        dialling = asyncio.create_task(pool.get(until_s=soon()))
        await asyncio.sleep(0)
        await pool.close(drain_s=0.0)
        network.gate.set()
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await dialling
        assert network.transports[0].calls == ["abort"]
        assert pool.open_connections == 0

    with_pool(scenario)


def test_an_answer_that_ends_while_the_pool_closes_is_not_kept() -> None:
    async def scenario(pool: Pool, network: NoNetwork) -> None:
        connection, _ = await pool.get(until_s=soon())
        connection.begin(head_only=False, until_s=soon(), reused=False)
        closing = asyncio.create_task(pool.close(drain_s=5.0))
        await asyncio.sleep(0)
        connection.data_received(OK)
        connection.connection_lost(None)
        await closing
        assert (pool.idle_connections, pool.open_connections) == (0, 0)

    with_pool(scenario)
