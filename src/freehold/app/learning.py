"""Wires what learns from judged answers: outcomes, shadows, watches, and what is shown of them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from freehold.api.learning_views import LearningCare, LearningStores, LearningViews
from freehold.app.canary_live import live_canaries
from freehold.app.fellows import Fellows
from freehold.app.observation import Observation
from freehold.app.placed_engine import PlacedEngine
from freehold.app.stores import Stores
from freehold.config.compile import Compiled
from freehold.domain.errors.base import FreeholdError
from freehold.domain.judging_ports import Learner, NothingLearnt
from freehold.domain.money import Money
from freehold.domain.ports import Engine
from freehold.gateway.learning import Learning
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.prerouting import Prerouting
from freehold.gateway.runtime import Runtime
from freehold.gateway.scoring import Scoring
from freehold.gateway.shadows import Around, Bounds, Shadows
from freehold.gateway.spending import thresholds
from freehold.gateway.standings import LiveStandings
from freehold.gateway.watch_rounds import Care, Watching
from freehold.hostinfo.clock import any_share
from freehold.serving.overload import Door, Level
from freehold.storage.certificates import Place, SqliteCertificates
from freehold.storage.outcomes import SqliteOutcomes

log = logging.getLogger("freehold.app")

_REFRESH_EVERY_S = 1.0
_SPEND_EVERY_S = 20.0


class Learnt:
    """All that learns in one process.

    Attributes:
        standings: How far deployments may be trusted now.
        prerouting: Looks at questions, by what is known of those before.
        learner: Who is told of judged answers.
    """

    def __init__(
        self,
        stores: Stores,
        compiled: Compiled,
        *,
        pipeline: Callable[[], Pipeline],
        runtime: Callable[[], Runtime],
        door: Door,
        observation: Observation,
        fellows: Fellows | None,
        forget: Callable[[str], object],
    ) -> None:
        section = compiled.learning
        self._stores, self._clock = stores, stores.clock
        self._pipeline, self._runtime = pipeline, runtime
        self._care = LearningCare(run_length=section.alarm_run_length, days=section.certificate_days)
        self._looks = fellows is None or not fellows.seat.worker
        self._changed, self._forget, self._erased = asyncio.Event(), forget, 0
        self.outcomes = SqliteOutcomes(stores.database, most=section.outcomes_max)
        self.certificates = SqliteCertificates(stores.database)
        self.standings = LiveStandings()
        self.prerouting = Prerouting(outcomes=self.outcomes, clock=stores.clock)
        self._shadows: Shadows | None = None
        self._learning: Learning | None = None
        if section.outcomes_max:
            money, currency = section.shadow_money_per_month, compiled.ledger.currency
            around = Around(
                pipeline=pipeline,
                runtime=runtime,
                store=self.outcomes,
                spend=self.certificates,
                clock=stores.clock,
                ids=stores.ids,
                lot=any_share,
                may_run=lambda: door.level is Level.OPEN,
                key_is_good=lambda key_id: key_id in stores.keys.good_ids,
                told=observation.shadow,
                seen=live_canaries(stores.models.folder),
                fits=lambda name: _fits(runtime().engines.get(name)),
            )
            bounds = Bounds(
                at_once=section.shadows_at_once,
                micros_per_month=None if money is None else Money.of(money, currency).micros,
                currency=currency,
            )
            self._shadows = Shadows(around, bounds)
            self._learning = Learning(
                store=self.outcomes,
                runtime=runtime,
                scored_by=Scoring(runtime).by,
                shadows=self._shadows,
                not_from=section.not_from_keys,
            )
        self.learner: Learner = self._learning or NothingLearnt()
        self._budgets = compiled.spends
        self._spend_at: Mapping[str, float] = {}
        self._spend_looked_s = -math.inf
        self._watching = Watching(
            outcomes=self.outcomes,
            certificates=self.certificates,
            standings=self.standings,
            runtime=runtime,
            clock=stores.clock,
            care=Care(
                run_length=section.alarm_run_length,
                certifies_again=section.certify_again == "automatic",
                days=section.certificate_days,
            ),
        )

    def know(self, compiled: Compiled) -> None:
        """Take over what a new configuration says of spends."""
        self._budgets, self._spend_at, self._spend_looked_s = compiled.spends, {}, -math.inf

    def views(self) -> LearningViews:
        """What the table of routes names ``learning``."""
        return LearningViews(
            stores=LearningStores(
                outcomes=self.outcomes, certificates=self.certificates, receipts=self._stores.receipts
            ),
            learning=self._learning,
            pipeline=self._pipeline(),
            runtime=self._runtime,
            changed=self._has_changed,
            care=self._care,
            clock=self._clock,
        )

    async def begin(self) -> None:
        """Take over certificates and alarms, before the first answer is judged by them."""
        try:
            self._erased = await self.certificates.seen("erased")
            await self._watching.refresh()
        except FreeholdError as error:
            log.warning("standings could not be read: %s", error.message)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What is to run as long as the gateway does."""
        found: list[Coroutine[Any, Any, None]] = [self._keep_standings(), self.prerouting.run()]
        if self._learning is not None:
            found.append(self._learning.run())
        if self._shadows is not None:
            found.append(self._shadows.run())
        return found

    def close(self) -> None:
        """Write down what was told and is not an outcome yet; after ``tasks`` have ended."""
        if self._learning is not None:
            self._learning.learn()

    @property
    def alarms(self) -> Mapping[Place, str]:
        """Alarms by tenant, workload and deployment; told by the one process that looks, so that each counts once."""
        return self.standings.alarms if self._looks else {}

    @property
    def dropped(self) -> int:
        """Outcomes that were lost."""
        return self.outcomes.dropped + (0 if self._learning is None else self._learning.forgotten)

    def _has_changed(self, erased: str) -> None:
        """A view has changed something, or erased what was learnt from a tenant: it holds here at once."""
        if erased:
            self.prerouting.forget(erased)
            self._forget(erased)
        self._changed.set()

    async def _look_at_erased(self) -> None:
        """Where a command or another worker has erased something, nothing of before is kept in memory: it is little."""
        erased = await self.certificates.seen("erased")
        if erased == self._erased:
            return
        self._erased = erased
        self.prerouting.forget()
        if self._learning is not None:
            self._learning.erase()

    async def _look_at_spend(self) -> None:
        now_s = self._clock.monotonic_s()
        if not self._budgets or now_s - self._spend_looked_s < _SPEND_EVERY_S:
            return
        self._spend_looked_s = now_s
        self._spend_at = await thresholds(
            self._budgets, outcomes=self.outcomes, usage=self._stores.usage, unix_ms=self._clock.unix_ms()
        )

    async def _keep_standings(self) -> None:
        """Labels that came in, and what commands and other workers decided, hold here within a second."""
        while True:
            try:
                await self._look_at_erased()
                if self._looks:
                    await self._watching.look()
                await self._look_at_spend()
                await self._watching.refresh(spend_at=self._spend_at)
            except FreeholdError as error:
                log.warning("standings could not be refreshed: %s", error.message)
            try:
                await asyncio.wait_for(self._changed.wait(), _REFRESH_EVERY_S)
            except TimeoutError:
                continue
            self._changed.clear()


def _fits(engine: Engine | None) -> bool:
    """Whether nobody has to leave memory for it, who would have to be loaded again for the next one who asks."""
    return not isinstance(engine, PlacedEngine) or engine.fits()
