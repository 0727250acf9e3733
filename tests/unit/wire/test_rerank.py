"""Rerank requests and answers, in the shape that Cohere, Jina, vLLM and LocalAI share."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from freehold.domain.errors.request import FieldInvalid
from freehold.domain.request import InferenceRequest, Ranking, Task
from freehold.domain.response import RerankResult, Usage
from freehold.wire.chunk_faults import InvalidChunkError
from freehold.wire.openai_request import decode_embedding, decode_rerank, is_cut
from freehold.wire.rerank import ranked, ranking_of, read_ranking
from tests.support.receipts import make_receipt


def asked(**members: Any) -> InferenceRequest:
    body = {"model": "m", "query": "which?", "documents": ["a", "b", "c"], **members}
    return decode_rerank(json.dumps(body).encode(), request_id="r1")


def test_what_a_client_says() -> None:
    request = asked(documents=["a", {"text": "b", "title": "t"}], top_n=1, max_tokens_per_doc=9, return_documents=True)
    assert (request.task, request.model, request.inputs) == (Task.RERANK, "m", ("a", "b"))
    assert request.ranking == Ranking(query="which?", top_n=1, document_tokens_max=9, return_documents=True)
    assert not request.cuts
    assert not request.is_generated
    assert request.input_bytes == len(b'"which?"') + len(b'["a", {"text": "b", "title": "t"}]')


def test_what_a_client_leaves_out() -> None:
    assert asked(top_n=None, return_documents=None).ranking == Ranking(query="which?")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": 5}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": [{"title": "t"}]}, "documents[0]"),
        ({"documents": [{"text": ["a"]}]}, "documents[0]"),
        ({"documents": ["a"] * 1_001}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc"),
        ({"return_documents": "yes"}, "return_documents"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        asked(**members)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("truncate", "to_tokens", "cut"),
    [
        (True, None, True),
        ("END", None, True),
        (None, -1, True),
        (False, None, False),
        ("NONE", None, False),
        ("START", None, False),
        (None, None, False),
        (1, None, False),
        (None, 100, False),
    ],
)
def test_a_text_is_cut_only_where_somebody_says_so(truncate: object, to_tokens: object, cut: bool) -> None:
    assert is_cut(truncate, to_tokens) is cut
    assert asked(truncate=truncate, truncate_prompt_tokens=to_tokens).cuts is cut
    body = {"model": "m", "input": "a", "truncate": truncate, "truncate_prompt_tokens": to_tokens}
    assert decode_embedding(json.dumps(body).encode(), request_id="r1").cuts is cut


def test_the_most_relevant_come_first_and_equals_as_they_were_sent() -> None:
    found = [(0, 0.5), (1, 0.9), (2, 0.5)]
    assert ranked(found, asked()) == ((1, 0.9), (0, 0.5), (2, 0.5))
    assert ranked(found, asked(top_n=2)) == ((1, 0.9), (0, 0.5))
    assert ranked(found, asked(top_n=9)) == ((1, 0.9), (0, 0.5), (2, 0.5))


def answered(*rows: Any, **members: Any) -> dict[str, Any]:
    results = [{"index": index, "relevance_score": relevance} for index, relevance in rows]
    return {"results": results, **members}


def test_a_server_may_answer_in_any_order_with_all_or_as_many_as_were_wanted() -> None:
    usage = {"total_tokens": 9}
    assert read_ranking(answered((2, 1), (0, -3.5), (1, 0)), asked()).ranked == ((2, 1.0), (1, 0.0), (0, -3.5))
    assert read_ranking(answered((0, 0.1), (2, 0.9), (1, 0.5)), asked(top_n=1)).ranked == ((2, 0.9),)
    found = read_ranking(answered((1, 0.5), usage=usage), asked(top_n=1))
    assert (found.ranked, found.usage) == (((1, 0.5),), Usage(input_tokens=9))
    counted = read_ranking(answered((1, 0.5), usage={"prompt_tokens": 4, "total_tokens": 9}), asked(top_n=1))
    assert counted.usage.input_tokens == 4
    assert not read_ranking(answered((1, 0.5)), asked(top_n=1)).usage.measured


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"results": {}},
        answered((0, 1.0), (1, 1.0)),
        answered((0, 1.0), (1, 1.0), (3, 1.0)),
        answered((0, 1.0), (1, 1.0), (-1, 1.0)),
        answered((0, 1.0), (1, 1.0), (1, 1.0)),
        answered((0, 1.0), (1, 1.0), (2, math.nan)),
        answered((0, 1.0), (1, 1.0), (2, "1")),
        answered((0, 1.0), (1, 1.0), ("2", 1.0)),
        {"results": [1, 2, 3]},
    ],
)
def test_an_answer_that_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidChunkError):
        read_ranking(wrong, asked())


def test_what_a_client_gets() -> None:
    result = RerankResult(ranked=((1, 0.9), (0, 0.5)), usage=Usage(input_tokens=7))
    told = ranking_of(result, asked(top_n=2), make_receipt())
    assert told["id"] == "r1"
    assert told["results"] == [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.5}]
    assert told["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert told["meta"]["billed_units"] == {"search_units": 1}


def test_documents_are_given_back_as_they_were_sent() -> None:
    result = RerankResult(ranked=((1, 0.9), (0, 0.5)))
    documents = ["a", {"text": "b", "title": "t"}, "c"]
    told = ranking_of(result, asked(documents=documents, return_documents=True), make_receipt())
    assert [each["document"] for each in told["results"]] == [{"text": "b", "title": "t"}, {"text": "a"}]


def test_a_hundred_documents_are_a_search() -> None:
    request = asked(documents=["a"] * 101)
    assert ranking_of(RerankResult(ranked=()), request, make_receipt())["meta"]["billed_units"] == {"search_units": 2}
