"""A chat request in OpenAI's shape as the body of Anthropic's Messages API.

What the Messages API has no word for and what changes the answer is refused. Members that only label a call or hint at
something (``seed``, ``metadata``, ``prediction``…) are left out, and named; members that neither Freehold nor OpenAI
knows are passed on, as are a part's ``cache_control`` and a turn's ``content_blocks``.
"""

from __future__ import annotations

import base64
import re
from typing import Any, cast

import msgspec

from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.request import InferenceRequest, Native, Task, ToolChoice
from freehold.wire.openai_invalid import invalid, show, unsupported
from freehold.wire.openai_request import encode_fields
from freehold.wire.openai_schema import (
    AudioPart,
    ChatMessage,
    FilePart,
    FunctionTool,
    ImagePart,
    Part,
    RefusalPart,
    ResponseFormat,
    TextPart,
)

JsonObject = dict[str, Any]

MAX_TOKENS_DEFAULT = 4096
"""The Messages API demands a limit; this one holds where the client gives none."""

_SYSTEM = ("system", "developer")
_TEMPERATURE_MAX = 1.0
_DATA_URL = re.compile(r"^data:(?P<media>[a-z]+/[a-z0-9.+-]+);base64,(?P<data>[A-Za-z0-9+/=\s]+)$")
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = "application/pdf"
_PLAIN = "text/plain"
_CHOICES = {ToolChoice.AUTO: "auto", ToolChoice.NONE: "none", ToolChoice.REQUIRED: "any"}

_TRANSLATED = frozenset(
    {
        "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "stream", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "logprobs", "top_logprobs",
    }
)  # fmt: skip
LEFT_OUT = frozenset(
    {
        "metadata", "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "seed",
        "service_tier", "store", "user", "verbosity",
    }
)  # fmt: skip
_NEUTRAL = frozenset(
    {
        "best_of", "frequency_penalty", "logit_bias", "modalities", "n", "presence_penalty", "reasoning_effort",
        "stream_options",
    }
)  # fmt: skip
"""Translated, or refused where they would change the answer."""

_EFFORTS = {"minimal": "low", "xhigh": "max"}
_TIERS = {"auto": "auto", "default": "standard_only"}
_REFUSED = {"audio": "this model speaks no sound", "web_search_options": "this model searches by a tool of its own"}

_NOT_COUNTED = frozenset({"max_tokens", "stream", "stop_sequences", "temperature", "top_k", "top_p"})

_MESSAGES = msgspec.json.Decoder(list[ChatMessage])
_TOOLS = msgspec.json.Decoder(list[FunctionTool])
_FORMAT = msgspec.json.Decoder(ResponseFormat)
_ENCODER = msgspec.json.Encoder()


def encode_messages(request: InferenceRequest, *, model: str, deployment: str) -> bytes:
    """The body of ``POST /v1/messages``, always streamed.

    Args:
        request: A chat request, as decoded at the door.
        model: The model's name at the upstream.
        deployment: Named in errors.

    Raises:
        ContentUnsupported: It is no chat, or holds sound or files that the Messages API does not take.
        UnsupportedParameter: Log-probabilities, penalties, a temperature above 1, or JSON without a schema are asked
            for.
        FieldInvalid: An image's address or a tool call's arguments cannot be translated.
    """
    if request.task is not Task.CHAT:
        raise ContentUnsupported(deployment=deployment, content=f"{request.task.value} requests, only chat")
    _refuse_untranslatable(request)
    sampling = request.sampling
    turns = _MESSAGES.decode(request.fields["messages"])
    body: JsonObject = {
        name: msgspec.json.decode(raw)
        for name, raw in request.fields.items()
        if name not in _TRANSLATED and name not in LEFT_OUT and name not in _NEUTRAL
    }
    body |= {
        "model": model,
        "max_tokens": sampling.max_tokens or MAX_TOKENS_DEFAULT,
        "messages": _turns(turns, deployment),
        "stream": True,
    }
    if system := [_block(part, "", deployment) for turn in turns if turn.role in _SYSTEM for part in _parts(turn)]:
        body["system"] = system
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in _TOOLS.decode(request.fields["tools"])]
        body["tool_choice"] = _tool_choice(request)
    return _ENCODER.encode(body | call_members(request) | _form(request, body.get("output_config")))


