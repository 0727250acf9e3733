"""Servers that fail far more often than the others of their route are left alone for a while."""

from __future__ import annotations

import logging

from freehold.engines.remote import RemoteEngine
from freehold.gateway.runtime import Runtime
from freehold.routing.outliers import ejectable, success_rate_outliers

log = logging.getLogger("freehold.app")


def leave_outliers_alone(runtime: Runtime) -> None:
    """Compare the servers of each route by what ended since the last time; to be called once a window."""
    healths = {name: engine.health for name, engine in runtime.engines.items() if isinstance(engine, RemoteEngine)}
    windows = {name: health.swept() for name, health in healths.items()}
    for route in runtime.routes.values():
        peers = [name for name in route.deployments if name in healths]
        ejected = sum(healths[name].is_ejected for name in peers)
        outliers = success_rate_outliers({name: windows[name] for name in peers})
        fresh = [name for name in outliers if not healths[name].is_ejected]
        for name in ejectable(fresh, peers=len(peers), ejected=ejected):
            answered = round(100 * windows[name].success_rate)
            healths[name].eject(
                f"it answers {answered} % of its calls, far fewer than the others of route {route.name}"
            )
            log.warning("%s is left alone: %s", name, healths[name].state().detail)
