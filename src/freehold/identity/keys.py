"""Keys: made once, shown once, looked up by the digest of the whole key."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from freehold.domain.errors.auth import KeyMissing, KeyNotRotated, KeyRequestInvalid, KeyUnknown, LastAdminKey
from freehold.domain.errors.base import FreeholdError
from freehold.domain.identity import UNNAMED, Principal, Reads, Scope, Tenant
from freehold.domain.labels import Label
from freehold.domain.ports import Clock, IdSource
from freehold.identity.readers import check_reads, reads_detail
from freehold.storage.keys import KeyEvent, KeyRecord

_PREFIX = "fh-"
_SECRET_BYTES = 32
_SECRET_FORM = re.compile(r"fh-[A-Za-z0-9_-]{43}")
_NAME_CHARACTERS_MAX = 64
_LABEL_CHARACTERS_MAX = 1_000

OVERLAP_S = 24 * 3600
"""How long the old key stays good beside the new one, where nothing else is said."""
OVERLAP_S_MAX = 30 * 24 * 3600
LIFE_S_MAX = 10 * 366 * 24 * 3600
THIS_MACHINE = "a program on this machine"


class KeyStore(Protocol):
    """Where keys are kept. Methods block; a change and its event are durable together."""

    def all(self) -> list[KeyRecord]:
        """Every key ever made, revoked ones too."""
        ...

    def add(self, record: KeyRecord, event: KeyEvent | None = None) -> None:
        """Store a new key durably."""
        ...

    def revoke(self, key_id: str, *, unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Revoke a key durably; False where there is nothing to revoke."""
        ...

    def rotate(self, record: KeyRecord, *, unix_ms: int, until_unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Store a key in place of the one that it follows; False where that has ended or is followed already."""
        ...

    def change_reads(self, key_id: str, reads: Reads, *, unix_ms: int, event: KeyEvent | None = None) -> bool:
        """Have a key read with other eyes, durably; False where there is none to change."""
        ...

    def events(self) -> list[KeyEvent]:
        """What happened and was not forgotten, oldest first."""
        ...

    def forget(self, seq: int) -> None:
        """Drop all events up to this one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a key is to be.

    Attributes:
        name: What its owner calls it, 1 to 64 printable characters.
        tenant: A tenant of the configuration.
        scopes: One or more of ``domain.identity.Scope``.
        label: What it adds to every request, as label text; empty for nothing.
        life_s: After how many seconds it opens nothing; ``None`` for never.
        reads: Whose eyes it reads private documents with.
    """

    name: str
    tenant: str
    scopes: Collection[str] = field(default=(Scope.INFER,))
    label: str = ""
    life_s: int | None = None
    reads: Reads = UNNAMED


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
        self._reloading = threading.Lock()
        self._records: tuple[KeyRecord, ...] = ()
        self._principals: dict[bytes, Principal] = {}
        self._by_id: dict[str, Principal] = {}
        self._lines: dict[str, str] = {}
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

    def principal_of(self, key_id: str) -> Principal | None:
        """The caller behind a key's id, for what runs in its name; ``None`` where it opens nothing any more."""
        return self._by_id.get(key_id)

    @property
    def good_ids(self) -> frozenset[str]:
        """Ids of all keys that open something."""
        return frozenset(self._by_id)

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

    def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, good or not."""
        return next((record for record in self._records if record.id == key_id), None)

    def line_of(self, key_id: str) -> str:
        """Id of the first of the keys that followed one another up to this one; its own where nothing is known of it."""
        return self._lines.get(key_id, key_id)

    def state(self, record: KeyRecord) -> str:
        """``good``, ``revoked``, ``expired``, or ``opens nothing`` where its tenant or label no longer holds."""
        if record.revoked_unix_ms is not None:
            return "revoked"
        if record.ended(self._clock.unix_ms()):
            return "expired"
        return "good" if record.sha256 in self._principals else "opens nothing"

    def label_of(self, text: str) -> Label:
        """The label that a key adds.

        Raises:
            LabelUnreadable: ``text`` cannot be read.
        """
        return self._parse_label(text) if text else self._bottom

    def new(
        self,
        *,
        name: str,
        tenant: str,
        scopes: Collection[str],
        label: str = "",
        life_s: int | None = None,
        reads: Reads = UNNAMED,
        by: str = THIS_MACHINE,
    ) -> tuple[str, KeyRecord]:
        """Make a key. The secret is returned this once and is stored nowhere.

        Args:
            name: As in ``NewKey``, and so on.
            tenant: As there.
            scopes: As there.
            label: As there.
            life_s: As there.
            reads: As there.
            by: Who does it: the id of a key, or a word for a program on this machine.

        Raises:
            KeyRequestInvalid: A value does not do.
            LabelUnreadable: ``label`` cannot be read.
            StorageFailed: It could not be stored; there is no such key.
        """
        secret = new_secret()
        wanted = NewKey(name=name, tenant=tenant, scopes=scopes, label=label, life_s=life_s, reads=reads)
        return secret, self._register(secret, wanted, by)

    def register(self, secret: str, *, name: str, tenant: str, scopes: Collection[str], label: str = "") -> KeyRecord:
        """Make a given secret a key; arguments and errors as in ``new``."""
        if not _SECRET_FORM.fullmatch(secret):
            # Never shown: a mistyped secret is most of a secret.
            raise KeyRequestInvalid(what="the secret", value="…", reason="it is not fh- and 43 URL-safe characters")
        return self._register(secret, NewKey(name=name, tenant=tenant, scopes=scopes, label=label), THIS_MACHINE)

    def rotate(
        self, key_id: str, *, overlap_s: int = OVERLAP_S, life_s: int | None = None, by: str = THIS_MACHINE
    ) -> tuple[str, KeyRecord]:
        """Make a key in place of another one: with its name, tenant, scopes, label, eyes and, unless said, length of life.

        Args:
            key_id: The key that is followed.
            overlap_s: How long that one stays good beside the new one; 0 for a key that leaked.
            life_s: As in ``NewKey``.
            by: As in ``new``.

        Returns:
            The new secret, shown this once, and its record.

        Raises:
            KeyRequestInvalid: There is no such key, or a value does not do; or the last key of the scope ``admin`` would
                be followed by one that ends before it.
            KeyNotRotated: It has ended, or is followed by another one already.
            StorageFailed: It could not be stored; everything is as it was.
        """
        old = self._known(key_id)
        if old is None:
            raise KeyRequestInvalid(what="the key id", value=key_id, reason="there is no key with this id")
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            raise KeyRequestInvalid(what="the overlap", value=overlap_s, reason=f"give 0 to {OVERLAP_S_MAX} s")
        if life_s is None and old.expires_unix_ms is not None:
            life_s = min(LIFE_S_MAX, max(1, (old.expires_unix_ms - old.created_unix_ms) // 1000))
        self._check(NewKey(name=old.name, tenant=old.tenant, scopes=old.scopes, label=old.label, life_s=life_s))
        secret, now_ms = new_secret(), self._clock.unix_ms()
        until_ms = now_ms + overlap_s * 1000
        ends_ms = None if life_s is None else now_ms + life_s * 1000
        if ends_ms is not None and (old.expires_unix_ms is None or ends_ms < old.expires_unix_ms):
            self._refuse_to_end_admin(old, life_s)
        record = KeyRecord(
            id=self._ids.new_id(),
            sha256=_digest(secret),
            name=old.name,
            tenant=old.tenant,
            scopes=old.scopes,
            label=old.label,
            created_unix_ms=now_ms,
            expires_unix_ms=ends_ms,
            follows=old.id,
            line=old.line or old.id,
            reads=old.reads,
        )
        event = _event("key.rotated", record, now_ms, by, old_key=old.id, old_until_unix_ms=until_ms)
        done = self._store.rotate(record, unix_ms=now_ms, until_unix_ms=until_ms, event=event)
        self.reload()
        if not done:
            raise KeyNotRotated(key_id=key_id, reason=self._why_not_rotated(key_id))
        return secret, record

    def change_reads(self, key_id: str, reads: Reads, *, by: str = THIS_MACHINE) -> KeyRecord:
        """Have a key read private documents with other eyes: its next request does, as with revoking.

        Args:
            key_id: Which.
            reads: The new ones, whole.
            by: As in ``new``.

        Raises:
            KeyRequestInvalid: There is no such key, it has ended, or a value does not do.
            StorageFailed: It could not be stored; the key reads as before.
        """
        check_reads(reads)
        now_ms, old = self._clock.unix_ms(), self._known(key_id)
        event = None if old is None else _event("key.changed", replace(old, reads=reads), now_ms, by)
        done = self._store.change_reads(key_id, reads, unix_ms=now_ms, event=event)
        self.reload()
        if not done or (record := self.find(key_id)) is None:
            raise KeyRequestInvalid(what="the key id", value=key_id, reason="no good key has this id")
        return record

    def revoke(self, key_id: str, *, force: bool = False, by: str = THIS_MACHINE) -> None:
        """Revoke a key for good; it opens nothing from now on.

        Args:
            key_id: Which.
            force: Also where it is the last one with the scope ``admin``.
            by: As in ``new``.

        Raises:
            KeyRequestInvalid: There is no such key, or it was revoked before.
            LastAdminKey: No other one with the scope ``admin`` lasts as long.
            StorageFailed: It could not be stored; the key is still good.
        """
        record = self._known(key_id)
        if record is not None and not force and self._is_last_admin(record):
            raise LastAdminKey(key_id=key_id)
        now_ms = self._clock.unix_ms()
        event = None if record is None else _event("key.revoked", record, now_ms, by, forced=force)
        done = self._store.revoke(key_id, unix_ms=now_ms, event=event)
        self.reload()
        if not done:
            raise KeyRequestInvalid(what="the key id", value=key_id, reason="no key with this id can be revoked")

    def events(self) -> tuple[KeyEvent, ...]:
        """What happened to keys, by whatever program, and is not in the audit log yet; oldest first."""
        return tuple(self._store.events())

    def forget(self, seq: int) -> None:
        """All events up to this one are in the audit log."""
        self._store.forget(seq)

    def knows(self, secret: str) -> bool:
        """Whether this secret is or was a key."""
        digest = _digest(secret)
        return any(record.sha256 == digest for record in self._records)

    def reload(self, tenants: Mapping[str, Tenant] | None = None) -> None:
        """Read the store again, with the tenants of a new configuration where given.

        A key whose tenant is gone or whose label cannot be read opens nothing, and is named in ``problems``. A caller
        of whom nothing changed stays the same object: what was decided for it is remembered by identity.

        Raises:
            StorageFailed: The store cannot be read. What has expired opens nothing all the same.
        """
        # One at a time: of two that read, the one that read earlier must not have the last word.
        with self._reloading:
            self._tenants = self._tenants if tenants is None else tenants
            try:
                self._hold(tuple(self._store.all()))
            except FreeholdError:
                self._hold(self._records)
                raise

    def _hold(self, records: tuple[KeyRecord, ...]) -> None:
        now_ms = self._clock.unix_ms()
        principals: dict[bytes, Principal] = {}
        problems: list[str] = []
        for record in records:
            if record.ended(now_ms):
                continue
            try:
                principal = self._principal(record)
                before = self._principals.get(record.sha256)
                principals[record.sha256] = before if before is not None and before == principal else principal
            except FreeholdError as error:
                problems.append(f"key {record.id} ({record.name}): {error.message}")
        self._records, self._principals, self._problems = records, principals, tuple(problems)
        self._by_id = {principal.key_id: principal for principal in principals.values()}
        self._lines = {record.id: record.line or record.id for record in records}

    def _register(self, secret: str, wanted: NewKey, by: str) -> KeyRecord:
        self._check(wanted)
        now_ms, key_id = self._clock.unix_ms(), self._ids.new_id()
        record = KeyRecord(
            id=key_id,
            sha256=_digest(secret),
            name=wanted.name,
            tenant=wanted.tenant,
            scopes=frozenset(wanted.scopes),
            label=wanted.label,
            created_unix_ms=now_ms,
            expires_unix_ms=None if wanted.life_s is None else now_ms + wanted.life_s * 1000,
            line=key_id,
            reads=wanted.reads,
        )
        self._store.add(record, _event("key.made", record, now_ms, by))
        self.reload()
        return record

    def _known(self, key_id: str) -> KeyRecord | None:
        """As ``find``, for a key too that another program made a moment ago."""
        if (found := self.find(key_id)) is None:
            self.reload()
            found = self.find(key_id)
        return found

    def _is_last_admin(self, record: KeyRecord) -> bool:
        if Scope.ADMIN not in record.scopes or record.sha256 not in self._principals:
            return False
        last_ms = record.expires_unix_ms
        return not any(
            other.id != record.id
            and Scope.ADMIN in other.scopes
            and other.sha256 in self._principals
            and (other.expires_unix_ms is None or (last_ms is not None and other.expires_unix_ms >= last_ms))
            for other in self._records
        )

    def _refuse_to_end_admin(self, record: KeyRecord, life_s: int | None) -> None:
        if self._is_last_admin(record):
            reason = (
                f"{record.id} is the last key of the scope admin that lasts, and the new one would end before it; "
                "give it longer, or make another key of that scope first"
            )
            raise KeyRequestInvalid(what="the length of life", value=f"{life_s} s", reason=reason)

    def _why_not_rotated(self, key_id: str) -> str:
        later = next((record.id for record in self._records if record.follows == key_id), "")
        return f"it is followed by {later} already" if later else "it was revoked, or has expired"

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
            label=self.label_of(record.label),
            scopes=record.scopes,
            line=record.line,
            user=record.reads.user,
            groups=record.reads.groups,
            clearance=record.reads.clearance,
        )

    def _check(self, wanted: NewKey) -> None:
        name, tenant, scopes, life_s = wanted.name, wanted.tenant, wanted.scopes, wanted.life_s
        if not (name.strip() and name.isprintable() and len(name) <= _NAME_CHARACTERS_MAX):
            raise KeyRequestInvalid(what="the name", value=name, reason="give 1 to 64 printable characters")
        if tenant not in self._tenants:
            known = ", ".join(sorted(self._tenants))
            raise KeyRequestInvalid(what="the tenant", value=tenant, reason=f"the configuration has: {known}")
        if not scopes or not {*Scope}.issuperset(scopes):
            raise KeyRequestInvalid(
                what="the scope", value=" ".join(sorted(scopes)), reason=f"give one or more of {', '.join(Scope)}"
            )
        if life_s is not None and not 1 <= life_s <= LIFE_S_MAX:
            raise KeyRequestInvalid(what="the time to live", value=life_s, reason=f"give 1 to {LIFE_S_MAX} s")
        if len(wanted.label) > _LABEL_CHARACTERS_MAX:
            raise KeyRequestInvalid(
                what="the label", value=wanted.label, reason=f"give at most {_LABEL_CHARACTERS_MAX} characters"
            )
        if wanted.label:
            self._parse_label(wanted.label)
        check_reads(wanted.reads)


def _event(name: str, record: KeyRecord, unix_ms: int, by: str, **more: object) -> KeyEvent:
    detail: dict[str, object] = {"scopes": sorted(record.scopes), "label": record.label, **reads_detail(record.reads)}
    if record.expires_unix_ms is not None:
        detail["expires_unix_ms"] = record.expires_unix_ms
    return KeyEvent(
        unix_ms=unix_ms, event=name, key_id=record.id, tenant=record.tenant, by=by, detail={**detail, **more}
    )


def _digest(secret: str) -> bytes:
    # surrogatepass: a header that is no valid text must end as "unknown key", not as a crash.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
