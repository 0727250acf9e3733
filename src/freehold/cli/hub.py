"""Which hub is asked, and by which way: from this process, or through the broker's where only that one connects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from freehold.config.schema import Config
from freehold.domain.errors.policy import EgressNotBrokered
from freehold.domain.zones import Zone
from freehold.hostinfo.clock import SystemClock, SystemIds

if TYPE_CHECKING:
    from freehold.net.hub import HubSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A model hub.

    Attributes:
        endpoint: Its address; empty for the client library's own.
        broker: Socket of the process that alone connects; empty where this one does.
        addresses: What that may read from: the hub's, then its storage's.
        zone: Where these are.
    """

    endpoint: str = ""
    broker: str = ""
    addresses: tuple[str, ...] = ()
    zone: str = ""


def hub_of(config: str) -> Hub:
    """The hub that the configuration names; the library's own where there is no configuration.

    Raises:
        ConfigInvalid: There is one, and it holds mistakes.
        ConfigMissing: The one that was asked for is not there.
        EgressNotBrokered: It says that only a broker's process connects, and names no hub for that.
    """
    from freehold.cli.configured import loaded_or_default  # lazy: most that is asked of models asks no hub

    return hub_in(loaded_or_default(config).config)


def hub_in(config: Config) -> Hub:
    """The hub that a configuration names.

    Raises:
        EgressNotBrokered: Only a broker's process connects, and no hub is named for it.
    """
    egress = config.egress
    if not egress.broker:
        return Hub(endpoint=config.hub.endpoint)
    if not egress.hub:
        raise EgressNotBrokered(what="Fetching a model")
    return Hub(
        endpoint=config.hub.endpoint or egress.hub[0],
        broker=egress.broker,
        addresses=tuple(egress.hub),
        zone=egress.hub_zone,
    )


def with_hub(hub: Hub, work: Callable[[HubSource], Awaitable[T]]) -> T:
    """Do something that asks the hub, by the way that there is.

    Raises:
        ModelError: The hub cannot be asked, or refuses.
        EgressBrokerAway: The broker is not there.
        EgressDenied: The broker refuses, or the hub leads to a place that is not named.
    """
    return asyncio.run(_with_hub(hub, work))


async def _with_hub(hub: Hub, work: Callable[[HubSource], Awaitable[T]]) -> T:
    from freehold.net.hub import HubSource  # lazy: only asking a hub needs a network

    source = HubSource(endpoint=hub.endpoint or None)
    if not hub.broker:
        return await work(source)
    from freehold.net.brokered.hub import through_broker  # lazy: loads the hub's client library

    clock = SystemClock()
    async with through_broker(hub.broker, hub.addresses, Zone(hub.zone), clock=clock, ids=SystemIds(clock)):
        return await work(source)
