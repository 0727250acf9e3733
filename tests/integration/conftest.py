"""What tests with real gateways share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.servers.openai_server import OpenAIServer
from tests.support.upstream import in_thread


@pytest.fixture
def trap() -> Generator[OpenAIServer]:
    """A server that nothing may reach."""
    with in_thread(OpenAIServer()) as server:
        yield server
    assert server.exchanges == []
    assert server.connections == 0
