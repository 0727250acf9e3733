"""The dashboard and the page on observing name only metrics, attributes and headers that there are."""

from __future__ import annotations

import json
import re

import pytest

from freehold.config.schema import Telemetry
from freehold.domain.response import Usage
from freehold.telemetry.export import QUEUE_MAX
from freehold.telemetry.metric_table import METRICS, MetricSpec, MetricType
from freehold.telemetry.spans import spans_of
from tests.support.documents import ROOT, prose, rows
from tests.support.receipts import make_attempt, make_receipt

PAGE = ROOT / "docs" / "how-to" / "observe.md"
DASHBOARD = json.loads((ROOT / "dashboards" / "grafana.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
_SELECTOR = re.compile(r"\b(?P<name>(?:freehold|process)_[a-z_]+)(?:\{(?P<conditions>[^}]*)\})?")
_ALWAYS = {"instance", "job"}


def series_of(spec: MetricSpec) -> set[str]:
    """Names under which a metric's samples are found."""
    if spec.type is not MetricType.HISTOGRAM:
        return {spec.name}
    return {f"{spec.name}_{part}" for part in ("bucket", "sum", "count")}


SPECS = {name: spec for spec in METRICS for name in series_of(spec)}


def labels_of(spec: MetricSpec) -> set[str]:
    return {*spec.labels, *_ALWAYS, *({"le"} if spec.buckets else set())}


def check(expression: str) -> None:
    found = list(_SELECTOR.finditer(expression))
    assert found, expression
    assert expression.count("(") == expression.count(")"), expression
    known: set[str] = set()
    for match in found:
        assert match["name"] in SPECS, match["name"]
        known |= labels_of(SPECS[match["name"]])
        for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", match["conditions"] or ""):
            assert label in labels_of(SPECS[match["name"]]), expression
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= known, expression


@pytest.mark.parametrize(("title", "target"), EXPRESSIONS, ids=[f"{title}-{t['refId']}" for title, t in EXPRESSIONS])
def test_dashboard_asks_for_what_there_is(title: str, target: dict[str, str]) -> None:
    check(target["expr"])
    grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
    shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    if grouped:
        assert shown == {label.strip() for label in grouped[0].split(",")} - {"le"}, title
    for match in _SELECTOR.finditer(target["expr"]):
        assert shown <= labels_of(SPECS[match["name"]]), title


def test_the_dashboard_shows_every_metric() -> None:
    shown = {match["name"] for _, target in EXPRESSIONS for match in _SELECTOR.finditer(target["expr"])}
    missing = [spec.name for spec in METRICS if not series_of(spec) & shown]
    assert not missing


def test_rows() -> None:
    titles = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert titles == [
        "Traffic", "Latency", "First token", "Errors", "Escalations", "Egress and money", "Queue", "Engines",
        "Overload", "Recording", "Learning", "Process",
    ]  # fmt: skip


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells


@pytest.mark.parametrize(("what", "when"), rows(PAGE, below="## Scrape metrics"))
def test_alerts_ask_for_what_there_is(what: str, when: str) -> None:
    assert what
    check(when.strip("`"))


def test_every_named_metric_exists() -> None:
    for name in re.findall(r"`((?:freehold|process)_[a-z_]+)`", PAGE.read_text("utf-8")):
        assert name in SPECS, name


def test_attributes_of_spans_are_those_that_are_sent() -> None:
    attempt = make_attempt(usage=Usage(cached_tokens=1, reasoning_tokens=1), error_code="FH-UPSTREAM-001")
    sent = {name for span in spans_of(make_receipt(attempts=(attempt,)), {}) for name, _ in span.attributes}
    named = set(re.findall(r"`((?:gen_ai|error)\.[a-z_.]+)`", prose(PAGE)))
    assert named == {name for name in sent if not name.startswith("freehold.")}


def test_numbers_and_defaults() -> None:
    text = prose(PAGE)
    assert f"{QUEUE_MAX:,} requests wait" in text
    assert Telemetry().otlp_zone == "device"
    assert Telemetry().otlp_endpoint == ""
