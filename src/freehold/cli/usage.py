"""``freehold usage``: what was used, from the database directly, also while no server runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import open_ring, unfiled
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.hostinfo.clock import SystemClock
from freehold.ledger.usage import By, day_of, span_of_days, span_of_month, usage_csv, usage_documents, usage_lines
from freehold.storage.usage import SqliteUsage


def usage(
    *,
    month: str = "",
    from_: str = "",
    to: str = "",
    by: Literal["key", "tenant", "deployment", "day"] = "key",
    tenant: str = "",
    csv: bool = False,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show what was used: requests, tokens and money, as receipts say. This month, unless said otherwise.

    Args:
        month: A month in UTC, YYYY-MM.
        from_: The first day in UTC, YYYY-MM-DD.
        to: The day after the last one, YYYY-MM-DD.
        by: What a row is about: key, tenant, deployment or day. key if not given.
        tenant: Only this tenant's.
        csv: Print comma-separated values, with a head, for other programs.
    """
    if month and (from_ or to):
        raise output.UsageError("--month goes without --from and --to.")
    if csv and as_json:
        raise output.UsageError("--csv goes without --json.")
    try:
        span = span_of_month(month) if month else span_of_days(from_, to, unix_ms=SystemClock().unix_ms())
    except ValueError as error:
        raise output.UsageError(f"{error}.") from error
    chosen = By(by)
    with open_ring(folder := data_folder(), compiled_or_default(config)) as (ring, database):
        if tenant and tenant not in ring.tenants:
            raise output.UsageError(f"{tenant!r} is no tenant; the configuration has: {', '.join(ring.tenants)}.")
        uses = SqliteUsage(database, unfiled=unfiled(folder)).read(
            from_unix_ms=span.from_unix_ms, to_unix_ms=span.to_unix_ms, tenant=tenant or None, step_ms=chosen.step_ms
        )
        names = {record.id: record.name for record in ring.list()}
    lines = usage_lines(uses, chosen)
    if csv:
        output.say(usage_csv(lines, chosen, names=names), end="")
        return output.OK
    found = usage_documents(lines, chosen, names=names)
    first, last = day_of(span.from_unix_ms), day_of(span.to_unix_ms)
    if as_json:
        output.print_json({"from": first, "to": last, "by": by, "data": found})
    elif not found:
        output.say(f"Nothing was used from {first} up to but without {last}.")
    else:
        output.say(f"from {first} up to but without {last}, UTC")
        output.say(_table(found, chosen))
    return output.OK


def cost_text(costs: Iterable[Mapping[str, Any]]) -> str:
    """Amounts by currency; a dash where nothing has a price."""
    return " + ".join(output.money(each["micros"], each["currency"]) for each in costs) or "-"


def _table(found: list[dict[str, Any]], by: By) -> str:
    about = ("key", "name", "tenant") if by is By.KEY else (by.value,)
    asked = () if by is By.DEPLOYMENT else ("requests", "refused")
    rows = [
        (
            *(str(each[name]) or "-" for name in about),
            *(f"{each[name]:,}" for name in (*asked, "attempts", "input_tokens", "output_tokens")),
            cost_text(each["cost"]),
            f"{each['unpriced_attempts']:,}",
        )
        for each in found
    ]
    head = (*about, *asked, "attempts", "tokens in", "tokens out", "cost", "unpriced")
    return output.table(rows, head=head)
