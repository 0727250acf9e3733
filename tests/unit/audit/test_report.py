"""Reports from entries: what is counted, what a spreadsheet must not compute, what a browser must not run."""

from __future__ import annotations

import csv
import io

import pytest

from freehold.audit.report import Kind, Span, Table, Terms, report
from freehold.audit.report_page import Source, as_csv, as_page
from freehold.domain.receipt import AuditRecord

ALWAYS = Span(start_ms=0, end_ms=10**15)
TERMS = {"cloud": Terms(contracts="dpa, scc", retention="30 days", trains="no", evidence="https://e.example/terms")}


def entry(event: str, unix_ms: int, request: str, tenant: str = "acme", **detail: object) -> AuditRecord:
    return AuditRecord(event=event, unix_ms=unix_ms, tenant=tenant, request_id=request, detail=detail)


def intent(unix_ms: int, request: str, tenant: str = "acme", **more: object) -> AuditRecord:
    about = {"deployment": "cloud", "origin": "https://api.example:443", "zone": "us", "label": "internal;zones=us"}
    detail = {**about, "rules": ["zone", "level"], "key": "key-1", "body_commit": "c0ffee", "body_bytes": 9, **more}
    return entry("egress.intent", unix_ms, request, tenant, **detail)


def attempt(deployment: str, zone: str, left: int, outcome: str = "complete") -> dict[str, object]:
    where = {"deployment": deployment, "zone": zone, "model": "m", "digest": "sha256:1"}
    return {**where, "bytes_left": left, "input_tokens": 10, "output_tokens": 5, "outcome": outcome}


LABEL = {"level": "internal", "kinds": ["pii"]}
STORY = [
    intent(1_000, "r-1"),
    entry("egress.done", 2_000, "r-1", intent=0, outcome="complete", bytes=9),
    entry(
        "request", 3_000, "r-1", label=LABEL, task="chat", route="auto", outcome="complete",
        attempts=[attempt("small", "device", 0), attempt("cloud", "us", 9)],
    ),
    intent(90_000, "r-2"),
    intent(5_000, "r-3", "else", deployment="other"),
    entry("request", 6_000, "r-4", label=LABEL, task="chat", route="", outcome="refused", attempts=[]),
]  # fmt: skip


def read() -> list[tuple[str, int, AuditRecord]]:
    return [("log", index, record) for index, record in enumerate(STORY)]


def rows(kind: Kind, span: Span = ALWAYS) -> list[dict[str, str]]:
    table = report(kind, read, span, TERMS)
    return [dict(zip(table.head, row, strict=True)) for row in table.rows]


def test_what_was_processed() -> None:
    found = {row["deployment"]: row for row in rows(Kind.PROCESSING)}
    assert set(found) == {"small", "cloud", "-"}
    assert (found["cloud"]["zone"], found["cloud"]["bytes left"], found["cloud"]["tokens"]) == ("us", "9", "15")
    assert found["small"]["labels"] == "internal (pii): 1"
    assert found["-"]["outcomes"] == "refused: 1"
    assert found["cloud"]["first"] == "1970-01-01T00:00:03Z"


def test_what_was_transferred_under_which_terms() -> None:
    found = {(row["tenant"], row["deployment"]): row for row in rows(Kind.TRANSFERS)}
    assert set(found) == {("acme", "cloud"), ("else", "other")}
    row = found["acme", "cloud"]
    assert (row["transfers"], row["bytes"], row["outcomes"]) == ("2", "9", "complete: 1, open: 1")
    assert (row["contracts"], row["keeps texts"], row["evidence"]) == ("dpa, scc", "30 days", "https://e.example/terms")
    assert row["allowed by"] == "level, zone"
    assert found["else", "other"]["contracts"] == ""


def test_who_sent_what_where_in_a_span() -> None:
    assert [row["request"] for row in rows(Kind.WHO)] == ["r-1", "r-3", "r-2"]
    (row,) = rows(Kind.WHO, Span(start_ms=0, end_ms=5_000))
    assert (row["key"], row["destination"], row["label"]) == ("key-1", "https://api.example:443", "internal;zones=us")
    assert (row["bytes"], row["outcome"], row["log"], row["entry"]) == ("9", "complete", "log", "0")
    assert row["body commitment"] == "c0ffee"


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '<script>alert("x")</script>', "a,b", 'say "x"', "two\nlines"]


@pytest.mark.parametrize("cell", HOSTILE)
def test_a_spreadsheet_computes_nothing_and_a_browser_runs_nothing(cell: str) -> None:
    table = Table(kind=Kind.WHO, head=("a",), rows=((cell,),))
    ((found,),) = list(csv.reader(io.StringIO(as_csv(table))))[1:]
    assert found == (f"'{cell}" if cell[0] in "=+-@\t" else cell)
    page = as_page(table, of=cell, sources=[Source(origin="log", size=1, root="00", pruned=256)])
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "what entries 0 to 255 said was pruned" in page
    assert "http" not in page.replace("http-equiv", "")
