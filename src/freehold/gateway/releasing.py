"""Releases on the request path: what is approved lets one attempt of one exact body go."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from freehold.domain.decisions import PolicyDecision
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.release import ReleaseSpent
from freehold.domain.identity import Principal
from freehold.domain.ports import AuditLog, Clock
from freehold.domain.receipt import AuditRecord
from freehold.domain.releases import RefusedBody, Release, Releases, released_bytes
from freehold.domain.request import InferenceRequest, Purpose
from freehold.gateway.footing import Footing
from freehold.gateway.runtime import Runtime
from freehold.policy.release import find_release, lifted
from freehold.storage.releases import SqliteReleases

USED = "release.use"

REFUSED_EACH_S = 20
"""Of refused requests, how many a second are noted: a client that asks in a loop must not fill the database."""


def with_releases(
    footing: Footing, request: InferenceRequest, releases: Releases, *, runtime: Runtime, unix_ms: int
) -> Footing:
    """The footing of one request, with what releases of exactly its body let go; the same one where there are none.

    What is asked on our own account, and what a route asks for further signals, is never released.
    """
    known = releases.live.get(footing.principal.tenant.name, ())
    if not known or request.purpose is not Purpose.ANSWER:
        return footing
    names = {each.deployment for each in known} & set(footing.route.deployments)
    if not any(each.deployment in names and not each.allowed for each in footing.decisions):
        return footing
    commitment = releases.commit(request)
    mine = [each for each in known if hmac.compare_digest(each.commitment, commitment)]
    if not mine:
        return footing
    decisions: list[PolicyDecision] = []
    for decision in footing.decisions:
        release = None
        if decision.deployment in names:
            place = runtime.places.get(decision.deployment, "")
            release = find_release(decision, footing.label, mine, place=place, tree=runtime.tree, unix_ms=unix_ms)
        decisions.append(decision if release is None else lifted(decision, release))
    return replace(footing, decisions=tuple(decisions), _plans={}, _verdicts={})


class LiveReleases:
    """Approved releases of all tenants, as of the last look at the database. Implements ``domain.releases.Releases``.

    Args:
        store: Where they are.
        key: Of commitments.
        audit: Where their use is recorded.
        clock: Time.
    """

    def __init__(self, *, store: SqliteReleases, key: bytes, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._audit = audit
        self._clock = clock
        self._noted_s, self._noted = 0, 0
        self.live: Mapping[str, tuple[Release, ...]] = MappingProxyType({})

    def commit(self, request: InferenceRequest) -> str:
        """Keyed commitment of a request's body, hex: HMAC-SHA256, so that short texts cannot be guessed."""
        return hmac.digest(self._key, released_bytes(request), "sha256").hex()

    def commit_text(self, text: str) -> str:
        """Keyed commitment of what somebody wrote, hex: it can be shown later that it was this."""
        return hmac.digest(self._key, b"text\0" + text.encode(), "sha256").hex()

    def refused(self, request: InferenceRequest, principal: Principal, label: str, *, scan_complete: bool) -> None:
        """Keep what is needed to ask for a release by this request's receipt; where that fails a file is needed."""
        if request.purpose is not Purpose.ANSWER or not self._may_note():
            return
        body = RefusedBody(
            receipt=request.id,
            tenant=principal.tenant.name,
            unix_ms=self._clock.unix_ms(),
            commitment=self.commit(request),
            label=label,
            scan_complete=scan_complete,
        )
        with contextlib.suppress(FreeholdError):
            self._store.note_refused(body)

    def _may_note(self) -> bool:
        now_s = int(self._clock.monotonic_s())
        if now_s != self._noted_s:
            self._noted_s, self._noted = now_s, 0
        self._noted += 1
        return self._noted <= REFUSED_EACH_S

    async def refresh(self) -> None:
        """Look at the database: what another process approved, or used up, holds here too.

        Raises:
            StorageFailed: It cannot be read; what was known holds until it expires.
        """
        found: dict[str, tuple[Release, ...]] = {}
        for release in await self._store.live(self._clock.unix_ms()):
            found[release.tenant] = (*found.get(release.tenant, ()), release)
        self.live = MappingProxyType(found)

    async def use(self, release_id: str, *, request_id: str, tenant: str) -> None:
        """Use a release up, in the database and in the audit log, before anything is sent.

        Raises:
            ReleaseSpent: It was used or has expired.
            AuditError: It cannot be recorded; nothing may leave, and the release is used up all the same.
            StorageFailed: It cannot be used up; nothing may leave.
        """
        unix_ms = self._clock.unix_ms()
        release = next((each for each in self.live.get(tenant, ()) if each.id == release_id), None)
        if release is None or not await self._store.use(release_id, request_id=request_id, unix_ms=unix_ms):
            raise ReleaseSpent(release_id=release_id)
        self.live = MappingProxyType(
            {name: kept for name, some in self.live.items() if (kept := _without(some, release_id))}
        )
        detail: dict[str, object] = {
            "approved_by": release.approved_by,
            "body_commit": release.commitment,
            "deployment": release.deployment,
            "label": release.label,
            "release": release.id,
            "requested_by": release.requested_by,
            "rules": list(release.rules),
        }
        record = AuditRecord(event=USED, unix_ms=unix_ms, tenant=tenant, request_id=request_id, detail=detail)
        self._audit.append(record)


def _without(releases: tuple[Release, ...], release_id: str) -> tuple[Release, ...]:
    return tuple(each for each in releases if each.id != release_id)
