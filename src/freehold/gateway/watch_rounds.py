"""Looks at fresh labels, raises alarms, certifies anew, and keeps this process's standings up to date.

One process looks (``look``); all of them take over what it decided (``refresh``). What it has seen and decided is in the
database in one piece with the events for the audit log, so that a restart goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.certificates import Certificate
from freehold.domain.ports import Clock
from freehold.gateway.runtime import Runtime
from freehold.gateway.scoring import Scoring
from freehold.gateway.standings import LiveStandings
from freehold.gateway.watch import Watch, advance, look_at, new_watch, read_watches, watch_to_json
from freehold.routing.certificate import Aim
from freehold.routing.sampling import FRESH_LABELS, certify_sample, is_tested, next_try, sample_of
from freehold.storage.certificates import Looked, Place, SqliteCertificates
from freehold.storage.keys import KeyEvent
from freehold.storage.outcomes import SqliteOutcomes

log = logging.getLogger("freehold.gateway")

_LABELS_AT_ONCE = 1_000
_BY = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How certificates are watched.

    Attributes:
        run_length: Labels until a false alarm, in the mean.
        certifies_again: Whether to certify anew, once enough fresh labels are there after an alarm.
        days: How long certificates hold.
    """

    run_length: float = 1_000.0
    certifies_again: bool = True
    days: int = 90


