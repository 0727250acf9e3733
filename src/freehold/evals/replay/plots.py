"""The four plots of a replay."""

from __future__ import annotations

from freehold.evals.replay.options import Score
from freehold.evals.replay.results import PairReport
from freehold.evals.replay.svg import Plot, axis
from freehold.evals.replay.wording import percent

SCORE, GUESS, BEST, LIMIT = "score", "guess", "best", "limit"
_PERCENT = 100
_THOUSAND = 1_000
_HEADROOM = 1.08
"""So that the text above the highest point has room."""


def quality(pair: PairReport, identity: str) -> str:
    """Quality by the share of questions that go to the strong model, with guessing and the best of all routers."""
    weak, strong = (pair.numbers[name].value or 0.0 for name in ("weak", "strong"))
    values = [value for _, *row in pair.quality.points for value in row] + [value for _, value in pair.oracle]
    plot = Plot(
        axis(0, _PERCENT, f"questions that go to {pair.strong}, %"),
        axis(min(values) * _PERCENT, max(values) * _PERCENT, "right, %"),
    )
    plot.line([(0, weak * _PERCENT), (_PERCENT, strong * _PERCENT)], GUESS, "guessing")
    plot.line([(x * _PERCENT, y * _PERCENT) for x, y in pair.oracle], BEST, "best of all routers")
    if pair.score is not Score.NONE:
        plot.band([(x * _PERCENT, low * _PERCENT, high * _PERCENT) for x, _, low, high in pair.quality.points], SCORE)
        plot.line([(x * _PERCENT, y * _PERCENT) for x, y, _, _ in pair.quality.points], SCORE, "this score")
    apgr = pair.numbers["apgr"]
    told = f"{percent(weak)} are right where {pair.weak} gives all of them, {percent(strong)} where {pair.strong} does"
    worth = f"; APGR {apgr.value:.3f}, where guessing has 0.5" if apgr.value is not None else ""
    full = pair.numbers["share_for_98"].value
    reach = f"; 98 % of the strong model's quality takes {percent(full)} of questions" if full is not None else ""
    return plot.svg(
        identity, title="Quality by what goes to the strong model", description=f"Of all answers, {told}{worth}{reach}."
    )


def costs(pair: PairReport, identity: str) -> str:
    """Mean error by mean cost, with both models alone; empty where costs are not recorded."""
    if not pair.costs:
        return ""
    points = [(cost * _THOUSAND, error * _PERCENT) for cost, error in pair.costs]
    singles = [(cost * _THOUSAND, error * _PERCENT) for cost, error in pair.singles]
    errors = [error for _, error in [*points, *singles]]
    plot = Plot(
        axis(0, max(cost for cost, _ in [*points, *singles]), "cost of 1,000 questions, $", unit="$"),
        axis(0, max(errors) * _HEADROOM, "wrong, %"),
    )
    plot.line([points[0], points[-1]], GUESS, "guessing")
    plot.line(points, SCORE, "this score")
    (weak_cost, weak_error), (strong_cost, strong_error) = singles
    plot.dot(singles[0], SCORE, f"{pair.weak} alone")
    plot.dot(singles[1], BEST, f"{pair.strong} alone", before=strong_cost > points[-1][0] / 2)
    area = pair.numbers["error_cost"].value
    told = f" Mean error over these costs: {percent(area)}." if area is not None else ""
    return plot.svg(
        identity,
        title="Error by cost",
        description=(
            f"A falling line from {weak_error:.1f} % wrong at ${weak_cost:.4f} to {points[-1][1]:.1f} % at "
            f"${points[-1][0]:.4f} a thousand questions. {pair.strong} alone: {strong_error:.1f} % at "
            f"${strong_cost:.4f}.{told}"
        ),
    )


def reliability(pair: PairReport, identity: str) -> str:
    """Of answers with a probability, how many were right; empty where the score is not one."""
    if not pair.reliability:
        return ""
    plot = Plot(
        axis(0, _PERCENT, "recorded probability of being right, %"),
        axis(0, _PERCENT, "right, %"),
    )
    plot.line([(0, 0), (_PERCENT, _PERCENT)], GUESS, "as it says")
    for each in pair.reliability:
        plot.whisker(each.probability * _PERCENT, each.low * _PERCENT, each.high * _PERCENT, SCORE)
    plot.line([(each.probability * _PERCENT, each.right * _PERCENT) for each in pair.reliability], SCORE, "as it is")
    for each in pair.reliability:
        plot.dot((each.probability * _PERCENT, each.right * _PERCENT), SCORE)
    told = "; ".join(f"{percent(each.probability)} said, {percent(each.right)} right" for each in pair.reliability)
    ece = pair.numbers["ece"].value
    error = f" Calibration error {ece:.3f}." if ece is not None else ""
    return plot.svg(
        identity,
        title="Reliability of the probability",
        description=f"{len(pair.reliability)} bins of equally many answers. {told}.{error}",
    )


def risk(pair: PairReport, identity: str, *, asked: float) -> str:
    """Wrong ones among accepted answers by the share that is accepted, and the share that was asked for."""
    if not pair.risk.points:
        return ""
    highest = max(high for _, _, _, high in pair.risk.points)
    plot = Plot(
        axis(0, _PERCENT, f"answers of {pair.weak} that are accepted, %"),
        axis(0, max(highest, asked) * _PERCENT, "wrong among these, %"),
    )
    plot.line([(0, asked * _PERCENT), (_PERCENT, asked * _PERCENT)], LIMIT, f"{asked * _PERCENT:.3g} % asked for")
    plot.band([(x * _PERCENT, low * _PERCENT, high * _PERCENT) for x, _, low, high in pair.risk.points], SCORE)
    plot.line([(x * _PERCENT, y * _PERCENT) for x, y, _, _ in pair.risk.points], SCORE, "surest first")
    told = "; ".join(
        f"{percent(value)} wrong among the surest {of} %"
        for of in (30, 50, 80)
        if (value := pair.numbers[f"risk_at_{of}"].value) is not None
    )
    return plot.svg(identity, title="Risk by coverage", description=f"{told or 'No share is known'}.")
