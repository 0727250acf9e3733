"""A chat request in OpenAI's shape as the body of Anthropic's Messages API.

What the Messages API has no word for and what changes the answer is refused. Members that only tune or label a call
(``seed``, ``user``, ``logit_bias``…) are left out; members that neither Freehold nor OpenAI knows are passed on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec

from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.request import InferenceRequest, Task, ToolChoice
from freehold.wire.openai_invalid import invalid, show, unsupported
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

_TEMPERATURE_MAX = 1.0
_DATA_URL = re.compile(r"^data:(?P<media>[a-z]+/[a-z0-9.+-]+);base64,(?P<data>[A-Za-z0-9+/=\s]+)$")
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF = "application/pdf"
_CHOICES = {ToolChoice.AUTO: "auto", ToolChoice.NONE: "none", ToolChoice.REQUIRED: "any"}

_TRANSLATED = frozenset(
    {
        "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "stream", "tools",
        "tool_choice", "parallel_tool_calls", "response_format", "logprobs", "top_logprobs",
    }
)  # fmt: skip
_LEFT_OUT = frozenset(
    {
        "best_of", "frequency_penalty", "logit_bias", "metadata", "modalities", "n", "prediction", "presence_penalty",
        "prompt_cache_key", "reasoning_effort", "safety_identifier", "seed", "service_tier", "store", "stream_options",
        "user", "verbosity",
    }
)  # fmt: skip

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
        if name not in _TRANSLATED and name not in _LEFT_OUT
    }
    body |= {
        "model": model,
        "max_tokens": sampling.max_tokens or MAX_TOKENS_DEFAULT,
        "messages": _turns(turns, deployment),
        "stream": True,
    }
    if system := [_text(part) for turn in turns if turn.role in ("system", "developer") for part in _texts(turn)]:
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
    if request.response_schema_json is not None:
        schema = msgspec.json.decode(request.response_schema_json)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    return _ENCODER.encode(body)


def encode_count(request: InferenceRequest, *, model: str, deployment: str) -> bytes:
    """The body of ``POST /v1/messages/count_tokens``: what of a message is read, not how it is to be answered.

    Arguments and errors as ``encode_messages``.
    """
    chat = replace(request, task=Task.CHAT)
    body: JsonObject = msgspec.json.decode(encode_messages(chat, model=model, deployment=deployment))
    return _ENCODER.encode({name: value for name, value in body.items() if name not in _NOT_COUNTED})


def _refuse_untranslatable(request: InferenceRequest) -> None:
    sampling = request.sampling
    if sampling.logprobs:
        raise unsupported("logprobs", True, "this model's interface has no log-probabilities")
    if sampling.temperature is not None and sampling.temperature > _TEMPERATURE_MAX:
        raise unsupported("temperature", sampling.temperature, "this model takes 0 to 1")
    for name in ("frequency_penalty", "presence_penalty"):
        if request.fields.get(name, b"null") not in (b"null", b"0", b"0.0"):
            raise unsupported(name, msgspec.json.decode(request.fields[name]), "this model has no penalties")
    form = request.fields.get("response_format", b"null")
    if form != b"null" and _FORMAT.decode(form).type == "json_object":
        raise unsupported("response_format.type", "json_object", 'this model needs "json_schema" with a schema')


def _turns(turns: list[ChatMessage], deployment: str) -> list[JsonObject]:
    """Turns of the same role in a row become one: tool results stand before the user's next words."""
    merged: list[JsonObject] = []
    for place, turn in enumerate(turns):
        if turn.role in ("system", "developer"):
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
    blocks = [_block(part, f"{path}.content[{i}]", deployment) for i, part in enumerate(_parts(turn))]
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


def _block(part: Part, path: str, deployment: str) -> JsonObject:
    match part:
        case TextPart():
            return _text(part.text)
        case RefusalPart():
            return _text(part.refusal)
        case ImagePart():
            return {"type": "image", "source": _image(part.image_url.url, f"{path}.image_url.url")}
        case FilePart():
            found = _DATA_URL.match(part.file.file_data or "")
            if found is None or found["media"] != _PDF:
                raise ContentUnsupported(deployment=deployment, content="files other than PDF sent as data URL")
            return {"type": "document", "source": _base64(found)}
        case AudioPart():
            raise ContentUnsupported(deployment=deployment, content="sound")


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


def _texts(turn: ChatMessage) -> list[str]:
    return [part.text for part in _parts(turn) if isinstance(part, TextPart)]


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _tool(tool: FunctionTool) -> JsonObject:
    function = tool.function
    schema = function.parameters or {"type": "object", "properties": {}}
    description = {"description": function.description} if function.description else {}
    strict = {"strict": True} if function.strict else {}
    return {"name": function.name, **description, "input_schema": schema, **strict}


def _tool_choice(request: InferenceRequest) -> JsonObject:
    if request.tool_choice is ToolChoice.NAMED:
        choice: JsonObject = {"type": "tool", "name": request.tool_name}
    else:
        choice = {"type": _CHOICES[request.tool_choice]}
    if request.fields.get("parallel_tool_calls") == b"false" and request.tool_choice is not ToolChoice.NONE:
        choice["disable_parallel_tool_use"] = True
    return choice
