"""Fill-in-the-middle: ``/v1/completions`` with a ``suffix``.

llama.cpp's own ``/infill`` knows a model's special tokens, but cuts what is before the gap to three quarters of a batch
and what is behind it to a quarter, and our batches are small. So a child is asked once how it would write the prompt,
and after that gets whole prompts over ``/v1/completions``. Where that is not known, ``/infill`` is used and its events
are translated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from freehold.domain.request import InferenceRequest
from freehold.engines.base import Reply
from freehold.wire.sse import DONE, SseParser, encode_data

DROPPED = ("prompt", "suffix", "max_tokens", "logprobs", "echo", "best_of", "n")
"""Members of a completion that ``/infill`` calls otherwise or does not have."""

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_BEFORE_GAP, _BEHIND_GAP = "alpha", "omega"

FORM_REQUEST: Mapping[str, object] = {
    "input_prefix": _BEFORE_GAP,
    "input_suffix": _BEHIND_GAP,
    "n_predict": 1,
    "cache_prompt": False,
}
"""Body of the call to ``/infill`` whose answer ``read_form`` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfillForm:
    """How a model's prompt for fill-in-the-middle is written: three texts of special tokens around the two given."""

    head: str
    middle: str
    tail: str

    def prompt(self, request: InferenceRequest) -> str:
        """The prompt for the gap of ``request``."""
        return f"{self.head}{request.prompt}{self.middle}{request.suffix or ''}{self.tail}"


def read_form(answer: Mapping[str, object], *, bos: str) -> InfillForm | None:
    """The form, read from the prompt that ``/infill`` says it made of ``FORM_REQUEST``; ``None`` where it does not say.

    Args:
        answer: What ``/infill`` answered.
        bos: Text of the token that begins every prompt; llama.cpp puts it in front by itself.
    """
    written = str(answer.get("prompt") or "")
    if written.count(_BEFORE_GAP) != 1 or written.count(_BEHIND_GAP) != 1:
        return None
    head, _, rest = written.partition(_BEFORE_GAP)
    middle, found, tail = rest.partition(_BEHIND_GAP)
    if bos:
        head = head.removeprefix(bos)
    return InfillForm(head=head, middle=middle, tail=tail) if found and (head or middle or tail) else None


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
