"""A comparison of owning and renting as comma-separated values: what follows, and every assumption that it follows from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from freehold.domain.economics import Repatriation
from freehold.ledger.usage import as_cell
from freehold.planner.assumptions import NAMES, Assumptions

HEAD = ("part", "name", "low", "middle", "high")
"""Of results one in ten is below ``low`` and one in ten above ``high``; of an assumption these are its triangle, of a swing
what the net present value is at either end of it."""

_NEVER = float("inf")
"""The volume from which owning costs less, where there is none: an empty cell."""

Row = tuple[str, str, object, object, object]


def sheet(told: Repatriation, assumptions: Assumptions) -> str:
    """All of it, a line for each number, with a head."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for row in _rows(told, assumptions):
        writer.writerow(["" if each == _NEVER else as_cell(each) for each in row])
    return out.getvalue()


def _rows(told: Repatriation, assumptions: Assumptions) -> Iterator[Row]:
    result = told.result
    yield "answer", "advice", "", told.advice.value, ""
    yield "answer", "bill_a_month", "", told.bill_a_month, ""
    yield "answer", "compared_bill_a_month", "", told.compared_bill_a_month, ""
    yield "answer", "price_source", "", told.price_source, ""
    yield "answer", "input_per_mtok", "", told.price.input_per_mtok, ""
    yield "answer", "output_per_mtok", "", told.price.output_per_mtok, ""
    yield "answer", "owning_a_month", "", result.month.total, ""
    yield "answer", "share_that_pays", "", result.pays, ""
    yield "answer", "share_that_pays_in_a_year", "", result.pays_in_a_year, ""
    yield "answer", "draws", "", result.draws, ""
    yield "answer", "seed", "", result.seed, ""
    for name, spread in (
        ("break_even_mtok_a_month", result.volume_mtok),
        ("net_present_value", result.npv),
        ("payback_months_999_never", result.payback_months),
    ):
        yield "result", name, spread.p10, spread.p50, spread.p90
    for each in told.ways:
        yield "way", each.name, "", each.a_month, ""
    for swing in result.tornado:
        yield "swing", swing.name, swing.at_low, "", swing.at_high
    for name, drawn in zip(NAMES, assumptions.spreads, strict=True):
        yield "assumption", name, drawn.low, drawn.mode, drawn.high
