"""A configuration as dry runs of the rules see it."""

from __future__ import annotations

from freehold.app.rules import rulebook_of
from freehold.config.compile import Compiled
from freehold.policy.site import Site


def site_of(compiled: Compiled) -> Site:
    """The site at rest.

    Raises:
        PolicyError: Its rules do not hold.
    """
    return Site(
        policy=rulebook_of(compiled),
        deployments={plan.deployment.name: plan.deployment for plan in compiled.deployments},
        routes=compiled.routes,
        route_labels=compiled.route_labels,
        tenants=compiled.tenants,
    )
