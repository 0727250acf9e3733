"""Makes certificates on request: for each tenant, and each deployment of a route or workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.certificates import Certificate, LabelKind
from freehold.domain.deployment import Route
from freehold.domain.errors.feedback import NothingToCertify
from freehold.gateway.watch import is_of_same, new_watch, read_watches, watch_to_json
from freehold.routing.certificate import Aim, NotCertifiable
from freehold.routing.sampling import Sample, certify_sample, is_tested, newest_scoring, next_try, sample_of
from freehold.storage.certificates import Looked, SqliteCertificates
from freehold.storage.outcomes import SqliteOutcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be certified.

    Attributes:
        name: A route or a workload.
        tenant: Whose answers; ``None`` for each tenant's.
        aim: Risk and confidence.
        kind: Which labels; ``None`` for known answers where these are numerous, else agreement.
        days: How long a certificate holds.
        by: Who wants it, for the audit log.
    """

    name: str
    tenant: str | None
    aim: Aim
    kind: LabelKind | None
    days: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What became of one deployment.

    Attributes:
        tenant: Whose answers.
        workload: Kind of task.
        deployment: Whose answers are judged.
        sample: What it was certified on.
        found: The certificate, which is in force; or why there is none.
    """

    tenant: str
    workload: str
    deployment: str
    sample: Sample
    found: Certificate | NotCertifiable


class Certifier:
    """Certifies from what is in the database; the server need not run.

    Args:
        outcomes: What is certified on.
        certificates: Where certificates go.
        routes: By name.
    """

    def __init__(
        self, *, outcomes: SqliteOutcomes, certificates: SqliteCertificates, routes: Mapping[str, Route]
    ) -> None:
        self._outcomes = outcomes
        self._certificates = certificates
        self._routes = routes

    async def certify(self, wish: Wish, *, unix_ms: int) -> Sequence[Certified]:
        """Certify each deployment that has answers with a calibrated probability, and put what is proven in force.

        Raises:
            NothingToCertify: There are none.
            StorageFailed: The database cannot be read or written.
        """
        route = self._routes.get(wish.name)
        workload = wish.name if route is None else route.workload
        found: list[Certified] = []
        for counted in await self._outcomes.counted(tenant=wish.tenant or ""):
            if counted.workload != workload or (route is not None and counted.deployment not in route.deployments):
                continue
            done = await self._certify(wish, counted.tenant, workload, counted.deployment, unix_ms)
            if done is not None:
                found.append(done)
        if not found:
            raise NothingToCertify(name=wish.name, reason=self._why_nothing(wish.name))
        return found

    def _why_nothing(self, name: str) -> str:
        known = sorted({*self._routes, *(route.workload for route in self._routes.values())})
        if name in known:
            return "there are no answers with a calibrated probability"
        return f"it is no route or workload of the configuration; there are {', '.join(known) or 'none'}"

    async def _certify(self, wish: Wish, tenant: str, workload: str, deployment: str, unix_ms: int) -> Certified | None:
        outcomes = await self._outcomes.read(tenant=tenant, workload=workload, deployment=deployment)
        scored_on = newest_scoring(outcomes)
        if scored_on is None:
            return None
        watch = (await read_watches(self._certificates)).get((tenant, workload, deployment))
        fresh_unix_ms: int | None = None
        if watch is not None and watch.alarm and is_of_same(watch.certificate.scored_on, scored_on):
            fresh_unix_ms = watch.fresh_unix_ms  # what was true before the alarm proves nothing now
        sample = sample_of(outcomes, scored_on=scored_on, kind=wish.kind, fresh_unix_ms=fresh_unix_ms)
        aim, tries = next_try(sample, wish.aim, await self._certificates.tries(tenant, scored_on))
        made = certify_sample(sample, aim, tenant=tenant, unix_ms=unix_ms, days=wish.days)
        looked = Looked(watches={}, void={}, tries={(tenant, scored_on): tries})
        if isinstance(made, Certificate):
            # An alarm is over: what is in force from here on was proven on what came since, or is another promise.
            anew = new_watch(made, (*sample.earlier, *sample.scores), delta=wish.aim.delta)
            watches = {(tenant, workload, deployment): watch_to_json(anew)}
            if watch is not None and watch.alarm and watch.certificate.scored_on.scope != scored_on.scope:
                watches = {}  # what is proven of first tokens says nothing of whole answers, whose alarm stays
            looked = replace(looked, watches=watches, put=[made])
        if is_tested(made):
            await self._certificates.keep_looked(looked, by=wish.by, unix_ms=unix_ms)
        return Certified(tenant=tenant, workload=workload, deployment=deployment, sample=sample, found=made)
