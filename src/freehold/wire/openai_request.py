"""Requests in OpenAI's shape: decoded once at the door, encoded again for the deployment that serves them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar, cast

import msgspec

from freehold.domain.request import (
    ContentPart,
    InferenceRequest,
    LazyMessages,
    Message,
    Native,
    PartKind,
    Ranking,
    SamplingParams,
    Task,
    Tool,
    ToolChoice,
    kinds_of,
)
from freehold.wire.body import Document, Members, decode_document
from freehold.wire.openai_invalid import field_invalid, invalid, show, unsupported
from freehold.wire.openai_schema import (
    INPUTS_MAX,
    AudioPart,
    Body,
    ChatBody,
    ChatMessage,
    CompletionBody,
    EmbeddingBody,
    FilePart,
    FunctionTool,
    Generating,
    ImagePart,
    NamedTool,
    RefusalPart,
    RerankBody,
    ResponseFormat,
    TextPart,
)
from freehold.wire.vault_ask import VAULT, asked_of, without_vault

_OWN_MEMBER = "freehold"
_ANY_JSON_OBJECT = b'{"type":"object"}'
_ENCODER = msgspec.json.Encoder()
_NO_FIELDS: Mapping[str, bytes] = MappingProxyType({})

_SAID_IN_CHAT = ("text", "tool_use")
_CARRIED = b'"content_blocks"'
_PLAIN_ROLES = frozenset({"system", "developer", "user"})
_TEXT_ONLY = frozenset({PartKind.TEXT})

_REFUSED_CHAT = {
    "functions": 'it is superseded; send "tools"',
    "function_call": 'it is superseded; send "tool_choice"',
    "chat_template": "a template is code that would run in the engine; set it where the model is deployed",
}

BodyType = TypeVar("BodyType", bound=Body)


def decode_chat(
    raw: bytes,
    *,
    request_id: str,
    label_header: str | None = None,
    include_receipt: bool = False,
    native: Native | None = None,
    left_out: tuple[str, ...] = (),
) -> InferenceRequest:
    """Decode the body of ``POST /v1/chat/completions``.

    Args:
        raw: The body as it came.
        request_id: Id given at the door.
        label_header: Value of the ``freehold-label`` header.
        include_receipt: Whether a header asked for the receipt; the body may ask too.
        native: What the chat was made from, where it came in another dialect.
        left_out: Members of that which have no place here.

    Raises:
        BodyNotJson: Not one unambiguous JSON object.
        FieldInvalid: A member has a wrong type or is out of range; ``param`` is its path.
        UnsupportedParameter: A member asks for what would have to be ignored.
    """
    document = decode_document(raw)
    if not _REFUSED_CHAT.keys().isdisjoint(document.values):
        _refuse(document, _REFUSED_CHAT)
    body = _convert(document, ChatBody)
    if body.n is not None or body.best_of is not None or body.n_cmpl is not None:
        _refuse_many_answers(body)
    tools: tuple[Tool, ...] = ()
    choice, tool_name = ToolChoice.AUTO, None
    if body.tools or body.tool_choice is not None:
        tools = tuple(map(_tool, body.tools or ()))
        choice, tool_name = _tool_choice(body, {tool.name for tool in tools})
    if body.top_logprobs and not body.logprobs:
        raise invalid("top_logprobs", str(body.top_logprobs), 'it needs "logprobs": true')
    return InferenceRequest(
        id=request_id,
        task=Task.CHAT,
        model=body.model,
        fields=_fields(document) if VAULT not in document.values else without_vault(_fields(document)),
        body_bytes=len(raw),
        messages=_messages(body.messages),
        sampling=_sampling(
            body,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            logprobs=bool(body.logprobs),
            top_logprobs=body.top_logprobs or 0,
        ),
        tools=tools,
        tool_choice=choice,
        tool_name=tool_name,
        response_schema_json=None if body.response_format is None else _response_schema(body.response_format),
        stream=bool(body.stream),
        include_usage=body.stream_options is not None and bool(body.stream_options.include_usage),
        include_receipt=include_receipt or (body.freehold is not None and body.freehold.include_receipt),
        label_header=label_header,
        native=native,
        left_out=left_out,
        vault=asked_of(body.vault) if body.vault else None,
    )


def decode_completion(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/completions``; arguments and errors as ``decode_chat``."""
    document = decode_document(raw)
    body = _convert(document, CompletionBody)
    _refuse_many_answers(body)
    if document.values.get(VAULT) is not None:
        raise unsupported(VAULT, document.values[VAULT], "documents are put before a question; send it as a chat")
    if body.echo:
        raise unsupported("echo", True, "send the prompt's own text before the answer yourself")
    return InferenceRequest(
        id=request_id,
        task=Task.COMPLETION,
        model=body.model,
        fields=_fields(document),
        body_bytes=len(raw),
        prompt=_prompt(body.prompt),
        suffix=body.suffix,
        sampling=_sampling(
            body, max_tokens=body.max_tokens, logprobs=body.logprobs is not None, top_logprobs=body.logprobs or 0
        ),
        response_schema_json=_response_schema(body.response_format),
        stream=bool(body.stream),
        include_usage=_include_usage(body),
        include_receipt=include_receipt or _include_receipt(body),
        label_header=label_header,
    )


