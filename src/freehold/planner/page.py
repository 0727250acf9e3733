"""The answer about a bill as one page of HTML that needs nothing else: drawings are SVG, no script, no other resource."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from freehold.domain.economics import Advice, BreakEven, Quantiles, Repatriation
from freehold.planner.assumptions import ABOUT, NAMES, Assumptions
from freehold.planner.repatriate import WAYS, months_text, volume_text
from freehold.wire.page import page_head

_TITLES = {
    Advice.MOVE: "Bring it home",
    Advice.STAY: "Stay in the cloud",
    Advice.UNDECIDED: "Undecided: find out more",
    Advice.CHEAPER_CLOUD: "First move to a cheaper cloud model",
}
_STYLE = """
:root{--paper:#fff;--ink:#1a2027;--soft:#56616d;--rule:#dfe4ea;--good:#2a6f4e;--bad:#a3442f}
@media (prefers-color-scheme:dark){:root{--paper:#12161b;--ink:#e7ebef;--soft:#a3aeb9;--rule:#2c343d;--good:#6cc39b;--bad:#e58a73}}
body{margin:2rem auto;max-width:60rem;padding:0 1rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{margin:0 0 .5rem;font-size:1.8rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p,li,footer{color:var(--soft)}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--rule);text-align:right}
th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}
svg{width:100%;height:auto;display:block}.named{min-width:40rem}
.ends{display:flex;justify-content:space-between;margin:0;font-size:.8rem}
@media print{.named{min-width:0}svg,tr{break-inside:avoid}h2{break-after:avoid}}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}
.good{fill:var(--good)}.bad{fill:var(--bad)}.axis{stroke:var(--rule)}.zero{stroke:var(--ink)}
"""
_WIDTH, _HEIGHT = 800, 180
_BAR, _LEFT = 22, 290
_SHOWN = 8


def page(told: Repatriation, assumptions: Assumptions, *, demand_from: str = "") -> str:
    """The whole page.

    Args:
        told: The answer.
        assumptions: What it rests on.
        demand_from: Where the demand is known from, in words.
    """
    title = _TITLES[told.advice]
    reasons = "".join(f"<li>{escape(each)}</li>" for each in told.because)
    return f"""{page_head(title, _STYLE)}
<body>
<h1>{escape(title)}</h1>
<ul>{reasons}</ul>
<h2>How to serve a month</h2>
<p>{_bill(told, demand_from)}</p>
{_ways(told)}
<h2>What owning is worth over its life</h2>
<p>Net present value against paying for tokens, over all draws; {_where(told.result)}.</p>
{_worth(told.result)}
{_quantiles(told.result)}
<h2>What decides it</h2>
<p>That value with one assumption at its low and at its high, all others at their most likely. Green: the more of it, the
better for owning. Red: the worse.</p>
{_tornado(told.result)}
<h2>A month of owning, at the most likely values</h2>
{_month(told.result)}
<h2>What this rests on</h2>
<p>Compared with {told.price.input_per_mtok:g} and {told.price.output_per_mtok:g} for a million tokens in and out
({escape(told.price_source)}). These spreads are judgement; put your own numbers in.</p>
{_spreads(assumptions)}
<footer><p>{told.result.draws:,} draws, seed {told.result.seed}. Made by <code>freehold repatriate</code>.</p></footer>
</body>
</html>
"""


def _bill(told: Repatriation, demand_from: str) -> str:
    """What is paid now, and how that is known."""
    known = f" ({escape(demand_from)})" if demand_from else ""
    cheaper = told.compared_bill_a_month
    less = "" if cheaper == told.bill_a_month else f", {_dollars(cheaper)} at the cheapest that is good enough"
    return f"The cloud's bill is {_dollars(told.bill_a_month)} a month{known}{less}."


def _ways(told: Repatriation) -> str:
    rows = [
        (
            WAYS[each.name],
            _dollars(each.a_month),
            f"{each.cloud_share:.0%}",
            "yes" if each.same_quality else "no: what was turned down stays so",
        )
        for each in told.ways
    ]
    return _table((("", "a month", "of the cloud's bill", "same quality"), *rows))


def _quantiles(result: BreakEven) -> str:
    named: tuple[tuple[str, Quantiles, Callable[[float], str]], ...] = (
        ("net present value", result.npv, _dollars),
        ("M tokens a month to break even", result.volume_mtok, volume_text),
        ("paid back in month", result.payback_months, months_text),
    )
    rows = [(name, words(each.p10), words(each.p50), words(each.p90)) for name, each, words in named]
    return _table((("", "1 in 10 below", "middle", "1 in 10 above"), *rows))


def _dollars(amount: float) -> str:
    return f"{'-' if round(amount) < 0 else ''}${abs(amount):,.0f}"


def _where(result: BreakEven) -> str:
    """Where in the drawing owning pays, which may have no line where it begins to."""
    spread = result.npv_histogram
    if spread.low < 0 < spread.high:
        return "right of the line owning pays"
    return "owning pays in all of it" if spread.low >= 0 else "owning pays nowhere in it"


def _worth(result: BreakEven) -> str:
    spread = result.npv_histogram
    highest, count = max(spread.counts), len(spread.counts)
    step, width = _WIDTH / count, (spread.high - spread.low) / count
    bars = "".join(
        f'<rect class="{"good" if spread.low + (place + 0.5) * width > 0 else "bad"}" x="{place * step:.1f}"'
        f' y="{_HEIGHT - each / highest * _HEIGHT:.1f}" width="{step - 1:.1f}" height="{each / highest * _HEIGHT:.1f}"/>'
        for place, each in enumerate(spread.counts)
    )
    zero = ""
    if spread.low < 0 < spread.high:
        at = -spread.low / (spread.high - spread.low) * _WIDTH
        zero = f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_HEIGHT}"/>'
    label = f"Owning pays in {result.pays:.1%} of the draws"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{bars}{zero}</svg>'
        f'<p class="ends"><span>{_dollars(spread.low)}</span><span>{_dollars(spread.high)}</span></p>'
    )


def _tornado(result: BreakEven) -> str:
    shown = result.tornado[:_SHOWN]
    if not shown:
        return "<p>Nothing: every number is known.</p>"
    ends = [end for each in shown for end in (each.at_low, each.at_high)]
    low, high = min(*ends, result.npv_mode), max(*ends, result.npv_mode)
    scale = (_WIDTH - _LEFT) / ((high - low) or 1)

    def place(value: float) -> float:
        return _LEFT + (value - low) * scale

    rows = "".join(
        f'<text x="0" y="{row * _BAR + 15}">{escape(ABOUT[each.name])}</text>'
        f'<rect class="{"good" if each.at_high > each.at_low else "bad"}" x="{min(place(each.at_low), place(each.at_high)):.1f}"'
        f' y="{row * _BAR + 3}" width="{abs(place(each.at_high) - place(each.at_low)):.1f}" height="{_BAR - 6}"/>'
        for row, each in enumerate(shown)
    )
    at = place(result.npv_mode)
    height = len(shown) * _BAR
    return (
        f'<div class="wide"><svg class="named" viewBox="0 0 {_WIDTH} {height + 24}" role="img" aria-label="What each assumption does to the value">{rows}'
        f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height}"/>'
        f'<text x="{_LEFT}" y="{height + 18}">{_dollars(low)}</text>'
        f'<text x="{_WIDTH}" y="{height + 18}" text-anchor="end">{_dollars(high)}</text></svg></div>'
    )


def _month(result: BreakEven) -> str:
    month = result.month
    parts = ("capital", "energy", "hosting", "support", "staff", "software", "total")
    return _table((("", "a month"), *((each, f"${getattr(month, each):,.2f}") for each in parts)))


def _spreads(assumptions: Assumptions) -> str:
    rows = [
        (f"{name}: {ABOUT[name]}", *(_plain(value) for value in (each.low, each.mode, each.high)))
        for name, each in zip(NAMES, assumptions.spreads, strict=True)
    ]
    return _table((("", "low", "most likely", "high"), *rows))


def _plain(value: float) -> str:
    """A number as people write it: measured ones have more digits than anybody reads."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in row)}</tr>" for row in rows[1:])
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
