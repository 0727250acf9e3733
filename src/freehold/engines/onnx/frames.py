"""What an ONNX worker answers; ``process.frames`` says how it goes over the pipe."""

from __future__ import annotations

from typing import Annotated

import msgspec

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


_SAID = msgspec.json.Decoder(Said)


def said(raw: bytes) -> Said:
    """The head of an answer.

    Raises:
        ValueError: It is none.
    """
    return _SAID.decode(raw)
