"""What the engines share: the reply that an event parser reads, so that an engine may stand between it and the wire."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol


class Reply(Protocol):
    """An HTTP reply whose head is here; ``freehold.net.client.HttpReply`` is one.

    ``engines.openai_events.chunks`` takes any of these: the llama.cpp engine hands it replies that watch for
    progress or translate events of another dialect on the way.
    """

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields, names in lower case."""
        ...

    def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it arrives; closing the generator aborts the connection in the same tick."""
        ...

    async def read(self, *, limit_bytes: int) -> bytes:
        """The whole body, at most ``limit_bytes``."""
        ...

    def abort(self) -> None:
        """Close the connection now. Idempotent."""
        ...


class StepReply(Reply, Protocol):
    """A reply that is also read piece by piece, without a generator in between."""

    async def next_piece(self) -> bytes:
        """The next piece of the body; empty at the end of an answer that is whole. Whoever stops early aborts."""
        ...

    async def pass_on(self, out: Callable[[bytes], bool]) -> bool:
        """Hand each piece to ``out`` as it arrives; True once the answer is whole, False once ``out`` wants a pause."""
        ...
