"""What of a request is looked through before it leaves: every text, name and number in it, as whoever reads it has it."""

from __future__ import annotations

import asyncio

import msgspec

from freehold.domain.request import InferenceRequest
from freehold.wire.said import said_by, said_in

ENCODED_CHARACTERS_MAX = 16 * 1024
"""Of one long word that is looked at as a text: no credential is longer."""

AT_ONCE_BYTES_MAX = 16 * 1024
"""Of a request that is read on the event loop."""

_JSON_BEGINS = ("{", "[")
_INNER_MAX = 3
"""JSON in a text of JSON in a text: further in it is looked at as it is written."""

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
    found += [unescaped for each in (*found,) if (unescaped := _unescaped(each))]
    if request.native is not None:
        found += (value for _, value in request.native.headers)
    # Few say anything, so that all of them are one text.
    found.append("\n".join(each for each in said.members if each not in _MEMBERS))
    found.append("\n".join(said.numbers))
    texts = [each for each in dict.fromkeys(found) if each and each not in _WORDS and each != request.model]
    if "file" in said.unread:
        return texts, "a file in it was not read"
    # An image or a sound has a label of its own; anything else so long is hidden.
    hidden = any(len(each) > ENCODED_CHARACTERS_MAX for each in said.encoded if each not in said.carried)
    return texts, "it holds data that nobody can read" if hidden else ""


def _unescaped(text: str) -> str:
    """What a text that is JSON says to a program that reads it; empty where that is no other than what is written.

    Arguments and results of tools are such texts. Many clients escape each letter beyond ASCII, and before a line that
    ends stands a letter n, which hides where the next word begins.
    """
    found: list[str] = []
    waiting = [text]
    for _ in range(_INNER_MAX):
        inner: list[str] = []
        for each in waiting:
            if "\\" not in each or each.lstrip()[:1] not in _JSON_BEGINS:
                continue
            try:
                said = said_by(msgspec.json.decode(each))
            except (msgspec.DecodeError, RecursionError):
                continue
            inner += said.texts + said.encoded
            found += *inner, *said.members
        waiting = inner
    return "\n".join(each for each in dict.fromkeys(found) if each not in _WORDS)
