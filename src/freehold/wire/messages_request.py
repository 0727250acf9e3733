"""Requests of Anthropic's Messages API as the chat requests that they are.

An upstream of Anthropic's gets the request as it was sent (``InferenceRequest.native``). For all others: what chat has
no word for and what changes the answer binds the request to such an upstream; members that Freehold does not know are
passed on; what only labels a call or hints at something is left out, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from freehold.domain.batch import BETA_HEADER
from freehold.domain.request import Dialect, InferenceRequest, Native, Task, Untranslatable
from freehold.wire.body import Document, decode_document
from freehold.wire.messages_foreign import (
    ONLY_ANTHROPIC,
    left_out,
    needs_anthropic,
    set_apart,
    tag,
    without_unsigned,
)
from freehold.wire.messages_schema import (
    ALLOWED,
    AnyChoice,
    AutoChoice,
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    ForeignBlock,
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
from freehold.wire.openai_invalid import field_invalid, invalid, show, unsupported
from freehold.wire.openai_request import decode_chat
from freehold.wire.vault_ask import VAULT, without_vault

JsonObject = dict[str, Any]

_TRANSLATED = frozenset(
    {
        "messages", "system", "stop_sequences", "tools", "tool_choice", "output_config", "output_format", "metadata",
        "service_tier", "cache_control", "context_management",
    }
)  # fmt: skip
_TIERS = {"standard_only": "default"}
_EFFORTS = {"max": "xhigh"}
_NO_TOOLS = "Freehold runs no tools; describe one that the client runs, with an input_schema"
_NO_FILES = "Freehold keeps no uploaded files; send the content itself"
_OWN_MEMBER = "freehold"
_BETAS = re.compile(r"[A-Za-z0-9._-]+(?:\s*,\s*[A-Za-z0-9._-]+)*")
_BETAS_CHARACTERS_MAX = 1024
_TOOL_ERROR = "Error: "
_UNTITLED = "document"
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
    body = _body(document)
    bound = Bound(needs_anthropic(document.values))
    chat = _ENCODER.encode(_chat(body, document, bound))
    return decode_chat(
        chat,
        request_id=request_id,
        label_header=label_header,
        include_receipt=include_receipt,
        native=Native(dialect=Dialect.ANTHROPIC, fields=_native(document, bound), only=bound.only),
        left_out=left_out(document.values),
    )


def with_betas(request: InferenceRequest, betas: str | None) -> InferenceRequest:
    """The request with the ``anthropic-beta`` header that came with it; an upstream of Anthropic's gets that too.

    Raises:
        FieldInvalid: It is not a list of names.
    """
    if betas is None or request.native is None:
        return request
    check_betas(betas)
    return replace(request, native=replace(request.native, headers=((BETA_HEADER, betas),)))


def check_betas(betas: str) -> None:
    """Refuse an ``anthropic-beta`` header that is none.

    Raises:
        FieldInvalid: It is not a list of names.
    """
    if len(betas) > _BETAS_CHARACTERS_MAX or not _BETAS.fullmatch(betas):
        raise invalid(BETA_HEADER, show(betas), "it must be names of letters, digits, dots and dashes, apart by commas")


class Bound:
    """Whether a request can be answered by Anthropic's models only, and by what."""

    __slots__ = ("has_unsigned", "only")

    def __init__(self, only: Untranslatable | None) -> None:
        self.only = only
        self.has_unsigned = False

    def by(self, field: str, value: object, reason: str = ONLY_ANTHROPIC) -> None:
        """Something binds it; the first one is told."""
        self.only = self.only or Untranslatable(field=field, shown=show(value), reason=reason)


def _body(document: Document) -> MessagesBody:
    try:
        return msgspec.convert(document.values, MessagesBody)
    except msgspec.ValidationError:
        pass  # It may hold what only Anthropic knows: looked for only now, since most requests do not.
    try:
        return msgspec.convert(set_apart(document.values), MessagesBody)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=ALLOWED) from None


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


def _native(document: Document, bound: Bound) -> Mapping[str, bytes]:
    members = document.members
    fields = members.without(_OWN_MEMBER) if _OWN_MEMBER in document.values else members
    if VAULT in document.values:
        fields = without_vault(fields)
    if not bound.has_unsigned:
        return fields
    return {**fields, "messages": _ENCODER.encode(without_unsigned(document.values["messages"]))}


def _chat(body: MessagesBody, document: Document, bound: Bound) -> JsonObject:
    values = document.values
    members: JsonObject = {name: value for name, value in values.items() if name not in _TRANSLATED}
    members["messages"] = [
        *_system(body, bound),
        *(turn for place, each in enumerate(body.messages) for turn in _turns(each, place, bound)),
    ]
    if body.stream:
        members["stream_options"] = {"include_usage": True}  # a stream of messages always ends with it
    if body.stop_sequences:
        members["stop"] = body.stop_sequences
    if body.tools:
        members["tools"] = [_tool(tool, place, bound) for place, tool in enumerate(body.tools)]
    if body.tool_choice is not None and (body.tools or isinstance(body.tool_choice, (AnyChoice, ToolChoice))):
        members |= _tool_choice(body.tool_choice)
    if body.metadata is not None and body.metadata.user_id:
        members["user"] = body.metadata.user_id
    if body.service_tier is not None:
        members["service_tier"] = _TIERS.get(body.service_tier, body.service_tier)
    return members | _form(body, values)