def member(request: InferenceRequest, name: str) -> object:
    """A top-level member's value; ``None`` where it was not sent."""
    return msgspec.json.decode(request.fields.get(name, b"null"))


def call_members(request: InferenceRequest) -> JsonObject:
    """Who asks, and how urgent it is."""
    told: JsonObject = {}
    if user := member(request, "user") or member(request, "safety_identifier"):
        told["metadata"] = {"user_id": user}
    if (tier := _TIERS.get(str(member(request, "service_tier")))) is not None:
        told["service_tier"] = tier
    return told


def _form(request: InferenceRequest, given: object) -> JsonObject:
    """How the answer is to be, and how much is to be thought about it; ``given`` is what the client says itself."""
    config: JsonObject = dict(cast("JsonObject", given)) if isinstance(given, dict) else {}
    told: JsonObject = {}
    if request.response_schema_json is not None:
        schema = msgspec.json.decode(request.response_schema_json)
        config["format"] = {"type": "json_schema", "schema": schema}
    effort = member(request, "reasoning_effort")
    if effort == "none":
        told["thinking"] = {"type": "disabled"}
    elif isinstance(effort, str):
        config.setdefault("effort", _EFFORTS.get(effort, effort))
    return {**told, "output_config": config} if config else told


def encode_native(native: Native, *, asked_for: str, model: str, stream: bool, rebuild: bool) -> bytes:
    """The body of a request that came in this dialect: as it was sent, but for its model and whether it streams.

    Args:
        native: What was sent.
        asked_for: Its model's name.
        model: The model's name at the upstream.
        stream: Whether the answer comes as events.
        rebuild: As for ``openai_request.encode_body``.
    """
    overrides = {} if (native.fields.get("stream", b"false") == b"true") is stream else {"stream": stream}
    return encode_fields(native.fields, asked_for=asked_for, model=model, overrides=overrides, rebuild=rebuild)


def encode_count(native: Native, *, asked_for: str, model: str, rebuild: bool) -> bytes:
    """The body of ``POST /v1/messages/count_tokens``: what of a message is read, not how it is to be answered.

    Arguments as for ``encode_native``.
    """
    return encode_fields(native.fields, asked_for=asked_for, model=model, drop=_NOT_COUNTED, rebuild=rebuild)


def _refuse_untranslatable(request: InferenceRequest) -> None:
    sampling = request.sampling
    if sampling.logprobs:
        raise unsupported("logprobs", True, "this model's interface has no log-probabilities")
    if sampling.temperature is not None and sampling.temperature > _TEMPERATURE_MAX:
        raise unsupported("temperature", sampling.temperature, "this model takes 0 to 1")
    for name in ("frequency_penalty", "presence_penalty"):
        if request.fields.get(name, b"null") not in (b"null", b"0", b"0.0"):
            raise unsupported(name, msgspec.json.decode(request.fields[name]), "this model has no penalties")
    if bias := member(request, "logit_bias"):
        raise unsupported("logit_bias", bias, "this model's tokens cannot be weighted")
    if isinstance(modes := member(request, "modalities"), list) and modes != ["text"]:
        raise unsupported("modalities", cast("list[object]", modes), "this model answers in text")
    for name, reason in _REFUSED.items():
        if asked := member(request, name):
            raise unsupported(name, asked, reason)
    form = request.fields.get("response_format", b"null")
    if form != b"null" and _FORMAT.decode(form).type == "json_object":
        raise unsupported("response_format.type", "json_object", 'this model needs "json_schema" with a schema')


def _turns(turns: list[ChatMessage], deployment: str) -> list[JsonObject]:
    """Turns of the same role in a row become one: tool results stand before the user's next words."""
    merged: list[JsonObject] = []
    for place, turn in enumerate(turns):
        if turn.role in _SYSTEM:
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = _blocks(turn, f"messages[{place}]", deployment)
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"].extend(blocks)
        elif blocks:
            merged.append({"role": role, "content": blocks})
    return merged


