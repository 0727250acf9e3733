"""Laws of the wire formats: the answer does not depend on how it was cut, and bodies survive byte for byte."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.errors.request import BodyNotJson
from freehold.wire.body import decode_document
from freehold.wire.openai_request import decode_chat, encode_body
from freehold.wire.openai_response import Aggregator, decode_chunk
from freehold.wire.sse import SseEvent, SseParser, encode_data

REQUEST = decode_chat(b'{"model":"auto","messages":[{"role":"user","content":"Hi"}]}', request_id="r1")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def cut(data: Any, places: list[int]) -> list[Any]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.text(), max_size=6), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.lists(st.integers(0), max_size=8))
def test_events_do_not_depend_on_the_cuts(texts: list[str], end: bytes, places: list[int]) -> None:
    stream = b"".join(encode_data({"text": text}) for text in texts).replace(b"\n", end)
    parser = SseParser()
    events = [event for piece in cut(stream, places) for event in parser.feed(piece)] + parser.close()
    assert [json.loads(event.data)["text"] for event in events] == texts
    assert all(event == SseEvent("", event.data) for event in events)


@given(st.text(), st.text(), st.text(), st.lists(st.integers(0), max_size=6))
def test_a_whole_answer_does_not_depend_on_the_cuts(text: str, thought: str, arguments: str, places: list[int]) -> None:
    def answer(cuts: list[int]) -> Aggregator:
        deltas = [{"content": piece} for piece in cut(text, cuts)]
        deltas += [{"reasoning_content": piece} for piece in cut(thought, cuts)]
        deltas.append({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in cut(arguments, cuts)]
        collected = Aggregator()
        for delta in [*deltas, {}]:
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "tool_calls"}
            payload = {"id": "x", "created": 1, "choices": [choice]}
            collected.add(decode_chunk(json.dumps(payload).encode(), REQUEST, model="h"))
        return collected

    whole, pieces = answer([]), answer(places)
    assert pieces.whole(REQUEST, model="h") == whole.whole(REQUEST, model="h")
    assert pieces.text == text
    assert pieces.tool_calls[0]["function"]["arguments"] == arguments


@given(st.dictionaries(st.text(), json_values, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_a_body_is_read_as_python_reads_it(body: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
    raw = json.dumps(body, indent=indent, ensure_ascii=ascii_only)
    document = decode_document(raw.encode())
    assert document.values == json.loads(raw)
    assert {name: json.loads(value) for name, value in document.members.items()} == body


@given(st.dictionaries(st.text(), json_values, min_size=1, max_size=4), st.data())
def test_a_repeated_name_is_found_wherever_it_is(inner: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(inner)))
    sound = json.dumps(inner, separators=data.draw(st.sampled_from([(",", ":"), (", ", ": ")])))
    doubled = f"{sound[:-1]},{json.dumps(name)}:1}}"
    for frame in ("%s", '{"a":[%s]}', '{"b":1,"c":{"d": %s}}'):
        decode_document((frame % sound).encode())
        with pytest.raises(BodyNotJson, match="appears twice in one object"):
            decode_document((frame % doubled).encode())


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        document = decode_document(raw)
    except BodyNotJson:
        return
    assert json.loads(raw) == document.values


@given(st.dictionaries(st.text().map("x_{}".format), json_values, max_size=4), st.booleans())
def test_unknown_members_reach_the_upstream(unknown: dict[str, Any], rebuild: bool) -> None:
    body = {"model": "auto", **unknown, "messages": [{"role": "user", "content": "Hi"}]}
    request = decode_chat(json.dumps(body).encode(), request_id="r")
    assert json.loads(encode_body(request, model="m", rebuild=rebuild)) == {**body, "model": "m"}
