"""How far each deployment's answers may be trusted at this moment. Implements ``domain.judging_ports.Standings``.

Certificates and watches are in the database, where commands and other workers change them; ``refresh`` is given what
they are now, and asking is a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from freehold.domain.certificates import UNCERTIFIED, Certificate, ScoredOn, Standing
from freehold.gateway.watch import Watch, in_force_for
from freehold.storage.certificates import Place

Current = Callable[[str, str], Sequence[ScoredOn]]
"""What the scores of a deployment mean now, for a workload: one for each part of an answer that is judged."""


class LiveStandings:
    """The standings of this process."""

    def __init__(self) -> None:
        self._standings: dict[Place, Standing] = {}
        self._of_all: dict[tuple[str, str], Standing] = {}

    def of(self, deployment: str, workload: str, *, tenant: str) -> Standing:
        """How far that deployment's answers may be trusted."""
        found = self._standings.get((tenant, workload, deployment))
        if found is None:
            return self._of_all.get((workload, deployment), UNCERTIFIED)
        return found

    @property
    def alarms(self) -> Mapping[Place, str]:
        """Alarms by place."""
        return {place: standing.alarm for place, standing in self._standings.items() if standing.alarm}

    def refresh(
        self,
        *,
        pairs: Sequence[tuple[str, str]],
        certificates: Sequence[Certificate],
        watches: Mapping[Place, Watch],
        current: Current,
        spend_at: Mapping[str, float],
        unix_ms: int,
    ) -> None:
        """Take over what is in the database.

        Args:
            pairs: Workloads and deployments that there are.
            certificates: In force, as far as they fit what runs now.
            watches: Their alarms hold for what runs now, too.
            current: What scores mean now.
            spend_at: Thresholds that hold a month's spend, by tenant.
            unix_ms: Now.
        """
        standings: dict[Place, Standing] = {}
        of_all: dict[tuple[str, str], Standing] = {}
        tenants = {each.tenant for each in certificates} | {place[0] for place in watches} | set(spend_at)
        for workload, deployment in pairs:
            scored = current(deployment, workload)
            for tenant in tenants | {""}:
                place = tenant, workload, deployment
                watch = watches.get(place)
                alarm = watch.alarm if watch is not None and watch.certificate.scored_on in scored else ""
                found = Standing(
                    certificate=None if alarm else _first(certificates, tenant, scored, unix_ms),
                    alarm=alarm,
                    spend_at=spend_at.get(tenant),
                )
                if not tenant:
                    of_all[workload, deployment] = found
                else:
                    standings[place] = found
        self._standings, self._of_all = standings, of_all


def _first(
    certificates: Sequence[Certificate], tenant: str, scored: Sequence[ScoredOn], unix_ms: int
) -> Certificate | None:
    for scored_on in scored:
        found = in_force_for(certificates, tenant=tenant, scored_on=scored_on, unix_ms=unix_ms)
        if found is not None:
            return found
    return None
