"""Several processes, one page: nothing is lost, nothing is counted twice, and a parser still reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from freehold.telemetry import metric_table as table
from freehold.telemetry.metric_table import METRICS
from freehold.telemetry.metrics import Metrics
from freehold.telemetry.observe import ReceiptMetrics
from freehold.telemetry.workers import WorkerPages, forget_pages, merged
from tests.support.receipts import make_receipt


def page(requests, code="FH-X-1"):
    metrics = Metrics({})
    for _ in range(requests):
        ReceiptMetrics(metrics).observe(make_receipt())
    metrics.add(table.ERRORS, code, amount=requests)
    metrics.set(table.AUDIT_ENTRIES, value=requests)
    return metrics.render()


def samples(text, name):
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {sample.labels["worker"]: sample.value for sample in families[name].samples}


def test_samples_stand_side_by_side():
    text = merged({"0": page(2), "1": page(3)})
    assert samples(text, "freehold_requests") == {"0": 2, "1": 3}
    assert samples(text, "freehold_audit_entries") == {"0": 2, "1": 3}
    for spec in METRICS:
        assert text.count(f"# HELP {spec.name} ") == 1
        assert text.count(f"# TYPE {spec.name} ") == 1


def test_labels_that_hold_everything_survive():
    text = merged({"0": page(1, code='a"} 1\n{,x="\\')})
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (sample,) = families["freehold_errors"].samples
    assert sample.labels == {"worker": "0", "code": 'a"} 1\n{,x="\\'}


def test_a_worker_shows_itself_as_it_is_and_the_others_as_they_said_last(tmp_path):
    first, second = WorkerPages(tmp_path, "0"), WorkerPages(tmp_path, "1")
    second.publish(page(3))
    first.publish(page(1))
    assert samples(first.whole(page(2)), "freehold_requests") == {"0": 2, "1": 3}
    second.publish(page(4))
    assert samples(first.whole(page(2)), "freehold_requests") == {"0": 2, "1": 4}


def test_pages_of_an_earlier_start_are_forgotten(tmp_path):
    WorkerPages(tmp_path, "7").publish(page(9))
    forget_pages(tmp_path)
    assert samples(WorkerPages(tmp_path, "0").whole(page(1)), "freehold_requests") == {"0": 1}


def test_a_folder_that_is_gone_costs_the_others_only(tmp_path):
    pages = WorkerPages(tmp_path / "gone", "0")
    pages.publish(page(1))
    assert samples(pages.whole(page(1)), "freehold_requests") == {"0": 1}


def test_a_page_that_is_no_text_is_left_out(tmp_path):
    (tmp_path / "metrics-1.prom").write_bytes(b"\xff\xfe")
    assert samples(WorkerPages(tmp_path, "0").whole(page(1)), "freehold_requests") == {"0": 1}
