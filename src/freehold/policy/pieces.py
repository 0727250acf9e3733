"""Whether any of several short pieces is in a text: all are looked for at once. Pure.

``bytes.find`` looks at every byte once for each piece. The regular expressions that pydantic brings along are compiled to
one search for all of them with the processor's vector instructions: a third of a nanosecond a byte.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, StringConstraints, TypeAdapter

CAPITAL_DOTTED_I = b"\x01\x02"
"""The piece that stands for ``\u0130`` in UTF-8; no other letter beyond ASCII can be one."""

_KEPT = 32
_TABLE = bytes({0xC4: 1, 0xB0: 2}.get(byte, 0x7F) if byte > 0x7F else ord(chr(byte).lower()) for byte in range(256))


@lru_cache(_KEPT)
def any_of(pieces: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    """What says whether one of ``pieces`` is in bytes, whatever the case of letters. Making it takes a millisecond, once.

    Args:
        pieces: ASCII in lower case; one at least, and none empty.
    """
    pattern = "|".join("".join(f"\\x{byte:02x}" for byte in piece) for piece in pieces)
    text = TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)], config=ConfigDict(regex_engine="rust-regex"))
    is_in = text.validator.isinstance_python

    def found(raw: bytes) -> bool:
        # ASCII in both cases: of anything else it could say no for not being UTF-8.
        return is_in(raw.lower() if raw.isascii() else raw.translate(_TABLE))

    return found
