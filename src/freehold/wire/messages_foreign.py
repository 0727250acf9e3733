"""What a request of the Messages API may hold that chat has no word for: set apart, so that the rest can be read.

An upstream of Anthropic's gets such a request as it was sent. For all others it is looked at here what would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from freehold.domain.request import Untranslatable
from freehold.wire.messages_schema import (
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    Tool,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)
from freehold.wire.openai_invalid import show

JsonObject = dict[str, Any]

ONLY_ANTHROPIC = "only a model behind Anthropic's own interface takes it"

_FOREIGN = "freehold_foreign"
_ANYWHERE = frozenset(
    {"text", "image", "document", "search_result", "thinking", "redacted_thinking", "tool_use", "tool_result"}
)
_IN_RESULT = frozenset({"text", "image", "document", "search_result"})
_IN_SOURCE = frozenset({"text", "image"})
_SYSTEM = frozenset({"text"})
_SOURCES = {
    "image": frozenset({"base64", "url", "file"}),
    "document": frozenset({"base64", "url", "text", "file", "content"}),
}
_CHOICES = frozenset({"auto", "any", "tool", "none"})
_CUSTOM = (None, "custom")
_NEEDS_ANTHROPIC = ("mcp_servers", "container")
_LEFT_OUT = ("cache_control", "context_management")


def _known(*kinds: type[msgspec.Struct]) -> dict[str, frozenset[str]]:
    return {str(kind.__struct_config__.tag): frozenset(kind.__struct_fields__) | {"type"} for kind in kinds}


_MEMBERS = _known(
    TextBlock, ImageBlock, DocumentBlock, SearchResultBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock,
    ToolResultBlock,
)  # fmt: skip
_SOURCE_MEMBERS = _known(Base64Source, UrlSource, TextSource, FileSource, ContentSource)
_NOTHING: frozenset[str] = frozenset()
_MEDIA = frozenset({"media_type"})
"""Of a document that is text it is always the same."""

_METADATA = frozenset({"user_id"})
_TOOL_MEMBERS = frozenset(Tool.__struct_fields__)


def set_apart(values: JsonObject) -> JsonObject:
    """A body in which every block of a kind that chat does not know is a ``ForeignBlock``."""
    told = dict(values)
    if isinstance(values.get("messages"), list):
        told["messages"] = [_turn(turn) for turn in listed(values["messages"])]
    if isinstance(values.get("system"), list):
        told["system"] = _blocks(values["system"], _SYSTEM)
    if isinstance(values.get("tools"), list):
        told["tools"] = [_tool(tool) for tool in listed(values["tools"])]
    if _kind(values.get("tool_choice")) not in (*_CHOICES, None):
        del told["tool_choice"]
    config = members_of(values.get("output_config"))
    if _kind(config.get("format")) not in ("json_schema", None):
        told["output_config"] = {name: value for name, value in config.items() if name != "format"}
    return told


def needs_anthropic(values: JsonObject) -> Untranslatable | None:
    """The first member, besides blocks and tools, that changes the answer and that chat has no word for."""
    for name in _NEEDS_ANTHROPIC:
        if values.get(name):
            return Untranslatable(field=name, shown=show(values[name]), reason=ONLY_ANTHROPIC)
    if (kind := _kind(values.get("tool_choice"))) not in (*_CHOICES, None):
        return Untranslatable(field="tool_choice.type", shown=show(kind), reason=ONLY_ANTHROPIC)
    if (kind := _kind(members_of(values.get("output_config")).get("format"))) not in ("json_schema", None):
        return Untranslatable(field="output_config.format.type", shown=show(kind), reason=ONLY_ANTHROPIC)
    for place, turn in enumerate(listed(values.get("messages"))):
        for index, block in enumerate(listed(members_of(turn).get("content"))):
            # A passage that is to be cited; what an assistant has cited is a list.
            if members_of(members_of(block).get("citations")).get("enabled"):
                field = f"messages[{place}].content[{index}].citations.enabled"
                return Untranslatable(field=field, shown="true", reason=ONLY_ANTHROPIC)
    return None


def left_out(values: JsonObject) -> tuple[str, ...]:
    """Members of a sound body that label a call or hint at something, and that its chat has no place for."""
    found: dict[str, None] = {name: None for name in _LEFT_OUT if values.get(name) is not None}
    found |= _beyond(members_of(values.get("metadata")), _METADATA, "metadata")
    for tool in listed(values.get("tools")):
        found |= _beyond(tool, _TOOL_MEMBERS, "tools")
    for block in _all_blocks(values.get("system")):
        found |= _beyond(block, _MEMBERS["text"], "system")
    for turn in listed(values["messages"]):
        for block in _all_blocks(turn.get("content")):
            found |= _of_block(block)
    return tuple(found)


def without_unsigned(messages: list[JsonObject]) -> list[JsonObject]:
    """Turns without thoughts that nobody signed: those of models that sign none, which Anthropic would refuse."""
    told: list[JsonObject] = []
    for turn in messages:
        if turn.get("role") != "assistant" or not isinstance(turn.get("content"), list):
            told.append(turn)
        elif kept := [block for block in listed(turn["content"]) if not _is_unsigned(block)]:
            told.append({**turn, "content": kept})
    return told


def members_of(value: object) -> JsonObject:
    """An object's members; none of anything else."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """A list's entries; none of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def tag(block: Block) -> str:
    """The ``type`` that a block was sent with."""
    return str(block.__struct_config__.tag)


