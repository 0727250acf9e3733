"""Embedding replies in OpenAI's shape."""

from __future__ import annotations

import array
import base64
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, Usage
from freehold.wire.chunk_faults import InvalidChunkError
from freehold.wire.openai_usage import usage_of

JsonObject = dict[str, Any]


def render_embeddings(payload: Mapping[str, Any], request: InferenceRequest, *, model: str) -> EmbeddingResult:
    """An embedding reply as the client wants it: in the order of the inputs, as numbers or as base64.

    Args:
        payload: The upstream's ``{"object": "list", "data": […]}``, vectors as numbers.
        request: ``encoding_format`` of its fields decides; base64 holds little-endian 32-bit floats.
        model: The name that the client sees.

    Raises:
        InvalidChunkError: It is not one vector of finite numbers for each input.
    """
    rows: object = payload.get("data")
    if not isinstance(rows, list) or len(cast("list[object]", rows)) != len(request.inputs):
        raise InvalidChunkError(f"the reply does not hold {len(request.inputs)} embeddings")
    as_base64 = request.fields.get("encoding_format") == b'"base64"'
    vectors: dict[int, JsonObject] = {}
    for place, row in enumerate(cast("list[object]", rows)):
        if not isinstance(row, dict):
            raise InvalidChunkError("an embedding is not an object")
        item = cast("JsonObject", row)
        index = item.get("index", place)
        if not isinstance(index, int):
            raise InvalidChunkError("an embedding's index is not an integer")
        vectors[index] = {**item, "embedding": _vector(item.get("embedding"), as_base64=as_base64)}
    if sorted(vectors) != list(range(len(request.inputs))):
        raise InvalidChunkError("the embeddings' indices are not those of the inputs")
    whole = {**payload, "object": "list", "data": [vectors[i] for i in range(len(vectors))], "model": model}
    return EmbeddingResult(payload=whole, usage=usage_of(payload.get("usage")) or Usage(measured=False))


def embeddings_of_numbers(
    vectors: Sequence[bytes], request: InferenceRequest, *, model: str, tokens: int
) -> EmbeddingResult:
    """The same of vectors that were computed here.

    Args:
        vectors: One for each input, in their order, as little-endian 32-bit floats.
        request: ``encoding_format`` of its fields decides.
        model: The name that the client sees.
        tokens: What was read.
    """
    as_base64 = request.fields.get("encoding_format") == b'"base64"'
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": base64.b64encode(each).decode() if as_base64 else _numbers(each),
        }
        for place, each in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return EmbeddingResult(
        payload={"object": "list", "data": data, "model": model, "usage": usage}, usage=Usage(input_tokens=tokens)
    )


def _numbers(raw: bytes) -> list[float]:
    numbers = array.array("f", raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _vector(value: object, *, as_base64: bool) -> list[float] | str:
    if not isinstance(value, list):
        raise InvalidChunkError("an embedding is not a list of numbers")
    try:
        numbers = array.array("f", cast("list[float]", value))
    except (TypeError, OverflowError):
        raise InvalidChunkError("an embedding is not a list of numbers") from None
    if not as_base64:
        return cast("list[float]", value)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers).decode()
