"""Forced tool calls. Chat templates do not enforce them, so a JSON schema does, and the answer is wrapped again.

The schema demands ``{"name": …, "arguments": {…}}``, which is what the templates of tool-calling models teach, so the
tools stay in the prompt and only their parsing is switched off (``tool_choice: none``).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from freehold.domain.request import InferenceRequest, Tool, ToolChoice
from freehold.domain.response import FinishReason, ResponseChunk

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')
_DEFINITIONS = ("$defs", "definitions")


def is_forced(request: InferenceRequest) -> bool:
    """Whether the answer must be a tool call."""
    return bool(request.tools) and request.tool_choice in (ToolChoice.REQUIRED, ToolChoice.NAMED)


def forced_members(request: InferenceRequest) -> dict[str, object]:
    """Members of the body that force a call of one of the permitted tools."""
    named = request.tool_choice is ToolChoice.NAMED
    tools = [tool for tool in request.tools if not named or tool.name == request.tool_name]
    schema = call_schema(tools)
    return {"tool_choice": "none", "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def call_schema(tools: Iterable[Tool]) -> dict[str, object]:
    """JSON schema of a call of one of ``tools``. Definitions inside their parameters are moved to its root."""
    definitions: dict[str, object] = {}
    calls: list[dict[str, object]] = []
    for index, tool in enumerate(tools):
        parameters: dict[str, Any] = json.loads(tool.parameters_json) or {}
        for keyword in _DEFINITIONS:
            moved = cast("Mapping[str, object]", parameters.pop(keyword, None) or {})
            definitions.update((f"{index}.{name}", _redirect(schema, index)) for name, schema in moved.items())
        arguments = {"type": "object"} | cast("dict[str, object]", _redirect(parameters, index))
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": arguments},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, object] = calls[0] if len(calls) == 1 else {"anyOf": calls}
    if definitions:
        schema["$defs"] = definitions
    return schema


def _redirect(schema: object, index: int) -> object:
    """``schema`` with references to its own definitions pointing to where they were moved."""
    if isinstance(schema, list):
        return [_redirect(each, index) for each in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, object] = {}
    for name, value in cast("dict[str, object]", schema).items():
        if name == "$ref" and isinstance(value, str):
            found[name] = re.sub(r"^#/(?:\$defs|definitions)/", f"#/$defs/{index}.", value)
        else:
            found[name] = _redirect(value, index)
    return found


class CallScanner:
    """Takes a call apart while it is generated, however the text is cut."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.complete = False
        self._head = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """The part of the arguments, as JSON text, that ``text`` adds. ``name`` is set from the first part on."""
        if self.name is None:
            self._head += text
            found = _HEAD.match(self._head)
            if found is None:
                return ""
            self.name = json.loads(found[1])
            text = self._head[found.end() :]
        if self.complete:
            return ""
        for place, character in enumerate(text):
            if self._ends_at(character):
                self.complete = True
                return text[: place + 1]
        return text

    def _ends_at(self, character: str) -> bool:
        """Whether ``character`` closes the object that the arguments are."""
        if self._in_string:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            elif character == '"':
                self._in_string = False
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            return self._depth == 0
        return False


async def as_tool_calls(
    chunks: AsyncGenerator[ResponseChunk], *, new_id: Callable[[], str]
) -> AsyncGenerator[ResponseChunk]:
    """The chunks of a forced call, its text turned into ``tool_calls``; log-probabilities stay where they are."""
    scanner = CallScanner()
    announced = False
    async with aclosing(chunks):
        async for chunk in chunks:
            calls: list[dict[str, object]] = []
            if chunk.text:
                arguments = scanner.feed(chunk.text)
                if scanner.name is not None and not announced:
                    announced = True
                    function = {"name": scanner.name, "arguments": arguments}
                    calls = [{"index": 0, "id": f"call_{new_id()}", "type": "function", "function": function}]
                elif arguments:
                    calls = [{"index": 0, "function": {"arguments": arguments}}]
            yield _rewrap(chunk, calls, complete=scanner.complete)


def _rewrap(chunk: ResponseChunk, calls: list[dict[str, object]], *, complete: bool) -> ResponseChunk:
    finish = chunk.finish_reason
    if finish is FinishReason.STOP and complete:
        finish = FinishReason.TOOL_CALLS
    if not chunk.text and finish is chunk.finish_reason:
        return chunk
    payload = chunk.payload
    if payload is not None:
        choice = dict(cast("list[dict[str, object]]", payload["choices"])[0])
        if chunk.text:
            choice["delta"] = {"tool_calls": calls} if calls else {}
        if finish is not None:
            choice["finish_reason"] = finish.value
        # A piece of the call's frame is no news to the client, unless it wants the log-probabilities of it.
        silent = not calls and finish is None and choice.get("logprobs") is None
        payload = None if silent else {**payload, "choices": [choice]}
    return replace(chunk, payload=payload, text="", tool_call=bool(calls), finish_reason=finish)
