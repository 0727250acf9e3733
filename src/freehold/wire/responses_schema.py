"""What Freehold decides on in a request of OpenAI's Responses API, typed.

Members that are not named here are passed on as they are. A member whose value is null counts as left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from freehold.wire.openai_schema import MESSAGES_MAX, TOOLS_MAX, FreeholdOptions, Name, Share, Tokens


class InputText(Struct, tag="input_text"):
    """Text of a user."""

    text: str


class OutputText(Struct, tag="output_text"):
    """Text of an assistant, as history."""

    text: str


class Refusal(Struct, tag="refusal"):
    """An assistant's refusal, as history."""

    refusal: str


class InputImage(Struct, tag="input_image"):
    """An image."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class InputFile(Struct, tag="input_file"):
    """A file."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


Part = InputText | OutputText | Refusal | InputImage | InputFile


class MessageItem(Struct):
    """One turn."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Part]


class FunctionCallItem(Struct):
    """One call of a tool, as history."""

    call_id: str
    name: Name
    arguments: str = ""


class FunctionOutputItem(Struct):
    """What a tool said."""

    call_id: str
    output: str | list[Part]


class ReasoningText(Struct):
    """A piece of what an assistant thought."""

    text: str


class ReasoningItem(Struct):
    """What an assistant thought, as history."""

    summary: list[ReasoningText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class FunctionTool(Struct):
    """A tool: a function, or ``file_search``."""

    type: str
    name: Name | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedTool(Struct):
    """The one tool that must be called."""

    type: Literal["function", "file_search"]
    name: Name | None = None


class TextFormat(Struct):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class TextOptions(Struct):
    """How the text of the answer is to be."""

    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(Struct):
    """How much to think."""

    effort: str | None = None


class ResponsesBody(Struct, kw_only=True):
    """``POST /v1/responses``."""

    model: Name
    input: str | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MESSAGES_MAX)]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    stream: bool | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    top_logprobs: int | None = None
    freehold: FreeholdOptions | None = None


ALLOWED = {
    "role": "user, assistant, system or developer",
    "content.type": "input_text, output_text, refusal, input_image or input_file",
    "output.type": "input_text, input_image or input_file",
    "format.type": "text, json_object or json_schema",
    "tool_choice": '"none", "auto", "required" or {"type": "function", "name": …}',
}
"""What a closed list of values allows, by the path without its indices."""
