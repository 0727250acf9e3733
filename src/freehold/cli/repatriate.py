"""``freehold repatriate``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.cheapest import NOT_JUDGED, Judged, cheapest_judged, own_outcomes
from freehold.cli.configured import loaded_or_default
from freehold.cli.money_facts import Facts, from_export, from_receipts
from freehold.cli.options import Json
from freehold.cli.repatriate_sheet import sheet
from freehold.config.compile import dated_prices
from freehold.domain.deployment import TokenPrice
from freehold.domain.economics import Demand, Repatriation, Spread, TokenPrices
from freehold.domain.errors.planner import PriceUnknown
from freehold.domain.response import Usage
from freehold.hostinfo.clock import SystemClock
from freehold.ledger.book import GenaiPriceBook, OwnPriceBook
from freehold.planner.assumptions import ABOUT, BOUNDS, NAMES, Assumptions
from freehold.planner.hardware_kinds import assumptions_of
from freehold.planner.owning import blend
from freehold.planner.page import page
from freehold.planner.repatriate import WAYS, answer, months_text, volume_text

_MICROS = 1_000_000
_CURRENCY = "USD"
_DRAWS_MAX = 200_000
_MOST, _DAYS_MAX = 1e12, 36_500


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much is asked for: one of these.

    Attributes:
        mtok: Million tokens a month, in and out.
        bill: What the cloud costs a month, in dollars.
        usage: A provider's usage, exported as CSV or JSON (OpenAI, Anthropic).
        days: The receipts of so many last days of this house.
    """

    mtok: float = 0.0
    bill: float = 0.0
    usage: str = ""
    days: int = 0


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What it is compared with.

    Attributes:
        model: The cloud model that is paid for now, as PROVIDER/MODEL.
        price: Its price IN/OUT in dollars per million tokens, where it is not in the price data, or yours is another.
        cheapest: The cheapest cloud model that passes the same quality bar, as PROVIDER/MODEL. Where answers of several
            models to your own questions are recorded (freehold calibrate), it is found by them if not given.
        cheapest_price: Its price, IN/OUT.
    """

    model: str = ""
    price: str = ""
    cheapest: str = ""
    cheapest_price: str = ""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is written besides.

    Attributes:
        html: Write the answer as a page with drawings to this file, too.
        csv: Write the numbers and all assumptions as comma-separated values, with a head, to this file, too.
    """

    html: str = ""
    csv: str = ""


_NO_VOLUME, _NO_CLOUD, _NO_FILES = Volume(), Cloud(), Files()


def repatriate(
    *,
    volume: Volume = _NO_VOLUME,
    cloud: Cloud = _NO_CLOUD,
    hardware: Literal["server", "workstation", "cluster"] = "server",
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    draws: int = 20_000,
    seed: int = 1,
    files: Files = _NO_FILES,
    as_json: Json = False,
) -> int:
    """Say whether to bring a workload home, with probabilities; the answer may be to stay in the cloud.

    Args:
        hardware: What would be bought: server (one H100), workstation (one card of 96 GB), cluster (forty cards).
        set_: Your own number for an assumption, as NAME=VALUE or NAME=LOW:LIKELY:HIGH; may be given more than once.
        draws: How many times all assumptions are drawn.
        seed: Of what is drawn; the same one gives the same answer.
    """
    if not 100 <= draws <= _DRAWS_MAX:
        raise output.UsageError(f"--draws is {draws}; 100 to {_DRAWS_MAX:,} are taken.")
    facts = _facts(volume)
    now, source = _price(cloud.model, cloud.price, "--model", "--price")
    assumptions = _changed(assumptions_of(hardware).replaced(facts.measured), set_)
    judged, cheapest, cheapest_source = _judged(cloud, now, assumptions), None, ""
    if judged.model or cloud.cheapest or cloud.cheapest_price:
        cheapest, cheapest_source = _price(
            cloud.cheapest or judged.model, cloud.cheapest_price, "--cheapest", "--cheapest-price"
        )
    if not all(blend(each, assumptions.modes()) > 0 for each in (now, cheapest or now)):
        raise output.UsageError(
            "With these assumptions a token costs nothing in the cloud; there is nothing to compare."
        )
    told = answer(
        assumptions,
        facts.demand,
        now=now,
        cheapest=cheapest,
        price_source=cheapest_source or source,
        draws=random.Random(seed),  # noqa: S311 - a simulation that anybody can repeat
        count=draws,
        seed=seed,
    )
    priced_as = facts.priced_as(cloud.model if not cloud.price else "")
    if files.html:
        demand_from = "; ".join(filter(None, (facts.told, priced_as)))
        _write(files.html, page(told, assumptions, demand_from=demand_from), "--html")
        if not as_json:
            output.note(f"The page is in {files.html}.")
    if files.csv:
        _write(files.csv, sheet(told, assumptions), "--csv")
    if as_json:
        spreads = {name: asdict(each) for name, each in zip(NAMES, assumptions.spreads, strict=True)}
        output.print_json(
            {
                **_finite(asdict(told)),
                "assumptions": spreads,
                "from": facts.told,
                "priced_as": priced_as or None,
                "cheapest": judged.told,
            }
        )
    else:
        output.say(_text(told, facts, hardware, judged=judged.told, priced_as=priced_as))
    return output.OK


