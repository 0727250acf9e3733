"""Official clients in front of a gateway in this process: OpenAI's and MCP's, over its ASGI interface or a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from openai import AsyncOpenAI

from tests.support.inside import Inside

BASE_URL = "http://localhost"


def openai_client(gateway: Inside, key: str) -> AsyncOpenAI:
    """OpenAI's client, which asks the gateway with a key and retries nothing."""
    transport: Any = httpx2.ASGITransport(app=gateway.api)
    client: Any = httpx2.AsyncClient(transport=transport, base_url=BASE_URL)
    return AsyncOpenAI(api_key=key, base_url=f"{BASE_URL}/v1", max_retries=0, http_client=client)


@asynccontextmanager
async def mcp_client(gateway: Inside, key: str, *, mode: Any = "auto") -> AsyncGenerator[Client]:
    """MCP's client over streamable HTTP, which sends a key."""
    transport: Any = httpx2.ASGITransport(app=gateway.api)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(transport=transport, headers=headers) as http:
        stream = streamable_http_client(f"{BASE_URL}/mcp", http_client=http)
        async with Client(stream, mode=mode) as client:
            yield client


@contextmanager
def on_a_socket(gateway: Inside) -> Generator[str]:
    """Serve a gateway on a port of this machine from a thread, which has its loop meanwhile; its address."""
    config = uvicorn.Config(gateway.api, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    ready = threading.Event()

    async def serve() -> None:
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: gateway.loop.run_until_complete(serve()), daemon=True)
    with server.capture_signals():
        thread.start()
    try:
        assert ready.wait(20)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