class Watching:
    """Watches certificates.

    Args:
        outcomes: Where labels come from.
        certificates: Where certificates and watches are.
        standings: What this process answers by.
        runtime: What is in force.
        clock: Time.
        care: How it is watched.
    """

    def __init__(
        self,
        *,
        outcomes: SqliteOutcomes,
        certificates: SqliteCertificates,
        standings: LiveStandings,
        runtime: Callable[[], Runtime],
        clock: Clock,
        care: Care,
    ) -> None:
        self._outcomes = outcomes
        self._certificates = certificates
        self._standings = standings
        self._runtime = runtime
        self._scoring = Scoring(runtime)
        self._clock = clock
        self._care = care
        self._needed: dict[Place, int] = {}

    async def refresh(self, *, spend_at: Mapping[str, float] | None = None) -> None:
        """Take over what is in the database.

        Args:
            spend_at: Thresholds that hold a month's spend, by tenant.

        Raises:
            StorageFailed: It cannot be read.
        """
        runtime = self._runtime()
        pairs = {(route.workload, name) for route in runtime.routes.values() for name in route.deployments}
        pairs |= {("general", name) for name in runtime.engines}
        self._standings.refresh(
            pairs=sorted(pairs),
            certificates=await self._all(),
            watches=await read_watches(self._certificates),
            current=self._scoring.current,
            spend_at=spend_at or {},
            unix_ms=self._clock.unix_ms(),
        )

    async def look(self) -> None:
        """Look at labels that have come since the last time, and certify anew what may be.

        Raises:
            StorageFailed: The database cannot be read or written; the same is looked at again the next time.
        """
        watches = await read_watches(self._certificates)
        more = True
        while more:
            fresh, seen = await self._outcomes.labels_after(await self._certificates.seen(), most=_LABELS_AT_ONCE)
            more = len(fresh) == _LABELS_AT_ONCE
            if not fresh:
                break
            certificates = await self._all()
            now_ms = self._clock.unix_ms()
            changed = advance(watches, fresh, certificates, run_length=self._care.run_length, unix_ms=now_ms)
            await self._keep(watches, changed, certificates, now_ms, seen=seen)
            watches |= changed
        await self._look_at_traffic(watches)
        if self._care.certifies_again:
            for place, watch in watches.items():
                if watch.alarm:
                    await self._certify_again(place, watch)

    async def _all(self) -> Sequence[Certificate]:
        """Those that were made here, and those that came with calibrations."""
        return (*await self._certificates.all(), *self._runtime().certificates)

    async def _look_at_traffic(self, watches: dict[Place, Watch]) -> None:
        more = True
        while more:
            after = await self._certificates.seen("looked_at")
            fresh, last = await self._outcomes.after(after, most=_LABELS_AT_ONCE)
            more = len(fresh) == _LABELS_AT_ONCE
            if not fresh:
                break
            now_ms = self._clock.unix_ms()
            changed = look_at(watches, fresh, unix_ms=now_ms)
            certificates = await self._all() if any(each.alarm for each in changed.values()) else ()
            await self._keep(watches, changed, certificates, now_ms, looked_at=last)
            watches |= changed

    async def _keep(
        self,
        before: Mapping[Place, Watch],
        changed: Mapping[Place, Watch],
        certificates: Sequence[Certificate],
        now_ms: int,
        *,
        seen: int | None = None,
        looked_at: int | None = None,
    ) -> None:
        void: dict[str, str] = {}
        events: list[KeyEvent] = []
        for place, watch in changed.items():
            known = before.get(place)
            if not watch.alarm or (known is not None and known.alarm and known.certificate.id == watch.certificate.id):
                continue
            log.warning("alarm: %s of tenant %s, workload %s: %s", place[2], place[0], place[1], watch.alarm)
            events.append(_event("certificate.alarm", place, watch, unix_ms=now_ms, why=watch.alarm))
            if watch.certificate.tenant and any(each.id == watch.certificate.id for each in certificates):
                void[watch.certificate.id] = f"alarm: {watch.alarm}"
        looked = Looked(
            watches={place: watch_to_json(watch) for place, watch in changed.items()},
            seen=seen,
            looked_at=looked_at,
            void=void,
            events=events,
        )
        await self._certificates.keep_looked(looked, by=_BY, unix_ms=now_ms)

    async def _certify_again(self, place: Place, watch: Watch) -> None:
        """Certify on answers since the alarm alone. Where that fails those are used up: the next try takes newer ones.

        Too few for any proof are no try: more are waited for.
        """
        tenant, workload, deployment = place
        certificate = watch.certificate
        needed = max(FRESH_LABELS, self._needed.get(place, 0))
        fresh = await self._outcomes.read(
            tenant=tenant,
            workload=workload,
            deployment=deployment,
            since_unix_ms=watch.fresh_unix_ms,
            labelled=True,
            most=needed,
        )
        if len(fresh) < needed:
            return
        outcomes = await self._outcomes.read(tenant=tenant, workload=workload, deployment=deployment)
        sample = sample_of(
            outcomes,
            scored_on=certificate.scored_on,
            kind=certificate.label_kind if any(each.label_kind is certificate.label_kind for each in fresh) else None,
            fresh_unix_ms=watch.fresh_unix_ms,
        )
        if len(sample.scores) < FRESH_LABELS:
            return
        now_ms = self._clock.unix_ms()
        asked = Aim(risk_max=certificate.risk_max, delta=watch.delta or certificate.delta, fault=certificate.fault)
        before = await self._certificates.tries(tenant, certificate.scored_on)
        aim, tries = next_try(sample, asked, before)
        found = certify_sample(sample, aim, tenant=tenant, unix_ms=now_ms, days=self._care.days)
        if not isinstance(found, Certificate) and found.reason == "few_labels":
            self._needed[place] = needed + needed // 4
            return
        self._needed.pop(place, None)
        used = {(tenant, certificate.scored_on): tries} if is_tested(found) else {}
        if isinstance(found, Certificate):
            anew = watch_to_json(new_watch(found, sample.scores, delta=asked.delta))
            looked = Looked(watches={place: anew}, void={}, put=[found], tries=used)
            log.warning("%s of tenant %s, workload %s is certified anew: %s", deployment, tenant, workload, found.id)
        else:
            again = watch_to_json(replace(watch, fresh_unix_ms=now_ms))
            looked = Looked(
                watches={place: again},
                void={},
                tries=used,
                events=[_event("certificate.refused", place, watch, unix_ms=now_ms, why=found.message)],
            )
            log.warning("%s of tenant %s, workload %s stays at alarm: %s", deployment, tenant, workload, found.message)
        await self._certificates.keep_looked(looked, by=_BY, unix_ms=now_ms)


def _event(event: str, place: Place, watch: Watch, *, unix_ms: int, why: str) -> KeyEvent:
    tenant, workload, deployment = place
    detail: dict[str, object] = {
        "workload": workload,
        "deployment": deployment,
        "certificate": watch.certificate.id,
        "labels": watch.wealth.labels,
        "wrong": watch.wealth.wrong,
        "why": why,
    }
    return KeyEvent(unix_ms=unix_ms, event=event, key_id="", tenant=tenant, by=_BY, detail=detail)
