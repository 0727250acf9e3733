"""Requests of Anthropic's Messages API as the chat requests that they are.

What chat has no word for and what changes the answer is refused. Members that Freehold does
not know are passed on; hints for a cache (``cache_control``) and citations of earlier answers are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from freehold.domain.errors.request import UnsupportedParameter
from freehold.domain.request import InferenceRequest, Task
from freehold.wire.body import Document, decode_document
from freehold.wire.messages_schema import (
    ALLOWED,
    AnyChoice,
    AutoChoice,
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    MessagesBody,
    NoneChoice,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    Tool,
    ToolChoice,
    ToolResultBlock,
    ToolUseBlock,
    Turn,
    UrlSource,
)
from freehold.wire.openai_invalid import field_invalid, unsupported
from freehold.wire.openai_request import decode_chat

JsonObject = dict[str, Any]

_TRANSLATED = frozenset(
    {
        "messages", "system", "stop_sequences", "tools", "tool_choice", "output_config", "metadata",
    }
)  # fmt: skip
_TOOL_ERROR = "Error: "
_CUSTOM = (None, "custom")
_ENCODER = msgspec.json.Encoder()


def decode_messages(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/messages``.

    Args:
        raw: The body as it came.
        request_id: Id given at the door.
        label_header: Value of the ``freehold-label`` header.
        include_receipt: Whether a header asked for the receipt; the body may ask too.

    Returns:
        A chat request whose ``fields`` are OpenAI's, whatever surface it came through.

    Raises:
        BodyNotJson: Not one unambiguous JSON object.
        FieldInvalid: A member has a wrong type or is out of range; ``param`` is its path.
        UnsupportedParameter: A member asks for what would have to be ignored.
    """
    document = decode_document(raw)
    try:
        body = msgspec.convert(document.values, MessagesBody)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=ALLOWED) from None
    chat = _ENCODER.encode(_chat(body, document))
    return decode_chat(chat, request_id=request_id, label_header=label_header, include_receipt=include_receipt)


