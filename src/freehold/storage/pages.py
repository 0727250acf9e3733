"""Receipts as bytes: one in MessagePack, and pages of some of them, compressed together.

Receipts of one time are much alike: a page takes about a tenth of what its receipts take alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from freehold.domain.decisions import PolicyDecision
from freehold.domain.labels import Label, LabelSource
from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document
from freehold.storage.fragments import Fragments

PAGE_RECEIPTS_MAX = 256
JSON = "json"
PAGES = "pages"

_LENGTH = struct.Struct(">I")
_LEVEL = 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Any])
_FORMAT = 1

# Values in this order, without their names, which would be a third of the bytes. What is added comes last.
_SHARED_FIELDS = ("label", "label_sources", "decisions")
_OWN_FIELDS = (
    "id", "created_unix_ms", "tenant", "key_id", "task", "model_asked", "route", "stream", "steps", "detours",
    "outcome", "answered_index", "error_code", "counterfactual", "counterfactual_model", "total_ms", "audit_index",
    "audit_log", "config_digest", "client_request_id", "traceparent",
)  # fmt: skip
_ATTEMPT_FIELDS = (
    "deployment", "zone", "model", "model_digest", "outcome", "usage", "confidence", "verdict", "finish_reason",
    "timings", "queue_ms", "started_ms", "first_token_ms", "ended_ms", "bytes_left", "egress_index", "cost",
    "error_code", "error_message",
)  # fmt: skip
_own = attrgetter(*_OWN_FIELDS)
_of_attempt = attrgetter(*_ATTEMPT_FIELDS)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))


_label: Fragments[Label, msgspec.Raw] = Fragments(_raw)
_sources: Fragments[tuple[LabelSource, ...], msgspec.Raw] = Fragments(_raw)
_decisions: Fragments[tuple[PolicyDecision, ...], msgspec.Raw] = Fragments(_raw)


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt. Label and decisions, which many receipts share, are encoded once."""
    return _encoder.encode(
        (
            _FORMAT,
            _label(receipt.label),
            _sources(receipt.label_sources),
            _decisions(receipt.decisions),
            [_of_attempt(attempt) for attempt in receipt.attempts],
            *_own(receipt),
        )
    )


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt that ``encode_receipt`` wrote.

    Raises:
        msgspec.DecodeError: It is none.
    """
    values = _decoder.decode(payload)
    if len(values) < len(_SHARED_FIELDS) + 2 or values[0] != _FORMAT:
        raise msgspec.DecodeError("this is no receipt of a format that is known")
    attempts = [dict(zip(_ATTEMPT_FIELDS, attempt, strict=False)) for attempt in values[len(_SHARED_FIELDS) + 1]]
    shared = dict(zip(_SHARED_FIELDS, values[1:], strict=False))
    own = dict(zip(_OWN_FIELDS, values[len(_SHARED_FIELDS) + 2 :], strict=False))
    return msgspec.convert({**shared, **own, "attempts": attempts}, Receipt)


def encode_page(payloads: Sequence[bytes]) -> bytes:
    """Some receipts as one page."""
    return zlib.compress(
        b"".join(part for payload in payloads for part in (_LENGTH.pack(len(payload)), payload)), _LEVEL
    )


def documents(form: str, content: Any, wanted: Collection[str]) -> dict[str, dict[str, object]]:
    """The wanted receipts of a page as JSON-ready values, by id."""
    if form == JSON:
        document = json.loads(content)
        return {document["id"]: document}
    marks = [identifier.encode() for identifier in wanted]
    receipts = [
        decode_receipt(payload)
        for payload in _payloads(zlib.decompress(content))
        if any(mark in payload for mark in marks)
    ]
    return {receipt.id: receipt_document(receipt) for receipt in receipts}


def _payloads(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + length
        yield data[place - length : place]