def _finite(document: dict[str, Any]) -> dict[str, Any]:
    """JSON has no number for a volume that there is not."""
    return {
        name: _finite(cast("dict[str, Any]", value))
        if isinstance(value, dict)
        else None
        if value == float("inf")
        else value
        for name, value in document.items()
    }


def _write(path: str, text: str, option: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise output.UsageError(f"{option} {path}: it cannot be written ({error.strerror}).") from error


def _facts(volume: Volume) -> Facts:
    given = [name for name in ("mtok", "bill", "usage", "days") if getattr(volume, name)]
    if len(given) != 1:
        raise output.UsageError("Give one of --mtok, --bill, --usage and --days: how much is asked for.")
    if volume.mtok < 0 or volume.bill < 0 or volume.days < 0:
        raise output.UsageError(f"--{given[0]} is below 0.")
    if not (volume.mtok <= _MOST and volume.bill <= _MOST and volume.days <= _DAYS_MAX):
        raise output.UsageError(
            f"--{given[0]} is {getattr(volume, given[0])}; at most {_DAYS_MAX if volume.days else _MOST:,.0f} is taken."
        )
    if volume.usage:
        return from_export(Path(volume.usage))
    if volume.days:
        return from_receipts(volume.days)
    if volume.mtok:
        return Facts(demand=Demand(mtok_a_month=volume.mtok), told=f"{volume.mtok:g} M tokens a month, as typed")
    return Facts(demand=Demand(bill_a_month=volume.bill), told=f"a bill of ${volume.bill:,.0f} a month, as typed")


def _price(model: str, typed: str, model_option: str, price_option: str) -> tuple[TokenPrices, str]:
    if typed:
        parts = typed.split("/")
        try:
            inputs, outputs = (float(each) for each in parts)
        except ValueError:
            raise output.UsageError(f"{price_option} is {typed!r}; it is IN/OUT, for example 2/10.") from None
        if not (0 <= inputs < _MICROS and 0 < outputs < _MICROS):
            raise output.UsageError(f"{price_option} is {typed!r}; prices are above 0.")
        return TokenPrices(input_per_mtok=inputs, output_per_mtok=outputs), "as typed"
    if not model:
        raise output.UsageError(f"Say what is compared with: {model_option} PROVIDER/MODEL, or {price_option} IN/OUT.")
    found = _listed(model)
    if found is None:
        raise PriceUnknown(model=repr(model))
    since = f", valid since {found.effective}" if found.effective else ""
    return _prices(found), f"{model}, {found.price_version}{since}"


def _listed(model: str) -> TokenPrice | None:
    book = OwnPriceBook(GenaiPriceBook(), dated_prices(loaded_or_default("").config))
    found = book.price(model, usage=Usage(), unix_ms=SystemClock().unix_ms())
    if found is not None and found.currency != _CURRENCY:
        raise output.UsageError(
            f"[{found.price_version}] is in {found.currency}, and this is reckoned in {_CURRENCY}: type its price."
        )
    return found


def _prices(found: TokenPrice) -> TokenPrices:
    return TokenPrices(
        input_per_mtok=found.input_micros_per_mtok / _MICROS, output_per_mtok=found.output_micros_per_mtok / _MICROS
    )


def _judged(cloud: Cloud, now: TokenPrices, assumptions: Assumptions) -> Judged:
    """What is the cheapest that is good enough: as said, else by this house's own recorded answers."""
    if cloud.cheapest or cloud.cheapest_price:
        return Judged(told=f"That {cloud.cheapest or 'the cheapest'} is good enough is taken as you said it.")
    if not cloud.model:
        return Judged(told=NOT_JUDGED)
    modes = assumptions.modes()

    def price_of(model: str) -> TokenPrices | None:
        if model == cloud.model:
            return now
        found = _listed(model)
        return None if found is None else _prices(found)

    return cheapest_judged(own_outcomes(), cloud.model, price_of=price_of, cost=lambda price: blend(price, modes))


def _changed(assumptions: Assumptions, typed: Sequence[str]) -> Assumptions:
    changes: dict[str, Spread] = {}
    for each in typed:
        name, _, value = each.partition("=")
        try:
            numbers = [float(part) for part in value.split(":")]
            low, mode, high = numbers * 3 if len(numbers) == 1 else numbers
            changes[name] = Spread(low=low, mode=mode, high=high)
        except ValueError:
            raise output.UsageError(
                f"--set {each!r}: it is NAME=VALUE or NAME=LOW:LIKELY:HIGH, in that order."
            ) from None
        if name not in NAMES:
            raise output.UsageError(f"--set {each!r}: there is no assumption {name!r}. There is: {', '.join(NAMES)}.")
        least, most = BOUNDS[name]
        if low < least or high > most:
            raise output.UsageError(f"--set {each!r}: {name} ({ABOUT[name]}) is {least:g} to {most:g}.")
    return assumptions.replaced(changes)


def _text(told: Repatriation, facts: Facts, hardware: str, *, judged: str, priced_as: str) -> str:
    result = told.result
    rows = [
        (name, words(spread.p10), words(spread.p50), words(spread.p90))
        for name, spread, words in (
            ("M tokens a month to break even", result.volume_mtok, volume_text),
            ("net present value, $", result.npv, "{:,.0f}".format),
        )
    ]
    back = result.payback_months
    rows.append(("paid back in month", months_text(back.p10), months_text(back.p50), months_text(back.p90)))
    served = [
        (
            WAYS[each.name],
            f"{each.a_month:,.2f}",
            f"{each.cloud_share:.0%}",
            "yes" if each.same_quality else "no: what was turned down stays so",
        )
        for each in told.ways
    ]
    swings = [
        (each.name, f"{each.at_low:,.0f}", f"{each.at_high:,.0f}", ABOUT[each.name]) for each in result.tornado[:5]
    ]
    return "\n".join(
        [
            told.advice.value.replace("-", " ").upper(),
            *(f"  {each}" for each in told.because),
            "",
            f"from         {facts.told}",
            *((f"             {priced_as}; --bill with what you paid is exact.",) if priced_as else ()),
            f"the bill now ${told.bill_a_month:,.2f} a month"
            + (
                f", ${told.compared_bill_a_month:,.2f} at the cheapest"
                if told.compared_bill_a_month != told.bill_a_month
                else ""
            ),
            f"compared     {told.price.input_per_mtok:g}/{told.price.output_per_mtok:g} per M tokens ({told.price_source})",
            f"owning       ${result.month.total:,.2f} a month at the most likely values ({hardware})",
            "",
            output.table(served, head=("a month of", "$", "of the cloud's bill", "same quality")),
            "",
            output.table(rows, head=("", "1 in 10 below", "middle", "1 in 10 above")),
            "",
            output.table(swings, head=("decides most", "worth at its low, $", "at its high, $", "what it is")),
            "",
            judged,
            f"{result.draws:,} draws, seed {result.seed}. Put your own numbers in with --set; --json shows all of them.",
        ]
    )