def decode_embedding(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/embeddings``; arguments and errors as ``decode_chat``."""
    document = decode_document(raw)
    body = _convert(document, EmbeddingBody)
    return InferenceRequest(
        id=request_id,
        task=Task.EMBEDDING,
        model=body.model,
        fields=_fields(document),
        body_bytes=len(raw),
        inputs=_inputs(body.input),
        cuts=is_cut(body.truncate, body.truncate_prompt_tokens),
        include_receipt=include_receipt or _include_receipt(body),
        label_header=label_header,
    )


def decode_rerank(
    raw: bytes, *, request_id: str, label_header: str | None = None, include_receipt: bool = False
) -> InferenceRequest:
    """Decode the body of ``POST /v1/rerank``; arguments and errors as ``decode_chat``."""
    document = decode_document(raw)
    body = _convert(document, RerankBody)
    return InferenceRequest(
        id=request_id,
        task=Task.RERANK,
        model=body.model,
        fields=_fields(document),
        body_bytes=len(raw),
        inputs=tuple(_document(each, place) for place, each in enumerate(body.documents)),
        ranking=Ranking(
            query=body.query,
            top_n=body.top_n,
            document_tokens_max=body.max_tokens_per_doc,
            return_documents=bool(body.return_documents),
        ),
        cuts=is_cut(body.truncate, body.truncate_prompt_tokens),
        include_receipt=include_receipt or _include_receipt(body),
        label_header=label_header,
    )


def is_cut(truncate: object, truncate_prompt_tokens: object = None) -> bool:
    """Whether a text that is too long loses its end: as Jina, TEI and Ollama, Cohere, or vLLM has it."""
    return truncate is True or truncate == "END" or truncate_prompt_tokens == -1


def encode_body(
    request: InferenceRequest,
    *,
    model: str,
    overrides: Mapping[str, object] = _NO_FIELDS,
    drop: Collection[str] = (),
    rebuild: bool = False,
) -> bytes:
    """The body for a deployment: every member as the client sent it, except what is named here.

    Args:
        request: What was asked.
        model: The model's name at the deployment.
        overrides: Members to add or replace.
        drop: Members to leave out.
        rebuild: Re-encode every member from its decoded value, so that what leaves this device is byte for byte what
            was looked at.
    """
    if rebuild and request.task is Task.CHAT and _CARRIED in request.fields["messages"]:
        overrides = {**overrides, "messages": _without_carried(request.fields["messages"])}
    return encode_fields(
        request.fields, asked_for=request.model, model=model, overrides=overrides, drop=drop, rebuild=rebuild
    )


def _without_carried(messages: bytes) -> list[dict[str, object]]:
    """Turns without what Freehold told of Anthropic's: a server that leaves nothing unknown pass would refuse it."""
    turns: list[dict[str, object]] = msgspec.json.decode(messages)
    return [{name: value for name, value in turn.items() if name != "content_blocks"} for turn in turns]


def encode_fields(
    fields: Mapping[str, bytes],
    *,
    asked_for: str,
    model: str,
    overrides: Mapping[str, object] = _NO_FIELDS,
    drop: Collection[str] = (),
    rebuild: bool = False,
) -> bytes:
    """As ``encode_body``, for members of any dialect; ``asked_for`` is the model that they name."""
    if not (overrides or drop or rebuild) and isinstance(fields, Members):
        body = fields.with_text("model", asked_for, model)
        if body is not None:
            return body
    members: dict[str, object] = {
        name: msgspec.json.decode(raw) if rebuild else msgspec.Raw(raw)
        for name, raw in fields.items()
        if name not in drop
    }
    members["model"] = model
    members.update(overrides)
    return _ENCODER.encode(members)


def _convert(document: Document, kind: type[BodyType]) -> BodyType:
    try:
        return msgspec.convert(document.values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values) from None


def _fields(document: Document) -> Mapping[str, bytes]:
    return document.members.without(_OWN_MEMBER) if _OWN_MEMBER in document.values else document.members


def _refuse(document: Document, refused: Mapping[str, str]) -> None:
    for name, reason in refused.items():
        if document.values.get(name) is not None:
            raise unsupported(name, document.values[name], reason)


def _refuse_many_answers(body: Generating) -> None:
    for name, value in (("n", body.n), ("n_cmpl", body.n_cmpl)):  # llama.cpp's server has two names for it
        if value not in (None, 1):
            raise unsupported(name, value, "one answer a request; send it again for another one")
    if body.best_of not in (None, 1):
        raise unsupported("best_of", body.best_of, "one answer a request; a route decides which model gives it")


def _sampling(body: Generating, *, max_tokens: int | None, logprobs: bool, top_logprobs: int) -> SamplingParams:
    return SamplingParams(
        temperature=body.temperature,
        top_p=body.top_p,
        max_tokens=max_tokens,
        seed=body.seed,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
    )


def _include_usage(body: Generating) -> bool:
    return body.stream_options is not None and bool(body.stream_options.include_usage)


def _include_receipt(body: Body) -> bool:
    return body.freehold is not None and body.freehold.include_receipt


def _response_schema(form: ResponseFormat | None) -> bytes | None:
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        return _ANY_JSON_OBJECT
    if form.json_schema is None or form.json_schema.schema is None:
        raise invalid("response_format.json_schema.schema", "missing", "the type json_schema needs a schema")
    return _ENCODER.encode(form.json_schema.schema)


def _tool(tool: FunctionTool) -> Tool:
    function = tool.function
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters_json=_ENCODER.encode(function.parameters or {}),
    )


