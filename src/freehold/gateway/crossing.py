"""Before a text leaves where nobody need look at it: what is in it, which label that asks for, what can be taken out.

Detectors begin beside the first attempt at home and are waited for only where the next one is further out. A text that
could not be looked through to the end, or not in time, stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from freehold.domain.deployment import Declassify, Deployment
from freehold.domain.errors.audit import AuditError
from freehold.domain.findings import DetectRules, Look, Scan
from freehold.gateway.declassifying import Declassifier, Way
from freehold.gateway.footing import Asking, Footing, Footings, taken_out_of
from freehold.gateway.looking import texts_of
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.releasing import with_releases
from freehold.gateway.runtime import Runtime, Services
from freehold.policy.detected import UNREAD_FILE, heeded, sources_of


@dataclass(slots=True, kw_only=True)
class Crossing:
    """One request's way out.

    Attributes:
        footings: Where further footings are made.
        asking: Who asks.
        whole: The request's footing, without what detectors find.
        ways: What goes in the place of the request, by deployment.
    """

    services: Services
    runtime: Runtime
    draft: ReceiptDraft
    footings: Footings
    asking: Asking
    whole: Footing
    ways: dict[str, Way] = field(default_factory=dict[str, Way])
    _scan: asyncio.Task[Scan] | None = None
    _is_settled: bool = False
    _kinds: frozenset[str] = frozenset()

    @property
    def rules(self) -> DetectRules:
        """When texts are looked through."""
        rules = self.runtime.detect
        if rules is None:
            raise RuntimeError("nothing is looked through here")
        return rules

    def way(self, deployment: Deployment) -> Way | None:
        """What goes to a deployment in the place of the request; ``None`` for the request itself."""
        return self.ways.get(deployment.name)

    def begin(self) -> asyncio.Task[Scan]:
        """Start looking, beside whatever else is done for this request; what is found."""
        if self._scan is None:
            self._scan = asyncio.get_running_loop().create_task(self._look())
        return self._scan

    def close(self) -> None:
        """The request is over: nobody waits for what is found."""
        if self._scan is not None and not self._scan.done():
            self._scan.cancel()

    async def settled(self, footing: Footing, deployment: Deployment) -> Footing:
        """The footing as it is before the request goes to a deployment: the same one where nothing need be looked at.

        Args:
            footing: The one in force; its route holds.
            deployment: Where the request would go.
        """
        if self._is_settled or not self._is_needed(footing, deployment):
            return footing
        scan = await self.begin()
        self._is_settled, self._kinds = True, scan.kinds
        draft, runtime = self.draft, self.runtime
        sources = sources_of(scan.kinds, runtime.tree)
        raised = self.footings.raised(self.asking, self.whole, sources, looked=Look.NAMES, complete=scan.complete)
        releases = self.services.releases
        if releases.live and draft.retrieved is None:
            raised = with_releases(raised, draft.request, releases, runtime=runtime, unix_ms=draft.created_unix_ms)
        if not scan.complete:
            draft.detours.append(f"it was not looked through to the end: {scan.why}")
        draft.detectors = scan.versions
        if footing.route is not raised.route:
            raised = replace(raised, route=footing.route, _verdicts={})
        draft.label, draft.label_text = raised.label, raised.label_text
        if sources:
            # The same tuple for all such requests, where it can be: records know it again.
            is_plain = draft.label_sources is self.whole.sources
            draft.label_sources = raised.sources if is_plain else (*draft.label_sources, *sources)
        if scan.complete:
            raised = await self._declassified(raised)
        draft.decisions = raised.decisions
        return raised

    async def takes_along(self, text: str, deployment: Deployment) -> bool:
        """Whether a text that is no part of the request, as an answer that is to be judged, may go with it as it is."""
        if deployment.zone in self.rules.inside or self.whole.look(deployment) is Look.NONE:
            return True
        scan = await self._scanned([text], self._until_s)
        sources = sources_of(self._kinds | scan.kinds, self.runtime.tree)
        raised = self.footings.raised(self.asking, self.whole, sources, looked=Look.NAMES, complete=scan.complete)
        return raised.decision(deployment).allowed

    def _is_needed(self, footing: Footing, deployment: Deployment) -> bool:
        if footing.look(deployment) is not Look.NONE:
            return True
        # Who released a text has not seen what detectors see in it.
        return bool(footing.decision(deployment).release) and deployment.zone not in self.rules.inside

    async def _look(self) -> Scan:
        until_s = self._until_s
        texts, unseen = await texts_of(self.draft.request)
        scan = await self._scanned(texts, until_s)
        if unseen or any(source.rule == UNREAD_FILE for source in self.whole.sources):
            why = unseen or "a file in it was not read"
            scan = replace(scan, complete=False, why=scan.why or why)
        return scan

    @property
    def _until_s(self) -> float:
        return self.services.clock.monotonic_s() + self.rules.within_s

    async def _scanned(self, texts: Sequence[str], until_s: float) -> Scan:
        scan = await self.services.detector.scan(
            texts,
            deadline_s=until_s,
            tenant=self.draft.principal.tenant.name,
            names=self.rules.names and self._wants_names,
        )
        return heeded(texts, scan, self.rules.ignore)

    @property
    def _wants_names(self) -> bool:
        """What fills a gap in a program is code; its names are those of variables."""
        has_released = any(each.release for each in self.draft.decisions)
        return self.draft.request.suffix is None and (has_released or max(self.whole.looks) is Look.NAMES)

    async def _declassified(self, footing: Footing) -> Footing:
        """The footing in which deployments may have what is left of the request that may not have all of it."""
        act = footing.route.declassify
        closed = [
            (place, each)
            for place, each in enumerate(footing.deployments)
            if not footing.decisions[place].allowed and each.zone not in self.rules.inside
        ]
        if act is Declassify.OFF or not closed:
            return footing
        declassifier = Declassifier(services=self.services, draft=self.draft, rules=self.rules, act=act)
        found = await declassifier.less(footing.label)
        if found is None:
            return footing
        left = self.footings.lowered(self.asking, self.whole, found.declassified.label)
        decisions = list(footing.decisions)
        for place, deployment in closed:
            decision = left.decision(deployment)
            if decision.allowed and deployment.name in footing.route.deployments:
                self.ways[deployment.name] = Way(less=found, footing=left)
                told = f"may have what is left: {found.declassified.reason}"
                decisions[place] = taken_out_of(decision, act, told=told)
        try:
            if self.ways:
                found.record(self.services, self.draft)
        except AuditError as error:  # then it does not go, and what is here is given all the same
            self.ways.clear()
            self.draft.detours.append(f"what is left could not be recorded ({error.code})")
            return footing
        return replace(footing, decisions=tuple(decisions), _plans={}, _verdicts={})
