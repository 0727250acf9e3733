"""Authorisation in one place: what a caller must be allowed to do, and whose objects that reaches. Pure.

The table of routes gives each row an ``Access``; whoever serves a row decides by it and by nothing else: neither by a
path that was put together again, nor by a header.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from freehold.domain.errors.auth import ScopeMissing
from freehold.domain.identity import Principal, Scope


class Reach(Enum):
    """Whose objects a row shows or changes."""

    NOBODY = "nobody's"
    """None: liveness, versions."""
    HOUSE = "the house's"
    """What is the same for all tenants: models, metrics."""
    TENANT = "the caller's tenant's"
    """Only those of the caller's own tenant, whatever its scopes are."""
    MANAGED = "the tenants' that the caller manages"
    """Those of the caller's own tenant; with the scope ``admin`` those of all tenants."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a row takes.

    Attributes:
        scope: What the key must be allowed to do; ``None`` for nothing: no key is asked for.
        reach: Whose objects it shows.
    """

    scope: Scope | None
    reach: Reach


OPEN = Access(None, Reach.NOBODY)
INFER = Access(Scope.INFER, Reach.TENANT)
MANAGE = Access(Scope.MANAGE, Reach.MANAGED)
ADMIN = Access(Scope.ADMIN, Reach.HOUSE)


def authorise(principal: Principal, access: Access) -> None:
    """Let a caller pass. The scope ``admin`` includes ``manage``; it does not include ``infer``.

    Raises:
        ScopeMissing: The key may not do that.
    """
    needed = access.scope
    if needed is None or needed in principal.scopes:
        return
    if needed is Scope.MANAGE and Scope.ADMIN in principal.scopes:
        return
    raise ScopeMissing(scope=needed.value)


def reached_tenant(principal: Principal, access: Access) -> str | None:
    """The one tenant whose objects a caller reaches by a row; ``None`` for all tenants."""
    if access.reach is Reach.MANAGED and Scope.ADMIN in principal.scopes:
        return None
    return principal.tenant.name
