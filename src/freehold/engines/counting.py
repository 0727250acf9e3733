"""How many tokens a prompt has, as servers tell it without generating."""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.domain.deployment import Deployment
from freehold.domain.request import InferenceRequest
from freehold.engines.base import Reply
from freehold.engines.reply_faults import ERROR_BYTES_MAX, protocol, refusal

_OK = 200
_NO_SUCH_ROUTE = (404, 405, 501)
_WORDS = ("input_tokens", "count")
"""How the number is called: by llama.cpp and Anthropic; by vLLM and SGLang."""
_ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Longest answer taken: vLLM sends the tokens themselves along."""

_TEMPLATE_MEMBERS = ("messages", "tools", "chat_template_kwargs")
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


async def token_count(reply: Reply, *, deployment: Deployment) -> int | None:
    """The number that a reply tells; ``None`` where the server has no such route.

    Args:
        reply: Its head is here, its body not yet read.
        deployment: Who answers.

    Raises:
        UpstreamStatus: It refused.
        UpstreamProtocol: It is no number of tokens.
        UpstreamError: As the connection says.
    """
    if reply.status in _NO_SUCH_ROUTE:
        await reply.read(limit_bytes=ERROR_BYTES_MAX)  # so that the connection can serve again
        return None
    if reply.status != _OK:
        raise await refusal(reply, deployment=deployment)
    body = await reply.read(limit_bytes=_ANSWER_BYTES_MAX)
    try:
        told = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise protocol(deployment, "a body that is not a JSON object") from None
    tokens = next((told[word] for word in _WORDS if word in told), None)
    if type(tokens) is not int or tokens < 0:
        raise protocol(deployment, "no number of tokens where one was asked for")
    return tokens


def encode_count(request: InferenceRequest, *, model: str) -> bytes:
    """The body of ``POST /tokenize`` as vLLM and SGLang take it: what the template reads, and nothing else."""
    members: dict[str, object] = {
        name: msgspec.json.decode(request.fields[name]) for name in _TEMPLATE_MEMBERS if name in request.fields
    }
    return _ENCODER.encode({"model": model, **members, "add_generation_prompt": True})