def decode_count_tokens(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/messages/count_tokens``: a message that nobody is to answer.

    Arguments and errors as ``decode_messages``; ``max_tokens`` may be left out.
    """
    document = decode_document(raw)
    if document.values.get("stream"):
        raise unsupported("stream", True, "a number is not streamed")
    counted = _ENCODER.encode({"max_tokens": 1, **document.values})
    request = decode_messages(
        counted, request_id=request_id, label_header=label_header, include_receipt=include_receipt
    )
    return replace(request, task=Task.COUNT)


def _chat(body: MessagesBody, document: Document) -> JsonObject:
    members: JsonObject = {name: value for name, value in document.values.items() if name not in _TRANSLATED}
    members["messages"] = [
        *_system(body),
        *(turn for place, each in enumerate(body.messages) for turn in _turns(each, place)),
    ]
    if body.stop_sequences:
        members["stop"] = body.stop_sequences
    if body.tools:
        members["tools"] = [_tool(tool, place) for place, tool in enumerate(body.tools)]
    if body.tool_choice is not None:
        members |= _tool_choice(body.tool_choice)
    if body.output_config is not None and body.output_config.format is not None:
        schema = {"name": "answer", "schema": body.output_config.format.schema, "strict": True}
        members["response_format"] = {"type": "json_schema", "json_schema": schema}
    return members


def _system(body: MessagesBody) -> list[JsonObject]:
    if not body.system:
        return []
    if isinstance(body.system, str):
        return [{"role": "system", "content": body.system}]
    return [{"role": "system", "content": _content([_text(block.text) for block in body.system])}]


def _turns(turn: Turn, place: int) -> list[JsonObject]:
    """One turn of the Messages API: for chat, each result of a tool is a turn of its own."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    path = f"messages[{place}].content"
    if turn.role == "assistant":
        return [_assistant(turn.content, path)]
    turns: list[JsonObject] = []
    parts: list[JsonObject] = []
    for index, block in enumerate(turn.content):
        where = f"{path}[{index}]"
        if isinstance(block, ToolResultBlock):
            if parts:
                turns.append({"role": "user", "content": _content(parts)})
                parts = []
            turns.append(_tool_result(block, where))
        else:
            parts += _parts(block, where)
    if parts or not turns:
        turns.append({"role": "user", "content": _content(parts)})
    return turns


def _assistant(blocks: Iterable[Block], path: str) -> JsonObject:
    turn: JsonObject = {"role": "assistant", "content": None}
    parts: list[JsonObject] = []
    calls: list[JsonObject] = []
    thoughts: list[str] = []
    for index, block in enumerate(blocks):
        match block:
            case TextBlock():
                parts.append(_text(block.text))
            case ThinkingBlock():
                thoughts.append(block.thinking)
            case RedactedThinkingBlock():
                pass  # nobody but its maker can read it
            case ToolUseBlock():
                arguments = _ENCODER.encode(block.input).decode()
                function = {"name": block.name, "arguments": arguments}
                calls.append({"id": block.id, "type": "function", "function": function})
            case _:
                raise unsupported(f"{path}[{index}].type", _tag(block), "an assistant's turn holds no such block")
    if parts or not calls:
        turn["content"] = _content(parts)
    if calls:
        turn["tool_calls"] = calls
    if thoughts:
        turn["reasoning_content"] = "".join(thoughts)
    return turn


def _tool_result(block: ToolResultBlock, path: str) -> JsonObject:
    if isinstance(block.content, str):
        parts = [_text(block.content)]
    else:
        parts = [
            part for index, each in enumerate(block.content or ()) for part in _parts(each, f"{path}.content[{index}]")
        ]
    if block.is_error:
        # Chat has no member for it, and a model must not take the words of a failure for a result.
        parts.insert(0, _text(_TOOL_ERROR))
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": _content(parts)}


def _parts(block: Block, path: str) -> list[JsonObject]:
    match block:
        case TextBlock():
            return [_text(block.text)]
        case ImageBlock():
            return [{"type": "image_url", "image_url": {"url": _image_url(block, path)}}]
        case DocumentBlock():
            return _document(block, path)
        case SearchResultBlock():
            return [_text(f"{block.title} ({block.source})\n"), *(_text(each.text) for each in block.content)]
        case _:
            raise unsupported(f"{path}.type", _tag(block), "a user's turn holds no such block")


def _image_url(block: ImageBlock, path: str) -> str:
    match block.source:
        case Base64Source(media_type=media, data=data):
            return f"data:{media};base64,{data}"
        case UrlSource(url=url):
            return url
        case FileSource():
            raise _uploaded(path)


def _document(block: DocumentBlock, path: str) -> list[JsonObject]:
    named = [_text("\n".join(each for each in (block.title, block.context) if each) + "\n")]
    head = named if block.title or block.context else []
    match block.source:
        case Base64Source(media_type=media, data=data):
            file = {"filename": block.title or "document", "file_data": f"data:{media};base64,{data}"}
            return [*head, {"type": "file", "file": file}]
        case TextSource(data=data):
            return [*head, _text(data)]
        case ContentSource(content=str(content)):
            return [*head, _text(content)]
        case ContentSource(content=list(blocks)):
            inner = (
                part for index, each in enumerate(blocks) for part in _parts(each, f"{path}.source.content[{index}]")
            )
            return [*head, *inner]
        case UrlSource():
            raise unsupported(f"{path}.source.type", "url", "send the document itself, as base64 or text")
        case _:
            raise _uploaded(path)


def _content(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Text alone as one string: templates of local models know no lists of text."""
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts) if len(parts) < 2 else _joined(parts)
    return parts


def _joined(parts: list[JsonObject]) -> str:
    """Blocks apart by an empty line, but for those that say themselves where they end."""
    text = ""
    for part in parts:
        text += ("\n\n" if text and not text.endswith(("\n", _TOOL_ERROR)) else "") + part["text"]
    return text


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _tool(tool: Tool, place: int) -> JsonObject:
    if tool.type not in _CUSTOM:
        reason = "Freehold runs no tools; describe one that the client runs, with an input_schema"
        raise unsupported(f"tools[{place}].type", tool.type, reason)
    function: JsonObject = {"name": tool.name, "parameters": tool.input_schema or {"type": "object", "properties": {}}}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: AutoChoice | AnyChoice | ToolChoice | NoneChoice) -> JsonObject:
    match choice:
        case AutoChoice():
            members: JsonObject = {"tool_choice": "auto"}
        case AnyChoice():
            members = {"tool_choice": "required"}
        case NoneChoice():
            members = {"tool_choice": "none"}
        case ToolChoice(name=name):
            members = {"tool_choice": {"type": "function", "function": {"name": name}}}
    if choice.disable_parallel_tool_use:
        members["parallel_tool_calls"] = False
    return members


def _tag(block: Block) -> str:
    return str(block.__struct_config__.tag)


def _uploaded(path: str) -> UnsupportedParameter:
    return unsupported(f"{path}.source.type", "file", "Freehold keeps no uploaded files; send the content itself")
