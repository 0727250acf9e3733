"""What lowers trust in a conversation, and which calls a model may make in one that is not trusted. Pure.

What a tool gave back, and what a client says comes from elsewhere, is somebody else's word: it may hold instructions, and a
model may follow them. Nothing here guesses whether it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.request import Dialect, InferenceRequest, Message, PartKind
from freehold.domain.trust import Effect, Sanitise, ToolCall, TrustRules
from freehold.domain.zones import ZoneTree
from freehold.policy.lattice import bottom
from freehold.policy.links import Hosts, hosts_of, spots

UNTRUSTED_HEADER = "freehold-untrusted"
"""The request header by which a client says that there are somebody else's words in its text."""

UNTRUSTED_TOOL = "untrusted-tool"
"""Id of the rule by which a call is held."""

UNDECLARED = "nobody has said that it has no effect outside"
"""Why a call is held of a tool that the configuration does not name: what most agents meet first."""

_RESULT_ROLES = frozenset({"tool", "function"})
_TRUSTED_ROLES = frozenset({"system", "developer", "user"})
_FOREIGN_MARKS = (b'_tool_result"', b'"search_result"')
"""Of blocks of Anthropic's that chat has no part for: passages, and what its own tools gave back."""

_SERVER_MEMBERS = ("mcp_servers", "web_search_options", "search_parameters", "plugins", "data_sources")
"""Members by which providers are asked to look something up by themselves."""

_EXTERNAL = "client:" + UNTRUSTED_HEADER


def distrusts(request: InferenceRequest, rules: TrustRules) -> str:
    """Which part of a request makes its context untrusted, as a rule for the receipt; empty for none.

    Args:
        request: What is asked. Its messages are looked at only where one is a tool's.
        rules: What the configuration says of tools.
    """
    if request.is_external:
        return _EXTERNAL
    if PartKind.TOOL_RESULT in request.content_kinds:
        found = _untrusted_result(request, rules)
        if found:
            return found
    native = request.native
    if native is not None and native.dialect is Dialect.ANTHROPIC:
        messages = native.fields.get("messages", b"")
        if any(mark in messages for mark in _FOREIGN_MARKS) and _has_foreign(messages):
            return "messages:result"
    return ""


def distrusted_source(rule: str, tree: ZoneTree) -> LabelSource:
    """Why the label says that the context is not trusted."""
    label = bottom(tree)
    lowered = Label(level=label.level, kinds=label.kinds, zones=label.zones, readers=label.readers, trusted=False)
    origin, _, _ = rule.partition(":")
    return LabelSource(origin="client" if origin == "client" else "message", rule=rule, label=lowered)


def is_guarded(label: Label) -> bool:
    """Whether tools with an outside effect need a human: words of somebody else beside words that are not public."""
    return not label.trusted and label.level >= Level.INTERNAL


def is_sanitised(label: Label, when: Sanitise) -> bool:
    """Whether an answer's text is cleaned."""
    return when is Sanitise.ALWAYS or (when is Sanitise.UNTRUSTED and is_guarded(label))


def trusted_hosts(request: InferenceRequest, sources: Sequence[LabelSource], rules: TrustRules) -> Hosts:
    """The hosts to which an answer may link: those of the list, and those that trusted people named themselves.

    Where anything but a tool's own message made the context untrusted, nobody knows which words are whose.
    """
    is_told_apart = all(source.label.trusted or source.origin == "message" for source in sources)
    texts: list[str] = []
    if is_told_apart:
        texts = [_own_words(message) for message in request.messages if message.role in _TRUSTED_ROLES]
    return hosts_of(texts, rules.link_hosts)


