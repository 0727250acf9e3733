"""``freehold receipts --sum``: what all requests came to."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from freehold.cli import output
from freehold.cli.key_ring import DATABASE_FILE, unfiled
from freehold.cli.output import money
from freehold.config.load import data_folder
from freehold.domain.money import Money
from freehold.hostinfo.clock import SystemClock
from freehold.ledger.report import Summary, summarise
from freehold.storage.database import Database
from freehold.storage.ledger import SqliteLedger

_DAY_MS = 86_400_000
_DAYS_MAX = 36_500
_PERMILLE_PER_PERCENT = 10
_MWH_PER_KWH = 1_000_000


def show_sums(*, days: int, as_json: bool) -> int:
    """Print the report over the last days, all tenants together."""
    if not 1 <= days <= _DAYS_MAX:
        raise output.UsageError(f"--days is {days}; 1 to {_DAYS_MAX:,} are taken.")
    path = data_folder() / DATABASE_FILE
    if not path.exists():
        output.print_json(None) if as_json else output.say("No receipts yet.")
        return output.OK
    database = Database.open(path)
    try:
        found = asyncio.run(
            _summary(SqliteLedger(database, unfiled=unfiled(data_folder())), now_ms=SystemClock().unix_ms(), days=days)
        )
    finally:
        database.close()
    if as_json:
        output.print_json(asdict(found))
    else:
        output.say(sums_text(found, days=days))
    return output.OK


async def _summary(ledger: SqliteLedger, *, now_ms: int, days: int) -> Summary:
    from_ms, to_ms = now_ms - days * _DAY_MS, now_ms + 1
    requests = await ledger.requests(from_unix_ms=from_ms, to_unix_ms=to_ms, tenant=None)
    return summarise(requests, await ledger.spend(from_unix_ms=from_ms, to_unix_ms=to_ms, tenant=None))


def sums_text(found: Summary, *, days: int) -> str:
    """The report in plain lines. What is not known is said, never counted as nothing."""
    unpriced = f", {found.unpriced_attempts:,} attempts unpriced" if found.unpriced_attempts else ""
    lines = [
        f"last {days} days",
        f"requests        {found.requests:,}, {found.answered:,} answered, {found.refused:,} refused",
        f"answered here   {found.answered_at_home:,} ({_percent(found.home_share_permille)})",
        f"escalated       {found.escalated:,} ({_percent(found.escalated_share_permille)})",
        f"bytes that left {found.bytes_left:,}",
        f"spent           {_amounts(found.spent)}{unpriced}",
        f"in the cloud    {_amounts(found.counterfactual)}, the {found.comparable:,} answers that have such a price",
        f"saved           {_amounts(found.saved)}, over the {found.compared:,} of them whose cost is known, too",
        f"energy          {found.energy_mwh / _MWH_PER_KWH:.4f} kWh of owned hardware, where it is known",
    ]
    rows = [
        (
            row.deployment,
            row.zone,
            f"{row.attempts:,}",
            f"{row.usage.input_tokens:,} + {row.usage.output_tokens:,}",
            "unpriced" if row.currency is None else money(row.amount_micros, row.currency),
        )
        for row in found.deployments
    ]
    if rows:
        lines += ["", output.table(rows, head=("deployment", "zone", "attempts", "tokens in + out", "cost"))]
    return "\n".join(lines)


def _percent(permille: int | None) -> str:
    return "no share yet" if permille is None else f"{permille / _PERMILLE_PER_PERCENT:.1f} %"


def _amounts(amounts: tuple[Money, ...]) -> str:
    return " + ".join(money(each.micros, each.currency) for each in amounts) or "nothing that is priced"