def _tool_choice(body: ChatBody, names: set[str]) -> tuple[ToolChoice, str | None]:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice.AUTO, None
    if isinstance(choice, NamedTool):
        name = choice.function.name
        if name not in names:
            raise invalid("tool_choice.function.name", show(name), 'it must be the name of one of "tools"')
        return ToolChoice.NAMED, name
    if choice == "required" and not names:
        raise invalid("tool_choice", show(choice), 'it needs at least one entry in "tools"')
    return ToolChoice(choice), None


def _prompt(prompt: object) -> str:
    if isinstance(prompt, str):
        return prompt
    entries = _entries(prompt)
    if not entries:
        raise invalid("prompt", show(prompt), "it must be a string, or a list of one string")
    _refuse_tokens("prompt", entries)
    if len(entries) > 1:
        raise unsupported("prompt", entries, "one prompt a request; send the others as requests of their own")
    if not isinstance(entries[0], str):
        raise invalid("prompt[0]", show(entries[0]), "it must be a string")
    return entries[0]


def _inputs(value: object) -> tuple[str, ...]:
    entries: list[object] = [value] if isinstance(value, str) else _entries(value)
    if not 0 < len(entries) <= INPUTS_MAX:
        raise invalid("input", show(value), f"it must be a string, or a list of 1 to {INPUTS_MAX} strings")
    _refuse_tokens("input", entries)
    texts: list[str] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry:
            raise invalid(f"input[{index}]", show(entry), "it must be a string that is not empty")
        texts.append(entry)
    return tuple(texts)


