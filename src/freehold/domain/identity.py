"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.labels import Label


class Scope(StrEnum):
    """What a key may be allowed to do."""

    INFER = "infer"
    MANAGE = "manage"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer or department.

    Attributes:
        name: What the configuration calls it.
        label: The floor of every request.
        weight: Its share of busy deployments against other tenants', 1 to 1,000.
        learns: Whether outcomes of its requests are kept, and shadows asked about them.
    """

    name: str
    label: Label
    weight: int = 1
    learns: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. There is no value for "nobody".

    Attributes:
        key_id: Public id of the key, safe to log.
        key_name: What its owner called it.
        tenant: Whose it is.
        label: What this key adds to every request.
        scopes: What it may do: ``infer`` (ask models, see what its tenant owns), ``manage`` (its tenant's keys, limits
            and usage), ``admin`` (everything of all tenants, and of the house).
        line: Id of the first of the keys that followed one another: what is counted for a key, and is to go on over a
            rotation, is counted for its line. Empty where that is not known.
    """

    key_id: str
    key_name: str
    tenant: Tenant
    label: Label
    scopes: frozenset[str]
    line: str = ""