def _is_unsigned(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "thinking" and not block.get("signature")


def _of_block(block: JsonObject) -> dict[str, None]:
    kind = str(block.get("type"))
    known = _MEMBERS.get(kind)
    if known is None:
        return {}
    found = _beyond(block, known, "messages.content")
    if kind == "redacted_thinking" or (kind == "thinking" and block.get("signature")):
        found[f"messages.content.{'signature' if kind == 'thinking' else kind}"] = None
    source = members_of(block.get("source"))
    return found | _beyond(
        source, _SOURCE_MEMBERS.get(str(source.get("type")), _NOTHING) | _MEDIA, "messages.content.source"
    )


def _beyond(values: JsonObject, known: frozenset[str], path: str) -> dict[str, None]:
    return {f"{path}.{name}": None for name in values if name not in known and values[name] is not None}


def _all_blocks(content: object) -> Iterator[JsonObject]:
    """Blocks at every level."""
    for block in map(members_of, listed(content)):
        yield block
        yield from _all_blocks(block.get("content"))
        yield from _all_blocks(members_of(block.get("source")).get("content"))


def _turn(turn: object) -> object:
    members = members_of(turn)
    if not isinstance(members.get("content"), list):
        return turn
    return {**members, "content": _blocks(members["content"], _ANYWHERE)}


def _blocks(blocks: object, known: frozenset[str]) -> list[Any]:
    # What is no object is left for the schema to find fault with.
    return [_block(members, known) if (members := members_of(block)) else block for block in listed(blocks)]


def _block(block: JsonObject, known: frozenset[str]) -> JsonObject:
    kind = block.get("type")
    if not isinstance(kind, str):
        return block  # its own mistake, told by the schema
    source = members_of(block.get("source"))
    sources = _SOURCES.get(kind)
    if kind not in known or (sources is not None and _kind(source) not in (*sources, None)):
        return {"type": _FOREIGN, "kind": kind, "block": block}
    if kind == "tool_result" and isinstance(block.get("content"), list):
        return {**block, "content": _blocks(block["content"], _IN_RESULT)}
    if kind == "document" and isinstance(source.get("content"), list):
        return {**block, "source": {**source, "content": _blocks(source["content"], _IN_SOURCE)}}
    return block


def _tool(tool: object) -> object:
    """A tool that Anthropic runs may have no name."""
    members = members_of(tool)
    if members.get("type") in _CUSTOM:
        return tool
    return {"name": "foreign", **{name: value for name, value in members.items() if name in ("name", "type")}}


def _kind(value: object) -> str | None:
    kind = members_of(value).get("type")
    return kind if isinstance(kind, str) else None