def _document(document: object, place: int) -> str:
    item: object = document
    text = cast("dict[str, object]", item).get("text") if isinstance(item, dict) else item
    if not isinstance(text, str):
        reason = 'it must be a string, or an object with a string as its "text"'
        raise invalid(f"documents[{place}]", show(text), reason)
    return text


def _entries(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _refuse_tokens(field: str, entries: list[object]) -> None:
    if isinstance(entries[0], (int, list)) and not isinstance(entries[0], bool):
        raise unsupported(field, entries, "send text; token numbers mean something else to every model")


def _messages(messages: list[ChatMessage]) -> LazyMessages:
    is_plain = True
    for place, message in enumerate(messages):
        role, content = message.role, message.content
        if type(content) is str and (role in _PLAIN_ROLES or (role == "assistant" and not _says_more(message))):
            continue
        is_plain = False
        if role == "user" and content is None:
            raise invalid(f"messages[{place}].content", "missing", "a user's message needs a string or a list of parts")
        if role == "tool" and not message.tool_call_id:
            raise invalid(f"messages[{place}].tool_call_id", "missing", "a tool's message says which call it answers")
    if is_plain and messages:
        return LazyMessages(partial(_made, messages), kinds=_TEXT_ONLY)
    made = _made(messages)
    return LazyMessages(lambda: made, kinds=kinds_of(made))


def _made(messages: list[ChatMessage]) -> tuple[Message, ...]:
    return tuple(map(_message, messages))


def _says_more(message: ChatMessage) -> bool:
    """Whether an assistant's turn is more than its text."""
    return bool(message.tool_calls or message.reasoning_content or message.refusal or message.content_blocks)


def _message(message: ChatMessage) -> Message:
    kind = PartKind.TOOL_RESULT if message.role in ("tool", "function") else PartKind.TEXT
    parts: list[ContentPart] = []
    if message.reasoning_content:
        parts.append(ContentPart(kind=PartKind.REASONING, text=message.reasoning_content))
    if isinstance(message.content, str):
        parts.append(ContentPart(kind=kind, text=message.content))
    else:
        for part in message.content or ():
            match part:
                case TextPart():
                    parts.append(ContentPart(kind=kind, text=part.text))
                case RefusalPart():
                    parts.append(ContentPart(kind=kind, text=part.refusal))
                case ImagePart():
                    parts.append(ContentPart(kind=PartKind.IMAGE))
                case AudioPart():
                    parts.append(ContentPart(kind=PartKind.AUDIO))
                case FilePart():
                    parts.append(ContentPart(kind=PartKind.FILE))
    if message.refusal:
        parts.append(ContentPart(kind=PartKind.TEXT, text=message.refusal))
    parts.extend(
        ContentPart(kind=PartKind.REASONING, text=_ENCODER.encode(block).decode())
        for block in message.content_blocks or ()
        if block.get("type") not in _SAID_IN_CHAT
    )
    parts.extend(
        ContentPart(kind=PartKind.TOOL_CALL, text=f"{call.function.name}({call.function.arguments})")
        for call in message.tool_calls or ()
    )
    return Message(role=message.role, parts=tuple(parts))