def held_because(call: ToolCall, request: InferenceRequest, rules: TrustRules, hosts: Hosts) -> str:
    """Why a call needs a human in a context that is not trusted; empty where it does not.

    Args:
        call: What the model wants.
        request: The request; a tool that it does not offer has no effect that anybody vouched for.
        rules: What the configuration says of tools.
        hosts: To which addresses in the arguments of a tool that reads may lead.
    """
    if all(tool.name != call.name for tool in request.tools):
        return "the request offers no such tool"
    if not rules.names(call.name):
        return UNDECLARED
    effect = rules.of(call.name).effect
    if effect is Effect.NONE:
        return ""
    if effect is Effect.WRITE:
        return "it has an effect outside"
    if any(spots(text, hosts) for text in _texts(call.arguments)):
        return "its arguments hold an address that no trusted person named"
    return ""


def call_of(name: str, arguments: str) -> ToolCall:
    """A call with its digest."""
    try:
        plain = msgspec.json.encode(msgspec.json.decode(arguments or "{}"), order="sorted")
    except (msgspec.DecodeError, RecursionError):
        plain = arguments.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(b"%d:%b%b" % (len(name.encode()), name.encode(), plain)).hexdigest()
    return ToolCall(name=name, arguments=arguments, digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTool:
    """A tool that the model's provider runs by itself. ``field`` is where the request names it."""

    field: str


def server_tool(request: InferenceRequest) -> ServerTool | None:
    """The first tool of a request that its provider would run by itself."""
    fields = request.fields if request.native is None else request.native.fields
    for name in _SERVER_MEMBERS:
        if fields.get(name, b"null") not in (b"null", b"[]", b"false"):
            return ServerTool(field=name)
    if request.native is None:
        return None
    if b"type" not in fields.get("tools", b""):
        return None
    for place, tool in enumerate(_objects(fields["tools"])):
        if tool.get("type") not in (None, "custom", "function"):
            return ServerTool(field=f"tools[{place}]")
    return None


def _own_words(message: Message) -> str:
    return " ".join(part.text for part in message.parts if part.kind is PartKind.TEXT)


def _untrusted_result(request: InferenceRequest, rules: TrustRules) -> str:
    places = [place for place, each in enumerate(request.messages) if each.role in _RESULT_ROLES]
    if not any(rule.trusted for rule in rules.tools.values()):
        return f"messages[{places[0]}]:tool" if places else ""
    names = _called(_objects(request.fields.get("messages", b"[]")))
    for place in places:
        name = names.get(place, "")
        if not name or not rules.of(name).trusted:
            return f"messages[{place}]:tool"
    return ""


def _called(messages: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By the place of a tool's message, which tool it is: the one that the call which it answers named."""
    calls: dict[object, str] = {}
    found: dict[int, str] = {}
    for place, message in enumerate(messages):
        for call in message.get("tool_calls") or ():
            name, function = call.get("id"), cast("Mapping[str, Any]", call.get("function") or {})
            # Two calls of one id leave it open which was answered.
            calls[name] = "" if name in calls else str(function.get("name", ""))
        if message.get("role") in _RESULT_ROLES:
            found[place] = calls.get(message.get("tool_call_id"), "")
    return found


def _has_foreign(messages: bytes) -> bool:
    return any(
        str(block.get("type", "")).endswith("_tool_result") or block.get("type") == "search_result"
        for turn in _objects(messages)
        for block in _blocks(turn.get("content"))
    )


def _blocks(content: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(content, list):
        for each in cast("list[object]", content):
            if isinstance(each, dict):
                block = cast("dict[str, Any]", each)
                yield block
                yield from _blocks(block.get("content"))


def _objects(raw: bytes) -> list[Mapping[str, Any]]:
    found: object = msgspec.json.decode(raw)
    entries = cast("list[object]", found) if isinstance(found, list) else []
    return [cast("Mapping[str, Any]", each) if isinstance(each, dict) else {} for each in entries]


def _texts(arguments: str) -> Iterator[str]:
    """Every text in a call's arguments; all of them as one where they are no JSON."""
    try:
        value: object = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        yield arguments
        return
    waiting: list[object] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += cast("list[object]", each)
        elif isinstance(each, dict):
            members = cast("dict[str, object]", each)
            waiting += [*members, *members.values()]
