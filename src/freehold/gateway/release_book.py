"""Asking for releases and approving them: who may, of what, for how long."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.errors.release import ReleaseNotApproved, ReleaseNotPossible, ReleaseRequestInvalid
from freehold.domain.identity import Principal
from freehold.domain.labels import Label
from freehold.domain.ports import Clock, IdSource
from freehold.domain.releases import RELEASE_S_MAX, TWO_PERSONS_FROM, RefusedBody, Release
from freehold.domain.request import InferenceRequest
from freehold.gateway.releasing import LiveReleases
from freehold.gateway.runtime import Runtime
from freehold.policy.decide import decide
from freehold.policy.labelling import LABEL_HEADER
from freehold.policy.lattice import join_all
from freehold.policy.release import not_lifted
from freehold.policy.text import format_label, parse_label
from freehold.storage.keys import KeyEvent
from freehold.storage.releases import SqliteReleases

LISTED_MAX = 500
_OPEN_MAX = 200
"""Of a tenant: each is looked at by the requests that policy would refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants released.

    Attributes:
        deployment: Where to.
        reason: Why, in their words.
        life_s: For how long, at most ``RELEASE_S_MAX``.
        receipt: Id of the refused request; empty where the body is given.
        request: The body; ``None`` where it is named by its receipt.
        label: What else its label must say; empty for nothing.
    """

    deployment: str
    reason: str
    life_s: int
    receipt: str = ""
    request: InferenceRequest | None = None
    label: str = ""


class ReleaseBook:
    """Releases as those who manage them see them.

    Args:
        store: Where they are kept.
        live: Those that hold now; told at once of one that was approved here.
        runtime: What is in force.
        clock: Time.
        ids: Ids of releases.
    """

    def __init__(
        self,
        *,
        store: SqliteReleases,
        live: LiveReleases,
        runtime: Callable[[], Runtime],
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._store = store
        self._live = live
        self._runtime = runtime
        self._clock = clock
        self._ids = ids

    async def list(self, *, tenant: str | None) -> list[Release]:
        """The newest of a tenant's, or of all."""
        return await self._store.list(tenant=tenant, limit=LISTED_MAX)

    async def get(self, release_id: str, *, tenant: str | None) -> Release | None:
        """One of a tenant's, or of any."""
        return await self._store.get(release_id, tenant=tenant)

    async def ask(self, principal: Principal, wanted: Wanted, *, reached: str | None) -> Release:
        """Ask for a release. It is good for nothing until somebody approves it.

        Args:
            principal: Who asks.
            wanted: For what.
            reached: The tenant that they reach; ``None`` for all.

        Raises:
            ReleaseRequestInvalid: It names something that is not there.
            ReleaseNotPossible: Policy permits it anyway, or a release cannot lift what forbids it.
            LabelUnreadable: A label cannot be read.
        """
        body = await self._body(principal, wanted, reached=reached)
        runtime, now_ms = self._runtime(), self._clock.unix_ms()
        engine = runtime.engines.get(wanted.deployment)
        if engine is None:
            raise ReleaseRequestInvalid(what="the deployment", value=wanted.deployment, reason="there is none")
        label = parse_label(body.label, runtime.tree)
        decision = decide(
            label,
            engine.deployment,
            policy=runtime.policy,
            tenant=body.tenant,
            unix_ms=now_ms,
            audit_ready=True,
            scan_complete=body.scan_complete,
        )
        reason = ""
        if engine.deployment.is_on_device:
            reason = "it is on this device, which is no place to release a text to"
        elif decision.allowed:
            reason = f"policy lets it have a text labelled {body.label}"
        elif stays := not_lifted(decision.rules):
            reason = f"no release lifts {', '.join(sorted(stays))}"
        if reason:
            raise ReleaseNotPossible(deployment=wanted.deployment, reason=reason)
        release = Release(
            id=self._ids.new_id(),
            tenant=body.tenant,
            deployment=wanted.deployment,
            place=runtime.places.get(wanted.deployment, ""),
            commitment=body.commitment,
            label=body.label,
            rules=decision.rules,
            reason=wanted.reason,
            receipt=wanted.receipt,
            requested_by=principal.key_id,
            requested_line=principal.line or principal.key_id,
            requested_unix_ms=now_ms,
            expires_unix_ms=now_ms + min(wanted.life_s, RELEASE_S_MAX) * 1000,
        )
        if not await self._store.add(release, most=_OPEN_MAX, event=self._event("release.request", release, principal)):
            raise ReleaseNotPossible(
                deployment=wanted.deployment, reason=f"{_OPEN_MAX} releases of this tenant are open already"
            )
        return release

    async def approve(self, principal: Principal, release: Release, *, request: InferenceRequest | None) -> Release:
        """Approve a release; from then on it lets its body go.

        Args:
            principal: Who approves.
            release: One that they reach.
            request: The body that they have looked at, to be sure that it is this one; ``None`` to trust who asked.

        Raises:
            ReleaseNotApproved: They may not, it is another body, or it is over.
        """
        unix_ms = self._clock.unix_ms()
        if reason := self._against(principal, release, request, unix_ms):
            raise ReleaseNotApproved(release_id=release.id, reason=reason)
        event = self._event("release.approve", release, principal)
        if not await self._store.approve(release.id, by=principal.key_id, unix_ms=unix_ms, event=event):
            raise ReleaseNotApproved(release_id=release.id, reason="somebody else approved it, or it has expired")
        await self._live.refresh()
        return await self._store.get(release.id, tenant=release.tenant) or release

    def _against(self, principal: Principal, release: Release, request: InferenceRequest | None, unix_ms: int) -> str:
        if (state := release.state(unix_ms)) != "waiting":
            return f"it is {state}"
        if request is not None and not hmac.compare_digest(self._live.commit(request), release.commitment):
            return "the body that was given is not the one that it is for"
        is_same = (principal.line or principal.key_id) == release.requested_line
        if is_same and self._needs_two(release):
            return f"its label is {release.label}, and who asked may not approve it"
        return ""

    def _needs_two(self, release: Release) -> bool:
        try:
            return parse_label(release.label, self._runtime().tree).level >= TWO_PERSONS_FROM
        except LabelUnreadable:
            return True

    async def _body(self, principal: Principal, wanted: Wanted, *, reached: str | None) -> RefusedBody:
        """The commitment and label of what is wanted."""
        tree, now_ms = self._runtime().tree, self._clock.unix_ms()
        more = [parse_label(wanted.label, tree, param=LABEL_HEADER)] if wanted.label else []
        if wanted.request is None:
            found = await self._store.refused(wanted.receipt, tenant=reached, unix_ms=now_ms)
            if found is None:
                reason = "no request with it was refused by policy within the last seven days; give the body in a file"
                raise ReleaseRequestInvalid(what="the receipt", value=wanted.receipt, reason=reason)
            labels: list[Label] = [parse_label(found.label, tree), *more]
            return RefusedBody(
                receipt=found.receipt,
                tenant=found.tenant,
                unix_ms=found.unix_ms,
                commitment=found.commitment,
                label=format_label(join_all(labels, tree=tree)),
                scan_complete=found.scan_complete,
            )
        labels = [principal.tenant.label, principal.label, *more]
        return RefusedBody(
            receipt="",
            tenant=principal.tenant.name,
            unix_ms=now_ms,
            commitment=self._live.commit(wanted.request),
            label=format_label(join_all(labels, tree=tree)),
        )

    def _event(self, event: str, release: Release, principal: Principal) -> KeyEvent:
        """For the audit log: never the reason in words, which may hold anything."""
        detail: dict[str, object] = {
            "body_commit": release.commitment,
            "deployment": release.deployment,
            "expires": release.expires_unix_ms,
            "label": release.label,
            "reason_commit": self._live.commit_text(release.reason),
            "receipt": release.receipt,
            "release": release.id,
            "rules": list(release.rules),
        }
        return KeyEvent(
            unix_ms=self._clock.unix_ms(),
            event=event,
            key_id="",
            tenant=release.tenant,
            by=principal.key_id,
            detail=detail,
        )
