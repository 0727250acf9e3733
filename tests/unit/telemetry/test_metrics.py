"""Metrics: counted right, rendered right, bounded."""

from __future__ import annotations

import re

import pytest

from freehold.domain.decisions import Action, Outcome, Verdict
from freehold.domain.money import Money
from freehold.domain.receipt import Cost
from freehold.domain.zones import Zone
from freehold.telemetry import metric_table as table
from freehold.telemetry.metric_table import METRICS, MetricType
from freehold.telemetry.metrics import Metrics
from freehold.telemetry.observe import observe_receipt
from tests.support.receipts import make_attempt, make_receipt

KNOWN = {"route": ["auto"], "deployment": ["small", "cloud"], "zone": ["device", "us"]}


@pytest.fixture
def metrics():
    return Metrics(KNOWN)


def lines(metrics, name):
    return [line for line in metrics.render().splitlines() if line.startswith(name)]


class TestTable:
    def test_names_follow_the_conventions(self):
        assert len({spec.name for spec in METRICS}) == len(METRICS)
        for spec in METRICS:
            assert re.fullmatch(r"freehold_[a-z_]+", spec.name), spec.name
            assert spec.name.endswith("_total") == (spec.type is MetricType.COUNTER), spec.name
            assert spec.help.endswith("."), spec.name
            assert all(re.fullmatch(r"[a-z]+", label) for label in spec.labels)
            assert "le" not in spec.labels

    def test_histograms_are_in_seconds_with_ascending_buckets(self):
        for spec in METRICS:
            assert bool(spec.buckets) == (spec.type is MetricType.HISTOGRAM), spec.name
            assert list(spec.buckets) == sorted(set(spec.buckets))
            if spec.buckets:
                assert spec.name.endswith("_seconds")

    def test_all_declared_are_in_the_table(self):
        declared = {value.name for value in vars(table).values() if isinstance(value, table.MetricSpec)}
        assert declared == {spec.name for spec in METRICS}


class TestRendering:
    def test_a_counter(self, metrics):
        metrics.add(table.REQUESTS, "auto", "small", "complete")
        metrics.add(table.REQUESTS, "auto", "small", "complete", amount=2)
        assert lines(metrics, "freehold_requests_total") == [
            'freehold_requests_total{route="auto",deployment="small",outcome="complete"} 3'
        ]
        assert metrics.value(table.REQUESTS, "auto", "small", "complete") == 3

    def test_help_and_type_come_once_before_the_series(self, metrics):
        metrics.add(table.ERRORS, "FH-X-1")
        text = metrics.render()
        for spec in METRICS:
            assert text.count(f"# HELP {spec.name} ") == 1
            assert text.count(f"# TYPE {spec.name} {spec.type.value}\n") == 1
        assert text.index("# TYPE freehold_errors_total") < text.index("freehold_errors_total{")
        assert text.endswith("\n")

    def test_a_gauge_without_labels(self, metrics):
        metrics.set(table.AUDIT_ENTRIES, value=12)
        metrics.set(table.AUDIT_HEALTHY, value=True)
        assert lines(metrics, "freehold_audit") == ["freehold_audit_entries 12", "freehold_audit_healthy 1"]

    def test_a_histogram_is_cumulative_and_closed_above(self, metrics):
        for seconds in (0.001, 0.005, 0.0051, 400.0, -1.0):
            metrics.observe(table.REQUEST_SECONDS, "auto", seconds=seconds)
        found = lines(metrics, "freehold_request_seconds")
        assert found[0] == 'freehold_request_seconds_bucket{route="auto",le="0.005"} 3'
        assert found[1] == 'freehold_request_seconds_bucket{route="auto",le="0.01"} 4'
        assert found[-4] == 'freehold_request_seconds_bucket{route="auto",le="300"} 4'
        assert found[-3:] == [
            'freehold_request_seconds_bucket{route="auto",le="+Inf"} 5',
            'freehold_request_seconds_sum{route="auto"} 400.0111',
            'freehold_request_seconds_count{route="auto"} 5',
        ]

    def test_labels_cannot_break_out(self, metrics):
        metrics.add(table.ERRORS, 'a"} 1\nfake{x="\\')
        assert lines(metrics, "freehold_errors_total") == ['freehold_errors_total{code="a\\"} 1\\nfake{x=\\"\\\\"} 1']
        assert not lines(metrics, "fake")

    def test_big_counts_stay_exact(self, metrics):
        metrics.add(table.TOKENS, "small", "input", amount=2**63)
        metrics.add(table.TOKENS, "small", "input", amount=1)
        assert lines(metrics, "freehold_tokens_total")[0].endswith(f" {2**63 + 1}")


