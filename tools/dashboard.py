"""``dashboards/grafana.json``: what an operator looks at, from the declarations in ``telemetry/metric_table.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from freehold.telemetry import metric_table as table
from freehold.telemetry.metric_table import MetricSpec, MetricType

_COLUMNS = 24
_HEIGHT = 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_FAILED = 'outcome=~"failed|broken"'
_INSTANCE = 'instance=~"$instance"'


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: What it shows.
        queries: Expression and legend of each line.
        unit: Grafana's name of the unit.
        note: What to look for; shown beside the title.
    """

    title: str
    queries: list[tuple[str, str]]
    unit: str = "short"
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Charts on one subject."""

    title: str
    panels: list[Panel] = field(default_factory=list[Panel])


def now(spec: MetricSpec, *conditions: str) -> str:
    """The value of a gauge, or of a counter since the start."""
    return f"{spec.name}{{{','.join((_INSTANCE, *conditions))}}}"


def rate(spec: MetricSpec, by: str = "", *conditions: str) -> str:
    """How fast a counter rises, in all or by labels."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({now(spec, *conditions)}[$__rate_interval]))"


def quantile(share: float, spec: MetricSpec, by: str = "") -> str:
    """A quantile of a histogram, in all or by labels."""
    if spec.type is not MetricType.HISTOGRAM:
        raise ValueError(f"{spec.name} is no histogram")
    grouped = f"le, {by}" if by else "le"
    selected = f"{spec.name}_bucket{{{_INSTANCE}}}"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({selected}[$__rate_interval])))"


def quantiles(spec: MetricSpec, by: str) -> list[tuple[str, str]]:
    """Median and 99th percentile by a label."""
    return [(quantile(0.5, spec, by), f"p50 {{{{{by}}}}}"), (quantile(0.99, spec, by), f"p99 {{{{{by}}}}}")]


