"""How a month goes, and the threshold that holds its spend."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from freehold.domain.certificates import LabelKind
from freehold.domain.limits import Window, span_of
from freehold.domain.money import Money
from freehold.domain.outcomes import AnswerOutcome
from freehold.gateway.spending import spending_of, thresholds
from freehold.storage.database import Database
from freehold.storage.outcomes import SqliteOutcomes
from freehold.storage.usage import AttemptUse, SqliteUsage, Uses
from tests.support.histories import an_outcome

NOW_MS = 1_794_000_000_000
MONTH = span_of(Window.MONTH, NOW_MS)
MONTH_MS = MONTH.to_unix_ms - MONTH.from_unix_ms


def asked(n: int, *, escalated: int = 0, cost: int = 500, hours: float = 10.0) -> list[AnswerOutcome]:
    """Requests over some hours until now; the first ones were escalated."""
    found: list[AnswerOutcome] = []
    for number in range(n):
        when = NOW_MS - int(hours * 3_600_000 * (n - number) / n)
        found.append(
            an_outcome(f"r-{number}", unix_ms=when, probability=(number + 0.5) / n, accepted=number >= escalated)
        )
        if number < escalated:
            found.append(an_outcome(f"r-{number}", unix_ms=when, deployment="large", cost_micros=cost, answered=True))
    return found


def spending(recent: list[AnswerOutcome], **how: Any) -> Any:
    usual: dict[str, Any] = {"budget_micros": 1_000_000, "spent_micros": 0, "elapsed": 0.5, "month_ms": MONTH_MS}
    return spending_of(recent, **usual | how, unix_ms=NOW_MS)


def test_a_month_is_told_by_what_was_asked_of_late() -> None:
    found = spending(asked(100, escalated=20))
    assert found.answers == 100 * MONTH_MS / 36_000_000
    assert found.escalation_micros == 500
    assert sorted(found.probabilities) == [(n + 0.5) / 100 for n in range(100)]


def test_known_answers_are_no_traffic_and_one_request_is_no_rate() -> None:
    gold = [an_outcome("g", unix_ms=NOW_MS, probability=0.1, right=True, label_kind=LabelKind.GOLD)]
    assert spending(gold).answers == 0
    assert spending([an_outcome("r", unix_ms=NOW_MS)]).answers == MONTH_MS / 3_600_000


class Spent(SqliteUsage):
    """What was spent, as a test says."""

    def __init__(self, micros: int, currency: str = "USD") -> None:
        self.micros, self.currency = micros, currency

    def read(self, **_how: Any) -> Uses:
        return Uses([AttemptUse(0, "ours", "", "large", self.currency, 1, self.micros, 0, 0, 0, 0, 0, 0)], [])


def at(tmp_path: Path, recent: list[AnswerOutcome], usage: SqliteUsage, budget: int = 10_000_000) -> dict[str, float]:
    database = Database.open(tmp_path / "freehold.db")
    try:
        store = SqliteOutcomes(database)
        store.keep(*recent)
        budgets = {"ours": Money(micros=budget, currency="USD"), "theirs": Money(micros=budget, currency="USD")}
        return asyncio.run(thresholds(budgets, outcomes=store, usage=usage, unix_ms=NOW_MS))
    finally:
        database.close()


def test_a_spend_that_lasts_sets_no_threshold(tmp_path: Path) -> None:
    assert at(tmp_path, asked(50, escalated=5, cost=1), Spent(0)) == {}


def test_a_spend_that_would_not_last_lowers_the_threshold(tmp_path: Path) -> None:
    found = at(tmp_path, asked(50, escalated=5, cost=10_000), Spent(0))
    assert set(found) == {"ours"}
    assert 0.0 < found["ours"] < 1.0
    assert at(tmp_path, [], Spent(9_900_000))["ours"] <= found["ours"]


def test_with_nothing_left_nothing_is_escalated_for_doubt(tmp_path: Path) -> None:
    assert at(tmp_path, asked(50), Spent(10_000_000)) == {"ours": 0.0, "theirs": 0.0}
    assert at(tmp_path, [], Spent(10_000_000, "EUR")) == {}  # in another currency: not counted