class TestBounds:
    def test_unknown_names_become_other(self, metrics):
        for number in range(5_000):
            metrics.add(table.ATTEMPTS, f"made-up-{number}", "complete")
        assert lines(metrics, "freehold_attempts_total") == [
            'freehold_attempts_total{deployment="other",outcome="complete"} 5000'
        ]

    def test_labels_without_known_values_are_bounded_too(self):
        metrics = Metrics(KNOWN, series_max=10)
        for number in range(1_000):
            metrics.add(table.ERRORS, f"FH-{number}")
        assert len(lines(metrics, "freehold_errors_total")) == 11
        assert metrics.value(table.ERRORS, "other") == 990
        metrics.add(table.ERRORS, "FH-3")
        assert metrics.value(table.ERRORS, "FH-3") == 2

    def test_new_names_are_known_after_a_reload(self, metrics):
        metrics.know(KNOWN | {"deployment": ["new"]})
        metrics.add(table.ATTEMPTS, "new", "complete")
        metrics.add(table.ATTEMPTS, "small", "complete")
        assert metrics.value(table.ATTEMPTS, "new", "complete") == 1
        assert metrics.value(table.ATTEMPTS, "other", "complete") == 1

    def test_a_wrong_number_of_labels_is_a_mistake(self, metrics):
        with pytest.raises(ValueError, match="has the labels"):
            metrics.add(table.ATTEMPTS, "small")


class TestReceipts:
    def test_an_answer_at_home(self, metrics):
        observe_receipt(metrics, make_receipt())
        assert metrics.value(table.REQUESTS, "auto", "small", "complete") == 1
        assert metrics.value(table.ATTEMPTS, "small", "complete") == 1
        assert metrics.value(table.TOKENS, "small", "input") == 20
        assert metrics.value(table.TOKENS, "small", "cached") == 4
        assert metrics.value(table.TOKENS, "small", "output") == 5
        assert metrics.value(table.COST_MICROS, "small", "USD") == 12
        assert lines(metrics, "freehold_egress_bytes_total") == []
        assert 'freehold_first_token_seconds_sum{deployment="small"} 0.02' in metrics.render().splitlines()
        assert 'freehold_request_seconds_bucket{route="auto",le="0.1"} 1' in metrics.render().splitlines()

    def test_an_escalation(self, metrics):
        doubt = make_attempt(verdict=Verdict(action=Action.ESCALATE, reason="low_confidence", threshold=0.7))
        cloud = make_attempt(
            deployment="cloud",
            zone=Zone("us"),
            bytes_left=321,
            first_token_ms=None,
            cost=Cost(amount=None, source="unpriced"),
        )
        observe_receipt(metrics, make_receipt(attempts=(doubt, cloud), answered_index=1))
        assert metrics.value(table.REQUESTS, "auto", "cloud", "complete") == 1
        assert metrics.value(table.ESCALATIONS, "auto", "small", "low_confidence") == 1
        assert metrics.value(table.EGRESS_BYTES, "cloud", "us") == 321
        assert metrics.value(table.UNPRICED_ATTEMPTS, "cloud") == 1
        assert metrics.value(table.COST_MICROS, "cloud", "USD") == 0
        assert lines(metrics, "freehold_first_token_seconds_count") == [
            'freehold_first_token_seconds_count{deployment="small"} 1'
        ]

    def test_a_refusal(self, metrics):
        refused = make_receipt(
            attempts=(), answered_index=None, outcome=Outcome.REFUSED, error_code="FH-POLICY-001", route="made-up"
        )
        observe_receipt(metrics, refused)
        assert metrics.value(table.REFUSALS, "FH-POLICY-001") == 1
        assert metrics.value(table.ERRORS, "FH-POLICY-001") == 1
        assert metrics.value(table.REQUESTS, "other", "", "refused") == 1

    def test_a_failed_attempt_is_an_error_and_no_refusal(self, metrics):
        failed = make_receipt(outcome=Outcome.FAILED, answered_index=None, error_code="FH-UPSTREAM-001")
        observe_receipt(metrics, failed)
        assert metrics.value(table.ERRORS, "FH-UPSTREAM-001") == 1
        assert metrics.value(table.REFUSALS, "FH-UPSTREAM-001") == 0

    def test_the_currency_of_a_price_is_no_attack(self, metrics):
        odd = make_attempt(cost=Cost(amount=Money(micros=5, currency='X"\n'), source="config"))
        observe_receipt(metrics, make_receipt(attempts=(odd,)))
        assert len(lines(metrics, "freehold_cost_micros_total")) == 1
