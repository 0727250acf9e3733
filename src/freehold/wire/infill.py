"""``/infill`` of llama.cpp's server, which editors ask to fill a gap: as a completion with a suffix, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct

from freehold.domain.errors.base import FreeholdError
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import field_invalid
from freehold.wire.openai_request import decode_completion
from freehold.wire.openai_response import error_event
from freehold.wire.openai_schema import TOKENS_MAX
from freehold.wire.openai_usage import render_timings
from freehold.wire.openai_whole import Aggregator
from freehold.wire.sse import encode_data

JsonObject = dict[str, Any]

_MODEL = "auto"
_NOTHING = object()
_LEFT_OUT = ("cache_prompt", "id_slot")
"""Slots of the engine are not the client's to choose."""

_TRANSLATED = frozenset({"input_prefix", "input_suffix", "prompt", "n_predict", "response_fields", *_LEFT_OUT})
_PATHS_MAX, _PATH_CHARACTERS_MAX = 64, 128
_ENCODER = msgspec.json.Encoder()

Path = Annotated[str, Meta(max_length=_PATH_CHARACTERS_MAX)]
"""Of a member of the answer: ``timings/prompt_n``."""


class Piece(Struct):
    """A piece of another file."""

    filename: str = ""
    text: str = ""


class InfillBody(Struct, kw_only=True):
    """``POST /infill``, as far as it is decided on."""

    input_prefix: str = ""
    input_suffix: str = ""
    prompt: str = ""
    input_extra: list[Piece] | None = None
    n_predict: Annotated[int, Meta(ge=-1, le=TOKENS_MAX)] | None = None
    response_fields: Annotated[list[Path], Meta(max_length=_PATHS_MAX)] | None = None


def decode_infill(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /infill``; arguments and errors as ``openai_request.decode_chat``.

    ``response_fields`` names the only members of the answer that the client wants, as llama.cpp's server has it.
    ``prompt`` is what was typed since the prefix was sent, so the gap begins behind it.
    """
    document = decode_document(raw)
    try:
        body = msgspec.convert(document.values, InfillBody)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values) from None
    members: JsonObject = {name: value for name, value in document.values.items() if name not in _TRANSLATED}
    members.setdefault("model", _MODEL)
    members |= {"prompt": body.input_prefix + body.prompt, "suffix": body.input_suffix}
    if body.n_predict is not None and body.n_predict >= 0:
        # Editors ask for no token to have a prompt read in advance; one is the least that engines make.
        members["max_tokens"] = max(1, body.n_predict)
    request = decode_completion(
        _ENCODER.encode(members), request_id=request_id, label_header=label_header, include_receipt=include_receipt
    )
    left_out = tuple(name for name in _LEFT_OUT if document.values.get(name) is not None)
    return replace(request, left_out=left_out, answer_paths=tuple(body.response_fields or ()))


def pieces_of(request: InferenceRequest) -> list[Piece]:
    """The pieces of other files that a request to fill a gap brings along.

    Raises:
        FieldInvalid: They are not a list of ``{"filename", "text"}``.
    """
    raw = request.fields.get("input_extra")
    if raw is None:
        return []
    values: JsonObject = {"input_extra": msgspec.json.decode(raw)}
    try:
        return msgspec.convert(values, InfillBody).input_extra or []
    except msgspec.ValidationError as error:
        raise field_invalid(error, values) from None


class InfillEvents:
    """The events of one streamed answer; the last one says ``"stop": true``.

    Args:
        request: What the client asked for.
    """

    __slots__ = ("_request",)

    def __init__(self, request: InferenceRequest) -> None:
        self._request = request

    def add(self, chunk: ResponseChunk) -> bytes:
        """The event that one of a completion comes to; empty for none."""
        return encode_data({"index": 0, "content": chunk.text, "stop": False}) if chunk.text else b""

    def end(self, receipt: Receipt) -> bytes:
        """The event with which a whole answer ends."""
        return encode_data(_ended("", self._request, receipt))

    def error(self, error: FreeholdError) -> bytes:
        """The error as an event; the last one never follows it."""
        return error_event(error, error_id=self._request.id)


def infill_of(answer: Aggregator, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The object of a whole answer."""
    return _ended(answer.text, request, receipt)


def _ended(text: str, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    answered, usage = receipt.answered_by, receipt.answer_usage
    is_cut = answered is not None and answered.finish_reason is FinishReason.LENGTH
    whole: JsonObject = {
        "index": 0,
        "content": text,
        "stop": True,
        "model": request.model,
        "stop_type": "limit" if is_cut else "eos",
        "stopping_word": "",
        "truncated": False,
        "tokens_cached": usage.cached_tokens,
        "tokens_evaluated": usage.input_tokens,
        "tokens_predicted": usage.output_tokens,
    }
    if answered is not None and answered.timings is not None:
        whole["timings"] = render_timings(answered.timings)
    return _only(whole, request.answer_paths) if request.answer_paths else whole


def _only(whole: JsonObject, paths: tuple[str, ...]) -> JsonObject:
    """Those members of an answer, each under its path; a path that leads nowhere names none."""
    found: JsonObject = {}
    for path in paths:
        value: object = whole
        for name in path.split("/"):
            value = _member(value, name)
        if value is not _NOTHING:
            found[path] = value
    return found


def _member(value: object, name: str) -> object:
    return cast("JsonObject", value).get(name, _NOTHING) if isinstance(value, dict) else _NOTHING
