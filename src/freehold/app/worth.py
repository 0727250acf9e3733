"""Routes by what a right answer is worth: which of their deployments are asked first, and how sure is sure enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from freehold.domain.certificates import WHOLE
from freehold.domain.deployment import Deployment, Route, TokenPrice
from freehold.domain.response import Usage
from freehold.ledger.machine import OwnedHardware
from freehold.ledger.pricing import cost_of_attempt
from freehold.routing.calibration import Calibration
from freehold.routing.ladder import bought_of
from freehold.routing.paired import PairedOutcomes, RecordedModel, best_choice, cost_optimal, with_choice

log = logging.getLogger("freehold.app")

PriceOf = Callable[[Deployment, Usage], TokenPrice | None]


class Worth:
    """Decides routes that say what a right answer is worth.

    Args:
        tables: Recorded outcomes; later ones win.
        calibrations: In force; later ones win.
        hardware: What owned hardware costs; ``None`` where its owner has not said.
        price_of: A deployment's list price.
    """

    def __init__(
        self,
        *,
        tables: Iterable[PairedOutcomes],
        calibrations: Iterable[Calibration],
        hardware: OwnedHardware | None,
        price_of: PriceOf,
    ) -> None:
        self._tables = {table.workload: table for table in tables}
        free = (each for each in calibrations if each.scope == WHOLE and not bought_of(each))
        self._winning = frozenset({(each.workload, each.model_digest): each.id for each in free}.values())
        self._hardware = hardware
        self._price_of = price_of

    def routes(self, routes: Mapping[str, Route], deployments: Mapping[str, Deployment]) -> dict[str, Route]:
        """The routes, those with a ``worth`` as it asks for; where that cannot be told the log says why."""
        return {
            name: route
            if route.worth_micros is None
            else self._decided(route, route.worth_micros, [deployments[each] for each in route.deployments])
            for name, route in routes.items()
        }

    def _decided(self, route: Route, worth: int, deployments: Sequence[Deployment]) -> Route:
        table = self._tables.get(route.workload)
        if table is None:
            log.warning(
                '%s: no recorded outcomes of %s, so accept_at is %g; "freehold calibrate %s" records them',
                route.name,
                route.workload,
                route.accept_at,
                " ".join(route.deployments),
            )
            return route
        costs = self._costs(deployments, table)
        priced = replace(route, gains=tuple((name, cost / worth) for name, cost in costs.items()))
        choice = best_choice(deployments, table, worth=worth, costs=costs, calibrations=self._winning)
        if choice is not None:
            decided = with_choice(priced, choice)
            chosen = (
                f"{choice.first}, then {choice.second} below {decided.accept_at:.3f}" if choice.second else choice.first
            )
            log.info("%s: a right answer's worth asks for %s", route.name, chosen)
            return decided
        if len(deployments) > 1 and (next_cost := costs.get(deployments[1].name)) is not None:
            accept_at = cost_optimal(next_cost, worth=worth)
            log.info("%s: %s is taken to be right, so accept_at is %.3f", route.name, deployments[1].name, accept_at)
            return replace(priced, accept_at=accept_at)
        log.warning(
            "%s: what its deployments cost or answer is not known, so accept_at is %g", route.name, route.accept_at
        )
        return route

    def _costs(self, deployments: Sequence[Deployment], table: PairedOutcomes) -> dict[str, float]:
        """Mean cost of an answer in micro-units; of one without recorded answers, at the tokens of the one before."""
        found: dict[str, float] = {}
        known: RecordedModel | None = None
        for deployment in deployments:
            recorded = table.of(deployment)
            known = recorded or known
            if known is None:
                continue
            usage = Usage(input_tokens=round(known.input_tokens), output_tokens=max(1, round(known.output_tokens)))
            cost = cost_of_attempt(
                deployment,
                usage=usage,
                busy_ms=known.latency_ms,
                # How long another model takes on this machine is not known.
                hardware=self._hardware if recorded is not None else None,
                price=self._price_of(deployment, usage),
            )
            if cost.amount is not None:
                found[deployment.name] = float(cost.amount.micros)
        return found
