"""Puts back into an answer what pseudonyms stand for, event by event, before anybody here looks into it.

Each text of an answer has a restorer of its own, and each call of a tool one for its arguments: what one of them holds
back is in no other's way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from freehold.domain.labels import Label
from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import ResponseChunk
from freehold.domain.trust import Effect, TrustRules
from freehold.policy.pseudonyms import PseudonymMap
from freehold.policy.restorer import Restorer

JsonObject = dict[str, Any]

_TEXTS = ("content", "text", "reasoning_content", "reasoning", "refusal")


class Restoring:
    """One answer on its way back.

    Args:
        pseudonyms: The conversation's.
        label: What the whole request is labelled; its client sent it, and so may see it.
        request: What was asked.
        trust: What tools do: a tool that tells nobody, or looks something up at home, gets values.
    """

    __slots__ = ("_calls", "_label", "_last", "_names", "_pseudonyms", "_request", "_texts", "_trust")

    def __init__(self, pseudonyms: PseudonymMap, *, label: Label, request: InferenceRequest, trust: TrustRules) -> None:
        self._pseudonyms = pseudonyms
        self._label = label
        self._request = request
        self._trust = trust
        self._texts: dict[str, Restorer] = {}
        self._calls: dict[int, Restorer] = {}
        self._names: dict[int, str] = {}
        self._last: tuple[Mapping[str, object], JsonObject] | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many tokens were restored, were none of this conversation, or were kept for where they stood."""
        total: Counter[str] = Counter()
        for each in (*self._texts.values(), *self._calls.values()):
            total["restored"] += each.restored
            total["unknown"] += each.unknown
            total.update({f"kept, {where}": count for where, count in each.kept.items()})
        return +total

    def chunk(self, chunk: ResponseChunk) -> Iterator[ResponseChunk]:
        """What a client may have of an event by now."""
        choice = _choice(chunk.payload)
        if choice is None:
            yield chunk
            return
        said = cast("Mapping[str, Any]", choice.get("delta") or {}) if self._is_chat else choice
        restored = dict(said)
        for name in _TEXTS:
            if isinstance(piece := said.get(name), str) and piece:
                restored[name] = self._text(name).feed(piece)
        if isinstance(calls := said.get("tool_calls"), list):
            restored["tool_calls"] = [self._call(cast("JsonObject", each)) for each in cast("list[Any]", calls)]
        self._last = chunk.payload or {}, choice
        if chunk.finish_reason is None or not (held := list(self._finished())):
            yield self._with(chunk, choice, restored)
            return
        # Behind the last words, and before the word that they were the last.
        head = {name: each for name, each in (chunk.payload or {}).items() if name != "usage"}
        plain = {**choice, "finish_reason": None}
        yield self._with(ResponseChunk(payload=head, logprobs=chunk.logprobs), plain, restored)
        for each in held:
            yield self._with(ResponseChunk(payload=head), plain, each)
        yield self._with(replace(chunk, logprobs=()), choice, {} if self._is_chat else {"text": ""})

    def rest(self) -> Iterator[ResponseChunk]:
        """What is held back of an answer that ended without a word."""
        if self._last is None:
            return
        payload, choice = self._last
        for each in self._finished():
            yield self._with(ResponseChunk(payload=payload), choice, each)

    @property
    def _is_chat(self) -> bool:
        return self._request.task is Task.CHAT

    def _finished(self) -> Iterator[JsonObject]:
        for name, each in self._texts.items():
            if held := each.finish():
                yield {name: held}
        for place, each in self._calls.items():
            if held := each.finish():
                yield {"tool_calls": [{"index": place, "function": {"arguments": held}}]}

    def _with(self, chunk: ResponseChunk, choice: JsonObject, said: JsonObject) -> ResponseChunk:
        """The event with other texts."""
        told = {**choice, "delta": said} if self._is_chat else {**choice, **said}
        return replace(
            chunk,
            payload={**(chunk.payload or {}), "choices": [told]},
            text=str(said.get("content") or said.get("text") or ""),
            tool_call="tool_calls" in said,
        )

    def _text(self, name: str) -> Restorer:
        found = self._texts.get(name)
        if found is None:
            is_json = name in {"content", "text"} and self._request.response_schema_json is not None
            found = self._texts[name] = Restorer(
                self._pseudonyms,
                original=self._label,
                cleared_for=self._label,
                arguments=is_json,
                tools_cleared=is_json,
            )
        return found

    def _call(self, call: JsonObject) -> JsonObject:
        place = call.get("index")
        function = cast("JsonObject", call.get("function") or {})
        key = place if isinstance(place, int) else len(self._names)
        if isinstance(name := function.get("name"), str) and name:
            self._names[key] = name
        if not isinstance(piece := function.get("arguments"), str) or not piece:
            return call
        return {**call, "function": {**function, "arguments": self._arguments(key).feed(piece)}}

    def _arguments(self, place: int) -> Restorer:
        found = self._calls.get(place)
        if found is None:
            effect = self._trust.of(self._names.get(place, "")).effect
            found = self._calls[place] = Restorer(
                self._pseudonyms,
                original=self._label,
                cleared_for=self._label,
                arguments=True,
                tools_cleared=effect is not Effect.WRITE,
            )
        return found


def _choice(payload: Mapping[str, object] | None) -> JsonObject | None:
    choices = cast("list[JsonObject]", (payload or {}).get("choices") or [])
    return choices[0] if choices else None
