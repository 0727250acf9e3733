"""What Freehold decides on in an OpenAI request body, typed, with every bound in this one place.

Members that are not named here are passed on as they are. A member whose value is null counts as left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

MESSAGES_MAX = 10_000
TOKENS_MAX = 1_000_000
STOP_MAX = 16
TOP_LOGPROBS_MAX = 20
TOOLS_MAX = 1_000
INPUTS_MAX = 2_048
DIMENSIONS_MAX = 65_536
DOCUMENTS_MAX = 1_000
NAME_CHARACTERS_MAX = 256
PASSAGES_MAX = 50
FILTER_NAMES_MAX = 64

Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Tokens = Annotated[int, Meta(ge=1, le=TOKENS_MAX)]
Stop = str | Annotated[list[str], Meta(max_length=STOP_MAX)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Names = Annotated[list[Name], Meta(max_length=FILTER_NAMES_MAX)]
Day = Annotated[str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]


class TextPart(Struct, tag="text"):
    """Text."""

    text: str
    cache_control: Any = None


class RefusalPart(Struct, tag="refusal"):
    """An assistant's refusal, sent back as history."""

    refusal: str


class ImageUrl(Struct):
    """Where an image is; a data URL holds it."""

    url: str
    detail: str | None = None


class ImagePart(Struct, tag="image_url"):
    """An image."""

    image_url: ImageUrl
    cache_control: Any = None


class InputAudio(Struct):
    """Base64 sound."""

    data: str
    format: str


class AudioPart(Struct, tag="input_audio"):
    """Sound."""

    input_audio: InputAudio


class FileData(Struct):
    """A file by content or by the upstream's id."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Struct, tag="file"):
    """A file."""

    file: FileData
    cache_control: Any = None


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart


class FunctionCall(Struct):
    """What a model asked a tool."""

    name: Name
    arguments: str = ""


class ToolCall(Struct):
    """One call of a tool, as history."""

    function: FunctionCall
    id: str = ""
    type: Literal["function"] = "function"


class ChatMessage(Struct):
    """One turn. ``content_blocks`` is ours: what Anthropic said, as Freehold told it."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    content_blocks: list[dict[str, Any]] | None = None


class Function(Struct):
    """A function that may be called."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Struct):
    """A tool; functions are the only kind."""

    function: Function
    type: Literal["function"] = "function"
    cache_control: Any = None


class NamedFunction(Struct):
    """The name of a function."""

    name: Name


class NamedTool(Struct):
    """The one tool that must be called."""

    function: NamedFunction
    type: Literal["function"] = "function"


class JsonSchema(Struct):
    """A schema with the name that the model is told."""

    schema: dict[str, Any] | None = None
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Struct):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None


class FreeholdOptions(Struct, forbid_unknown_fields=True):
    """Freehold's own member ``freehold``; it is read and never passed on."""

    include_receipt: bool = False


class Body(Struct, kw_only=True):
    """What chat, completions and embeddings share."""

    model: Name
    freehold: FreeholdOptions | None = None


class Generating(Body, kw_only=True):
    """What chat and completions share.

    The last group is not decided on: bounded only so that no absurd number reaches an engine.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    max_tokens: Tokens | None = None
    seed: Seed | None = None
    stop: Stop | None = None
    n: int | None = None
    best_of: int | None = None
    n_cmpl: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None

    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    repetition_penalty: Annotated[float, Meta(ge=0, le=10)] | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    top_k: Annotated[int, Meta(ge=-1, le=TOKENS_MAX)] | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None = None
    n_predict: Annotated[int, Meta(ge=-1, le=TOKENS_MAX)] | None = None
    n_probs: Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None = None
    prompt_logprobs: Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None = None


class VaultFilters(Struct, forbid_unknown_fields=True):
    """What documents must be like, as ``domain.vault.Filters``."""

    documents: Names = []
    sources: Names = []
    authors: Names = []
    written_from: Day = ""
    written_to: Day = ""
    media_types: Names = []


class VaultOptions(Struct, forbid_unknown_fields=True):
    """The member ``vault``: what to look for in private documents; it is read and never passed on."""

    name: Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX)] = ""
    limit: Annotated[int, Meta(ge=1, le=PASSAGES_MAX)] | None = None
    filters: VaultFilters | None = None
    only_what_may_leave: bool = False


class ChatBody(Generating, kw_only=True):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=MESSAGES_MAX)]
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    vault: VaultOptions | str | bool | None = None


class CompletionBody(Generating, kw_only=True):
    """``POST /v1/completions``."""

    prompt: Any
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None = None


class EmbeddingBody(Body, kw_only=True):
    """``POST /v1/embeddings``."""

    input: Any
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=DIMENSIONS_MAX)] | None = None
    truncate: Any = None
    truncate_prompt_tokens: Any = None


class RerankBody(Body, kw_only=True):
    """``POST /v1/rerank``: Cohere's and Jina's members, with those that vLLM has besides."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[Any], Meta(min_length=1, max_length=DOCUMENTS_MAX)]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: Tokens | None = None
    truncate: Any = None
    truncate_prompt_tokens: Any = None


ALLOWED = {
    "role": "system, developer, user, assistant, tool or function",
    "content.type": "text, refusal, image_url, input_audio or file",
    "tools.type": "function",
    "tool_calls.type": "function",
    "tool_choice": '"none", "auto", "required" or {"type": "function", "function": {"name": …}}',
    "response_format.type": "text, json_object or json_schema",
    "encoding_format": "float or base64",
}
"""What a closed list of values allows, by the path without its indices; ``role`` stands for every role."""
