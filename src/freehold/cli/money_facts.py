"""How much is asked for, from what was recorded: a provider's export, or this house's own receipts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from freehold.cli.key_ring import DATABASE_FILE, unfiled
from freehold.cli.vault_progress import counted_of
from freehold.config.load import data_folder
from freehold.domain.decisions import Outcome
from freehold.domain.economics import Demand, Spread
from freehold.domain.errors.planner import NothingUsed, UsageUnreadable
from freehold.domain.zones import DEVICE, LAN
from freehold.hostinfo.clock import SystemClock
from freehold.ledger.usage_export import Export, read_export
from freehold.planner.repatriate import measured_share
from freehold.storage.database import Database
from freehold.storage.ledger import RequestRow, SqliteLedger

_DAYS_A_MONTH = 365 / 12
_DAY_MS = 86_400_000
_MICROS = 1_000_000
_BYTES_MAX = 64 << 20
_CURRENCY = "USD"
_DATED = re.compile(r"-(20\d{6}|20\d\d-\d\d-\d\d)$")
"""What providers write behind a model's name in an export, and not in their prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known.

    Attributes:
        demand: How much is asked for in a month.
        told: Where that comes from, in words.
        measured: Assumptions that were counted instead of judged.
        models: Share of the tokens of each model that was used, largest first; empty where that is not known.
    """

    demand: Demand
    told: str
    measured: Mapping[str, Spread] = field(default_factory=dict[str, Spread])
    models: Mapping[str, float] = field(default_factory=dict[str, float])

    def priced_as(self, model: str) -> str:
        """What is to be known where all tokens are taken at one price and some are of other models; empty if none are.

        Args:
            model: The one whose price is taken, as PROVIDER/MODEL; empty where a price was typed.
        """
        if not model:
            count = len(self.models)
            return f"All tokens of {count} models are taken at the one price that was typed" if count > 1 else ""
        name = model.rpartition("/")[2]
        others = [each for each in self.models if name not in {each, _DATED.sub("", each)}]
        if not others:
            return ""
        share = sum(self.models[each] for each in others)
        more = " and others" if len(others) > 1 else ""
        return f"All tokens are taken as if they were of {model}, {share:.0%} are of {others[0]}{more}"


def from_export(path: Path) -> Facts:
    """A provider's export, stretched to a month.

    Raises:
        UsageUnreadable: It is none.
    """
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise UsageUnreadable(path=str(path), reason=f"it has more than {_BYTES_MAX >> 20} MiB")
        export = read_export(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = (
            error.strerror
            if isinstance(error, OSError)
            else "it is no text"
            if isinstance(error, UnicodeDecodeError)
            else str(error)
        )
        raise UsageUnreadable(path=str(path), reason=reason) from error
    inputs = sum(each.input_tokens for each in export.used)
    cached = sum(each.cached_tokens for each in export.used)
    mtok = export.tokens / _MICROS * _DAYS_A_MONTH / export.days
    measured = {"in_share": Spread.fixed(inputs / export.tokens)}
    if inputs:
        measured["cached"] = Spread.fixed(cached / inputs)
    models = {each.model: (each.input_tokens + each.output_tokens) / export.tokens for each in export.used}
    return Facts(demand=Demand(mtok_a_month=mtok), told=_told(path, export), measured=measured, models=models)


def from_receipts(days: int) -> Facts:
    """The receipts of the last days: what all answers would have cost in the cloud, and how many were given at home.

    Raises:
        NothingUsed: None of them has a price to compare with.
    """
    path = data_folder() / DATABASE_FILE
    rows = asyncio.run(_rows(path, days)) if path.exists() else ()
    answered = [each for each in rows if each.outcome is Outcome.COMPLETE and each.counterfactual_currency == _CURRENCY]
    micros = sum(each.counterfactual_micros for each in answered)
    requests = sum(each.requests for each in answered)
    if not micros:
        raise NothingUsed(
            reason=f"no receipt of the last {days} days has a price in dollars to compare with"
            " (set [ledger] compare_with to a cloud model)"
        )
    home = sum(each.requests for each in answered if each.zone in {DEVICE, LAN})
    bill = micros / _MICROS * _DAYS_A_MONTH / days
    escalated = sum(each.escalated for each in answered)
    return Facts(
        demand=Demand(bill_a_month=bill),
        told=f"{requests:,} receipts of the last {days} days: ${micros / _MICROS:,.2f} in the cloud,"
        f" {home / requests:.1%} answered at home, {escalated / requests:.1%} escalated",
        measured={"accept": measured_share(home, requests), "escalate": Spread.fixed(0.0)},
    )


async def _rows(path: Path, days: int) -> tuple[RequestRow, ...]:
    database = Database.open(path)
    try:
        now_ms = SystemClock().unix_ms()
        return await SqliteLedger(database, unfiled=unfiled(path.parent)).requests(
            from_unix_ms=now_ms - days * _DAY_MS, to_unix_ms=now_ms + 1, tenant=None
        )
    finally:
        database.close()


def _told(path: Path, export: Export) -> str:
    first = export.used[0]
    share = (first.input_tokens + first.output_tokens) / export.tokens
    return (
        f"{path.name}: {export.tokens / _MICROS:,.1f} M tokens in {counted_of(export.days, 'day')},"
        f" {'all' if len(export.used) == 1 else f'{len(export.used)} models, most'} of it {first.model}"
        + (f" ({share:.0%})" if len(export.used) > 1 else "")
    )
