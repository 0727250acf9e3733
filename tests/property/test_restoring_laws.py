"""However an answer is cut into events, its client gets the same texts and the same calls of tools, restored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason, ResponseChunk, Usage
from freehold.domain.trust import Effect, ToolRule, TrustRules
from freehold.gateway.restoring import Restoring
from freehold.policy.pseudonyms import PseudonymMap
from freehold.wire.openai_request import decode_chat
from freehold.wire.openai_whole import Aggregator
from tests.support.gateway import INTERNAL

MAP = PseudonymMap(values={"⟦EMAIL_0123abcd⟧": "jane@corp.example", "⟦PERSON_deadbeef⟧": 'Jane "J" Roe'})
UNKNOWN = "⟦IBAN_00000000⟧"
TRUST = TrustRules(tools={"lookup": ToolRule(effect=Effect.READ)})
REQUEST: InferenceRequest = decode_chat(
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', request_id="01890000-0000-7000-8000-000000000001"
)
_words = st.sampled_from([*MAP.values, UNKNOWN, "⟦", "⟧", "⟦EMAIL_", "write to ", "a", " ", "(", "](", "\n"])
_texts = st.lists(_words, max_size=12).map("".join)


def _cut(text: str, places: Sequence[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(bounds)]


def _told(pieces: Sequence[dict[str, Any]], *, ends: bool) -> tuple[Aggregator, list[ResponseChunk], Restoring]:
    restoring = Restoring(MAP, label=INTERNAL, request=REQUEST, trust=TRUST)
    told: list[ResponseChunk] = []
    for delta in pieces:
        told += restoring.chunk(ResponseChunk(payload={"id": "x", "choices": [{"index": 0, "delta": delta}]}))
    if ends:
        payload: dict[str, Any] = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = Usage(input_tokens=1, output_tokens=2)
        told += restoring.chunk(ResponseChunk(payload=payload, finish_reason=FinishReason.STOP, usage=usage))
    told += restoring.rest()
    answer = Aggregator()
    for each in told:
        answer.add(each)
    return answer, told, restoring


def _shown(answer: Aggregator) -> dict[str, Any]:
    message = answer.whole(REQUEST, model="m")["choices"][0]["message"]
    return {"text": answer.text, "message": {name: value for name, value in message.items() if value}}


@given(text=_texts, places=st.lists(st.integers(0, 400), max_size=30), ends=st.booleans())
def test_a_text_is_the_same_however_it_is_cut(text: str, places: list[int], ends: bool) -> None:
    whole, _, restored = _told([{"content": text}] if text else [], ends=ends)
    cut, told, again = _told([{"content": piece} for piece in _cut(text, places)], ends=ends)
    assert _shown(cut) == _shown(whole)
    assert again.counts == restored.counts
    if ends:
        assert told[-1].finish_reason is FinishReason.STOP and told[-1].usage is not None
        assert [each.finish_reason for each in told[:-1]] == [None] * (len(told) - 1)


@given(
    text=_texts,
    thought=_texts,
    arguments=_texts,
    places=st.lists(st.integers(0, 400), max_size=20),
    tool=st.sampled_from(["lookup", "send"]),
)
def test_each_text_and_each_call_has_a_restorer_of_its_own(
    text: str, thought: str, arguments: str, places: list[int], tool: str
) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": tool, "arguments": ""}}

    def deltas(cut: Sequence[int]) -> list[dict[str, Any]]:
        pieces: list[dict[str, Any]] = [{"tool_calls": [call]}]
        pieces += [{"reasoning_content": piece} for piece in _cut(thought, cut)]
        pieces += [{"content": piece} for piece in _cut(text, cut)]
        calls = [{"index": 0, "function": {"arguments": piece}} for piece in _cut(arguments, cut)]
        return pieces + [{"tool_calls": [each]} for each in calls]

    whole, _, restored = _told(deltas([]), ends=True)
    cut, _, again = _told(deltas(places), ends=True)
    assert _shown(cut) == _shown(whole)
    assert again.counts == restored.counts
    (made,) = whole.tool_calls
    if tool == "send":
        assert made["function"]["arguments"] == arguments, "a tool that may tell somebody else gets tokens"


def test_values_come_back_in_plain_words_and_in_what_a_harmless_tool_gets() -> None:
    told = "mail ⟦EMAIL_0123abcd⟧, " + UNKNOWN
    call = {"index": 0, "id": "c", "function": {"name": "lookup", "arguments": '{"who": "⟦PERSON_deadbeef⟧"}'}}
    answer, _, restoring = _told([{"content": told}, {"tool_calls": [call]}], ends=True)
    assert answer.text == "mail jane@corp.example, " + UNKNOWN
    assert answer.tool_calls[0]["function"]["arguments"] == '{"who": "Jane \\"J\\" Roe"}'
    assert restoring.counts == {"restored": 2, "unknown": 1}
