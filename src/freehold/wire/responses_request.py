"""Requests of OpenAI's Responses API as the chats that they are.

Freehold keeps no answers: what points at one that was kept (``previous_response_id``, ``conversation``, an
``item_reference``) is refused, and so are tools that OpenAI runs. ``store`` changes no answer and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar, cast

import msgspec

from freehold.domain.request import InferenceRequest
from freehold.domain.vault import VaultAsk
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import field_invalid, invalid, unsupported
from freehold.wire.openai_request import decode_chat
from freehold.wire.responses_schema import (
    ALLOWED,
    FunctionCallItem,
    FunctionOutputItem,
    FunctionTool,
    InputFile,
    InputImage,
    InputText,
    MessageItem,
    NamedTool,
    OutputText,
    Part,
    ReasoningItem,
    Refusal,
    ResponsesBody,
    TextFormat,
)
from freehold.wire.thoughts import unsealed
from freehold.wire.vault_ask import FILE_SEARCH, FILE_SEARCH_CALL, asked_by_tool

JsonObject = dict[str, Any]
_Kind = TypeVar("_Kind")

_TRANSLATED = frozenset(
    {
        "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning", "include", "store",
        "background", "previous_response_id", "conversation", "prompt", "truncation", "max_tool_calls",
        "stream_options", "top_logprobs",
    }
)  # fmt: skip
_LEFT_OUT = ("include", "max_tool_calls", "store", "truncation")
_KEPT_NOWHERE = "Freehold keeps no answers; send the earlier turns in input"
_REFUSED = {
    "previous_response_id": _KEPT_NOWHERE,
    "conversation": _KEPT_NOWHERE,
    "prompt": "Freehold keeps no prompts; send the text itself",
    "background": "Freehold answers at once; send it without",
    "top_logprobs": "ask /v1/chat/completions for log-probabilities",
}
_ENCODER = msgspec.json.Encoder()


def decode_responses(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/responses``; arguments and errors as ``openai_request.decode_chat``."""
    values = decode_document(raw).values
    body = _convert(values, ResponsesBody, "", values)
    for name, reason in _REFUSED.items():
        if getattr(body, name):
            raise unsupported(name, values[name], reason)
    members: JsonObject = {name: value for name, value in values.items() if name not in _TRANSLATED}
    members["messages"] = _messages(body, values)
    if body.max_output_tokens is not None:
        members["max_completion_tokens"] = body.max_output_tokens
    search: VaultAsk | None = None
    if body.tools:
        search = _search(body, values)
        tools = [_tool(tool, place) for place, tool in enumerate(body.tools) if tool.type != FILE_SEARCH]
        members |= {"tools": tools} if tools else {}
    if isinstance(body.tool_choice, NamedTool):
        if body.tool_choice.type == "function":
            members["tool_choice"] = {"type": "function", "function": {"name": _named(body.tool_choice)}}
    elif body.tool_choice is not None and (search is None or "tools" in members):
        members["tool_choice"] = body.tool_choice
    if body.text is not None:
        members |= _text_options(body.text.format, body.text.verbosity)
    if body.reasoning is not None and body.reasoning.effort is not None:
        members["reasoning_effort"] = body.reasoning.effort
    request = decode_chat(
        _ENCODER.encode(members),
        request_id=request_id,
        label_header=label_header,
        include_receipt=include_receipt,
        left_out=tuple(name for name in _LEFT_OUT if values.get(name)),
    )
    return request if search is None else replace(request, vault=search)


def _search(body: ResponsesBody, values: JsonObject) -> VaultAsk | None:
    """What a tool ``file_search`` asks for; it is searched once, before the model is asked."""
    places = [place for place, tool in enumerate(body.tools or ()) if tool.type == FILE_SEARCH]
    if len(places) > 1:
        raise unsupported(f"tools[{places[1]}].type", FILE_SEARCH, "one search a request")
    if not places:
        return None
    include: object = values.get("include")
    told = cast("list[object]", include) if isinstance(include, list) else []
    return asked_by_tool(values["tools"][places[0]], f"tools[{places[0]}]", told)


