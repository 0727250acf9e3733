"""Authorisation in one place: what a caller must be allowed to do, and whose objects that reaches. Pure.

The table of routes gives each row an ``Access``; whoever serves a row decides by it and by nothing else: neither by a
path that was put together again, nor by a header.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from freehold.domain.errors.auth import GrantRefused, ScopeMissing
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
OWN = Access(Scope.MANAGE, Reach.TENANT)
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


def check_grant(principal: Principal, *, scopes: Collection[str], lowers_label: bool) -> None:
    """Let a caller hand out a key: nobody gives what it does not have; ``admin`` has every scope.

    Args:
        principal: Who gives it.
        scopes: What the key may do.
        lowers_label: Whether its label demands less than the giver's own.

    Raises:
        GrantRefused: That would be more than the giver has.
    """
    beyond = set[str]() if Scope.ADMIN in principal.scopes else set(scopes) - principal.scopes
    if beyond:
        raise GrantRefused(reason=f"it does not have the scope {' and '.join(sorted(beyond))} itself")
    if lowers_label:
        raise GrantRefused(reason="its own label is stricter than the one that the key would have")


def check_end(principal: Principal, *, scopes: Collection[str]) -> None:
    """Let a caller revoke a key that it reaches.

    Raises:
        GrantRefused: The key is one of those that manage the caller.
    """
    if Scope.ADMIN in scopes and Scope.ADMIN not in principal.scopes:
        raise GrantRefused(reason="it cannot end a key of the scope admin")
