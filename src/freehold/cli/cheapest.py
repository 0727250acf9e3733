"""The cheapest cloud model that passes the same quality bar, by what this house recorded of its own questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from freehold.app.known import OUTCOMES_FOLDER, calibrations_folder, outcomes_in
from freehold.cli.configured import loaded_or_default
from freehold.config.load import data_folder
from freehold.domain.economics import TokenPrices
from freehold.routing.as_good import Beside, beside
from freehold.routing.canary import DELTA
from freehold.routing.paired import PairedOutcomes

NOT_JUDGED = (
    "Whether a cheaper cloud model is good enough is not known: no recorded answers have it beside the one that is paid for."
    " Ask both your own questions (freehold calibrate with several --deployment), or name it with --cheapest."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found.

    Attributes:
        told: In words.
        model: The cheapest that passes, as PROVIDER/MODEL; empty where none is cheaper.
    """

    told: str
    model: str = ""


def own_outcomes() -> list[PairedOutcomes]:
    """What was recorded here of several models' answers to the same questions."""
    return outcomes_in(calibrations_folder(loaded_or_default(""), data_folder()) / OUTCOMES_FOLDER)


def cheapest_judged(
    tables: list[PairedOutcomes],
    now: str,
    *,
    price_of: Callable[[str], TokenPrices | None],
    cost: Callable[[TokenPrices], float],
) -> Judged:
    """Look for it.

    Args:
        tables: Recorded answers.
        now: The model that is paid for, as PROVIDER/MODEL; those recorded beside it are taken to be of its provider where
            their names do not say another.
        price_of: Price of a PROVIDER/MODEL; ``None`` where it has none that is known.
        cost: What a million tokens at a price come to in this workload.
    """
    provider, _, name = now.partition("/")
    others = beside(tables, now) or beside(tables, name)
    priced = [
        (cost(price), each, model)
        for each in others
        if (price := price_of(model := each.model if "/" in each.model else f"{provider}/{each.model}")) is not None
    ]
    own = price_of(now)
    if own is None or not priced:
        return Judged(told=NOT_JUDGED)
    cheaper = sorted((each for each in priced if each[0] < cost(own)), key=lambda each: each[0])
    best = next((each for each in cheaper if each[1].passes), None)
    if best is None:
        tried = ", ".join(_told(each) for _, each, _ in cheaper) or "none of those asked is cheaper"
        return Judged(told=f"By your own recorded answers no cheaper cloud model passes ({tried}).")
    return Judged(
        model=best[2],
        told=f"By your own recorded answers {best[2]} is the cheapest that passes: {_told(best[1])},"
        f" surely no more than {DELTA:.0%} of the answers worse than {now}.",
    )


def _told(each: Beside) -> str:
    return f"{each.model} on {each.questions:,} questions of {', '.join(each.workloads)}"
