"""The rules of a configuration, read and checked."""

from __future__ import annotations

from functools import lru_cache

from freehold.config.compile import Compiled
from freehold.domain.deployment import Deployment
from freehold.domain.zones import ZoneTree
from freehold.policy.rulebook import Rulebook


def rulebook_of(compiled: Compiled) -> Rulebook:
    """The rules in force by this configuration; those of the last one asked for are not read again.

    Raises:
        PolicyError: The site's own rules do not hold.
    """
    deployments = tuple(plan.deployment for plan in compiled.deployments)
    return _rulebook(compiled.rules, compiled.rules_path, compiled.tree, deployments, tuple(compiled.tenants))


@lru_cache(maxsize=2)
def _rulebook(
    own: str, path: str, tree: ZoneTree, deployments: tuple[Deployment, ...], tenants: tuple[str, ...]
) -> Rulebook:
    return Rulebook.compile(own=own, path=path, tree=tree, deployments=deployments, tenants=tenants)
