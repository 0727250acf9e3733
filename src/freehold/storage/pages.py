"""Receipts as bytes: one in MessagePack, and pages of some of them, compressed together.

Receipts of one time are much alike: what most of them have in common is one part of their bytes, which a page holds
once. A page takes about a tenth of what its receipts take alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document, receipt_from_json

PAGE_RECEIPTS_MAX = 256
"""The place of a receipt's common part is one byte."""

JSON = "json"
PAGES = "pages"
PARTS = "parts"

_FORMAT = 2
_LEVEL = 1
_POLICIES_MAX = 1_024
_LENGTH = struct.Struct(">I")
_ARRAY = struct.Struct(">BI")
_ARRAY_MARK = 0xDD

# Values in this order, without their names, which would be a third of the bytes. What is added comes last.
_COMMON_FIELDS = (
    "tenant", "outcome", "answered_index", "attempts", "policy", "key_id", "task", "model_asked", "route", "stream",
    "steps", "detours", "error_code", "counterfactual_model", "audit_log", "config_digest",
    "purpose", "detectors", "counterfactual_price",
)  # fmt: skip
_POLICY_FIELDS = ("label", "label_sources", "decisions")
_OWN_FIELDS = (
    "attempts",
    "total_ms",
    "audit_index",
    "client_request_id",
    "traceparent",
    "for_request",
    "removed",
    "retrieved",
)
_SUMMED_FIELDS = ("attempts", "id", "created_unix_ms", "counterfactual")
_ATTEMPT_COMMON_FIELDS = (
    "deployment", "zone", "verdict", "model", "model_digest", "outcome", "finish_reason", "error_code",
    "error_message", "role",
)  # fmt: skip
_ATTEMPT_OWN_FIELDS = (
    "confidence", "timings", "queue_ms", "started_ms", "first_token_ms", "ended_ms", "egress_index", "prefix",
    "left_out",
)  # fmt: skip
_ATTEMPT_SUMMED_FIELDS = ("bytes_left", "cost")
_USAGE_FIELDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "measured")

# The first format: label, sources, decisions, attempts, and then the rest.
_FORMAT_1 = 1
_FIELDS_1 = (
    "label", "label_sources", "decisions", "attempts", "id", "created_unix_ms", "tenant", "key_id", "task",
    "model_asked", "route", "stream", "steps", "detours", "outcome", "answered_index", "error_code", "counterfactual",
    "counterfactual_model", "total_ms", "audit_index", "audit_log", "config_digest", "client_request_id",
    "traceparent",
)  # fmt: skip
_ATTEMPT_FIELDS_1 = (
    "deployment", "zone", "model", "model_digest", "outcome", "usage", "confidence", "verdict", "finish_reason",
    "timings", "queue_ms", "started_ms", "first_token_ms", "ended_ms", "bytes_left", "egress_index", "cost",
    "error_code", "error_message",
)  # fmt: skip


class MoneyPart(msgspec.Struct, gc=False):
    """As ``Money``."""

    micros: int
    currency: str


class CostPart(msgspec.Struct, gc=False):
    """As ``Cost``."""

    amount: MoneyPart | None
    energy_mwh: int | None
    source: str
    price_version: str
    effective: str
    basis: tuple[int, ...] = ()
    measured: bool = False


class AttemptPart(msgspec.Struct, array_like=True, gc=False):
    """What is summed over attempts."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    measured: bool
    bytes_left: int
    cost: CostPart | None


class Parts(msgspec.Struct, array_like=True, gc=False):
    """A receipt as far as the database looks into it; what it does not look into stays encoded.

    Attributes:
        form: Of these bytes.
        common: Alike in most receipts: tenant, label, decisions, route, outcome…
        own: Times, and what else is different in each.
        attempts: What is summed over them.
        id: Of the request.
        created_unix_ms: Wall clock at its arrival.
        counterfactual: As in ``Receipt``.
    """

    form: int
    common: msgspec.Raw
    own: msgspec.Raw
    attempts: list[AttemptPart]
    id: str
    created_unix_ms: int
    counterfactual: MoneyPart | None


class Page(NamedTuple):
    """Some receipts, the different ones of what they have in common, and which of these is whose."""

    receipts: list[Parts]
    common: list[msgspec.Raw]
    places: bytes


class _Columns(msgspec.Struct, array_like=True):
    """A page as it is written: member by member, for those that are alike to lie side by side."""

    common: list[msgspec.Raw]
    places: bytes
    own: list[msgspec.Raw]
    attempts: list[list[AttemptPart]]
    ids: list[str]
    created_unix_ms: list[int]
    counterfactual: list[MoneyPart | None]


_encoder = msgspec.msgpack.Encoder()
_values = msgspec.msgpack.Decoder(list[Any])
_all_parts = msgspec.msgpack.Decoder(list[Parts])
_columns = msgspec.msgpack.Decoder(_Columns)
_common = attrgetter(*_COMMON_FIELDS[5:])
_own = attrgetter(*_OWN_FIELDS[1:])
_common_of_attempt = attrgetter(*_ATTEMPT_COMMON_FIELDS)
_own_of_attempt = attrgetter(*_ATTEMPT_OWN_FIELDS)
_summed_of_attempt = attrgetter(*(f"usage.{name}" for name in _USAGE_FIELDS), *_ATTEMPT_SUMMED_FIELDS)
_policies: dict[tuple[int, int, int], tuple[tuple[object, ...], msgspec.Raw]] = {}


def _policy(receipt: Receipt) -> msgspec.Raw:
    """The bytes of label, sources and decisions, of which most receipts have the very same ones (as ``Fragments``)."""
    key = (id(receipt.label), id(receipt.label_sources), id(receipt.decisions))
    found = _policies.get(key)
    if found is None:
        if len(_policies) >= _POLICIES_MAX:
            _policies.clear()
        policy = (receipt.label, receipt.label_sources, receipt.decisions)
        # They are kept with their bytes, so that their identities are not another's meanwhile.
        _policies[key] = found = (policy, msgspec.Raw(_encoder.encode(policy)))
    return found[1]


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt, as ``Parts``. Label and decisions, which many receipts share, are encoded once."""
    attempts = receipt.attempts
    return _encoder.encode(
        (
            _FORMAT,
            (
                receipt.tenant,
                receipt.outcome,
                receipt.answered_index,
                [_common_of_attempt(attempt) for attempt in attempts],
                _policy(receipt),
                *_common(receipt),
            ),
            ([_own_of_attempt(attempt) for attempt in attempts], *_own(receipt)),
            [_summed_of_attempt(attempt) for attempt in attempts],
            receipt.id,
            receipt.created_unix_ms,
            receipt.counterfactual,
        )
    )


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt that ``encode_receipt`` of this program, or of an earlier one, wrote.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    form, *values = _values.decode(payload) or [None]
    try:
        if form == _FORMAT:
            return msgspec.convert(_named(*values), Receipt)
        if form == _FORMAT_1:
            found = _zip(_FIELDS_1, values)
            found["attempts"] = [_zip(_ATTEMPT_FIELDS_1, attempt) for attempt in found["attempts"]]
            return msgspec.convert(found, Receipt)
    except (TypeError, LookupError, ValueError) as error:
        raise msgspec.DecodeError(f"this is no receipt: {error}") from error
    raise msgspec.DecodeError("this is no receipt of a format that is known")


