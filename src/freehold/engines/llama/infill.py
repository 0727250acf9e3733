"""Fill-in-the-middle: ``/v1/completions`` with a ``suffix``.

llama.cpp's own ``/infill`` knows a model's special tokens, but cuts what is before the gap to three quarters of a batch
and what is behind it to a quarter, and our batches are small. So a child is asked once how it would write the prompt,
and after that gets whole prompts over ``/v1/completions``. Where that is not known, ``/infill`` is used and its events
are translated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from freehold.domain.request import InferenceRequest
from freehold.engines.base import Reply
from freehold.wire.infill import Piece, pieces_of
from freehold.wire.sse import DONE, SseParser, encode_data

DROPPED = ("prompt", "suffix", "max_tokens", "logprobs", "echo", "best_of", "n")
"""Members of a completion that ``/infill`` calls otherwise or does not have."""

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_BEFORE_GAP, _BEHIND_GAP = "alpha", "omega"
_PIECES = (("beta", "gamma"), ("delta", "epsilon"))
_EXTRA_BYTES_PER_TOKEN = 2
"""Code has more; what does not surely fit beside the prompt is left out, as llama.cpp does it."""

FORM_REQUEST: Mapping[str, object] = {
    "input_extra": [{"filename": name, "text": text} for name, text in _PIECES],
    "input_prefix": _BEFORE_GAP,
    "input_suffix": _BEHIND_GAP,
    "n_predict": 1,
    "cache_prompt": False,
}
"""Body of the call to ``/infill`` whose answer ``read_form`` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceForm:
    """How a piece of another file is written before the prompt.

    Attributes:
        separator: Before each.
        named: What is behind the file's name; ``None`` where names are not written.
    """

    separator: str
    named: str | None

    def write(self, piece: Piece) -> str:
        """One of them."""
        name = "" if self.named is None else (piece.filename or "tmp") + self.named
        return f"{self.separator}{name}{piece.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InfillForm:
    """How a model's prompt for fill-in-the-middle is written: texts of special tokens around what is given.

    Attributes:
        head: Before everything.
        before: Between pieces of other files and the text before the gap.
        middle: At the gap.
        tail: Behind the text behind the gap.
        pieces: How those pieces are written; ``None`` where that is not known, then they are left out.
    """

    head: str
    before: str = ""
    middle: str
    tail: str
    pieces: PieceForm | None = None

    def prompt(self, request: InferenceRequest, *, context_tokens: int) -> str:
        """The prompt for the gap of ``request``, with as many of the last pieces as surely fit in half the context.

        Raises:
            FieldInvalid: The pieces are not what they should be.
        """
        suffix = request.suffix or ""
        extra = ""
        if self.pieces is not None and (given := pieces_of(request)):
            room = context_tokens - (request.sampling.max_tokens or 0)
            room_bytes = _EXTRA_BYTES_PER_TOKEN * room - len(request.prompt.encode()) - len(suffix.encode())
            extra = _last(map(self.pieces.write, reversed(given)), min(room_bytes, context_tokens))
        return f"{self.head}{extra}{self.before}{request.prompt}{self.middle}{suffix}{self.tail}"


def _last(written: Iterable[str], room_bytes: int) -> str:
    kept: list[str] = []
    for text in written:
        room_bytes -= len(text.encode())
        if room_bytes < 0:
            break
        kept.append(text)
    return "".join(reversed(kept))


def read_form(answer: Mapping[str, object], *, bos: str) -> InfillForm | None:
    """The form, read from the prompt that ``/infill`` says it made of ``FORM_REQUEST``; ``None`` where it does not say.

    Args:
        answer: What ``/infill`` answered.
        bos: Text of the token that begins every prompt; llama.cpp puts it in front by itself.
    """
    written = str(answer.get("prompt") or "")
    if written.count(_BEFORE_GAP) != 1 or written.count(_BEHIND_GAP) != 1:
        return None
    if bos:
        written = written.removeprefix(bos)
    head, _, rest = written.partition(_BEFORE_GAP)
    middle, found, tail = rest.partition(_BEHIND_GAP)
    if not found or not (head or middle or tail):
        return None
    pieces, before = _read_pieces(head)
    if pieces is None:
        return InfillForm(head=head, middle=middle, tail=tail)
    head = head[: head.index(pieces.write(Piece(*_PIECES[0])))]
    return InfillForm(head=head, before=before, middle=middle, tail=tail, pieces=pieces)


def _read_pieces(head: str) -> tuple[PieceForm | None, str]:
    """How the two pieces of the trial stand in what is before the gap, and what is behind them."""
    (first, text), (second, other) = _PIECES
    _, found, rest = head.partition(text)
    between, ended, before = rest.partition(other)
    if not found or not ended:
        return None, ""
    separator, is_named, named = between.partition(second)
    form = PieceForm(separator=separator, named=named if is_named else None)
    whole = form.write(Piece(first, text)) + form.write(Piece(second, other))
    return (form, before) if head.count(whole) == 1 else (None, "")


def infill_members(request: InferenceRequest) -> dict[str, object]:
    """What ``/infill`` calls otherwise than a completion."""
    members: dict[str, object] = {"input_prefix": request.prompt, "input_suffix": request.suffix or ""}
    if request.sampling.max_tokens is not None:
        members["n_predict"] = request.sampling.max_tokens
    return members


class InfillReply:
    """A reply of ``/infill`` that reads like one of ``/v1/completions``."""

    def __init__(self, reply: Reply, *, request_id: str, created_unix_s: int) -> None:
        self._reply = reply
        self._frame = {"id": f"cmpl-{request_id}", "object": "text_completion", "created": created_unix_s}

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields, names in lower case."""
        return self._reply.headers

    async def read(self, *, limit_bytes: int) -> bytes:
        """The whole body; only errors are read so, and they need no translation."""
        return await self._reply.read(limit_bytes=limit_bytes)

    def abort(self) -> None:
        """Close the connection now."""
        self._reply.abort()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The events of a completion, each as it arrives."""
        parser = SseParser()
        async with aclosing(self._reply.pieces()) as pieces:
            async for piece in pieces:
                for event in parser.feed(piece):
                    yield self._translate(event.data)

    def _translate(self, data: bytes) -> bytes:
        """One event. What is not an infill event is left to the reader of completions to complain about."""
        try:
            event = _OBJECT.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return encode_data(data)
        if "content" not in event:
            return encode_data(event)
        tokens = cast("list[object] | None", event.get("completion_probabilities"))
        ended = bool(event.get("stop"))
        chunk: dict[str, object] = {
            **self._frame,
            "choices": [
                {
                    "index": 0,
                    "text": event["content"],
                    "logprobs": {"content": tokens} if tokens else None,
                    "finish_reason": ("length" if event.get("stop_type") == "limit" else "stop") if ended else None,
                }
            ],
        }
        chunk |= {name: event[name] for name in ("timings", "prompt_progress") if name in event}
        if not ended:
            return encode_data(chunk)
        chunk["usage"] = _usage(event)
        return encode_data(chunk) + DONE


def _usage(event: Mapping[str, Any]) -> dict[str, object]:
    prompt, answer = int(event.get("tokens_evaluated", 0)), int(event.get("tokens_predicted", 0))
    cached = int(cast("dict[str, Any]", event.get("timings") or {}).get("cache_n", 0))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
