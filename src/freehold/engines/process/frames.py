"""What gateway and worker say to each other over the worker's pipes: a head of JSON, and bytes behind it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

LENGTHS = struct.Struct(">II")
"""Bytes of the head, bytes behind it."""

HEAD_BYTES_MAX = 128 << 20
BODY_BYTES_MAX = 128 << 20

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])


def frame(head: Mapping[str, object], body: bytes = b"") -> bytes:
    """A message."""
    encoded = _ENCODER.encode(head)
    return LENGTHS.pack(len(encoded), len(body)) + encoded + body


def lengths(raw: bytes) -> tuple[int, int]:
    """What ``LENGTHS`` says.

    Raises:
        ValueError: No message of ours is that long.
    """
    head_bytes, body_bytes = LENGTHS.unpack(raw)
    if head_bytes > HEAD_BYTES_MAX or body_bytes > BODY_BYTES_MAX:
        raise ValueError(f"a message of {head_bytes} and {body_bytes} bytes")
    return head_bytes, body_bytes


def head_of(raw: bytes) -> dict[str, Any]:
    """The head of a question.

    Raises:
        ValueError: It is no JSON object.
    """
    return _DECODER.decode(raw)


def messages(source: BinaryIO) -> Iterator[dict[str, Any]]:
    """What is asked, until ``source`` ends, be it within a message."""
    while len(raw := source.read(LENGTHS.size)) == LENGTHS.size:
        head_bytes, body_bytes = lengths(raw)
        raw = source.read(head_bytes)
        source.read(body_bytes)
        if len(raw) == head_bytes:
            yield head_of(raw)


def write_whole(sink: BinaryIO, data: bytes) -> None:
    """Write all of ``data`` to an unbuffered ``sink``."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]
