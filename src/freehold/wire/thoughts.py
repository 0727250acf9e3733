"""Thoughts that their maker has signed, as the one text that the Responses API has for them.

Its clients send ``encrypted_content`` of a reasoning item back untouched. What Freehold puts there is Anthropic's blocks,
so that the next turn holds them as they were.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import msgspec

JsonObject = dict[str, Any]

_MARK = "freehold1."
_KINDS = ("thinking", "redacted_thinking")


def thoughts_among(blocks: object) -> list[JsonObject]:
    """Those of a turn's ``content_blocks`` that are thoughts."""
    listed = cast("list[JsonObject]", blocks) if isinstance(blocks, list) else []
    return [
        {name: value for name, value in block.items() if name != "index"}
        for block in listed
        if block.get("type") in _KINDS
    ]


def sealed(blocks: list[JsonObject]) -> str:
    """Blocks as one text."""
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(blocks)).decode()


def unsealed(text: str | None) -> list[JsonObject]:
    """The blocks of such a text; none of a text of anybody else's."""
    if text is None or not text.startswith(_MARK):
        return []
    try:
        blocks = msgspec.json.decode(base64.urlsafe_b64decode(text.removeprefix(_MARK)), type=list[dict[str, Any]])
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    return thoughts_among(blocks)
