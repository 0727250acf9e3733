"""What Freehold decides on in a request of Anthropic's Messages API, typed, with every bound in this one place.

Members that are not named here are passed on as they are. A member whose value is null counts as left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from freehold.wire.openai_schema import MESSAGES_MAX, STOP_MAX, TOOLS_MAX, FreeholdOptions, Name, Share, Tokens


class TextBlock(Struct, tag="text"):
    """Text."""

    text: str


class Base64Source(Struct, tag="base64"):
    """Content inside the request."""

    media_type: str
    data: str


class UrlSource(Struct, tag="url"):
    """Content elsewhere."""

    url: str


class TextSource(Struct, tag="text"):
    """A document that is text."""

    data: str


class FileSource(Struct, tag="file"):
    """Content that was uploaded before."""

    file_id: str


class ContentSource(Struct, tag="content"):
    """A document made of blocks."""

    content: str | list[TextBlock | ImageBlock | ForeignBlock]


class ImageBlock(Struct, tag="image"):
    """An image."""

    source: Base64Source | UrlSource | FileSource


class DocumentBlock(Struct, tag="document"):
    """A document."""

    source: Base64Source | UrlSource | TextSource | FileSource | ContentSource
    title: str | None = None
    context: str | None = None


class SearchResultBlock(Struct, tag="search_result"):
    """A passage that was found."""

    source: str
    title: str
    content: list[TextBlock]


class ThinkingBlock(Struct, tag="thinking"):
    """What an assistant thought, sent back as history. Its maker believes only what it has signed."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, tag="redacted_thinking"):
    """The same, encrypted for its own maker."""

    data: str


class ForeignBlock(Struct, tag="freehold_foreign"):
    """A block of a kind that chat has no word for, set in its place by ``messages_foreign``."""

    kind: str
    block: dict[str, Any]


class ToolUseBlock(Struct, tag="tool_use"):
    """One call of a tool, as history."""

    id: str
    name: Name
    input: dict[str, Any]


class ToolResultBlock(Struct, tag="tool_result"):
    """What a tool said."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ForeignBlock] | None = None
    is_error: bool | None = None


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | ForeignBlock
)


class Turn(Struct):
    """One turn."""

    role: Literal["user", "assistant"]
    content: str | list[Block]


class Tool(Struct):
    """A tool; those that the client runs are the only kind that chat knows."""

    name: Name
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class AutoChoice(Struct, tag="auto"):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(Struct, tag="any"):
    """Some tool must be called."""

    disable_parallel_tool_use: bool | None = None


class ToolChoice(Struct, tag="tool"):
    """This tool must be called."""

    name: Name
    disable_parallel_tool_use: bool | None = None


class NoneChoice(Struct, tag="none"):
    """No tool may be called."""

    disable_parallel_tool_use: bool | None = None


class JsonFormat(Struct):
    """The form of the answer."""

    schema: dict[str, Any]
    type: Literal["json_schema"] = "json_schema"


class OutputConfig(Struct):
    """How the answer is to be."""

    format: JsonFormat | None = None
    effort: str | None = None


class Metadata(Struct):
    """What labels a call."""

    user_id: str | None = None


class MessagesBody(Struct, kw_only=True):
    """``POST /v1/messages``."""

    model: Name
    max_tokens: Tokens
    messages: Annotated[list[Turn], Meta(min_length=1, max_length=MESSAGES_MAX)]
    system: str | list[TextBlock | ForeignBlock] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None
    stream: bool | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    tools: Annotated[list[Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: AutoChoice | AnyChoice | ToolChoice | NoneChoice | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    freehold: FreeholdOptions | None = None


ALLOWED = {
    "role": "user or assistant (the system prompt is a member of its own)",
    "content.type": "text, image, document, search_result, thinking, redacted_thinking, tool_use or tool_result",
    "source.type": "base64, url, text, content or file",
    "tool_choice.type": "auto, any, tool or none",
    "format.type": "json_schema",
}
"""What a closed list of values allows, by the path without its indices."""
