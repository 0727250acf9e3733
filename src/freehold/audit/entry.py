"""Entries of the log: canonical JSON, one object each.

Keys are sorted, there is no white space, text is UTF-8: the same record always has the same bytes and so the same
leaf hash. ``seq`` is the entry's index, which ties it to its place; ``ts`` is the wall clock in milliseconds and
orders nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.receipt import AuditRecord

ENTRY_BYTES_MAX = 65_535
"""What a bundle's length field can say."""

FORMAT_VERSION = 1
INTENT = "egress.intent"
DONE = "egress.done"
TRUNCATED = "log.truncated"
RESUMED = "log.resumed"
PRUNED = "log.pruned"

_ENTRY = b'{"detail":%b,"event":%b%b,"seq":%d,"tenant":%b,"ts":%d,"v":%d}'
_TEXTS_MAX = 1_024
_encoder = msgspec.json.Encoder(order="sorted")
_text = lru_cache(_TEXTS_MAX)(_encoder.encode)


@dataclass(slots=True)
class Entry:
    """An entry in its place. Never changed; not frozen, since a frozen one takes three times as long to make.

    Attributes:
        index: Its place.
        data: Its exact bytes.
        event: What it is about.
        intent: For ``egress.done`` the index of the intent that it ends.
    """

    index: int
    data: bytes
    event: str
    intent: int | None = None


def encode_entry(record: AuditRecord, index: int) -> Entry:
    """The entry of a record.

    Raises:
        AuditUnwritable: It is longer than an entry may be.
    """
    data = _ENTRY % (
        record.detail_json or _encoder.encode(record.detail),
        _text(record.event),
        b',"request_id":%b' % _encoder.encode(record.request_id) if record.request_id else b"",
        index,
        _text(record.tenant),
        record.unix_ms,
        FORMAT_VERSION,
    )
    if len(data) > ENTRY_BYTES_MAX:
        raise AuditUnwritable(reason=f"a {record.event} entry has {len(data)} bytes, at most {ENTRY_BYTES_MAX} fit")
    return Entry(index, data, record.event, _intent_of(record.event, record.detail))


class _Fields(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """An entry's members, as their types are."""

    detail: dict[str, object]
    event: str
    seq: int
    tenant: str
    ts: int
    v: int
    request_id: str = ""


_decode_fields = msgspec.json.Decoder(_Fields).decode


def decode_record(data: bytes, index: int) -> AuditRecord:
    """The record of the entry at ``index``.

    Raises:
        AuditBroken: It is not canonical, or belongs to another place.
    """
    try:
        fields = _decode_fields(data)
    except msgspec.ValidationError as error:
        raise AuditBroken(reason=f"entry {index} is not a record: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AuditBroken(reason=f"entry {index} cannot be read: {error}") from error
    if _encoder.encode(fields) != data:
        raise AuditBroken(reason=f"entry {index} is not in the log's own form")
    if fields.seq != index or fields.v != FORMAT_VERSION:
        raise AuditBroken(reason=f"entry {index} says that it is entry {fields.seq} of version {fields.v}")
    return AuditRecord(
        event=fields.event,
        unix_ms=fields.ts,
        tenant=fields.tenant,
        request_id=fields.request_id,
        detail=fields.detail,
    )


def decode_entry(data: bytes, index: int) -> tuple[Entry, AuditRecord]:
    """Read the entry at ``index``.

    Raises:
        AuditBroken: As ``decode_record``.
    """
    record = decode_record(data, index)
    return Entry(index, data, record.event, _intent_of(record.event, record.detail)), record


def _intent_of(event: str, detail: dict[str, object]) -> int | None:
    if event != DONE:
        return None
    intent = detail.get("intent")
    return intent if isinstance(intent, int) and not isinstance(intent, bool) else None
