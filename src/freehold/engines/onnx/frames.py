"""What gateway and worker say to each other over the worker's pipes: a head of JSON, and bytes behind it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

LENGTHS = struct.Struct(">II")
"""Bytes of the head, bytes behind it."""

HEAD_BYTES_MAX = 128 << 20
BODY_BYTES_MAX = 1 << 20

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer.

    Attributes:
        id: Of the message that it answers.
        tokens: What was read; of several texts that were only looked at, the length of each.
        too_long: Tokens of a text that was not read, since it has too many.
    """

    id: int
    tokens: _Count | list[_Count] = 0
    too_long: _Count | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])
_SAID = msgspec.json.Decoder(Said)


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


def said(raw: bytes) -> Said:
    """The head of an answer.

    Raises:
        ValueError: It is none.
    """
    return _SAID.decode(raw)


def head_of(raw: bytes) -> dict[str, Any]:
    """The head of a question.

    Raises:
        ValueError: It is no JSON object.
    """
    return _DECODER.decode(raw)
