"""Lines of a batch: read, refused, written."""

from __future__ import annotations

import json

import pytest

from freehold.domain.batch import BatchFault
from freehold.domain.errors.batch import BatchExpired
from freehold.wire.batch_lines import BatchItem, InputLine, InputLines, answer_line, decode_line, unanswered_line

CHAT = "/v1/chat/completions"


def line(**changes):
    body = {"model": "auto", "messages": []}
    return {"custom_id": "a", "method": "POST", "url": CHAT, "body": body} | changes


def decode(value, *, most=1_000):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_line(InputLine(3, 5, raw), endpoint=CHAT, line_bytes_max=most)


def test_an_item_keeps_its_body_as_it_was_sent():
    raw = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model":"auto", "x" : 1e2}}'
    assert decode(raw) == BatchItem(3, "a", "auto", b'{"model":"auto", "x" : 1e2}')


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (b"{no", "invalid_json_line", None),
        (b"[1]", "invalid_json_line", None),
        (b'{"custom_id": "a", "custom_id": "b"}', "invalid_json_line", None),
        (b"\xff", "invalid_json_line", None),
        (line(custom_id=""), "invalid_request", "custom_id"),
        (line(custom_id=7), "invalid_request", "custom_id"),
        (line(custom_id="x" * 513), "invalid_request", "custom_id"),
        (line(method="GET"), "invalid_method", "method"),
        (line(url="/v1/embeddings"), "url_mismatch", "url"),
        (line(body=[]), "invalid_request", "body"),
        (line(body={"stream": True}), "invalid_request", "body.stream"),
        (line(body={"text": "x" * 2_000}), "invalid_request", None),
    ],
)
def test_what_is_wrong_is_said_with_its_line(value, code, param):
    fault = decode(value)
    assert isinstance(fault, BatchFault)
    assert (fault.code, fault.line, fault.param) == (code, 5, param)


def test_a_body_without_a_model_is_the_items_own_fault():
    assert decode(line(body={})).model == ""
    assert decode(line(body={"model": 3})).model == ""


def test_lines_are_read_in_pieces_without_blank_ones(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"one\r\n\n  \ntwo\n" + b"x" * 200_000 + b"\nlast")
    lines = InputLines(path, line_bytes_max=10)
    assert lines.read(lines=1, about_bytes=1 << 20) == [InputLine(0, 1, b"one")]
    two, long, last = lines.read(lines=9, about_bytes=1 << 20)
    assert two == InputLine(1, 4, b"two")
    assert (long.place, long.number, len(long.raw)) == (2, 5, 12)
    assert last == InputLine(3, 6, b"last")
    assert lines.read(lines=9, about_bytes=1) == []
    lines.close()


def test_a_line_as_long_as_may_be_is_taken_whatever_ends_it(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"x" * 10 + b"\r\n" + b"y" * 10 + b"\n" + b"z" * 11 + b"\n")
    lines = InputLines(path, line_bytes_max=10)
    assert [len(each.raw) for each in lines.read(lines=9, about_bytes=1 << 20)] == [10, 10, 11]
    lines.close()


def test_not_more_than_asked_for_is_read_at_once(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"1234567890\n" * 9)
    lines = InputLines(path, line_bytes_max=100)
    assert len(lines.read(lines=9, about_bytes=25)) == 3
    assert len(lines.read(lines=2, about_bytes=1 << 20)) == 2
    lines.close()


def test_result_lines_are_openais_and_one_line_each():
    answered = answer_line(
        "batch_req_1", 'a"\n', status=200, request_id="r", body=b'{\n "x": 12345678901234567890,\r\n "y": 0.10}'
    )
    assert b"\n" not in answered
    assert b"12345678901234567890" in answered
    assert json.loads(answered) == {
        "id": "batch_req_1",
        "custom_id": 'a"\n',
        "response": {"status_code": 200, "request_id": "r", "body": {"x": 12345678901234567890, "y": 0.1}},
        "error": None,
    }
    left = json.loads(unanswered_line("batch_req_2", "b", BatchExpired(batch_id="batch_9")))
    assert (left["custom_id"], left["response"], left["error"]["code"]) == ("b", None, "batch_expired")
