"""What of a request is looked through before it leaves: every text, name and number in it, as whoever reads it has it."""

from __future__ import annotations

import asyncio

from freehold.domain.request import InferenceRequest
from freehold.wire.said import said_in

ENCODED_CHARACTERS_MAX = 16 * 1024
"""Of one long word that is looked at as a text: no credential is longer."""

AT_ONCE_BYTES_MAX = 16 * 1024
"""Of a request that is read on the event loop."""

_WORDS = frozenset(
    {
        "system", "developer", "user", "assistant", "tool", "function", "text", "auto", "none", "required", "type",
        "object", "array", "string", "number", "integer", "boolean", "null", "json_object", "json_schema", "image_url",
        "tool_result", "tool_use", "ephemeral",
    }
)  # fmt: skip
"""Words of the protocol, which nearly every request has and which say nothing of anybody."""

_MEMBERS = _WORDS | frozenset(
    {
        "model", "messages", "role", "content", "name", "stream", "stream_options", "include_usage", "temperature",
        "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed", "n", "logprobs", "top_logprobs",
        "frequency_penalty", "presence_penalty", "response_format", "schema", "strict", "tools", "tool_choice",
        "tool_calls", "tool_call_id", "tool_use_id", "parallel_tool_calls", "id", "arguments", "input", "input_schema",
        "description", "parameters", "properties", "items", "enum", "additionalProperties", "$schema", "prompt",
        "suffix", "metadata", "user_id", "cache_control", "stop_sequences", "thinking", "budget_tokens", "is_error",
        "url", "source", "media_type", "data", "documents", "query", "top_n", "encoding_format", "dimensions",
    }
)  # fmt: skip
"""Names that requests give their members."""


async def texts_of(request: InferenceRequest) -> tuple[list[str], str]:
    """What is looked through of a request, and what of it is no text that anybody could look at; empty for nothing."""
    if request.body_bytes > AT_ONCE_BYTES_MAX:
        return await asyncio.to_thread(_texts_of, request)
    return _texts_of(request)


def _texts_of(request: InferenceRequest) -> tuple[list[str], str]:
    said = said_in(request)
    found = [*said.texts, *(each for each in said.encoded if len(each) <= ENCODED_CHARACTERS_MAX)]
    # Few say anything, so that all of them are one text.
    found.append("\n".join(each for each in said.members if each not in _MEMBERS))
    found.append("\n".join(said.numbers))
    texts = [each for each in dict.fromkeys(found) if each and each not in _WORDS and each != request.model]
    if "file" in said.unread:
        return texts, "a file in it was not read"
    # An image or a sound has a label of its own; anything else so long is hidden.
    hidden = any(len(each) > ENCODED_CHARACTERS_MAX for each in said.encoded if each not in said.carried)
    return texts, "it holds data that nobody can read" if hidden else ""
