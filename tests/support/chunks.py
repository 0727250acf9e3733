"""Events of a chat, as a pipeline hands them to a surface."""

from __future__ import annotations

from typing import Any

from freehold.domain.response import FinishReason, ResponseChunk


def piece(finish: FinishReason | None = None, *, choice: dict[str, Any] | None = None, **delta: Any) -> ResponseChunk:
    """One event; ``choice`` holds further members beside the delta."""
    made = {"index": 0, "delta": delta, "finish_reason": finish and finish.value, **(choice or {})}
    return ResponseChunk(
        payload={"id": "c", "choices": [made]},
        text=delta.get("content") or "",
        tool_call="tool_calls" in delta,
        finish_reason=finish,
    )


def call(index: int, arguments: str, **more: Any) -> list[dict[str, Any]]:
    """A piece of a tool call."""
    name = {"name": more.pop("name")} if "name" in more else {}
    return [{"index": index, "function": {**name, "arguments": arguments}, **more}]
