"""A replay as one page of HTML that needs nothing else: no script, no other resource, light and dark, on paper too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from freehold.evals.replay.options import Score
from freehold.evals.replay.page_style import STYLE
from freehold.evals.replay.plots import costs, quality, reliability, risk
from freehold.evals.replay.results import PairReport, Replay, WorkloadReport
from freehold.evals.replay.wording import (
    CERTIFICATE_HEAD,
    JUDGING,
    MODEL_HEAD,
    ROUTING,
    Measure,
    about,
    certificate_cells,
    certificates_told,
    escalated_told,
    gap_told,
    heading,
    interval_of,
    judge_line,
    judged,
    model_cells,
    pair_line,
    shown,
    told,
    value_of,
)
from freehold.wire.page import page_head


def as_page(found: Replay) -> str:
    """The whole page."""
    names = " and ".join(dict.fromkeys(report.set for report in found.workloads))
    options = found.options
    intervals = f"Intervals hold 95 % of {options.resamples} resamples. " if options.resamples else ""
    contents = "".join(
        f'<li><a href="#w{place}">{escape(heading(report))}</a></li>' for place, report in enumerate(found.workloads)
    )
    sections = "\n".join(_section(report, found, f"w{place}") for place, report in enumerate(found.workloads))
    return f"""{page_head(f"Replay of {names}", STYLE)}
<body>
<header>
<p class="brand">Freehold</p>
<h1>Replay of {escape(names)}</h1>
<p class="lead">What routers, confidence and certificates would have done on outcomes that were recorded. Nothing was
asked of any model. {intervals}Everything that is drawn has the seed {options.seed}.</p>
<nav aria-label="Workloads"><ul>{contents}</ul></nav>
</header>
<main>
{sections}
</main>
<footer><p>Made by <code>freehold replay</code>. The same tables, options and seed give the same page, byte for byte.</p></footer>
</body>
</html>
"""


def _section(report: WorkloadReport, found: Replay, identity: str) -> str:
    scored = [pair for pair in report.pairs if pair.score is not Score.NONE]
    unscored = [pair for pair in report.pairs if pair.score is Score.NONE]
    parts = [
        f'<section id="{identity}" aria-labelledby="{identity}-h">',
        f'<h2 id="{identity}-h">{escape(heading(report))}</h2>',
        f"<p>{escape(about(report))}</p>",
        _table("Models", MODEL_HEAD, [model_cells(model) for model in report.models]),
    ]
    if scored:
        parts += [
            "<h3>Routing</h3>",
            f"<p>{escape(told(shown(ROUTING, scored), found.options))}</p>",
            _measures("Routing", "pair", scored, ROUTING, pair_line),
            *(_figures(pair, f"{identity}p{place}") for place, pair in enumerate(scored)),
        ]
    if unscored:
        parts += [
            "<h3>Best of all routers</h3>",
            *(_figures(pair, f"{identity}u{place}") for place, pair in enumerate(unscored)),
        ]
    if scored:
        of_weak = judged(scored)
        parts += [
            "<h3>Confidence</h3>",
            f"<p>{escape(told(shown(JUDGING, of_weak), found.options))}</p>",
            _measures("Confidence", "model and score", of_weak, JUDGING, judge_line),
            *(_confidence(pair, f"{identity}c{place}", asked=found.options.risk) for place, pair in enumerate(of_weak)),
        ]
    if report.certificates:
        rows = [certificate_cells(cell) for cell in report.certificates]
        parts += [
            "<h3>Certificates</h3>",
            f"<p>{escape(certificates_told(report))}</p>",
            _table("Certificates", CERTIFICATE_HEAD, rows),
        ]
    notes = [*_best_told(unscored), *filter(None, [gap_told(report)]), *escalated_told(report), *report.notes]
    if notes:
        parts += ["<h3>Notes</h3>", "<ul>", *(f"<li>{escape(note)}.</li>" for note in notes), "</ul>"]
    return "\n".join([*parts, "</section>"])


def _best_told(pairs: Sequence[PairReport]) -> list[str]:
    return [
        f"{pair.weak} → {pair.strong}: the best of all routers has APGR {best:.3f}"
        for pair in pairs
        if (best := pair.numbers["oracle_apgr"].value) is not None
    ]


def _figures(pair: PairReport, identity: str) -> str:
    drawn = [(quality(pair, f"{identity}q"), "Quality by what goes to the strong model")]
    drawn.append((costs(pair, f"{identity}e"), "Error by cost"))
    return _grid(pair_line(pair), drawn)


def _confidence(pair: PairReport, identity: str, *, asked: float) -> str:
    drawn = [(reliability(pair, f"{identity}r"), "Reliability: what the probability says, and what came true")]
    drawn.append((risk(pair, f"{identity}k", asked=asked), "Risk by coverage: wrong ones among accepted answers"))
    return _grid(judge_line(pair), drawn)


def _grid(name: str, drawn: Sequence[tuple[str, str]]) -> str:
    figures = [f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" for svg, caption in drawn if svg]
    if not figures:
        return ""
    return f'<div class="plots"><h4>{escape(name)}</h4>{"".join(figures)}</div>'


def _measures(
    caption: str,
    first: str,
    pairs: Sequence[PairReport],
    measures: Sequence[Measure],
    name: Callable[[PairReport], str],
) -> str:
    columns = shown(measures, pairs)
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in (first, *(each.head for each in columns)))
    rows: list[str] = []
    for pair in pairs:
        cells: list[str] = []
        for each in columns:
            estimate = pair.numbers[each.name]
            interval = interval_of(estimate, each)
            beneath = f"<small>{escape(interval)}</small>" if interval else ""
            cells.append(f"<td>{escape(value_of(estimate, each))}{beneath}</td>")
        rows.append(f'<tr><th scope="row">{escape(name(pair))}</th>{"".join(cells)}</tr>')
    return _framed(caption, head, rows)


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    lines = [
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    ]
    return _framed(caption, heads, lines)


def _framed(caption: str, head: str, rows: Sequence[str]) -> str:
    """A table that scrolls inside its own frame where the screen is narrow; the frame can be reached by the keyboard."""
    body = "\n".join(rows)
    return (
        f'<div class="frame" role="region" aria-label="{escape(caption)}" tabindex="0"><table><caption>{escape(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )
