"""Reports from the log: the record of processing, transfers beyond this device, and who sent what where.

Everything but the terms of deployments comes from entries, which were verified; the terms are those of the configuration
as it is now. A report holds names, counts and hashes: no prompt, no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from freehold.audit.entry import DONE, INTENT
from freehold.audit.records import REQUEST
from freehold.domain.receipt import AuditRecord

ReadEntries = Callable[[], Iterable[tuple[str, int, AuditRecord]]]
"""Entries of all logs: the log's name, the place, the record. Read twice."""


class Kind(StrEnum):
    """What a report is of.

    Attributes:
        PROCESSING: What was processed for whom by which models where: GDPR, article 30.
        TRANSFERS: What left this device to whom, under which terms: GDPR, articles 28 and 44 and following.
        WHO: Every single sending: who, what label, where, how it ended.
    """

    PROCESSING = "processing"
    TRANSFERS = "transfers"
    WHO = "who"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says of a deployment, as text."""

    contracts: str = ""
    retention: str = ""
    trains: str = ""
    evidence: str = ""
    checked: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, in milliseconds since 1970; the end is not part of it."""

    start_ms: int
    end_ms: int

    def __contains__(self, unix_ms: int) -> bool:
        return self.start_ms <= unix_ms < self.end_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A report.

    Attributes:
        kind: What it is of.
        head: Names of the columns.
        rows: Cells as text.
    """

    kind: Kind
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class _Sum:
    """What is counted of one row."""

    count: int = 0
    bytes: int = 0
    tokens: int = 0
    outcomes: Counter[str] = field(default_factory=Counter[str])
    labels: Counter[str] = field(default_factory=Counter[str])
    rules: set[str] = field(default_factory=set[str])
    first_ms: int = 0
    last_ms: int = 0

    def note(self, record: AuditRecord, *, label: str, outcome: str) -> None:
        """One more."""
        self.count += 1
        self.outcomes[outcome] += 1
        self.labels[label] += 1
        self.first_ms = min(self.first_ms or record.unix_ms, record.unix_ms)
        self.last_ms = max(self.last_ms, record.unix_ms)


def report(kind: Kind, read: ReadEntries, span: Span, terms: Mapping[str, Terms]) -> Table:
    """Make a report.

    Args:
        kind: Of what.
        read: The entries.
        span: Of when.
        terms: By deployment, as configured now.
    """
    match kind:
        case Kind.PROCESSING:
            return _processing(read, span)
        case Kind.TRANSFERS:
            return _transfers(read, span, terms)
        case Kind.WHO:
            return _who(read, span)


def _processing(read: ReadEntries, span: Span) -> Table:
    sums: dict[tuple[str, ...], _Sum] = {}
    for _, _, record in read():
        if record.event != REQUEST or record.unix_ms not in span:
            continue
        detail: dict[str, Any] = record.detail
        label = _label_of(detail)
        for attempt in _dicts(detail.get("attempts")) or [{}]:
            key = (record.tenant, *(str(detail.get(name) or "-") for name in ("task", "route")))
            where = tuple(str(attempt.get(name) or "-") for name in ("deployment", "model", "digest", "zone"))
            row = sums.setdefault((*key, *where), _Sum())
            row.note(record, label=label, outcome=str(attempt.get("outcome") or detail.get("outcome") or "-"))
            row.bytes += int(attempt.get("bytes_left") or 0)
            row.tokens += int(attempt.get("input_tokens") or 0) + int(attempt.get("output_tokens") or 0)
    head = ("tenant", "task", "route", "deployment", "model", "model digest", "zone", "calls", "tokens", "bytes left")
    rows = (
        (*key, str(row.count), str(row.tokens), str(row.bytes), _counts(row.labels), _counts(row.outcomes), *_when(row))
        for key, row in sorted(sums.items())
    )
    return Table(kind=Kind.PROCESSING, head=(*head, "labels", "outcomes", "first", "last"), rows=tuple(rows))


def _transfers(read: ReadEntries, span: Span, terms: Mapping[str, Terms]) -> Table:
    ends = _ends(read)
    sums: dict[tuple[str, ...], _Sum] = {}
    for log, index, record in read():
        if record.event != INTENT or record.unix_ms not in span:
            continue
        detail = record.detail
        key = (record.tenant, *(str(detail.get(name, "-")) for name in ("deployment", "origin", "zone")))
        row = sums.setdefault(key, _Sum())
        row.note(record, label=str(detail.get("label", "-")), outcome=ends.get((log, index), ("open", 0))[0])
        row.bytes += ends.get((log, index), ("open", 0))[1]
        row.rules.update(map(str, cast("list[object]", detail.get("rules") or [])))
    head = ("tenant", "deployment", "destination", "zone", "transfers", "bytes", "labels", "allowed by", "outcomes")
    about = ("contracts", "keeps texts", "trains", "evidence", "checked", "expires", "first", "last")
    rows = (
        (
            *key,
            str(row.count),
            str(row.bytes),
            _counts(row.labels),
            ", ".join(sorted(row.rules)),
            _counts(row.outcomes),
            *_terms(terms.get(key[1], Terms())),
            *_when(row),
        )
        for key, row in sorted(sums.items())
    )
    return Table(kind=Kind.TRANSFERS, head=(*head, *about), rows=tuple(rows))


def _who(read: ReadEntries, span: Span) -> Table:
    ends = _ends(read)
    rows: list[tuple[str, ...]] = []
    for log, index, record in read():
        if record.event != INTENT or record.unix_ms not in span:
            continue
        detail = record.detail
        outcome, sent = ends.get((log, index), ("open", 0))
        named = tuple(str(detail.get(name, "-")) for name in ("key", "deployment", "origin", "zone", "label"))
        commitment = str(detail.get("body_commit", "-"))
        rows.append(
            (
                _moment(record.unix_ms),
                record.tenant,
                *named,
                str(sent),
                outcome,
                record.request_id,
                log,
                str(index),
                commitment,
            )
        )
    head = ("time", "tenant", "key", "deployment", "destination", "zone", "label", "bytes", "outcome", "request")
    return Table(kind=Kind.WHO, head=(*head, "log", "entry", "body commitment"), rows=tuple(sorted(rows)))


def _ends(read: ReadEntries) -> dict[tuple[str, int], tuple[str, int]]:
    """How each egress ended, and the bytes that it sent, by log and intent."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for log, _, record in read():
        intent = record.detail.get("intent")
        if record.event == DONE and isinstance(intent, int):
            sent = record.detail.get("bytes")
            found[log, intent] = (str(record.detail.get("outcome", "-")), sent if isinstance(sent, int) else 0)
    return found


def _label_of(detail: Mapping[str, Any]) -> str:
    label = detail.get("label")
    if not isinstance(label, dict):
        return "-"
    fields = cast("dict[str, Any]", label)
    kinds = ",".join(map(str, fields.get("kinds") or []))
    return f"{fields.get('level', '-')}{f' ({kinds})' if kinds else ''}"


def _dicts(value: object) -> list[dict[str, Any]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", each) for each in items if isinstance(each, dict)]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counter.items()))


def _terms(terms: Terms) -> tuple[str, ...]:
    return terms.contracts, terms.retention, terms.trains, terms.evidence, terms.checked, terms.expires


def _when(row: _Sum) -> tuple[str, str]:
    return _moment(row.first_ms), _moment(row.last_ms)


def _moment(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
