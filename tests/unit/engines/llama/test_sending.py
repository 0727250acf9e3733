from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from freehold.domain.egress import EgressPermit
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamError, UpstreamUnreachable
from freehold.domain.zones import LAN
from freehold.engines.llama.sending import send
from freehold.net.client import HttpClient

PERMIT = EgressPermit(
    id="1", audit_index=1, origin="http://10.0.0.1:80", zone=LAN, body_sha256=b"", expires_monotonic_s=9.0, seal=b""
)


class FakeClient:
    def __init__(self, *failures: UpstreamError) -> None:
        self._failures = list(failures)
        self.calls: list[dict[str, Any]] = []

    async def request(self, **call: Any) -> str:
        self.calls.append(call)
        if self._failures:
            raise self._failures.pop(0)
        return "reply"


def stale(*, reused: bool = True, reached: Any = "unknown") -> UpstreamBroken:
    error = UpstreamBroken(deployment="tiny", reason="the connection was closed before its answer")
    error.reused, error.reached_model = reused, reached
    return error


def try_to_send(client: FakeClient, *, permit: EgressPermit | None = None) -> object:
    return asyncio.run(
        send(
            cast("HttpClient", client),
            method="POST",
            path="/x",
            headers=(),
            body=b"{}",
            permit=permit,
            deadline_s=9.0,
        )
    )


def test_a_connection_that_died_in_the_pool_is_replaced() -> None:
    client = FakeClient(stale(), stale())
    assert try_to_send(client) == "reply"
    assert len(client.calls) == 3
    assert client.calls[0] == client.calls[2]


@pytest.mark.parametrize(
    "failure",
    [
        stale(reused=False),
        stale(reached="yes"),
        UpstreamUnreachable(deployment="tiny", reason="nobody listens"),
    ],
)
def test_other_failures_are_not_hidden(failure: UpstreamError) -> None:
    client = FakeClient(failure)
    with pytest.raises(UpstreamError) as caught:
        try_to_send(client)
    assert caught.value is failure
    assert len(client.calls) == 1


def test_it_ends() -> None:
    client = FakeClient(*(stale() for _ in range(9)))
    with pytest.raises(UpstreamBroken):
        try_to_send(client)
    assert len(client.calls) == 4


def test_a_permit_is_good_for_one_try() -> None:
    client = FakeClient(stale())
    with pytest.raises(UpstreamBroken):
        try_to_send(client, permit=PERMIT)
    assert len(client.calls) == 1
