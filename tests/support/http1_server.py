"""The server's protocol as a process of its own: ``python -m tests.support.http1_server '{"head_s": 0.5}'``.

Says its port on standard output. What an inference call does is said by its field ``x-do``; ``GET /state`` tells what
the server holds.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn

from freehold.api.exchange import Exchange
from freehold.api.http1 import protocol
from freehold.api.http1_limits import ServerLimits
from tests.support.http1 import JSON, App, echo

PIECE = b"a" * 16_384


class LiveApp(App):
    def __init__(self) -> None:
        super().__init__(self.do)
        self.gone = 0
        self.server: uvicorn.Server | None = None

    async def infer(self, exchange: Exchange) -> None:
        await super().infer(exchange)
        self.seen.clear()

    async def do(self, exchange: Exchange) -> None:
        wanted = exchange.header(b"x-do")
        if wanted is None:
            await echo(exchange)
            return
        left = asyncio.Event()

        def gone() -> None:
            self.gone += 1
            left.set()

        exchange.on_gone(gone)
        if wanted == "wait":
            await left.wait()
            return
        exchange.start(200, JSON)
        while not left.is_set():
            exchange.write(PIECE)
            await exchange.drained()
            if wanted == "break":
                exchange.abort()
                return

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert self.server is not None
        state = self.server.server_state
        told = json.dumps(
            {
                "gone": self.gone,
                "connections": len(state.connections),
                "tasks": len(state.tasks) - 1,
                "nodelay": [_nodelay(each) for each in state.connections],
            }
        ).encode()
        fields = [(b"content-length", b"%d" % len(told)), *JSON]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": told})


def _nodelay(connection: Any) -> bool:
    sock = connection.transport.get_extra_info("socket")
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def main() -> None:
    app = LiveApp()
    limits = ServerLimits(**json.loads(sys.argv[1]))
    certificate, key = (*sys.argv[2:4], "", "")[:2]
    config = uvicorn.Config(
        app, http=protocol(limits, lambda: "id-1"), loop="uvloop", interface="asgi3", ws="none", lifespan="off",
        log_config=None, access_log=False, proxy_headers=False, ssl_certfile=certificate or None,
        ssl_keyfile=key or None,
    )  # fmt: skip
    app.server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        app.server.run(sockets=[listener])


if __name__ == "__main__":
    main()
