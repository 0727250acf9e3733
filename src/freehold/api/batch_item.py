"""One item of a batch: the same decoding, pipeline and answer as for a client, with no client behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from freehold.api.errors import unexpected
from freehold.api.exchange import Headers
from freehold.api.inference import refuse
from freehold.api.surfaces import CHAT, COMPLETION, EMBEDDING, MESSAGES, RESPONSES, Surface
from freehold.domain.errors.base import FreeholdError
from freehold.domain.identity import Principal
from freehold.domain.ports import IdSource
from freehold.domain.priority import Priority
from freehold.gateway.pipeline import Pipeline
from freehold.identity.access import INFER, authorise
from freehold.policy.text import format_label
from freehold.serving.overload import Door

ENDPOINTS: Mapping[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/embeddings": EMBEDDING,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
"""What the items of a batch may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """What an item got.

    Attributes:
        request_id: Also its receipt's id.
        status: As HTTP says it.
        body: JSON, as a client would have got it.
        error: What it met; ``None`` for a good answer.
        label: Of a good answer: with what its route says, as its receipt has it.
    """

    request_id: str
    status: int
    body: bytes
    error: FreeholdError | None = None
    label: str = ""


class Collected:
    """An exchange with nobody: keeps the answer. Implements ``exchange.Exchange`` as far as a whole answer needs it."""

    method = "POST"
    is_full = False

    def __init__(self, path: str) -> None:
        self.raw_path = path.encode()
        self.status = 0
        self.content = b""

    def header(self, name: bytes) -> str | None:  # noqa: ARG002 - there are none
        """Nothing."""
        return None

    async def body(self, *, limit_bytes: int) -> bytes:
        """It was read already."""
        raise RuntimeError(f"an item's body is not read again, whatever the limit ({limit_bytes})")

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Nobody leaves."""

    def reply(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:  # noqa: ARG002
        """Keep it."""
        self.status, self.content = status, body

    async def drained(self) -> None:
        """Returns at once."""

    def start(self, status: int, headers: Headers) -> NoReturn:
        """An item has a whole answer."""
        raise RuntimeError(f"a stream for an item of a batch: {status}, {len(headers)} fields")

    def write(self, data: bytes) -> NoReturn:
        """An item has a whole answer."""
        raise RuntimeError(f"a piece of a stream for an item of a batch: {len(data)} bytes")

    def end(self, data: bytes = b"") -> NoReturn:
        """An item has a whole answer."""
        raise RuntimeError(f"the end of a stream for an item of a batch: {len(data)} bytes")

    def abort(self) -> NoReturn:
        """An item has a whole answer."""
        raise RuntimeError("a stream of an item of a batch was broken off")


class ItemRunner:
    """Runs items.

    Args:
        pipeline: Answers them.
        ids: Ids of requests, which are also their receipts'.
        door: Refuses what there is no room for.
    """

    def __init__(self, *, pipeline: Pipeline, ids: IdSource, door: Door) -> None:
        self._pipeline = pipeline
        self._ids = ids
        self._door = door

    async def run(
        self, body: bytes, *, endpoint: str, principal: Principal, label: str, field: str | None = None
    ) -> ItemAnswer:
        """Run one item at the lowest priority. Cancelling it ends it at its engine too; it has a receipt then as well.

        Private documents are read with nobody's eyes: results lie in a file that every key of the tenant may fetch, so
        that only documents of all of the tenant are found for them (and see ``api.files.check_clearance``).

        Args:
            body: What is asked.
            endpoint: One of ``ENDPOINTS``.
            principal: As whom.
            label: Of the batch.
            field: Value of the header that is part of the request, where its surface has one.
        """
        surface, request_id, exchange = ENDPOINTS[endpoint], self._ids.new_id(), Collected(endpoint)
        met: FreeholdError | None = None
        labelled = ""
        try:
            authorise(principal, INFER)
            principal = replace(principal, user="", groups=frozenset())
            request = surface.decode(body, request_id=request_id, label_header=label, include_receipt=False)
            if surface.field:
                request = surface.with_field(request, field)
            request = replace(request, priority=Priority.BATCH, stream=False)
            if self._door.level:
                self._door.check(priority=Priority.BATCH, stream=False)
            receipt = await self._pipeline.answer(request, principal, surface.whole(exchange, request))
            labelled = format_label(receipt.label)
        except FreeholdError as error:
            met = error.again()
        except Exception as error:  # noqa: BLE001 - as in api/inference: a fault of ours is that item's result
            met = unexpected(error, error_id=request_id)
        if met is not None:
            refuse(exchange, None, met, request_id, surface)
        return ItemAnswer(
            request_id=request_id, status=exchange.status, body=exchange.content, error=met, label=labelled
        )
