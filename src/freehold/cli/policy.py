"""``freehold policy``: a dry run of the rules."""

from __future__ import annotations

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.options import ConfigFile, Json
from freehold.config.compile import Compiled
from freehold.domain.deployment import Deployment
from freehold.domain.labels import LabelSource
from freehold.hostinfo.clock import SystemClock
from freehold.policy.explain import explain
from freehold.policy.text import parse_label


def policy(
    label: str = "",
    /,
    *,
    route: str = "",
    tenant: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show where a text may go and what forbids the rest. Nothing is sent.

    Args:
        label: What a client would send as freehold-label, for example "confidential;zones=lan".
        route: Only this route's deployments, with what the route itself demands.
        tenant: Whose text; the first tenant's of the configuration if not given.
    """
    compiled = compiled_or_default(config)
    tree = compiled.tree
    sources = [
        LabelSource(origin=origin, rule=f"{origin}:{name}", label=parse_label(text, tree))
        for origin, name, text in _demands(compiled, label=label, route=route, tenant=tenant)
    ]
    explained = explain(
        sources,
        _deployments(compiled, route),
        tree=tree,
        unix_ms=SystemClock().unix_ms(),
        audit_ready=True,
    )
    if as_json:
        output.print_json(explained.to_json())
    else:
        output.say("\n".join(explained.lines()))
    return output.OK


def _demands(compiled: Compiled, *, label: str, route: str, tenant: str) -> list[tuple[str, str, str]]:
    """Who demands which label text."""
    whose = tenant or next(iter(compiled.tenants))
    if whose not in compiled.tenants:
        raise output.UsageError(f"There is no tenant {whose!r}; there are: {', '.join(compiled.tenants)}.")
    found = [("tenant", whose, compiled.tenants[whose])]
    if route in compiled.route_labels:
        found.append(("route", route, compiled.route_labels[route]))
    if label:
        found.append(("client", "freehold-label", label))
    return found


def _deployments(compiled: Compiled, route: str) -> list[Deployment]:
    known = {plan.deployment.name: plan.deployment for plan in compiled.deployments}
    if not route:
        return list(known.values())
    if route not in compiled.routes:
        raise output.UsageError(f"There is no route {route!r}; there are: {', '.join(compiled.routes) or 'none'}.")
    return [known[name] for name in compiled.routes[route].deployments]