def _form(body: MessagesBody, values: JsonObject) -> JsonObject:
    """How the answer is to be: its form, and how much is thought about it."""
    members: JsonObject = {}
    config = body.output_config
    form = body.output_format if config is None or config.format is None else config.format
    if form is not None:
        schema = {"name": "answer", "schema": form.schema, "strict": True}
        members["response_format"] = {"type": "json_schema", "json_schema": schema}
    if config is not None:
        if config.effort is not None:
            members["reasoning_effort"] = _EFFORTS.get(config.effort, config.effort)
        more = {name: value for name, value in values["output_config"].items() if name not in ("format", "effort")}
        if more:
            members["output_config"] = more
    return members


def _system(body: MessagesBody, bound: Bound) -> list[JsonObject]:
    if not body.system:
        return []
    if isinstance(body.system, str):
        return [{"role": "system", "content": body.system}]
    parts = [part for place, block in enumerate(body.system) for part in _parts(block, f"system[{place}]", bound)]
    return [{"role": "system", "content": _content(parts)}]


def _turns(turn: Turn, place: int, bound: Bound) -> list[JsonObject]:
    """One turn of the Messages API: for chat, each result of a tool is a turn of its own."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    path = f"messages[{place}].content"
    if turn.role == "assistant":
        return [_assistant(turn.content, path, bound)]
    turns: list[JsonObject] = []
    parts: list[JsonObject] = []
    for index, block in enumerate(turn.content):
        where = f"{path}[{index}]"
        if isinstance(block, ToolResultBlock):
            if parts:
                turns.append({"role": "user", "content": _content(parts)})
                parts = []
            turns.append(_tool_result(block, where, bound))
        else:
            parts += _parts(block, where, bound)
    if parts or not turns:
        turns.append({"role": "user", "content": _content(parts)})
    return turns


def _assistant(blocks: Iterable[Block], path: str, bound: Bound) -> JsonObject:
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
                bound.has_unsigned = bound.has_unsigned or not block.signature
            case RedactedThinkingBlock():
                pass  # nobody but its maker can read it
            case ToolUseBlock():
                arguments = _ENCODER.encode(block.input).decode()
                function = {"name": block.name, "arguments": arguments}
                calls.append({"id": block.id, "type": "function", "function": function})
            case ForeignBlock():
                parts += _foreign(block, f"{path}[{index}]", bound)
            case _:
                raise unsupported(f"{path}[{index}].type", tag(block), "an assistant's turn holds no such block")
    if parts or not calls:
        turn["content"] = _content(parts)
    if calls:
        turn["tool_calls"] = calls
    if thoughts:
        turn["reasoning_content"] = "".join(thoughts)
    return turn


def _tool_result(block: ToolResultBlock, path: str, bound: Bound) -> JsonObject:
    if isinstance(block.content, str):
        parts = [_text(block.content)]
    else:
        parts = [
            part
            for index, each in enumerate(block.content or ())
            for part in _parts(each, f"{path}.content[{index}]", bound)
        ]
    if block.is_error:
        # Chat has no member for it, and a model must not take the words of a failure for a result.
        parts.insert(0, _text(_TOOL_ERROR))
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": _content(parts)}


def _parts(block: Block, path: str, bound: Bound) -> list[JsonObject]:
    match block:
        case TextBlock():
            return [_text(block.text)]
        case ImageBlock():
            return [{"type": "image_url", "image_url": {"url": _image_url(block, path, bound)}}]
        case DocumentBlock():
            return _document(block, path, bound)
        case SearchResultBlock():
            return [_text(f"{block.title} ({block.source})\n"), *(_text(each.text) for each in block.content)]
        case ForeignBlock():
            return _foreign(block, path, bound)
        case _:
            raise unsupported(f"{path}.type", tag(block), "a user's turn holds no such block")


def _image_url(block: ImageBlock, path: str, bound: Bound) -> str:
    match block.source:
        case Base64Source(media_type=media, data=data):
            return f"data:{media};base64,{data}"
        case UrlSource(url=url):
            return url
        case FileSource(file_id=name):
            bound.by(f"{path}.source.type", "file", _NO_FILES)
            return f"file:{name}"


def _document(block: DocumentBlock, path: str, bound: Bound) -> list[JsonObject]:
    named = [_text("\n".join(each for each in (block.title, block.context) if each) + "\n")]
    head = named if block.title or block.context else []
    match block.source:
        case Base64Source(media_type=media, data=data):
            file = {"filename": block.title or _UNTITLED, "file_data": f"data:{media};base64,{data}"}
            told = [_text(f"{block.context}\n")] if block.context else []
            return [*told, {"type": "file", "file": file}]
        case TextSource(data=data):
            return [*head, _text(data)]
        case ContentSource(content=content):
            blocks = [TextBlock(text=content)] if isinstance(content, str) else content
            inner = (
                part
                for index, each in enumerate(blocks)
                for part in _parts(each, f"{path}.source.content[{index}]", bound)
            )
            return [*head, *inner]
        case UrlSource(url=url):
            bound.by(f"{path}.source.type", "url", "send the document itself, as base64 or text")
            return [*head, {"type": "file", "file": {"file_id": url}}]
        case FileSource(file_id=name):
            bound.by(f"{path}.source.type", "file", _NO_FILES)
            return [*head, {"type": "file", "file": {"file_id": name}}]


def _foreign(block: ForeignBlock, path: str, bound: Bound) -> list[JsonObject]:
    """A block that such a chat is never sent with: its text is there for who looks at what a request says."""
    bound.by(f"{path}.type", block.kind)
    return [_text(_ENCODER.encode(block.block).decode())]


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


def _tool(tool: Tool, place: int, bound: Bound) -> JsonObject:
    if tool.type not in _CUSTOM:
        bound.by(f"tools[{place}].type", tool.type, _NO_TOOLS)
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
