"""The tenants of a configuration, for the server and for who looks after its keys."""

from __future__ import annotations

from freehold.config.compile import Compiled
from freehold.domain.identity import Tenant
from freehold.policy.text import parse_label


def tenants_of(compiled: Compiled) -> dict[str, Tenant]:
    """The tenants with their labels read.

    Raises:
        LabelUnreadable: One of them cannot be.
    """
    return {
        name: Tenant(
            name=name,
            label=parse_label(label, compiled.tree, param=f"tenants.{name}.label"),
            weight=compiled.weights[name],
            learns=compiled.learns[name],
        )
        for name, label in compiled.tenants.items()
    }