def _named(common: list[Any], own: list[Any], *summed: Any) -> dict[str, Any]:
    """The members of a receipt by name."""
    found, mine, sums = _zip(_COMMON_FIELDS, common), _zip(_OWN_FIELDS, own), _zip(_SUMMED_FIELDS, summed)
    attempts = [
        _zip(_ATTEMPT_COMMON_FIELDS, alike)
        | _zip(_ATTEMPT_OWN_FIELDS, different)
        | _zip(_ATTEMPT_SUMMED_FIELDS, counts[len(_USAGE_FIELDS) :])
        | {"usage": _zip(_USAGE_FIELDS, counts)}
        for alike, different, counts in zip(found["attempts"], mine["attempts"], sums["attempts"], strict=True)
    ]
    return found | _zip(_POLICY_FIELDS, found["policy"]) | mine | sums | {"attempts": attempts}


def _zip(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=False))


def new_page(payloads: Sequence[bytes]) -> Page:
    """A page of receipts in their newest form, ``PAGE_RECEIPTS_MAX`` at most.

    Raises:
        msgspec.MsgspecError: One is no receipt of that form.
    """
    receipts = _all_parts.decode(_ARRAY.pack(_ARRAY_MARK, len(payloads)) + b"".join(payloads))
    if any(parts.form != _FORMAT for parts in receipts):
        raise msgspec.ValidationError("this is no receipt of the newest form")
    common = [parts.common for parts in receipts]
    if common.count(common[0]) == len(common):
        return Page(receipts, common[:1], bytes(len(common)))
    texts = [bytes(each) for each in common]
    found = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return Page(receipts, [msgspec.Raw(text) for text in found], bytes(found[text] for text in texts))


def encode_page(page: Page) -> bytes:
    """The bytes of a page, of the form ``PARTS``."""
    receipts = page.receipts
    columns = (
        page.common,
        page.places,
        [parts.own for parts in receipts],
        [parts.attempts for parts in receipts],
        [parts.id for parts in receipts],
        [parts.created_unix_ms for parts in receipts],
        [parts.counterfactual for parts in receipts],
    )
    return zlib.compress(_encoder.encode(columns), _LEVEL)


def decode_page(form: str, content: Any) -> Page:
    """The page of some bytes, whatever their form."""
    if form == JSON:
        return new_page([encode_receipt(receipt_from_json(content))])
    data = zlib.decompress(content)
    if form == PAGES:
        return new_page([encode_receipt(decode_receipt(payload)) for payload in _payloads(data)])
    columns = _columns.decode(data)
    common = [columns.common[place] for place in columns.places]
    members = (common, columns.own, columns.attempts, columns.ids, columns.created_unix_ms, columns.counterfactual)
    return Page([Parts(_FORMAT, *each) for each in zip(*members, strict=True)], columns.common, columns.places)


def documents(form: str, content: Any, *, tenant: str, wanted: Collection[str]) -> dict[str, dict[str, object]]:
    """The wanted receipts of a page, of this tenant only, as JSON-ready values, by id."""
    if form == JSON:
        document = json.loads(content)
        return {document["id"]: document} if document["tenant"] == tenant else {}
    receipts = (decode_receipt(payload) for payload in _wanted(form, content, wanted))
    return {receipt.id: receipt_document(receipt) for receipt in receipts if receipt.tenant == tenant}


def receipts_of(form: str, content: Any) -> Iterator[Receipt]:
    """All receipts of a page, of every tenant."""
    return (decode_receipt(_encoder.encode(parts)) for parts in decode_page(form, content).receipts)


def _wanted(form: str, content: bytes, wanted: Collection[str]) -> Iterator[bytes]:
    if form == PARTS:
        return (_encoder.encode(parts) for parts in decode_page(form, content).receipts if parts.id in wanted)
    marks = [identifier.encode() for identifier in wanted]
    return (payload for payload in _payloads(zlib.decompress(content)) if any(mark in payload for mark in marks))


def _payloads(data: bytes) -> Iterator[bytes]:
    """The receipts of a page of the form ``PAGES``, one after the other."""
    place = 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size + length
        yield data[place - length : place]
