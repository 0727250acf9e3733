"""The data plane's bars over results of the shared rig, and the verdicts on its behaviour run."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bench.behaviour import bars_of
from bench.gateway import Figures, figures_table, judged, report

STREAM = {"chunks_s": 6400, "gw_cpu_ms_per_1k_chunks": 10.0, "transit_p50_us": 50.0, "bad": 0, "err": 0}
STEPS: dict[str, dict[str, float]] = {
    "c64_2k": {"rps": 10_000, "gw_cpu_ms_per_1k": 40.0, "err": 0},
    "big16": {"rps": 5_000, "gw_cpu_ms_per_1k": 100.0, "err": 0},
    "rate200_2k": {"p50_us": 200.0, "p99_us": 900.0, "err": 0},
    "ttfc": {"ttfc_p50_us": 20_100.0, "ttfc_p99_us": 20_900.0, "err": 0, "bad": 0},
    "sreal64": STREAM,
    "squick64": STREAM,
}
PEERS = ("direct", "nginx", "envoy", "vllm-router", "smg", "tensorzero", "freehold")


def result(peer: str, **changes: dict[str, float]) -> str:
    steps = {name: step | changes.get(name, {}) for name, step in STEPS.items()}
    return json.dumps({"peer": peer, "round": 1, "rss_idle_mb": 50, "rss_after_mb": 60, **steps})


def slow(peer: str = "litellm") -> str:
    return result(peer, c64_2k={"rps": 100}, big16={"rps": 50})


def test_equals_hold_every_bar_but_those_that_ask_for_more() -> None:
    bars = judged(Figures([slow(), *map(result, PEERS)]))
    failed = {bar.what: bar.measured for bar in bars if not bar.holds}
    assert failed == {
        f"{size}: requests/s, × {peer}": 1.0 for size in ("2 kB", "64 KiB") for peer in ("tensorzero", "smg")
    }
    assert len(bars) == 22


def test_medians_are_taken_and_compared_within_a_run() -> None:
    ours = [result("freehold", c64_2k={"rps": rate}) for rate in (1, 20_000, 30_000)]
    figures = Figures([result("smg"), *ours])
    assert figures.median("freehold", "c64_2k", "rps") == 20_000
    assert figures.ratio("smg", "c64_2k", "rps") == 2.0
    assert figures.ratio("envoy", "c64_2k", "rps") is None


@pytest.mark.parametrize(
    ("step", "change", "what"),
    [
        ("rate200_2k", {"p50_us": 501.0}, "2 kB at 200/s: added p50"),
        ("rate200_2k", {"p99_us": 2401.0}, "2 kB at 200/s: added p99"),
        ("ttfc", {"ttfc_p50_us": 21_101.0}, "first chunk on kept connections: added p50"),
        ("sreal64", {"gw_cpu_ms_per_1k_chunks": 13.1}, "64 × 100/s: CPU a chunk, × envoy"),
        ("squick64", {"transit_p50_us": 151.0}, "64 × 500/s: added p50 a chunk"),
        ("squick64", {"chunks_s": 6330}, "64 × 500/s: delivered, of direct's rate"),
        ("sreal64", {"bad": 1}, "failed requests and streams with lost chunks"),
        ("c64_2k", {"gw_cpu_ms_per_1k": 155.0}, "2 kB: CPU a request, × nginx (50 µs where nginx needs 13)"),
    ],
)
def test_what_is_too_much_does_not_hold(step: str, change: dict[str, float], what: str) -> None:
    good = judged(Figures(map(result, PEERS)))
    bad = judged(Figures([*map(result, PEERS[:-1]), result("freehold", **{step: change})]))
    assert {bar.what for bar in bad if not bar.holds} - {bar.what for bar in good if not bar.holds} == {what}


def test_a_peer_that_failed_is_not_measured() -> None:
    figures = Figures([*map(result, PEERS), '{"peer": "litellm", "error": "not installed"}'])
    assert figures.failures == {"litellm": "not installed"}
    verdicts = {bar.what: bar.verdict for bar in judged(figures)}
    assert verdicts["2 kB: requests/s, × litellm"] == "**not measured**"


def test_the_report_has_a_row_for_each_peer_and_bar() -> None:
    figures = Figures(map(result, PEERS))
    rows = figures_table(figures).splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]] == list(PEERS)
    assert len({row.count("|") for row in rows}) == 1
    text, bars = report(figures, SimpleNamespace(rounds=3, quick=False))  # type: ignore[arg-type]
    assert "medians of 3 rounds" in text
    assert all(bar.what in text for bar in bars)


def behaved(**changes: Any) -> dict[str, Any]:
    told = {"status": 429, "upstream_hits": 1, "secs": 0.01, "code_kept": True, "retry_after": True}
    broken = {"end": "eof-incomplete", "done": False, "finish": [], "error_event": True, "engine_error_passed": False}
    return {
        "req_unknown_kept": {"min_p": True},
        "resp_unknown_kept": {"timings": True, "id": "chatcmpl-x", "model": "mock-model"},
        "stream_extra_kept": {"reasoning": True},
        "sse_comment_kept": 2, "sse_first_byte_on_comment": True, "tools_ok": True, "tools_finish": ["tool_calls"],
        "utf8_split_ok": True, "usage_when_asked": True,
        "err429": told, "err500": told | {"status": 500}, "err400": told | {"status": 400},
        "once503": {"status": 503, "upstream_hits": 1},
        "cancel_stream_s": 0.0, "cancel_nonstream_s": 0.01,
        "die": broken, "trunc": broken, "errevent": broken | {"engine_error_passed": True},
    } | changes  # fmt: skip


def test_good_behaviour_holds_every_bar() -> None:
    assert [bar.what for bar in bars_of(behaved()) if not bar.holds] == []


@pytest.mark.parametrize(
    "change",
    [
        {"req_unknown_kept": {"min_p": False}},
        {"resp_unknown_kept": "a reply that is not JSON"},
        {"resp_unknown_kept": {"id": "another", "model": "mock-model"}},
        {"sse_comment_kept": 1},
        {"err429": behaved()["err429"] | {"upstream_hits": 3}},
        {"err429": behaved()["err429"] | {"retry_after": False}},
        {"once503": {"status": 200, "upstream_hits": 1}},
        {"cancel_stream_s": None},
        {"cancel_nonstream_s": 0.06},
        {"trunc": behaved()["trunc"] | {"done": True}},
        {"die": behaved()["die"] | {"end": "eof", "error_event": False}},
        {"errevent": behaved()["trunc"]},
    ],
)
def test_each_lapse_is_a_bar_that_does_not_hold(change: dict[str, Any]) -> None:
    assert [bar.holds for bar in bars_of(behaved(**change))].count(False) == 1
