"""What dry runs of the rules are held against: a site's names, floors and rules, without anything that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from freehold.domain.deployment import Deployment, Route
from freehold.domain.labels import LabelSource
from freehold.policy.labelling import LABEL_HEADER
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import nearest, parse_label


class UnknownNameError(LookupError):
    """The site has nothing of this name; the message says what it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site at rest.

    Attributes:
        policy: The rules in force.
        deployments: By name.
        routes: By name.
        route_labels: Label text that a route adds, by route.
        tenants: Label text that is a tenant's floor, by tenant; the first one is meant where none is said.
    """

    policy: Rulebook
    deployments: Mapping[str, Deployment]
    routes: Mapping[str, Route]
    route_labels: Mapping[str, str]
    tenants: Mapping[str, str]

    def tenant(self, name: str) -> str:
        """The tenant that is meant.

        Raises:
            UnknownNameError: There is none of this name.
        """
        found = name or next(iter(self.tenants))
        _known("tenant", found, self.tenants)
        return found

    def sources(self, *, label: str, route: str, tenant: str) -> tuple[LabelSource, ...]:
        """Who says what of a text that a tenant sends to a route with this header.

        Raises:
            UnknownNameError: There is no such tenant.
            LabelUnreadable: A label cannot be read.
        """
        whose = self.tenant(tenant)
        said = [("tenant", whose, self.tenants[whose])]
        if route in self.route_labels:
            said.append(("route", route, self.route_labels[route]))
        if label:
            said.append(("client", LABEL_HEADER, label))
        return tuple(
            LabelSource(origin=origin, rule=f"{origin}:{name}", label=parse_label(text, self.policy.tree))
            for origin, name, text in said
        )

    def ways(self, *, route: str = "", deployment: str = "") -> tuple[Deployment, ...]:
        """One deployment, or those of a route, or all.

        Raises:
            UnknownNameError: There is no such route or deployment.
        """
        if deployment:
            _known("deployment", deployment, self.deployments)
            return (self.deployments[deployment],)
        if not route:
            return tuple(self.deployments.values())
        _known("route", route, self.routes)
        return tuple(self.deployments[name] for name in self.routes[route].deployments)


def _known(what: str, name: str, there: Mapping[str, object]) -> None:
    if name not in there:
        near = nearest(name, there) or f"; there are: {', '.join(there) or 'none'}"
        raise UnknownNameError(f"there is no {what} {name!r}{near}")
