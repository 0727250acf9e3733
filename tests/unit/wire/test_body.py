"""The JSON cases of the fault catalogue: each is refused, with a reason that tells what to do."""

from __future__ import annotations

import json
import time

import pytest

from freehold.domain.errors.request import BodyNotJson
from freehold.wire.body import DEPTH_MAX, decode_document

REFUSED = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\t", "it is empty"),
    "utf-8 byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "utf-16": ('{"a":1}'.encode("utf-16"), "byte order mark"),
    "invalid utf-8": (b'{"a":"\xff"}', "not valid UTF-8 at byte 6"),
    "overlong utf-8": (b'{"a":"\xc0\x80"}', "not valid UTF-8"),
    "surrogate as utf-8": (b'{"a":"\xed\xa0\x80"}', "not valid UTF-8"),
    "lone surrogate": (b'{"a":"\\ud800"}', "half a surrogate pair"),
    "lone surrogate before text": (b'{"a":"\\ud800abcdef"}', "half a surrogate pair"),
    "low surrogate first": (b'{"a":"\\udc00 and more"}', "half a surrogate pair"),
    "lone surrogate in an unknown nested member": (b'{"x":{"y":["\\ud83d!"]}}', "half a surrogate pair"),
    "top-level list": (b"[1]", "not array"),
    "top-level number": (b"7", "not int"),
    "top-level null": (b"null", "not null"),
    "nan": (b'{"a":NaN}', "NaN and Infinity are not JSON"),
    "infinity": (b'{"a":-Infinity}', "NaN and Infinity are not JSON"),
    "number too large": (b'{"a":1e999}', "out of range"),
    "integer of 5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "out of range"),
    "leading zero": (b'{"a":01}', "invalid number"),
    "bare control character": (b'{"a":"\x01"}', "invalid character"),
    "single quotes": (b"{'a':1}", "(byte 1)"),
    "trailing comma": (b'{"a":1,}', "(byte 7)"),
    "trailing text": (b'{"a":1} x', "trailing characters"),
    "two objects": (b'{"a":1}{"a":2}', "trailing characters"),
    "cut off": (b'{"a":"b', "ends too early"),
    "same name twice": (b'{"model":"a","model":"b"}', "appears twice in one object: 'model'"),
    "same name twice, spaced": (b'{"model": "a", "model": "b"}', "appears twice in one object: 'model'"),
    "same name twice, one escaped": (b'{"model":"a","m\\u006fdel":"b"}', "appears twice in one object: 'model'"),
    "same name and value twice": (b'{"a":1,"a":1}', "in one object: 'a'"),
    "same name twice deep inside": (
        b'{"messages":[{"role":"user","content":"x","role":"system"}]}',
        "in one object: 'role'",
    ),
    "100,000 nested lists": (b"[" * 100_000 + b"]" * 100_000, "not array"),
    "100,000 nested lists in a member": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested more than 128"),
    "100,000 nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than 128"),
    "100,000 open lists": (b'{"a":' + b"[" * 100_000, "nested more than 128"),
    "one level too deep": (b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", "nested more than 128"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    raw, reason = REFUSED[name]
    with pytest.raises(BodyNotJson) as caught:
        decode_document(raw)
    assert reason in caught.value.message
    assert caught.value.http_status == 400
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["100,000 nested lists", "100,000 nested lists in a member", "100,000 nested objects"])
def test_deep_nesting_is_refused_in_less_than_5_ms(name: str) -> None:
    raw, _ = REFUSED[name]
    took_ms = []
    for _ in range(5):
        start = time.thread_time()
        with pytest.raises(BodyNotJson):
            decode_document(raw)
        took_ms.append((time.thread_time() - start) * 1000)
    assert min(took_ms) < 5


def test_members_are_kept_byte_for_byte() -> None:
    raw = b'{ "a" : 1e5 , "b":12345678901234567890123456789012345678,"c":{"x" : [1.0, "\\u00e9/\\/" ]},"d":null}'
    assert decode_document(raw).members == {
        "a": b"1e5",
        "b": b"12345678901234567890123456789012345678",
        "c": b'{"x" : [1.0, "\\u00e9/\\/" ]}',
        "d": b"null",
    }


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"x\\u0000y"}',
        b'{"a":-0}',
        b'{"a":-0.0}',
        b'{"A":1,"a":2}',
        b'{"a":{"a":{"a":1}},"b":{"a":1}}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":' + b"9" * 400 + b"}",
        b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}",
        b'{"a":"[[[[{{{{\\"[[["}',
        b"{}",
        json.dumps({"a": ["é", "日本", "\u2028"]}, ensure_ascii=False).encode(),
    ],
)
def test_taken(raw: bytes) -> None:
    assert decode_document(raw).values == json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b'{"model":"auto","n":1}', b'{"model":"small","n":1}'),
        (b'{"n":1,"model":"auto"}', b'{"n":1,"model":"small"}'),
        (b'{"model":"auto","text":"\\"model\\":\\"auto\\""}', b'{"model":"small","text":"\\"model\\":\\"auto\\""}'),
        # Anything that could mean two things, or is not compact, is put together member by member.
        (b'{"model":"auto","metadata":{"model":"auto"}}', None),
        (b'{"model": "auto"}', None),
        (b'{"mod\\u0065l":"auto"}', None),
    ],
)
def test_one_text_member_is_replaced_in_place(raw: bytes, sent: bytes | None) -> None:
    assert decode_document(raw).members.with_text("model", "auto", "small") == sent


def test_a_body_in_which_nothing_changes_is_sent_as_it_came() -> None:
    raw = b'{ "model" : "auto", "seed": 123456789012345678901234567890 }'
    assert decode_document(raw).members.with_text("model", "auto", "auto") is raw


def test_members_without_one() -> None:
    members = decode_document(b'{"a":1,"freehold":{},"b":"x"}').members
    assert len(members) == 3
    assert dict(members.without("freehold")) == {"a": b"1", "b": b'"x"'}
