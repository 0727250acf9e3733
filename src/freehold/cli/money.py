"""``freehold money``: local against cloud, month by month."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import DATABASE_FILE, unfiled
from freehold.cli.money_month import check_document, check_text, left_out, price_again, read_view, view_text
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.domain.money import Money
from freehold.hostinfo.clock import SystemClock
from freehold.ledger.report import Summary, summarise
from freehold.ledger.usage import span_of_month
from freehold.ledger.views import By, money_csv, money_documents
from freehold.storage.database import Database
from freehold.storage.ledger import SqliteLedger

_MONTHS_MAX = 120
_PERMILLE_PER_PERCENT = 10
_NO_WORKLOAD = "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month.

    Attributes:
        month: YYYY-MM, in UTC.
        summary: What was asked in it, where it ran, what it cost, what the cloud would have.
    """

    month: str
    summary: Summary


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class OneMonth:
    """One month instead of several.

    Attributes:
        by: Show it by tenant, model, workload or day. A workload is a route's, or the route where it names none.
        check: Price it again from its receipts, and compare: with what they say, and with the ledger.
        month: Which one, in UTC, YYYY-MM; this one if not given.
        csv: Print comma-separated values, with a head, for other programs.
    """

    by: Literal["tenant", "model", "workload", "day"] | None = None
    check: bool = False
    month: str = ""
    csv: bool = False


_SEVERAL = OneMonth()


def money(
    *,
    months: int = 6,
    tenant: str = "",
    one: OneMonth = _SEVERAL,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show what answers cost, what the cloud would have, what was saved, and how that changes from month to month.

    Args:
        months: How many, this one among them.
        tenant: Only this tenant's.
    """
    if one.by or one.check:
        return _one(one, tenant=tenant or None, config=config, as_json=as_json)
    if one.month or one.csv:
        raise output.UsageError("--month and --csv are for one month: with --by, --month with --check too.")
    if not 1 <= months <= _MONTHS_MAX:
        raise output.UsageError(f"--months is {months}; 1 to {_MONTHS_MAX} are taken.")
    names = _last(months, unix_ms=SystemClock().unix_ms())
    path = data_folder() / DATABASE_FILE
    found = asyncio.run(_read(path, names, tenant or None)) if path.exists() else ()
    if as_json:
        output.print_json({"months": [{"month": each.month, **asdict(each.summary)} for each in found]})
    elif not any(each.summary.requests for each in found):
        output.say(f"Nothing was asked from {names[0]} to {names[-1]}.")
    else:
        output.say(money_text(found))
    return output.OK


def _one(one: OneMonth, *, tenant: str | None, config: str, as_json: bool) -> int:
    if one.by and one.check:
        raise output.UsageError("--by goes without --check.")
    if one.csv and (as_json or one.check):
        raise output.UsageError("--csv goes with --by, and without --json.")
    name = one.month or _last(1, unix_ms=SystemClock().unix_ms())[0]
    try:
        span = span_of_month(name)
    except ValueError as error:
        raise output.UsageError(f"{error}.") from error
    path = data_folder() / DATABASE_FILE
    if one.check:
        found = price_again(path, span, tenant=tenant)
        if as_json:
            output.print_json({"month": name, **check_document(found)})
        else:
            output.say(check_text(found, span))
        return output.OK if found.holds else output.FAILED
    by = By(str(one.by))
    workloads = _workloads(config) if by is By.WORKLOAD else {}
    lines = read_view(path, span, by, tenant=tenant, workloads=workloads)
    if one.csv:
        output.say(money_csv(lines, by), end="")
    elif as_json:
        output.print_json({"month": name, "by": by.value, "data": money_documents(lines, by)})
    elif not lines:
        output.say(f"Nothing was asked in {name}.")
    else:
        output.say(f"{name}, UTC")
        output.say(view_text(lines, by))
    return output.OK


def _workloads(config: str) -> dict[str, str]:
    """Of the routes that name one; of the others the route itself tells more."""
    routes = compiled_or_default(config).routes.values()
    return {route.name: route.workload for route in routes if route.workload != _NO_WORKLOAD}


def money_text(months: tuple[Month, ...]) -> str:
    """The months as a table, oldest first, and what this one came to. What is not known is said, never counted as nothing."""
    rows = [
        (
            each.month,
            f"{each.summary.requests:,}",
            _percent(each.summary.home_share_permille),
            _percent(each.summary.escalated_share_permille),
            _amounts(each.summary.spent),
            _amounts(each.summary.counterfactual),
            _amounts(each.summary.saved),
        )
        for each in months
    ]
    head = ("month", "requests", "at home", "escalated", "spent", "in the cloud", "saved")
    now = months[-1].summary
    notes = [f"energy of owned hardware this month, where it is known: {now.energy_mwh / 1_000_000:.4f} kWh"]
    notes += left_out(
        answered=now.answered, comparable=now.comparable, compared=now.compared, what="answers of this month"
    )
    if unanswered := now.requests - now.answered:
        notes.append(f"{unanswered:,} requests of this month were refused, failed or cancelled: they have no answer")
    if now.unpriced_attempts:
        notes.append(f"{now.unpriced_attempts:,} attempts of this month are unpriced: what they cost is in no sum")
    return "\n".join([output.table(rows, head=head), "", *notes])


async def _read(path: Path, names: tuple[str, ...], tenant: str | None) -> tuple[Month, ...]:
    database = Database.open(path)
    try:
        ledger, found = SqliteLedger(database, unfiled=unfiled(path.parent)), list[Month]()
        for name in names:
            span = span_of_month(name)
            first, last = span.from_unix_ms, span.to_unix_ms
            requests = await ledger.requests(from_unix_ms=first, to_unix_ms=last, tenant=tenant)
            spend = await ledger.spend(from_unix_ms=first, to_unix_ms=last, tenant=tenant)
            found.append(Month(month=name, summary=summarise(requests, spend)))
        return tuple(found)
    finally:
        database.close()


def _last(count: int, *, unix_ms: int) -> tuple[str, ...]:
    now = datetime.fromtimestamp(unix_ms / 1000, UTC)
    number = now.year * 12 + now.month - 1
    return tuple(f"{each // 12:04}-{each % 12 + 1:02}" for each in range(number - count + 1, number + 1))


def _percent(permille: int | None) -> str:
    return "-" if permille is None else f"{permille / _PERMILLE_PER_PERCENT:.1f} %"


def _amounts(amounts: tuple[Money, ...]) -> str:
    return " + ".join(output.money(each.micros, each.currency) for each in amounts) or "-"
