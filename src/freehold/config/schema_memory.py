"""Settings of the memory that models share."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from freehold.config.section import Section

_UNITS: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

Size = Annotated[str, Field(pattern=r"^(?:[0-9]+(?:\.[0-9]+)? ?(?:B|kB|MB|GB|KiB|MiB|GiB))?$")]


class MemorySection(Section):
    """The memory that models share: those that are asked for are loaded, and others leave for them."""

    cap: Size = Field(
        default="",
        description='Most that models of ours may have of the processor\'s memory together, for example "6 GiB". If not'
        " said: what is free at the start, less some for the rest.",
    )
    keep_alive_s: int = Field(
        default=0,
        ge=0,
        le=31_536_000,
        description="Seconds without a request after which a model is unloaded; 0 keeps it until another one needs its"
        " memory.",
    )
    patience_s: int = Field(
        default=30,
        ge=0,
        le=600,
        description="Seconds that a request for a model that is not loaded waits at most for those that are to be done."
        " Where models are asked for in turn this is what keeps them from being loaded for one request each; 0 loads at"
        " once whatever can make room.",
    )


def size_bytes(size: str) -> int:
    """Bytes of a size such as ``6 GiB``; 0 for an empty one."""
    found = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", size)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0
