"""Keys: made once, shown once, looked up by the digest of the whole key."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from freehold.domain.errors.auth import KeyMissing, KeyRequestInvalid, KeyUnknown
from freehold.domain.errors.base import FreeholdError
from freehold.domain.identity import Principal, Scope, Tenant
from freehold.domain.labels import Label
from freehold.domain.ports import Clock, IdSource
from freehold.storage.keys import KeyRecord

_PREFIX = "fh-"
_SECRET_BYTES = 32
_SECRET_FORM = re.compile(r"fh-[A-Za-z0-9_-]{43}")
_NAME_CHARACTERS_MAX = 64


class KeyStore(Protocol):
    """Where keys are kept. Methods block."""

    def all(self) -> list[KeyRecord]:
        """Every key ever made, revoked ones too."""
        ...

    def add(self, record: KeyRecord) -> None:
        """Store a new key durably."""
        ...

    def revoke(self, key_id: str, *, unix_ms: int) -> bool:
        """Revoke a key durably; False where there is nothing to revoke."""
        ...


def new_secret() -> str:
    """A fresh key: ``fh-`` and 43 URL-safe characters that carry 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


class KeyRing:
    """All good keys in memory, by SHA-256 of the whole key. Implements ``domain.ports.Authenticator``.

    ``authenticate`` touches memory only. The other methods block on the store and may run on another thread: they
    put a whole new map in place, never a half-changed one.
    """

    def __init__(
        self,
        store: KeyStore,
        tenants: Mapping[str, Tenant],
        *,
        parse_label: Callable[[str], Label],
        bottom: Label,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        """Load the keys.

        Args:
            store: Where keys are kept.
            tenants: The tenants of the configuration by name.
            parse_label: Reads the label text of a key; raises ``FreeholdError`` where it cannot.
            bottom: The label of a key that adds nothing.
            clock: Time of creation and revocation.
            ids: Public ids of new keys.
        """
        self._store = store
        self._tenants = tenants
        self._parse_label = parse_label
        self._bottom = bottom
        self._clock = clock
        self._ids = ids
        self._records: tuple[KeyRecord, ...] = ()
        self._principals: dict[bytes, Principal] = {}
        self._problems: tuple[str, ...] = ()
        self.reload()

    def authenticate(self, credential: str | None) -> Principal:
        """The caller behind a bearer credential.

        Unknown and revoked keys take the same path: one digest of the whole credential, one look-up, one error.
        Nobody can steer the look-up byte by byte, since a digest cannot be chosen.

        Raises:
            KeyMissing: None was sent.
            KeyUnknown: It is not known, or revoked, or its tenant or label is no longer valid.
        """
        if not credential:
            raise KeyMissing
        principal = self._principals.get(_digest(credential))
        if principal is None:
            raise KeyUnknown
        return principal

    @property
    def good_ids(self) -> frozenset[str]:
        """Ids of all keys that open something."""
        return frozenset(principal.key_id for principal in self._principals.values())

    @property
    def tenants(self) -> Mapping[str, Tenant]:
        """The tenants of the configuration in force."""
        return self._tenants

    @property
    def problems(self) -> tuple[str, ...]:
        """Keys that are not revoked and yet open nothing, each with the reason; for ``doctor``."""
        return self._problems

    def list(self) -> tuple[KeyRecord, ...]:
        """Every key ever made, revoked ones too, oldest first."""
        return self._records

    def new(self, *, name: str, tenant: str, scopes: Collection[str], label: str = "") -> tuple[str, KeyRecord]:
        """Make a key. The secret is returned this once and is stored nowhere.

        Args:
            name: What its owner calls it, 1 to 64 printable characters.
            tenant: A tenant of the configuration.
            scopes: One or more of ``domain.identity.Scope``.
            label: What it adds to every request, as label text; empty for nothing.

        Raises:
            KeyRequestInvalid: A value does not do.
            LabelUnreadable: ``label`` cannot be read.
            StorageFailed: It could not be stored; there is no such key.
        """
        secret = new_secret()
        return secret, self.register(secret, name=name, tenant=tenant, scopes=scopes, label=label)

    def register(self, secret: str, *, name: str, tenant: str, scopes: Collection[str], label: str = "") -> KeyRecord:
        """Make a given secret a key; arguments and errors as in ``new``."""
        if not _SECRET_FORM.fullmatch(secret):
            # Never shown: a mistyped secret is most of a secret.
            raise KeyRequestInvalid(what="the secret", value="…", reason="it is not fh- and 43 URL-safe characters")
        self._check(name, tenant, scopes, label)
        record = KeyRecord(
            id=self._ids.new_id(),
            sha256=_digest(secret),
            name=name,
            tenant=tenant,
            scopes=frozenset(scopes),
            label=label,
            created_unix_ms=self._clock.unix_ms(),
        )
        self._store.add(record)
        self.reload()
        return record

    def revoke(self, key_id: str) -> None:
        """Revoke a key for good; it opens nothing from now on.

        Raises:
            KeyRequestInvalid: There is no such key, or it was revoked before.
            StorageFailed: It could not be stored; the key is still good.
        """
        done = self._store.revoke(key_id, unix_ms=self._clock.unix_ms())
        self.reload()
        if not done:
            raise KeyRequestInvalid(what="the key id", value=key_id, reason="no key with this id can be revoked")

    def knows(self, secret: str) -> bool:
        """Whether this secret is or was a key."""
        digest = _digest(secret)
        return any(record.sha256 == digest for record in self._records)

    def reload(self, tenants: Mapping[str, Tenant] | None = None) -> None:
        """Read the store again, with the tenants of a new configuration where given.

        A key whose tenant is gone or whose label cannot be read opens nothing, and is named in ``problems``. A caller
        of whom nothing changed stays the same object: what was decided for it is remembered by identity.
        """
        self._tenants = self._tenants if tenants is None else tenants
        records = tuple(self._store.all())
        principals: dict[bytes, Principal] = {}
        problems: list[str] = []
        for record in records:
            if record.revoked_unix_ms is not None:
                continue
            try:
                principal = self._principal(record)
                before = self._principals.get(record.sha256)
                principals[record.sha256] = before if before is not None and before == principal else principal
            except FreeholdError as error:
                problems.append(f"key {record.id} ({record.name}): {error.message}")
        self._records, self._principals, self._problems = records, principals, tuple(problems)

    def _principal(self, record: KeyRecord) -> Principal:
        tenant = self._tenants.get(record.tenant)
        if tenant is None:
            raise KeyRequestInvalid(
                what="the tenant", value=record.tenant, reason="the configuration has no such tenant"
            )
        return Principal(
            key_id=record.id,
            key_name=record.name,
            tenant=tenant,
            label=self._parse_label(record.label) if record.label else self._bottom,
            scopes=record.scopes,
        )

    def _check(self, name: str, tenant: str, scopes: Collection[str], label: str) -> None:
        if not (name.strip() and name.isprintable() and len(name) <= _NAME_CHARACTERS_MAX):
            raise KeyRequestInvalid(what="the name", value=name, reason="give 1 to 64 printable characters")
        if tenant not in self._tenants:
            known = ", ".join(sorted(self._tenants))
            raise KeyRequestInvalid(what="the tenant", value=tenant, reason=f"the configuration has: {known}")
        if not scopes or not {*Scope}.issuperset(scopes):
            raise KeyRequestInvalid(
                what="the scope", value=" ".join(sorted(scopes)), reason=f"give one or more of {', '.join(Scope)}"
            )
        if label:
            self._parse_label(label)


def _digest(secret: str) -> bytes:
    # surrogatepass: a header that is no valid text must end as "unknown key", not as a crash.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
