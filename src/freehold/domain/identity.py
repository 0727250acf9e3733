"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.labels import Label, Level
from freehold.domain.vault import GROUP, USER, Reader


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
class Reads:
    """Whose eyes a key reads private documents with.

    Attributes:
        user: Its person, as documents' readers name it behind ``user:``; empty for none.
        groups: Groups of that person, as documents' readers name them behind ``group:``.
        clearance: Highest level of documents that it may read.
    """

    user: str = ""
    groups: frozenset[str] = frozenset()
    clearance: Level = Level.RESTRICTED

    @property
    def names(self) -> frozenset[str]:
        """Its user and groups as documents' readers are written."""
        person = {USER + self.user} if self.user else set[str]()
        return frozenset(person | {GROUP + group for group in self.groups})


UNNAMED = Reads()
"""Those of a key that is nobody's in particular: what all of its tenant may read."""


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
        user: Its person among documents' readers; empty for none.
        groups: That person's groups among documents' readers.
        clearance: Highest level of documents that it may read.
    """

    key_id: str
    key_name: str
    tenant: Tenant
    label: Label
    scopes: frozenset[str]
    line: str = ""
    user: str = ""
    groups: frozenset[str] = frozenset()
    clearance: Level = Level.RESTRICTED

    @property
    def reads(self) -> Reads:
        """Whose eyes it reads private documents with."""
        return Reads(user=self.user, groups=self.groups, clearance=self.clearance)


def reader_of(principal: Principal) -> Reader:
    """Who reads private documents where this caller asks. No scope adds to it: a manager reads what its key reads."""
    return Reader(tenant=principal.tenant.name, names=principal.reads.names, clearance=principal.clearance)
