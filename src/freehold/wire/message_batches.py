"""Batches as Anthropic's clients know them. Inside they are the same: a file of items that ask ``/v1/messages``."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from freehold.domain.batch import Batch, BatchFault, BatchState
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.batch import BatchCancelled, BatchExpired
from freehold.domain.errors.request import FieldInvalid
from freehold.wire.batch_lines import InputLine, ResultLines, decode_line
from freehold.wire.body import decode_document
from freehold.wire.messages_response import messages_error
from freehold.wire.ollama_response import moment
from freehold.wire.openai_invalid import show
from freehold.wire.openai_response import encode_json

JsonObject = dict[str, Any]

ENDPOINT = "/v1/messages"

_CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUS = {BatchState.CANCELLING: "canceling"}


class _Asked(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


_REQUESTS = msgspec.json.Decoder(list[_Asked])


def input_lines(raw: bytes, *, items_max: int) -> list[bytes]:
    """The lines of an input file from the body that creates a batch.

    Raises:
        BodyNotJson: It is no JSON.
        FieldInvalid: ``requests`` is not what it should be.
    """
    members = decode_document(raw).members
    try:
        requests = _REQUESTS.decode(members.get("requests", b"[]"))
    except msgspec.ValidationError as error:
        raise _invalid("requests", "no such list", str(error)) from None
    if not 0 < len(requests) <= items_max:
        raise _invalid("requests", f"a list of {len(requests)}", f"1 to {items_max} are taken")
    names: set[str] = set()
    lines: list[bytes] = []
    for place, asked in enumerate(requests):
        where, params = f"requests[{place}]", bytes(asked.params)
        if not _CUSTOM_ID.fullmatch(asked.custom_id):
            reason = "1 to 64 letters, digits, _ and - are taken"
            raise _invalid(f"{where}.custom_id", show(asked.custom_id), reason)
        if asked.custom_id in names:
            raise _invalid(f"{where}.custom_id", show(asked.custom_id), "a request before it has the same one")
        names.add(asked.custom_id)
        line = _line(asked.custom_id, params)
        item = decode_line(InputLine(place, place + 1, line.rstrip()), endpoint=ENDPOINT, line_bytes_max=len(line))
        if isinstance(item, BatchFault):
            raise _invalid(f"{where}.params", "no request", item.message)
        lines.append(line)
    return lines


def _line(custom_id: str, params: bytes) -> bytes:
    head = encode_json({"custom_id": custom_id, "method": "POST", "url": ENDPOINT})[:-1]
    return b'%b,"body":%b}\n' % (head, _one_line(params))


def _one_line(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1) if b"\n" in text or b"\r" in text else text


def _invalid(field: str, value: str, reason: str) -> FieldInvalid:
    return FieldInvalid(param=field, field=field, value=value, reason=reason)


def message_batch_object(batch: Batch, *, address: str) -> JsonObject:
    """A batch.

    Args:
        batch: Which.
        address: This server's, as its client knows it.
    """
    moments = batch.moments
    ended_ms = moments.get(batch.state.value) if batch.is_over else None
    cancelled_ms = moments.get(BatchState.CANCELLING.value)
    is_cancelled = batch.state is BatchState.CANCELLED
    left_out = batch.unanswered if batch.state in (BatchState.CANCELLED, BatchState.EXPIRED) else 0
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.is_over else _STATUS.get(batch.state, "in_progress"),
        "request_counts": {
            "processing": 0 if batch.is_over else batch.total,
            "succeeded": batch.completed if batch.is_over else 0,
            "errored": batch.failed - left_out if batch.is_over else 0,
            "canceled": left_out if is_cancelled else 0,
            "expired": 0 if is_cancelled else left_out,
        },
        "created_at": moment(batch.created_unix_ms),
        "expires_at": moment(batch.expires_unix_ms),
        "ended_at": None if ended_ms is None else moment(ended_ms),
        "cancel_initiated_at": None if cancelled_ms is None else moment(cancelled_ms),
        "archived_at": None,
        "results_url": f"{address}{ENDPOINT}/batches/{batch.id}/results" if batch.output_file_id else None,
    }


def message_page_object(objects: list[JsonObject], *, limit: int) -> JsonObject:
    """A page of objects, of which one more was looked for than are shown."""
    shown = objects[:limit]
    return {
        "data": shown,
        "has_more": len(objects) > limit,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _answered(_item_id: str, custom_id: str, *, status: int, request_id: str, body: bytes) -> bytes:  # noqa: ARG001 - as OpenAI's
    """The result line of an item that was answered, well or with an error."""
    is_good = status == 200
    head = encode_json({"custom_id": custom_id})[:-1]
    kind, member = (b"succeeded", b"message") if is_good else (b"errored", b"error")
    return b'%b,"result":{"type":"%b","%b":%b}}' % (head, kind, member, _one_line(body))


def _unanswered(item_id: str, custom_id: str, error: FreeholdError) -> bytes:
    """The result line of an item that was never run."""
    result: JsonObject = {"type": "errored", "error": messages_error(error, error_id=item_id)}
    if isinstance(error, BatchCancelled):
        result = {"type": "canceled"}
    elif isinstance(error, BatchExpired):
        result = {"type": "expired"}
    return encode_json({"custom_id": custom_id, "result": result})


MESSAGES_LINES = ResultLines(_answered, _unanswered, is_one_file=True)
"""All results in one file, as Anthropic's clients read them."""
