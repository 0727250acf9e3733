"""Embedding replies: in the order of the inputs, as numbers or as base64."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from freehold.domain.response import Usage
from freehold.wire.chunk_faults import InvalidChunkError
from freehold.wire.openai_embeddings import render_embeddings
from freehold.wire.openai_request import decode_embedding

ROWS = [
    {"object": "embedding", "index": 1, "embedding": [3.0, -0.5], "x": 1},
    {"object": "embedding", "index": 0, "embedding": [1.0, 2]},
]
REPLY = {"object": "list", "data": ROWS, "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}, "y": 2}


def request(**members: Any):
    body = {"model": "auto", "input": ["a", "b"], **members}
    return decode_embedding(json.dumps(body).encode(), request_id="r")


def test_in_the_order_of_the_inputs() -> None:
    result = render_embeddings(REPLY, request(), model="home")
    assert result.usage == Usage(input_tokens=4)
    assert result.payload == {**REPLY, "model": "home", "data": ROWS[::-1]}


def test_base64_is_little_endian_32_bit() -> None:
    result = render_embeddings(REPLY, request(encoding_format="base64"), model="home")
    vectors = [base64.b64decode(row["embedding"]) for row in result.payload["data"]]
    assert [struct.unpack("<2f", vector) for vector in vectors] == [(1.0, 2.0), (3.0, -0.5)]
    assert result.payload["data"][1]["x"] == 1


def test_unreported_usage_is_not_measured() -> None:
    assert not render_embeddings({"data": ROWS}, request(), model="home").usage.measured


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        ROWS[:1],
        [7, 7],
        [ROWS[0], ROWS[0]],
        [ROWS[0], {"index": 5, "embedding": [1.0]}],
        [ROWS[0], {"index": "0", "embedding": [1.0]}],
        [ROWS[0], {"index": 0, "embedding": "AAAA"}],
        [ROWS[0], {"index": 0, "embedding": ["a"]}],
        [ROWS[0], {"index": 0}],
    ],
)
def test_not_one_vector_for_each_input(data: object) -> None:
    with pytest.raises(InvalidChunkError):
        render_embeddings({"data": data}, request(), model="home")