def _messages(body: ResponsesBody, values: JsonObject) -> list[JsonObject]:
    turns: list[JsonObject] = [{"role": "system", "content": body.instructions}] if body.instructions else []
    if isinstance(body.input, str):
        return [*turns, {"role": "user", "content": body.input}]
    thoughts = ""
    signed: list[JsonObject] = []
    for place, item in _said(body.input):
        path = f"input[{place}]"
        match item.get("type", "message"):
            case "message":
                turn = _message(_convert(item, MessageItem, path, values), path)
            case "function_call":
                turn = _call(_convert(item, FunctionCallItem, path, values))
            case "function_call_output":
                output = _convert(item, FunctionOutputItem, path, values)
                turn = {
                    "role": "tool",
                    "tool_call_id": output.call_id,
                    "content": _content(output.output, f"{path}.output"),
                }
            case "reasoning":
                thought = _convert(item, ReasoningItem, path, values)
                thoughts += _thoughts(thought)
                signed += unsealed(thought.encrypted_content)
                continue
            case "item_reference":
                raise unsupported(f"{path}.type", "item_reference", _KEPT_NOWHERE)
            case other:
                reason = "messages, function calls, their outputs and reasoning are taken"
                raise unsupported(f"{path}.type", other, reason)
        if turn["role"] == "assistant":
            if thoughts:
                turn["reasoning_content"] = thoughts
            if signed:
                turn["content_blocks"] = signed
            _add_assistant(turns, turn)
        else:
            turns.append(turn)
        thoughts, signed = "", []
    return turns


def _said(items: Iterable[JsonObject]) -> Iterable[tuple[int, JsonObject]]:
    """The items with their places, but for searches: what they found is in the answer that followed."""
    return ((place, item) for place, item in enumerate(items) if item.get("type") != FILE_SEARCH_CALL)


def _add_assistant(turns: list[JsonObject], turn: JsonObject) -> None:
    """What an assistant said and called in a row is one turn of chat."""
    last = turns[-1] if turns else {}
    if last.get("role") == "assistant" and "tool_calls" in turn:
        last.setdefault("tool_calls", []).extend(turn["tool_calls"])
    else:
        turns.append(turn)


def _message(item: MessageItem, path: str) -> JsonObject:
    if item.role != "assistant" or isinstance(item.content, str):
        return {"role": item.role, "content": _content(item.content, f"{path}.content")}
    said = [part for part in item.content if not isinstance(part, Refusal)]
    refused = "".join(part.refusal for part in item.content if isinstance(part, Refusal))
    turn: JsonObject = {"role": "assistant", "content": _content(said, f"{path}.content") if said else None}
    return turn | ({"refusal": refused} if refused else {})


def _call(item: FunctionCallItem) -> JsonObject:
    function = {"name": item.name, "arguments": item.arguments}
    call = {"id": item.call_id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _thoughts(item: ReasoningItem) -> str:
    return "".join(piece.text for piece in item.content or item.summary or ())


def _content(content: str | Iterable[Part], path: str) -> str | list[JsonObject]:
    """Text alone as one string: templates of local models know no lists of text."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{path}[{place}]") for place, part in enumerate(content)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: Part, path: str) -> JsonObject:
    match part:
        case InputText(text=text) | OutputText(text=text):
            return {"type": "text", "text": text}
        case Refusal(refusal=refusal):
            return {"type": "refusal", "refusal": refusal}
        case InputImage(image_url=str(url)):
            return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {})}}
        case InputFile(file_data=str(data)):
            return {"type": "file", "file": {"filename": part.filename or "file", "file_data": data}}
        case InputImage() | InputFile():
            reason = "Freehold keeps no uploaded files and fetches none; send the content itself"
            raise unsupported(path, "a reference", reason)


def _tool(tool: FunctionTool, place: int) -> JsonObject:
    if tool.type != "function" or tool.name is None:
        reason = "Freehold runs no tools; describe a function that the client runs"
        raise unsupported(f"tools[{place}].type", tool.type, reason)
    function: JsonObject = {"name": tool.name, "parameters": tool.parameters or {"type": "object", "properties": {}}}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _named(choice: NamedTool) -> str:
    if choice.name is None:
        raise invalid("tool_choice.name", "missing", "it is required")
    return choice.name


def _text_options(form: TextFormat | None, verbosity: str | None) -> JsonObject:
    members: JsonObject = {} if verbosity is None else {"verbosity": verbosity}
    if form is not None and form.type == "json_object":
        members["response_format"] = {"type": "json_object"}
    elif form is not None and form.type == "json_schema":
        schema: JsonObject = {"name": form.name or "answer", "schema": form.schema}
        if form.strict is not None:
            schema["strict"] = form.strict
        members["response_format"] = {"type": "json_schema", "json_schema": schema}
    return members


def _convert(value: JsonObject, kind: type[_Kind], path: str, values: JsonObject) -> _Kind:
    """``value``, which lies at ``path`` of the body, as a ``kind``."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, values, allowed=ALLOWED, below=path) from None
