"""A worker process: ``python -m freehold.app.worker``, started by ``workers`` only.

It reads its order, a line of JSON, from standard input, and further ones while it serves; it answers on standard output
with one line: that it listens, or why it does not. Where standard input ends its parent is gone, and it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from freehold.app.fellows import Fellows, Seat
from freehold.app.house import House
from freehold.app.known import known_from
from freehold.app.server import calm_collector, collector_of, listener_of, run_listener
from freehold.app.snapshot import tenants_of
from freehold.app.stores import open_stores
from freehold.app.witnesses import witnessing
from freehold.config.compile import compile_config
from freehold.config.handover import take_over
from freehold.domain.errors.base import FreeholdError
from freehold.hostinfo.heap import share_one_heap
from freehold.hostinfo.probe import probe
from freehold.net.listen import shared_sockets, sockets_of
from freehold.telemetry.logs import LogFormat, Logs

log = logging.getLogger("freehold.app")

_ORDERS = 0
_READ_BYTES = 64 * 1024


class Orders:
    """Orders as they come through a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._data = b""

    def first(self) -> dict[str, Any]:
        """Wait for one.

        Raises:
            EOFError: There is none.
        """
        while b"\n" not in self._data:
            piece = os.read(self._descriptor, _READ_BYTES)
            if not piece:
                raise EOFError("there was no order")
            self._data += piece
        return next(self._taken())

    @contextlib.contextmanager
    def heard(self, obey: Callable[[dict[str, Any]], None]) -> Generator[None]:
        """Hand each order to ``obey`` while the body runs; where they end the last one is to stop."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            piece = os.read(self._descriptor, _READ_BYTES)
            self._data += piece
            for order in self._taken():
                obey(order)
            if not piece:
                loop.remove_reader(self._descriptor)
                obey({"do": "stop"})

        for order in self._taken():
            obey(order)
        loop.add_reader(self._descriptor, hear)
        try:
            yield
        finally:
            loop.remove_reader(self._descriptor)

    def _taken(self) -> Iterator[dict[str, Any]]:
        while b"\n" in self._data:
            line, _, self._data = self._data.partition(b"\n")
            yield json.loads(line)


def main() -> int:
    """Serve as ordered; the exit code."""
    share_one_heap()
    for each in (signal.SIGHUP, signal.SIGINT):  # whoever sends them to a whole group means the parent
        signal.signal(each, signal.SIG_IGN)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer of ours
    orders = Orders(_ORDERS)
    try:
        return _work(orders.first(), orders, listening=lambda: _answer(answers, ""))
    except FreeholdError as error:
        _answer(answers, f"{error.code}: {error.message}")
        return 1
    except EOFError:
        return 1


def _answer(descriptor: int, failure: str) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps({"failure": failure}).encode() + b"\n")


def _work(order: dict[str, Any], orders: Orders, *, listening: Callable[[], None]) -> int:
    loaded, folder = take_over(order["loaded"]), Path(order["folder"])
    seat, server = Seat(order["worker"], order["workers"]), loaded.config.server
    compiled = compile_config(loaded, environment=os.environ)
    logs = Logs.start(stream=sys.stderr, log_format=LogFormat(server.log_format), level=server.log_level.upper())
    try:
        with open_stores(
            folder,
            origin=loaded.config.audit.origin,
            tree=compiled.tree,
            tenants=tenants_of(compiled),
            seat=seat,
            seal_bodies=loaded.config.audit.bodies == "sealed",
            broker=compiled.broker,
        ) as stores:
            house = House(
                stores=stores,
                compiled=compiled,
                known=known_from(loaded, folder),
                machine=probe(),
                logs=logs,
                collector=collector_of(loaded, compiled, stores),
                fellows=Fellows.join(folder, seat, mine=order["mine"], others=order["bells"]),
            )
            wanted: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

            @contextlib.asynccontextmanager
            async def life() -> AsyncGenerator[None]:
                async with house.run(), _reloading(house, wanted), witnessing(loaded, stores):
                    calm_collector()
                    with orders.heard(obey):
                        yield

            running = listener_of(house, server, stores, life=life, listening=lambda _port: listening(), is_worker=True)

            def obey(each: dict[str, Any]) -> None:
                if each["do"] == "reload":
                    wanted.put_nowait(each["loaded"])
                else:
                    running.stop(at_once=each["do"] == "end")

            handed = sockets_of(order["handed"])
            return run_listener(running, server, handed or shared_sockets(server.host, order["port"]))
    finally:
        logs.close()


@contextlib.asynccontextmanager
async def _reloading(house: House, wanted: asyncio.Queue[dict[str, Any]]) -> AsyncGenerator[None]:
    """Put configurations in force as they come, one after the other."""

    async def keep() -> None:
        while True:
            loaded = take_over(await wanted.get())
            try:
                await house.replace(await asyncio.to_thread(compile_config, loaded, environment=os.environ))
            except FreeholdError as error:
                log.error("%s: %s; the configuration before stays in force", error.code, error.message)  # noqa: TRY400 - the message is all there is to say

    task = asyncio.ensure_future(keep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    raise SystemExit(main())
