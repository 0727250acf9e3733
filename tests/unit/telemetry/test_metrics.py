"""Metrics: counted right, rendered right, bounded."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from freehold.domain.decisions import Action, Outcome, Verdict
from freehold.domain.money import Money
from freehold.domain.receipt import Cost
from freehold.domain.zones import Zone
from freehold.telemetry import metric_table as table
from freehold.telemetry.metric_table import METRICS, MetricType
from freehold.telemetry.metrics import Metrics
from freehold.telemetry.observe import ReceiptMetrics
from freehold.telemetry.process import LOOK_EVERY_S, set_process, watch_loop
from tests.support.receipts import make_attempt, make_receipt
from tests.support.virtual_time import run_virtual

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
            assert re.fullmatch(r"(freehold|process)_[a-z_]+", spec.name), spec.name
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
        assert found[0] == 'freehold_request_seconds_bucket{route="auto",le="0.001"} 2'
        assert found[2] == 'freehold_request_seconds_bucket{route="auto",le="0.005"} 3'
        assert found[3] == 'freehold_request_seconds_bucket{route="auto",le="0.01"} 4'
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
        ReceiptMetrics(metrics).observe(make_receipt())
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
        ReceiptMetrics(metrics).observe(make_receipt(attempts=(doubt, cloud), answered_index=1))
        assert metrics.value(table.REQUESTS, "auto", "cloud", "complete") == 1
        assert metrics.value(table.ESCALATIONS, "auto", "small", "low_confidence") == 1
        assert metrics.value(table.EGRESS_BYTES, "cloud", "us") == 321
        assert metrics.value(table.UNPRICED_ATTEMPTS, "cloud") == 1
        assert metrics.value(table.COST_MICROS, "cloud", "USD") == 0
        assert lines(metrics, "freehold_first_token_seconds_count") == [
            'freehold_first_token_seconds_count{deployment="cloud"} 0',
            'freehold_first_token_seconds_count{deployment="small"} 1',
        ]

    def test_a_refusal(self, metrics):
        refused = make_receipt(
            attempts=(), answered_index=None, outcome=Outcome.REFUSED, error_code="FH-POLICY-001", route="made-up"
        )
        ReceiptMetrics(metrics).observe(refused)
        assert metrics.value(table.REFUSALS, "FH-POLICY-001") == 1
        assert metrics.value(table.ERRORS, "FH-POLICY-001") == 1
        assert metrics.value(table.REQUESTS, "other", "", "refused") == 1

    def test_a_failed_attempt_is_an_error_and_no_refusal(self, metrics):
        failed = make_receipt(outcome=Outcome.FAILED, answered_index=None, error_code="FH-UPSTREAM-001")
        ReceiptMetrics(metrics).observe(failed)
        assert metrics.value(table.ERRORS, "FH-UPSTREAM-001") == 1
        assert metrics.value(table.REFUSALS, "FH-UPSTREAM-001") == 0

    def test_the_currency_of_a_price_is_no_attack(self, metrics):
        odd = make_attempt(cost=Cost(amount=Money(micros=5, currency='X"\n'), source="config"))
        ReceiptMetrics(metrics).observe(make_receipt(attempts=(odd,)))
        assert len(lines(metrics, "freehold_cost_micros_total")) == 1

    def test_a_stream(self, metrics):
        ReceiptMetrics(metrics).observe(make_receipt(stream=True))
        found = metrics.render().splitlines()
        assert 'freehold_first_chunk_seconds_sum{route="auto"} 0.021' in found
        assert 'freehold_output_token_seconds_sum{deployment="small"} 0.0125' in found
        ReceiptMetrics(metrics).observe(make_receipt(stream=False))
        assert 'freehold_first_chunk_seconds_count{route="auto"} 1' in metrics.render().splitlines()

    def test_calls_after_a_failure(self, metrics):
        failed = make_attempt(outcome=Outcome.FAILED, verdict=None, error_code="FH-UPSTREAM-001")
        cloud = make_attempt(deployment="cloud")
        ReceiptMetrics(metrics).observe(make_receipt(attempts=(failed, failed, cloud), answered_index=2))
        assert metrics.value(table.RETRIES, "small") == 1
        assert metrics.value(table.FAILOVERS, "auto", "small") == 1
        assert metrics.value(table.FAILOVERS, "auto", "cloud") == 0

    def test_an_escalation_is_no_failover(self, metrics):
        both = (make_attempt(), make_attempt(deployment="cloud"))
        ReceiptMetrics(metrics).observe(make_receipt(attempts=both, answered_index=1))
        assert metrics.value(table.FAILOVERS, "auto", "small") == 0

    def test_kept_series_follow_a_reload(self, metrics):
        counted = ReceiptMetrics(metrics)
        counted.observe(make_receipt())
        metrics.know(KNOWN | {"deployment": ["new"]})
        counted.observe(make_receipt(attempts=(make_attempt(deployment="new"),)))
        assert metrics.value(table.REQUESTS, "auto", "new", "complete") == 1
        metrics.know(KNOWN | {"deployment": []})
        counted.observe(make_receipt(attempts=(make_attempt(deployment="never-known"),)))
        assert metrics.value(table.REQUESTS, "auto", "other", "complete") == 1

    def test_kept_series_are_bounded(self, metrics):
        counted = ReceiptMetrics(metrics)
        for number in range(20_000):
            route = f"made-up-{number}"
            counted.observe(make_receipt(route=route, attempts=(make_attempt(deployment=route),)))
        assert len(counted._by_request) <= 4_096
        assert len(counted._by_attempt) <= 4_096
        assert metrics.value(table.REQUESTS, "other", "other", "complete") == 20_000

    def test_many_currencies_stay_bounded(self, metrics):
        counted = ReceiptMetrics(metrics)
        for number in range(3_000):
            odd = make_attempt(cost=Cost(amount=Money(micros=1, currency=f"C{number}"), source="config"))
            counted.observe(make_receipt(attempts=(odd,)))
        assert len(lines(metrics, "freehold_cost_micros_total")) <= 2_001


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


class TestARealParser:
    """Prometheus' own client library reads what we write."""

    def test_every_metric_is_read_as_declared(self, metrics):
        counted = ReceiptMetrics(metrics)
        counted.observe(make_receipt(stream=True))
        counted.observe(
            make_receipt(attempts=(), answered_index=None, outcome=Outcome.REFUSED, error_code="FH-POLICY-001")
        )
        set_process(metrics, started_unix_s=1_790_000_000)
        found = families(metrics.render())
        for spec in METRICS:
            family = found[spec.name.removesuffix("_total")]
            assert (family.type, family.documentation) == (spec.type.value, spec.help)
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == set(spec.labels)

    @given(st.lists(st.text(max_size=8), min_size=1, max_size=4, unique=True))
    def test_any_label_is_read_back(self, codes):
        metrics = Metrics({})
        for code in codes:
            metrics.add(table.ERRORS, code, amount=7)
        samples = families(metrics.render())["freehold_errors"].samples
        assert {sample.labels["code"]: sample.value for sample in samples} == dict.fromkeys(codes, 7)

    def test_buckets_are_cumulative(self, metrics):
        for ms in range(0, 400_000, 777):
            metrics.observe(table.REQUEST_SECONDS, "auto", seconds=ms / 1000)
        samples = families(metrics.render())["freehold_request_seconds"].samples
        buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
        count = next(sample.value for sample in samples if sample.name.endswith("_count"))
        assert buckets == sorted(buckets)
        assert buckets[-1] == count == 515


