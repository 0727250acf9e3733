"""Rerankings: what a server says of documents, and what a client gets told, in the shape that Cohere and Jina share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import RerankResult, Usage
from freehold.wire.chunk_faults import InvalidChunkError
from freehold.wire.openai_usage import usage_of

JsonObject = dict[str, Any]

_DOCUMENTS_A_SEARCH = 100
"""What Cohere bills as one."""


def ranked(found: Iterable[tuple[int, float]], request: InferenceRequest) -> tuple[tuple[int, float], ...]:
    """Documents by relevance, as many as the client wants; of equal ones the first sent comes first."""
    ordered = sorted(found, key=lambda each: (-each[1], each[0]))
    top_n = None if request.ranking is None else request.ranking.top_n
    return tuple(ordered[:top_n])


def read_ranking(payload: Mapping[str, Any], request: InferenceRequest) -> RerankResult:
    """What a server answered.

    Args:
        payload: Its ``{"results": [{"index": …, "relevance_score": …}]}``, in any order.
        request: What was asked.

    Raises:
        InvalidChunkError: It is not one finite relevance for each document that the client is to get.
    """
    rows: object = payload.get("results")
    if not isinstance(rows, list):
        raise InvalidChunkError("the reply holds no results")
    found: dict[int, float] = {}
    for row in cast("list[object]", rows):
        item = cast("JsonObject", row) if isinstance(row, dict) else {}
        index, relevance = item.get("index"), item.get("relevance_score")
        if not isinstance(index, int) or not 0 <= index < len(request.inputs) or index in found:
            raise InvalidChunkError("a result's index is not that of a document")
        if not isinstance(relevance, (int, float)) or not math.isfinite(relevance):
            raise InvalidChunkError("a result has no relevance")
        found[index] = float(relevance)
    first = ranked(found.items(), request)
    if len(first) < len(ranked(((place, 0.0) for place in range(len(request.inputs))), request)):
        raise InvalidChunkError(f"the reply ranks {len(found)} of {len(request.inputs)} documents")
    return RerankResult(ranked=first, usage=_usage(payload.get("usage")))


def _usage(value: object) -> Usage:
    """VLLM counts the total only, Jina as well."""
    counted = cast("JsonObject", value) if isinstance(value, dict) else {}
    total = {"prompt_tokens": counted.get("total_tokens")}
    return usage_of(counted) or usage_of(total) or Usage(measured=False)


def ranking_of(result: RerankResult, request: InferenceRequest, receipt: Receipt) -> JsonObject:
    """The object that a client gets."""
    documents: list[object] = []
    if request.ranking is not None and request.ranking.return_documents:
        sent = msgspec.json.decode(request.fields["documents"])
        documents = [{"text": each} if isinstance(each, str) else each for each in sent]
    results: list[JsonObject] = []
    for index, relevance in result.ranked:
        shown: JsonObject = {"index": index, "relevance_score": relevance}
        if documents:
            shown["document"] = documents[index]
        results.append(shown)
    tokens = result.usage.input_tokens
    searches = -(-len(request.inputs) // _DOCUMENTS_A_SEARCH)
    answered = receipt.answered_by
    return {
        "id": request.id,
        "model": request.model if answered is None else answered.deployment,
        "results": results,
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": searches},
            "tokens": {"input_tokens": tokens, "output_tokens": 0},
        },
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