ROWS = [
    Row(
        "Traffic",
        [
            Panel("Requests by outcome", [(rate(table.REQUESTS, "outcome"), "{{outcome}}")], "reqps"),
            Panel("Requests by route", [(rate(table.REQUESTS, "route"), "{{route}}")], "reqps"),
            Panel("In flight", [(now(table.REQUESTS_IN_FLIGHT), "{{instance}}")]),
            Panel("Tokens", [(rate(table.TOKENS, "deployment, direction"), "{{deployment}} {{direction}}")]),
        ],
    ),
    Row(
        "Latency",
        [
            Panel("Request, by route", quantiles(table.REQUEST_SECONDS, "route"), "s"),
            Panel("Between two tokens, by deployment", quantiles(table.OUTPUT_TOKEN_SECONDS, "deployment"), "s"),
        ],
    ),
    Row(
        "First token",
        [
            Panel("What a streaming client sees, by route", quantiles(table.FIRST_CHUNK_SECONDS, "route"), "s"),
            Panel("What a deployment takes", quantiles(table.FIRST_TOKEN_SECONDS, "deployment"), "s"),
        ],
    ),
    Row(
        "Errors",
        [
            Panel(
                "Share of requests that failed or broke",
                [
                    (
                        f"{rate(table.REQUESTS, '', _FAILED)} / {rate(table.REQUESTS)}",
                        "failed or broken",
                    )
                ],
                "percentunit",
            ),
            Panel("Errors by code", [(rate(table.ERRORS, "code"), "{{code}}")], "reqps", "freehold explain CODE"),
            Panel(
                "Attempts that did not complete",
                [(rate(table.ATTEMPTS, "deployment, outcome", 'outcome!="complete"'), "{{deployment}} {{outcome}}")],
                "reqps",
            ),
            Panel("Clients that left", [(rate(table.REQUESTS, "route", 'outcome="cancelled"'), "{{route}}")], "reqps"),
        ],
    ),
    Row(
        "Escalations",
        [
            Panel("By reason", [(rate(table.ESCALATIONS, "deployment, reason"), "{{deployment}} {{reason}}")], "reqps"),
            Panel(
                "Calls to another deployment after a failure",
                [
                    (rate(table.FAILOVERS, "route, deployment"), "{{route}} away from {{deployment}}"),
                    (rate(table.RETRIES, "deployment"), "{{deployment}} again"),
                ],
                "reqps",
            ),
        ],
    ),
    Row(
        "Egress and money",
        [
            Panel("Bytes that left this machine, by zone", [(rate(table.EGRESS_BYTES, "zone"), "{{zone}}")], "Bps"),
            Panel(
                "Bytes that left, by deployment", [(rate(table.EGRESS_BYTES, "deployment"), "{{deployment}}")], "Bps"
            ),
            Panel(
                "Cost of an hour",
                [(f"{rate(table.COST_MICROS, 'deployment, currency')} * 3600 / 1e6", "{{deployment}} {{currency}}")],
                "short",
                "In units of the currency.",
            ),
            Panel(
                "Attempts without a price", [(rate(table.UNPRICED_ATTEMPTS, "deployment"), "{{deployment}}")], "reqps"
            ),
        ],
    ),
    Row(
        "Queue",
        [
            Panel("Waiting for a slot", [(now(table.QUEUE_DEPTH), "{{deployment}} {{priority}}")]),
            Panel("Wait for a slot", quantiles(table.QUEUE_SECONDS, "deployment"), "s"),
        ],
    ),
    Row(
        "Engines",
        [
            Panel("Ready", [(now(table.ENGINE_READY), "{{deployment}}")]),
            Panel("Restarts", [(now(table.ENGINE_RESTARTS), "{{deployment}}")]),
            Panel("Connections", [(now(table.UPSTREAM_CONNECTIONS), "{{deployment}} {{state}}")]),
            Panel("Memory set aside", [(now(table.MODEL_RESERVED_BYTES), "{{deployment}}")], "bytes"),
            Panel(
                "Models loaded and unloaded",
                [
                    (rate(table.MODEL_LOADS, "deployment"), "loaded {{deployment}}"),
                    (rate(table.MODEL_EVICTIONS, "deployment"), "unloaded {{deployment}}"),
                ],
            ),
            Panel(
                "Time spent loading",
                [(rate(table.MODEL_LOAD_SECONDS, "deployment"), "{{deployment}}")],
                "percentunit",
                "Near 1 a model is always being loaded: more memory, or fewer models, would help.",
            ),
        ],
    ),
    Row(
        "Overload",
        [
            Panel(
                "Level",
                [(now(table.OVERLOAD_LEVEL), "{{instance}}")],
                "short",
                "0 is open; see the help of the metric.",
            ),
            Panel("Requests refused, by code", [(rate(table.REFUSALS, "code"), "{{code}}")], "reqps"),
            Panel(
                "Event loop lag",
                [
                    (quantile(0.5, table.LOOP_LAG_SECONDS), "p50"),
                    (quantile(0.99, table.LOOP_LAG_SECONDS), "p99"),
                ],
                "s",
            ),
        ],
    ),
    Row(
        "Recording",
        [
            Panel(
                "Healthy",
                [
                    (now(table.AUDIT_HEALTHY), "audit log"),
                    (now(table.EGRESS_BROKER_HEALTHY), "egress broker"),
                    (now(table.STORAGE_HEALTHY), "receipts"),
                ],
                "short",
                "At 0 of the audit log or the egress broker nothing leaves this machine.",
            ),
            Panel("Entries not on the disk yet", [(now(table.AUDIT_UNSYNCED), "{{instance}}")]),
            Panel(
                "What the database has not taken yet",
                [
                    (now(table.RECEIPTS_UNINDEXED), "receipts {{instance}}"),
                    (now(table.STORAGE_QUEUE_DEPTH), "other writes {{instance}}"),
                ],
            ),
            Panel(
                "Lines and spans lost",
                [
                    (rate(table.LOG_LINES_DROPPED), "log lines"),
                    (rate(table.SPANS_DROPPED, "reason"), "spans {{reason}}"),
                ],
            ),
            Panel("Entries of the audit log", [(now(table.AUDIT_ENTRIES), "{{instance}}")]),
            Panel("Spans sent", [(rate(table.SPANS_SENT), "requests")], "reqps"),
        ],
    ),
    Row(
        "Learning",
        [
            Panel(
                "Certificates at alarm",
                [(now(table.CERTIFICATE_ALARMS), "{{deployment}}")],
                "short",
                "Nothing of these deployments is accepted.",
            ),
            Panel("Shadows", [(rate(table.SHADOWS, "what"), "{{what}}")]),
            Panel("Outcomes lost", [(rate(table.OUTCOMES_DROPPED), "outcomes")]),
        ],
    ),
    Row(
        "Process",
        [
            Panel("CPU", [(rate(table.PROCESS_CPU_SECONDS, "instance"), "{{instance}}")], "percentunit"),
            Panel("Memory", [(now(table.PROCESS_MEMORY_BYTES), "{{instance}}")], "bytes"),
            Panel(
                "File descriptors",
                [
                    (now(table.PROCESS_OPEN_FDS), "open {{instance}}"),
                    (now(table.PROCESS_MAX_FDS), "most {{instance}}"),
                ],
            ),
            Panel("Uptime", [(f"time() - {now(table.PROCESS_START_SECONDS)}", "{{instance}}")], "s"),
            Panel("Version", [(now(table.BUILD), "{{version}} on Python {{python}}")]),
        ],
    ),
]


def dashboard() -> str:
    """The file."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in ROWS:
        panels.append(
            {
                "type": "row",
                "title": row.title,
                "id": len(panels) + 1,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
                "panels": [],
            }
        )
        y += 1
        a_line = 4 if len(row.panels) % 4 == 0 else min(3, len(row.panels))
        width = _COLUMNS // a_line
        for number, panel in enumerate(row.panels):
            place = {"x": number % a_line * width, "y": y + number // a_line * _HEIGHT, "w": width, "h": _HEIGHT}
            panels.append(_panel(panel, len(panels) + 1, place))
        y += -(-len(row.panels) // a_line) * _HEIGHT
    return json.dumps(_frame(panels), indent=2) + "\n"


def _panel(panel: Panel, panel_id: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.note,
        "id": panel_id,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _frame(panels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": "Freehold",
        "uid": "freehold",
        "tags": ["freehold"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "instance",
                    "label": "Instance",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": f"label_values({table.BUILD.name}, instance)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "allValue": ".*",
                },
            ]
        },
        "panels": panels,
    }
