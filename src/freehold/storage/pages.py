"""Receipts as bytes: one in MessagePack, and pages of some of them, compressed together.

Receipts of one time are much alike: a page takes about a tenth of what its receipts take alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from freehold.domain.receipt import Receipt
from freehold.domain.receipt_json import receipt_document

PAGE_RECEIPTS_MAX = 256
JSON = "json"
PAGES = "pages"

_LENGTH = struct.Struct(">I")
_LEVEL = 1
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Receipt)

encode_receipt = _encoder.encode
"""The bytes of a receipt."""


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt that ``encode_receipt`` wrote.

    Raises:
        msgspec.DecodeError: It is none.
    """
    return _decoder.decode(payload)


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
        _decoder.decode(payload)
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
