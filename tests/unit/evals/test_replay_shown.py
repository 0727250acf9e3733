"""What a replay looks like, as text, as JSON and as a page. ``FREEHOLD_GOLDEN=write`` writes the files anew."""

from __future__ import annotations

import base64
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy
import pytest

from freehold.evals.replay.document import as_document
from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.own import tables_of
from freehold.evals.replay.page import as_page
from freehold.evals.replay.results import Replay
from freehold.evals.replay.run import replay
from freehold.evals.replay.schema import Tables
from freehold.evals.replay.svg import axis
from freehold.evals.replay.text import as_text
from tests.support.recorded import own, tiny

GOLDEN = Path(__file__).parents[2] / "golden" / "replay"
RESAMPLES = 20

Case = tuple[Sequence[Tables], Options]
CASES: dict[str, Case] = {
    "tiny": ([tiny()], Options(weak="small", strong="large", resamples=RESAMPLES)),
    "pairs": ([tiny()], Options(workload="sums", resamples=RESAMPLES, risk=0.2)),
    "agreement": (
        [tiny()],
        Options(workload="sums", weak="small", strong="large", score=Score.AGREEMENT, resamples=RESAMPLES),
    ),
    "unscored": ([tiny()], Options(workload="sums", weak="small", strong="large", score=Score.NONE, resamples=0)),
    "no-gap": ([tiny()], Options(workload="sums", weak="large", strong="medium", resamples=RESAMPLES)),
    "own": ([tables_of(own())], Options(resamples=RESAMPLES)),
}
_FOUND: dict[str, Replay] = {}


def found(case: str) -> Replay:
    if case not in _FOUND:
        tables, options = CASES[case]
        _FOUND[case] = replay(tables, options, numpy=numpy)
    return _FOUND[case]


def golden(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("FREEHOLD_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"{name} is missing; run with FREEHOLD_GOLDEN=write and look at it"
    assert text == file.read_text("utf-8")


@pytest.mark.parametrize("case", CASES)
def test_golden_text(case: str) -> None:
    golden(f"{case}.txt", as_text(found(case)) + "\n")


@pytest.mark.parametrize("case", ["tiny", "own"])
def test_golden_json(case: str) -> None:
    golden(f"{case}.json", json.dumps(as_document(found(case)), indent=1, ensure_ascii=False) + "\n")


def test_golden_page() -> None:
    golden("tiny.html", as_page(found("tiny")))


def test_no_golden_file_without_a_case() -> None:
    made = {*(f"{case}.txt" for case in CASES), "tiny.json", "own.json", "tiny.html"}
    assert {file.name for file in GOLDEN.iterdir()} == made


@pytest.mark.parametrize("case", CASES)
def test_text_fits_a_terminal(case: str) -> None:
    assert max(map(len, as_text(found(case)).splitlines())) <= 120


def test_without_numpy_it_is_the_same_to_the_byte() -> None:
    tables, options = CASES["own"]
    plain = replay(tables, options)
    assert as_page(plain) == as_page(found("own"))
    assert as_document(plain) == as_document(found("own"))


def test_the_order_of_rows_changes_no_value() -> None:
    made = tiny()
    turned = replace(made, queries=list(reversed(made.queries)), outcomes=list(reversed(made.outcomes)))
    again = replay([turned], CASES["tiny"][1], numpy=numpy)
    for one, other in zip(found("tiny").workloads, again.workloads, strict=True):
        for name, estimate in one.pairs[0].numbers.items():
            assert estimate.value == pytest.approx(other.pairs[0].numbers[name].value, abs=1e-9), name


class Page(HTMLParser):
    """Elements, ids, references and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.named: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.named += (value or "").split()


PAGES = pytest.mark.parametrize("case", ["tiny", "pairs", "agreement", "unscored", "own"])


@PAGES
def test_a_page_needs_nothing_else(case: str) -> None:
    page = as_page(found(case))
    seen = Page(page)
    assert not {"script", "img", "link", "iframe", "object", "embed", "form", "base"} & set(seen.tags)
    for tag, name, value in seen.attributes:
        assert not name.startswith("on"), f"<{tag} {name}>"
        assert name not in {"src", "style", "srcset"}, f"<{tag} {name}>"
        assert name != "href" or value.startswith("#"), value
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_the_policy_lets_in_the_style_and_nothing_else() -> None:
    page = as_page(found("tiny"))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert style
    assert policy
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    assert policy[1] == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@PAGES
def test_a_page_can_be_heard(case: str) -> None:
    page = as_page(found(case))
    seen = Page(page)
    assert len(seen.ids) == len(set(seen.ids))
    assert set(seen.named) <= set(seen.ids)
    assert '<html lang="en">' in page
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == seen.tags["figure"] == seen.tags["figcaption"]
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        space = "{http://www.w3.org/2000/svg}"
        title, description = root.find(f"{space}title"), root.find(f"{space}desc")
        assert root.get("role") == "img"
        assert title is not None
        assert description is not None
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert len(description.text or "") > 30
        labels = [each.text or "" for each in root.iter(f"{space}text") if each.get("class") == "axis"]
        assert len(labels) == 2
        assert all(re.search(r"[%$]$", label) for label in labels), labels
    heads = [int(tag[1]) for tag in re.findall(r"<(h[1-4])[ >]", page)]
    assert heads[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(heads))


@PAGES
def test_nothing_is_drawn_outside_of_its_plot(case: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", as_page(found(case)), re.DOTALL):
        root = ElementTree.fromstring(drawing)
        _, _, width, height = map(float, (root.get("viewBox") or "").split())
        for each in root.iter():
            for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", each.get("points") or ""):
                assert 0 <= float(x) <= width
                assert 0 <= float(y) <= height


def test_names_of_others_are_text() -> None:
    made = tiny()
    evil = '<script>alert("x")</script>&'
    rows = [replace(each, model=evil if each.model == "small" else each.model) for each in made.outcomes]
    named = replace(made, name=evil, outcomes=rows, queries=[replace(each, benchmark=evil) for each in made.queries])
    page = as_page(replay([named], Options(weak=evil, strong="large", resamples=2), numpy=numpy))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert Page(page).tags["script"] == 0


def test_colours_are_readable() -> None:
    page = as_page(found("tiny"))
    light, dark = re.findall(r":root\{(.*?)\}", page)[:2]
    for theme in (light, dark):
        colours = dict(re.findall(r"--(\w+):(#\w+)", theme))
        for name in ("ink", "soft", "score", "best", "limit"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, (name, colours[name])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's ratio."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts"),
    [
        (0, 100, "", ["0", "20", "40", "60", "80", "100"]),
        (61.2, 88.9, "", ["60", "65", "70", "75", "80", "85", "90"]),
        (0, 0.55, "$", ["$0.0", "$0.1", "$0.2", "$0.3", "$0.4", "$0.5", "$0.6"]),
        (0, 0.0013, "$", ["$0.00000", "$0.00025", "$0.00050", "$0.00075", "$0.00100", "$0.00125", "$0.00150"]),
        (5, 5, "", ["5", "6", "7", "8", "9", "10"]),
        (0, 12_000, "", ["0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, unit: str, texts: list[str]) -> None:
    made = axis(low, high, "x", unit=unit)
    assert [text for _, text in made.ticks] == texts
    assert made.low <= low
    assert made.high >= high