def _blocks(turn: ChatMessage, path: str, deployment: str) -> list[JsonObject]:
    if turn.role in ("tool", "function"):
        content = [_block(part, f"{path}.content[{i}]", deployment) for i, part in enumerate(_parts(turn))]
        return [{"type": "tool_result", "tool_use_id": turn.tool_call_id or turn.name or "", "content": content}]
    thoughts, whole = _told_before(turn)
    if whole:
        return thoughts
    blocks = thoughts + [_block(part, f"{path}.content[{i}]", deployment) for i, part in enumerate(_parts(turn))]
    if turn.refusal:
        blocks.append(_text(turn.refusal))
    for index, call in enumerate(turn.tool_calls or ()):
        where = f"{path}.tool_calls[{index}].function.arguments"
        try:
            arguments: object = msgspec.json.decode(call.function.arguments or "{}")
        except msgspec.DecodeError:
            raise invalid(where, show(call.function.arguments), "it must be JSON for this model") from None
        if not isinstance(arguments, dict):
            raise invalid(where, show(call.function.arguments), "it must be a JSON object for this model")
        blocks.append({"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments})
    return blocks


def _told_before(turn: ChatMessage) -> tuple[list[JsonObject], bool]:
    """A turn's ``content_blocks``, and whether they are all of it.

    They are where they say the same as its text and calls; where a client has changed those, only the thoughts hold.
    """
    blocks = turn.content_blocks or []
    text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
    calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    said = "".join(part.text for part in _parts(turn) if isinstance(part, TextPart))
    if blocks and text == said and calls == [call.id for call in turn.tool_calls or ()]:
        return blocks, True
    return [block for block in blocks if block.get("type") in ("thinking", "redacted_thinking")], False


def _block(part: Part, path: str, deployment: str) -> JsonObject:
    match part:
        case TextPart():
            return _text(part.text) | _hint(part.cache_control)
        case RefusalPart():
            return _text(part.refusal)
        case ImagePart():
            source = _image(part.image_url.url, f"{path}.image_url.url")
            return {"type": "image", "source": source} | _hint(part.cache_control)
        case FilePart():
            title = {"title": part.file.filename} if part.file.filename else {}
            return {"type": "document", "source": _document(part, deployment), **title} | _hint(part.cache_control)
        case AudioPart():
            raise ContentUnsupported(deployment=deployment, content="sound")


def _hint(cache_control: object) -> JsonObject:
    return {} if cache_control is None else {"cache_control": cache_control}


def _document(part: FilePart, deployment: str) -> JsonObject:
    found = _DATA_URL.match(part.file.file_data or "")
    if found is not None and found["media"] == _PDF:
        return _base64(found)
    if found is not None and found["media"] == _PLAIN:
        try:
            text = base64.b64decode("".join(found["data"].split()), validate=True).decode()
        except ValueError:
            raise ContentUnsupported(deployment=deployment, content="a text file that is not UTF-8 in base64") from None
        return {"type": "text", "media_type": _PLAIN, "data": text}
    raise ContentUnsupported(deployment=deployment, content="files other than PDF and plain text sent as data URL")


def _image(url: str, path: str) -> JsonObject:
    if url.startswith("https://"):
        return {"type": "url", "url": url}
    found = _DATA_URL.match(url)
    if found is None or found["media"] not in _IMAGES:
        raise invalid(path, show(url), "it must be https://… or data:image/png|jpeg|gif|webp;base64,…")
    return _base64(found)


def _base64(found: re.Match[str]) -> JsonObject:
    return {"type": "base64", "media_type": found["media"], "data": "".join(found["data"].split())}


def _parts(turn: ChatMessage) -> list[Part]:
    """A turn's parts without empty texts, which the Messages API refuses."""
    parts = [TextPart(text=turn.content)] if isinstance(turn.content, str) else turn.content or []
    return [part for part in parts if not isinstance(part, TextPart) or part.text]


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _tool(tool: FunctionTool) -> JsonObject:
    function = tool.function
    schema = function.parameters or {"type": "object", "properties": {}}
    description = {"description": function.description} if function.description else {}
    strict = {"strict": True} if function.strict else {}
    return {"name": function.name, **description, "input_schema": schema, **strict} | _hint(tool.cache_control)


def _tool_choice(request: InferenceRequest) -> JsonObject:
    if request.tool_choice is ToolChoice.NAMED:
        choice: JsonObject = {"type": "tool", "name": request.tool_name}
    else:
        choice = {"type": _CHOICES[request.tool_choice]}
    if request.fields.get("parallel_tool_calls") == b"false" and request.tool_choice is not ToolChoice.NONE:
        choice["disable_parallel_tool_use"] = True
    return choice
