"""What Freehold decides on in a request of Ollama's API, typed.

Members that are not named here are passed on as they are. A member whose value is null counts as left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from freehold.wire.openai_schema import MESSAGES_MAX, TOOLS_MAX, Name


class CalledFunction(Struct):
    """What a model asked a tool."""

    name: Name
    arguments: dict[str, Any] | None = None


class Call(Struct):
    """One call of a tool, as history."""

    function: CalledFunction
    id: str | None = None


class Turn(Struct):
    """One turn."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    images: list[str] | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class Options(Struct):
    """How to sample. What else ``options`` may hold says how Ollama is to load the model, which is not ours to say."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    num_predict: int | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Asked(Struct, kw_only=True):
    """What chat and generate share."""

    model: Name
    stream: bool | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    options: Options | None = None


class OllamaChat(Asked, kw_only=True):
    """``POST /api/chat``."""

    messages: Annotated[list[Turn], Meta(min_length=1, max_length=MESSAGES_MAX)]
    tools: Annotated[list[dict[str, Any]], Meta(max_length=TOOLS_MAX)] | None = None


class OllamaGenerate(Asked, kw_only=True):
    """``POST /api/generate``."""

    prompt: str = ""
    system: str | None = None
    suffix: str | None = None
    images: list[str] | None = None
    raw: bool | None = None
    template: str | None = None
    context: list[int] | None = None


class OllamaEmbed(Struct, kw_only=True):
    """``POST /api/embed``."""

    model: Name
    input: Any
    dimensions: int | None = None
    truncate: bool | None = None


ALLOWED = {
    "role": "system, user, assistant or tool",
    "format": '"json" or a JSON schema',
}
"""What a closed list of values allows, by the path without its indices."""
