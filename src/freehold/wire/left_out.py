"""What of a request its deployment was not told, since its interface has no word for it: named, so that it is no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from freehold.domain.deployment import Deployment, EngineKind
from freehold.domain.request import Dialect, InferenceRequest
from freehold.wire.anthropic_upstream import LEFT_OUT, call_members
from freehold.wire.openai_schema import (
    AudioPart,
    ChatMessage,
    FilePart,
    Function,
    FunctionTool,
    ImagePart,
    RefusalPart,
    TextPart,
    ToolCall,
)

JsonObject = dict[str, Any]

_CHARACTERS_MAX = 1024
_SAYS_NOTHING = (b"null", b"false", b"[]", b"{}")
_LABELS = ("user", "safety_identifier")


def _known(*kinds: type[msgspec.Struct]) -> dict[str, frozenset[str]]:
    return {str(kind.__struct_config__.tag): frozenset(kind.__struct_fields__) | {"type"} for kind in kinds}


_PARTS = _known(TextPart, RefusalPart, ImagePart, FilePart, AudioPart)
_TURN = frozenset(ChatMessage.__struct_fields__) - {"name", "reasoning_content"}
_CALL = frozenset(ToolCall.__struct_fields__)
_TOOL = frozenset(FunctionTool.__struct_fields__)
_FUNCTION = frozenset(Function.__struct_fields__)
_PLAIN_DETAIL = (None, "auto")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


def names_left_out(request: InferenceRequest, deployment: Deployment) -> str:
    """Paths of members, apart by commas; empty where all of them went along.

    Only what changes no answer is left out: what would change one is refused.
    """
    is_anthropic = deployment.engine is EngineKind.ANTHROPIC
    if not (is_anthropic or request.left_out):
        return ""
    names = request.left_out
    if is_anthropic:
        native = request.native
        if native is not None and native.dialect is Dialect.ANTHROPIC:
            return ""
        names = (*names, *left_out_of_chat(request))
    return ", ".join(_NOT_A_NAME.sub("?", name) for name in names)[:_CHARACTERS_MAX]


def left_out_of_chat(request: InferenceRequest) -> tuple[str, ...]:
    """What of a chat ``encode_messages`` leaves out."""
    fields = request.fields
    told = call_members(request)
    taken = {"service_tier"} & told.keys()
    if "metadata" in told:
        taken.add(next(name for name in _LABELS if fields.get(name, b"null") != b"null"))
    names = [name for name in sorted(LEFT_OUT & fields.keys()) if fields[name] not in _SAYS_NOTHING]
    found = dict.fromkeys(name for name in names if name not in taken)
    for turn in _decoded(fields["messages"]):
        found |= dict.fromkeys(_of_turn(turn))
    for tool in _decoded(fields.get("tools", b"null")):
        found |= dict.fromkeys(_beyond(tool, _TOOL, "tools"))
        found |= dict.fromkeys(_beyond(cast("JsonObject", tool["function"]), _FUNCTION, "tools.function"))
    return tuple(found)


def _of_turn(turn: JsonObject) -> Iterator[str]:
    known = _TURN
    if turn.get("content_blocks"):
        known |= {"reasoning_content"}
    if turn["role"] in ("tool", "function"):
        known |= {"name"}
    yield from _beyond(turn, known, "messages")
    parts: object = turn.get("content")
    for part in cast("list[JsonObject]", parts) if isinstance(parts, list) else ():
        yield from _beyond(part, _PARTS[part["type"]], "messages.content")
        if part["type"] == "image_url" and part["image_url"].get("detail") not in _PLAIN_DETAIL:
            yield "messages.content.image_url.detail"
    for call in cast("list[JsonObject]", turn.get("tool_calls") or []):
        yield from _beyond(call, _CALL, "messages.tool_calls")


def _beyond(values: JsonObject, known: frozenset[str], path: str) -> Iterator[str]:
    return (f"{path}.{name}" for name, value in values.items() if name not in known and value is not None)


def _decoded(raw: bytes) -> list[JsonObject]:
    return msgspec.json.decode(raw) or []
