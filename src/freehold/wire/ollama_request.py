"""Requests of Ollama's API as what they are: chats, texts to continue, texts to embed.

Answers are streamed unless the client says otherwise, as Ollama has it. What says how a model is to be loaded
(``keep_alive``, ``num_ctx``…) is left out: the configuration decides that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar, cast

import msgspec
from msgspec.structs import asdict

from freehold.domain.request import InferenceRequest
from freehold.wire.body import Document, decode_document
from freehold.wire.ollama_schema import ALLOWED, Asked, OllamaChat, OllamaEmbed, OllamaGenerate, Options, Turn
from freehold.wire.openai_invalid import field_invalid, unsupported
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding

JsonObject = dict[str, Any]
_Kind = TypeVar("_Kind")

_CHAT = frozenset({"messages", "format", "options", "keep_alive", "tools"})
_GENERATE = frozenset(
    {"prompt", "system", "suffix", "images", "raw", "template", "context", "format", "options", "keep_alive"}
)
_EMBED = frozenset({"options", "keep_alive", "truncate"})
_SAME_NAME = (
    "temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop", "repeat_penalty", "presence_penalty",
    "frequency_penalty",
)  # fmt: skip
_OPTIONS = frozenset({*_SAME_NAME, "num_predict"})
_MEDIA = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
_ENCODER = msgspec.json.Encoder()


def decode_ollama_chat(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /api/chat``; arguments and errors as ``openai_request.decode_chat``."""
    document = decode_document(raw)
    body = _convert(document, OllamaChat)
    members = _members(document, body, leave_out=_CHAT)
    members["messages"] = _turns(body.messages)
    if body.tools:
        members["tools"] = body.tools
    return decode_chat(
        _ENCODER.encode(members),
        request_id=request_id,
        label_header=label_header,
        include_receipt=include_receipt,
        left_out=_left_out(document),
    )


def decode_ollama_generate(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /api/generate``; arguments and errors as ``openai_request.decode_chat``.

    A prompt is a user's turn, as Ollama puts it into the model's template; with ``raw`` or a ``suffix`` it is a text to
    continue.

    Raises:
        UnsupportedParameter: A ``template`` or a ``context`` of earlier tokens is sent; or images or ``system`` beside
            ``raw``.
    """
    document = decode_document(raw)
    body = _convert(document, OllamaGenerate)
    for name, value, reason in (
        (
            "template",
            body.template,
            "a template is code that would run in the engine; set it where the model is deployed",
        ),
        ("context", body.context, "token numbers mean something else to every model; send earlier turns to /api/chat"),
    ):
        if value:
            raise unsupported(name, value, reason)
    members = _members(document, body, leave_out=_GENERATE)
    more: JsonObject = {"request_id": request_id, "label_header": label_header, "include_receipt": include_receipt}
    if body.raw or body.suffix is not None:
        if body.images:
            reason = "a text to continue holds no images; leave out raw and suffix"
            raise unsupported("images", body.images, reason)
        if body.raw and body.system:
            raise unsupported("system", body.system, "a raw prompt is all that the model gets; put it there")
        members["prompt"] = f"{body.system}\n\n{body.prompt}" if body.system else body.prompt
        if body.suffix is not None:
            members["suffix"] = body.suffix
        return replace(decode_completion(_ENCODER.encode(members), **more), left_out=_left_out(document))
    system = [Turn(role="system", content=body.system)] if body.system else []
    members["messages"] = _turns([*system, Turn(role="user", content=body.prompt, images=body.images)])
    return decode_chat(_ENCODER.encode(members), left_out=_left_out(document), **more)


def decode_ollama_embed(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /api/embed``; arguments and errors as ``openai_request.decode_chat``."""
    document = decode_document(raw)
    body = _convert(document, OllamaEmbed)
    members = {name: value for name, value in document.values.items() if name not in _EMBED}
    request = decode_embedding(
        _ENCODER.encode(members), request_id=request_id, label_header=label_header, include_receipt=include_receipt
    )
    left_out = tuple(name for name in ("keep_alive", "options") if document.values.get(name))
    return replace(request, cuts=bool(body.truncate), left_out=left_out) if body.truncate or left_out else request


def _convert(document: Document, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(document.values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=ALLOWED) from None


def _members(document: Document, body: Asked, *, leave_out: frozenset[str]) -> JsonObject:
    members: JsonObject = {name: value for name, value in document.values.items() if name not in leave_out}
    members["stream"] = body.stream is not False
    if body.options is not None:
        members |= _sampling(body.options)
    if isinstance(body.format, dict):
        schema = {"name": "answer", "schema": body.format, "strict": True}
        members["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif body.format:
        members["response_format"] = {"type": "json_object"}
    return members


def _left_out(document: Document) -> tuple[str, ...]:
    """What says how a model is to be loaded, and what else of ``options`` has no place in a chat."""
    given: object = document.values.get("options")
    names = [f"options.{name}" for name in (cast("JsonObject", given) if given else {}) if name not in _OPTIONS]
    return ("keep_alive", *names) if document.values.get("keep_alive") is not None else tuple(names)


def _sampling(options: Options) -> JsonObject:
    given = {name: value for name, value in asdict(options).items() if name in _SAME_NAME and value is not None}
    if options.num_predict is not None and options.num_predict > 0:  # less than that: no limit
        given["max_tokens"] = options.num_predict
    return given


def _turns(turns: Iterable[Turn]) -> list[JsonObject]:
    """Turns of chat, whose tools' results say which call they answer: Ollama's follow their calls in order."""
    told: list[JsonObject] = []
    waiting: list[tuple[str, str]] = []
    number = 0
    for turn in turns:
        if turn.role == "tool":
            identifier = turn.tool_call_id or _answered(waiting, turn.tool_name)
            told.append({"role": "tool", "tool_call_id": identifier, "content": turn.content or ""})
            continue
        made: JsonObject = {"role": turn.role, "content": _content(turn)}
        if turn.thinking:
            made["reasoning_content"] = turn.thinking
        if turn.tool_calls:
            calls: list[JsonObject] = []
            for call in turn.tool_calls:
                identifier = call.id or f"call_{number}"
                number += 1
                waiting.append((call.function.name, identifier))
                arguments = _ENCODER.encode(call.function.arguments or {}).decode()
                function = {"name": call.function.name, "arguments": arguments}
                calls.append({"id": identifier, "type": "function", "function": function})
            made["tool_calls"] = calls
        told.append(made)
    return told


def _answered(waiting: list[tuple[str, str]], name: str | None) -> str:
    """The call that a result answers: the first that waits, of that name where one is given."""
    for place, (called, identifier) in enumerate(waiting):
        if name is None or called == name:
            del waiting[place]
            return identifier
    return name or "call"


def _content(turn: Turn) -> str | list[JsonObject]:
    if not turn.images:
        return turn.content or ""
    parts: list[JsonObject] = [{"type": "text", "text": turn.content}] if turn.content else []
    return [*parts, *({"type": "image_url", "image_url": {"url": _data_url(image)}} for image in turn.images)]


def _data_url(image: str) -> str:
    """Base64 without a word of what it is: its first characters tell."""
    media = next((media for start, media in _MEDIA.items() if image.startswith(start)), "image/png")
    return f"data:{media};base64,{image}"