class TestProcess:
    def test_this_process_is_seen(self, metrics):
        set_process(metrics, started_unix_s=1_790_000_000)
        assert metrics.value(table.PROCESS_START_SECONDS) == 1_790_000_000
        assert metrics.value(table.PROCESS_CPU_SECONDS) > 0
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("no /proc here")
        assert metrics.value(table.PROCESS_MEMORY_BYTES) > 1_000_000
        before = metrics.value(table.PROCESS_OPEN_FDS)
        with Path("/dev/null").open("rb"):
            set_process(metrics, started_unix_s=1)
            assert metrics.value(table.PROCESS_OPEN_FDS) == before + 1

    def test_a_loop_that_is_held_up_is_seen(self, metrics):
        async def scene() -> None:
            clock = LoopClock()
            task = asyncio.ensure_future(watch_loop(metrics, clock))
            await asyncio.sleep(LOOK_EVERY_S * 4.5)
            clock.late_s += 0.3
            await asyncio.sleep(LOOK_EVERY_S)
            task.cancel()
            await asyncio.wait({task})

        run_virtual(scene)
        found = lines(metrics, "freehold_event_loop_lag_seconds_")
        assert 'freehold_event_loop_lag_seconds_bucket{le="0.25"} 4' in found
        assert 'freehold_event_loop_lag_seconds_bucket{le="1"} 5' in found


class LoopClock:
    """The virtual loop's clock, which can be made to jump."""

    late_s = 0.0

    def unix_ms(self):
        return 0

    def monotonic_s(self):
        return asyncio.get_running_loop().time() + self.late_s
