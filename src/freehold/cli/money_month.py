"""One month of money: by tenant, model, workload or day, and priced again from its receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from freehold.cli import output
from freehold.cli.key_ring import unfiled
from freehold.domain.limits import Span
from freehold.ledger.repricing import PriceLine, Repriced, Repricing
from freehold.ledger.usage import day_of
from freehold.ledger.views import By, MoneyLine, MoneyView
from freehold.storage.database import Database
from freehold.storage.ledger import PriceRow, SqliteLedger
from freehold.storage.receipt_history import ReceiptHistory

_TRIES = 5
_MWH_PER_KWH = 1_000_000


def read_view(path: Path, span: Span, by: By, *, tenant: str | None, workloads: Mapping[str, str]) -> list[MoneyLine]:
    """The lines of a span of time; none where nothing is kept."""
    view = MoneyView(by=by, tenant=tenant, workloads=workloads)
    if not path.exists():
        return []
    database = Database.open(path)
    try:
        asyncio.run(
            ReceiptHistory(database, unfiled=unfiled(path.parent)).visit(
                view.add, from_unix_ms=span.from_unix_ms, to_unix_ms=span.to_unix_ms
            )
        )
    finally:
        database.close()
    return view.lines()


def price_again(path: Path, span: Span, *, tenant: str | None) -> Repriced:
    """A span of time, priced again from its receipts.

    A server may write meanwhile: it is read again until the ledger is the same before and after, a few times at most.
    """
    if not path.exists():
        return Repricing(tenant=tenant).result(())
    database = Database.open(path)
    try:
        return asyncio.run(_price_again(database, span, tenant))
    finally:
        database.close()


async def _price_again(database: Database, span: Span, tenant: str | None) -> Repriced:
    ledger, history = SqliteLedger(database), ReceiptHistory(database)
    first, last = span.from_unix_ms, span.to_unix_ms

    async def rows() -> tuple[PriceRow, ...]:
        return await ledger.prices(from_unix_ms=first, to_unix_ms=last, tenant=tenant)

    tries = 0
    while True:
        before, found = await rows(), Repricing(tenant=tenant)
        await history.visit(found.add, from_unix_ms=first, to_unix_ms=last)
        after = await rows()
        tries += 1
        if after == before or tries == _TRIES:
            return found.result(after)


def view_text(lines: Sequence[MoneyLine], by: By) -> str:
    """The lines as a table, and what they are compared with."""
    rows = [
        (
            each.group or "-",
            f"{each.requests:,}",
            f"{each.at_home / each.answered:.1%}" if each.answered else "-",
            f"{each.escalated / each.requests:.1%}" if each.requests else "-",
            _amounts(each.spent),
            _amounts(each.counterfactual),
            _amounts(each.saved),
            f"{each.unpriced:,}",
            f"{each.energy_mwh / _MWH_PER_KWH:.4f}",
        )
        for each in lines
    ]
    head = (by.value, "requests", "at home", "escalated", "spent", "in the cloud", "saved", "unpriced", "kWh")
    told = sorted({each for line in lines for each in line.compared_with})
    notes = [f"compared with {each}" for each in told]
    notes.append(energy_text(sum(each.energy_mwh for each in lines), sum(each.measured_mwh for each in lines)))
    answered, comparable, compared = (
        sum(getattr(each, name) for each in lines) for name in ("answered", "comparable", "compared")
    )
    notes += left_out(answered=answered, comparable=comparable, compared=compared)
    return "\n".join([output.table(rows, head=head), "", *notes])


def left_out(*, answered: int, comparable: int, compared: int, what: str = "answers") -> list[str]:
    """Which answers are in which sum not, and what would change that."""
    notes: list[str] = []
    if missing := answered - comparable:
        notes.append(
            f"{missing:,} {what} have no price to compare with, and are in no saving; [ledger] compare_with names a"
            " cloud model"
        )
    if missing := comparable - compared:
        notes.append(
            f"{missing:,} {what} have no cost of their own, and are in no saving; [ledger] purchase_price says what this"
            " machine cost, [deployments.NAME.price] what others take"
        )
    return notes


def energy_text(energy_mwh: int, measured_mwh: int) -> str:
    """How much of it a counter said."""
    if not energy_mwh:
        return "energy: none of owned hardware whose watts are known"
    whole = f"{energy_mwh / _MWH_PER_KWH:.4f} kWh"
    if measured_mwh >= energy_mwh:
        return f"energy: {whole}, measured by the processor's and the cards' counters"
    if not measured_mwh:
        return f"energy: {whole}, estimated from the watts in [ledger]; no counter was readable"
    return f"energy: {whole}, {measured_mwh / energy_mwh:.0%} of it measured, the rest estimated from the watts in [ledger]"


def check_text(found: Repriced, span: Span) -> str:
    """What is the same, at which prices, and what is not."""
    rows = [_price_row(each, span) for each in found.lines]
    compared = [_price_row(each, span) for each in found.compared]
    head = ("price", "since", "attempts", "receipts say", "computed again", "no basis")
    lines = [
        f"{found.receipts:,} receipts from {day_of(span.from_unix_ms)} up to but without {day_of(span.to_unix_ms)}, UTC"
    ]
    if rows:
        lines += ["", output.table(rows, head=head)]
    if compared:
        lines += ["", output.table(compared, head=("to compare with", "since", "answers", *head[3:]))]
    lines.append("")
    for currency, micros in found.ledger_micros.items():
        lines.append(f"the ledger has {output.money(micros, currency)} ({micros:,} millionths)")
    for each in found.differences:
        said = "nothing" if each.recorded_micros is None else f"{each.recorded_micros:,}"
        lines.append(
            f"NOT THE SAME: {each.about}, {each.deployment}: {said} is recorded, {each.again_micros:,} is computed"
            f" (millionths of {each.currency or 'nothing'})"
        )
    if found.differing > len(found.differences):
        lines.append(f"and {found.differing - len(found.differences):,} more")
    if not found.receipts:
        lines.append("There is nothing to compute again.")
    elif not found.differing:
        lines.append("Every amount is the same to the millionth: computed again, in the receipts and in the ledger.")
    if missing := sum(each.without_basis for each in (*found.lines, *found.compared)):
        lines.append(
            f"{missing:,} amounts do not say what they were computed from, and are taken at their word:"
            " receipts from before that was kept, or prices whose form this program does not know"
        )
    return "\n".join(lines)


def check_document(found: Repriced) -> dict[str, object]:
    """As JSON-ready values."""
    return {"holds": found.holds, **asdict(found)}


def _price_row(line: PriceLine, span: Span) -> tuple[str, ...]:
    if line.currency is None:
        return (line.price_version or line.source or "unknown", "-", f"{line.attempts:,}", "unpriced", "unpriced", "-")
    return (
        line.price_version or line.source or "not kept",
        line.effective or f"as of {day_of(span.from_unix_ms)[:7]}",
        f"{line.attempts:,}",
        output.money(line.recorded_micros, line.currency),
        output.money(line.again_micros, line.currency),
        f"{line.without_basis:,}",
    )


def _amounts(sums: Mapping[str, int]) -> str:
    return " + ".join(output.money(micros, currency) for currency, micros in sorted(sums.items())) or "-"
