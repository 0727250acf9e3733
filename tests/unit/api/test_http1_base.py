"""Uvicorn's protocol still has what ours overrides and uses."""

from __future__ import annotations

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold.api.http1 import FreeholdProtocol
from tests.support.http1 import Server
from tests.support.virtual_time import run_virtual

OVERRIDDEN = (
    "connection_made", "connection_lost", "eof_received", "data_received", "pause_writing", "resume_writing", "shutdown",
    "on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete",
    "on_response_complete",
)  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_uvicorn_has_what_we_override(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name))
    assert name in vars(FreeholdProtocol)


def test_uvicorn_has_what_we_use() -> None:
    assert {"pause_reading", "resume_reading", "drain"} <= set(dir(FlowControl))

    async def scenario() -> None:
        http, wire = Server().connect()
        for name in (
            "app",
            "loop",
            "flow",
            "tasks",
            "connections",
            "server_state",
            "cycle",
            "url",
            "headers",
            "parser",
        ):
            assert hasattr(http, name)
        assert http.flow.write_paused is http.flow.read_paused is False
        wire.vanish()

    run_virtual(scenario)
