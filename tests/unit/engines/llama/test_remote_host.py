"""A llama.cpp server that somebody else runs is left alone when it fails, and comes back."""

from __future__ import annotations

import asyncio

from freehold.domain.errors.upstream import UpstreamBroken, UpstreamStatus
from freehold.domain.zones import LAN
from freehold.engines.ejection import FAILURES_MAX, REST_S
from freehold.engines.llama.host import RemoteHost
from freehold.net.broker import Broker
from tests.support.gateway import ManualClock


def a_host(clock: ManualClock) -> RemoteHost:
    broker = Broker(clock=clock, permit_key=b"k" * 32)
    return RemoteHost(broker.client(name="box", base_url="http://10.0.0.1:8080", zone=LAN), clock=clock)


async def fail(host: RemoteHost) -> None:
    lease = await host.lease(wait_s=0)
    error = UpstreamBroken(deployment="box", reason="r")
    assert await lease.explain(error) is error
    lease.over(answered=False)


def test_failures_in_a_row_give_it_a_rest_and_one_answer_ends_the_trial() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        host = a_host(clock)
        for _ in range(FAILURES_MAX):
            assert host.state().ready
            await fail(host)
        assert not host.state().ready
        clock.now_s += REST_S
        assert host.state().ready
        given_up = await host.lease(wait_s=0)
        assert "on trial" in host.state().detail
        given_up.over(answered=False)
        assert host.state().ready
        lease = await host.lease(wait_s=0)
        lease.end_wait(progress=True)
        assert host.state().ready
        lease.over(answered=True)
        await fail(host)
        assert host.state().ready

    asyncio.run(scenario())


def test_a_refusal_of_a_request_is_no_illness() -> None:
    async def scenario() -> None:
        host = a_host(ManualClock())
        for _ in range(2 * FAILURES_MAX):
            lease = await host.lease(wait_s=0)
            await lease.explain(UpstreamStatus(deployment="box", upstream_status=400, reason="too long"))
        assert host.state().ready

    asyncio.run(scenario())
