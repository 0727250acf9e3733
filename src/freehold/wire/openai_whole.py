"""A whole answer from its events: the object that a client gets who did not stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from freehold.domain.request import InferenceRequest, Task
from freehold.domain.response import EngineTimings, FinishReason, ResponseChunk, TokenLogprob, Usage
from freehold.wire.openai_usage import render_usage

JsonObject = dict[str, Any]

_OBJECT_NAMES = {Task.CHAT: "chat.completion", Task.COMPLETION: "text_completion"}
_JOINED = frozenset({"content", "text", "reasoning_content", "reasoning", "refusal", "arguments", "transcript"})
"""Members whose pieces are joined; of every other text member the last one given holds."""

_VERBATIM = frozenset({"content_blocks", "anthropic"})
"""Members that come in whole entries, whose own members are not to be merged."""


class _Pieces(list[str]):
    """Pieces of one text, joined at the end: adding to a text piece by piece would take quadratic time."""


class Aggregator:
    """Collects the events of one answer. The result does not depend on how the answer was cut into events."""

    __slots__ = ("_finish_reason", "_logprobs", "_merged", "_native", "_text", "_timings", "_tool_calls", "_usage")

    def __init__(self) -> None:
        self._merged: JsonObject = {}
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._timings: EngineTimings | None = None
        self._tool_calls = False
        self._native: list[bytes] = []

    @property
    def answer_id(self) -> str:
        """What the upstream calls the answer; empty where it does not say."""
        found = self._merged.get("id")
        return found if isinstance(found, str) else ""

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(self._text)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why it ended; ``None`` while it has not."""
        return self._finish_reason

    @property
    def usage(self) -> Usage | None:
        """Tokens as the upstream reported them last; ``None`` where it has not."""
        return self._usage

    @property
    def timings(self) -> EngineTimings | None:
        """What the engine said of its speed."""
        return self._timings

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        """Log-probabilities of all tokens so far."""
        return tuple(self._logprobs)

    @property
    def tool_calls(self) -> tuple[JsonObject, ...]:
        """The tool calls so far, in OpenAI's shape, in the order of their indices."""
        if not self._tool_calls:
            return ()
        return tuple(_calls(texts_joined(_choice(self._merged).get("delta", {}))))

    @property
    def native(self) -> bytes:
        """The events as they came, where the client speaks their dialect; empty for any other."""
        return b"".join(self._native)

    def add(self, chunk: ResponseChunk) -> None:
        """Take the next event."""
        if chunk.text:
            self._text.append(chunk.text)
        self._logprobs.extend(chunk.logprobs)
        self._finish_reason = chunk.finish_reason or self._finish_reason
        self._usage = chunk.usage or self._usage
        self._timings = chunk.timings or self._timings
        self._tool_calls = self._tool_calls or chunk.tool_call
        if chunk.native:
            self._native.append(chunk.native)
        if chunk.payload is not None:
            merge(self._merged, chunk.payload)

    def whole(self, request: InferenceRequest, *, model: str) -> JsonObject:
        """The ``chat.completion`` or ``text_completion`` object, unknown members kept."""
        whole = texts_joined(self._merged)
        choice = _choice(whole)
        choice.setdefault("index", 0)
        choice["finish_reason"] = self._finish_reason.value if self._finish_reason else None
        choice.setdefault("logprobs", None)
        if request.task is Task.CHAT:
            choice["message"] = self._message(choice.pop("delta", {}))
        else:
            choice["text"] = choice.get("text") or ""
        whole |= {"object": _OBJECT_NAMES.get(request.task, "list"), "model": model, "choices": [choice]}
        whole.setdefault("id", request.id)
        if whole.get("usage") is None and self._usage is not None:
            whole["usage"] = render_usage(self._usage)
        return whole

    def _message(self, delta: JsonObject) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": None, "refusal": None, **delta}
        if calls := _calls(delta):
            message["tool_calls"] = calls
            message["content"] = message["content"] or None
        elif message["refusal"] is not None:
            message["content"] = message["content"] or None
        elif message["content"] is None:
            message["content"] = ""
        if blocks := delta.get("content_blocks"):
            message["content_blocks"] = _without_index(cast("list[JsonObject]", blocks))
        return message


def thoughts_of(said: Mapping[str, Any]) -> str:
    """What a message, or a piece of one, says of its thinking; servers have two names for it."""
    return str(said.get("reasoning_content") or said.get("reasoning") or "")


def arguments_of(text: str) -> JsonObject:
    """A call's arguments as the object that other interfaces demand; what is none is kept as a text."""
    try:
        found: object = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        found = text
    return cast("JsonObject", found) if isinstance(found, dict) else {"arguments": found}


def merge(into: JsonObject, piece: Mapping[str, Any]) -> None:
    """Lay the next piece of an object over what is held of it; ``texts_joined`` gives the whole."""
    for name, value in piece.items():
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and name in _JOINED:
            parts = into.get(name)
            if isinstance(parts, _Pieces):
                parts.append(value)
            else:
                into[name] = _Pieces([value])
        elif name in _VERBATIM:
            into[name] = [*into.get(name, ()), *cast("list[Any]", value)] if isinstance(value, list) else value
        elif isinstance(value, dict):
            merge(cast("JsonObject", _held(into, name, dict)), cast("JsonObject", value))
        elif isinstance(value, list):
            _merge_list(cast("list[Any]", _held(into, name, list)), cast("list[Any]", value))
        else:
            into[name] = value


def _held(into: JsonObject, name: str, kind: type[dict[Any, Any] | list[Any]]) -> Any:
    """What ``into`` already holds under ``name``, or an empty one of that kind."""
    if not isinstance(into.get(name), kind):
        into[name] = kind()
    return into[name]


def _merge_list(into: list[Any], piece: list[Any]) -> None:
    """Entries with an ``index`` are merged with the entry of the same index, others are appended."""
    for entry in piece:
        if isinstance(entry, dict):
            given = cast("JsonObject", entry)
            merge(_entry(into, given.get("index")), given)
        else:
            into.append(entry)


def _entry(entries: list[Any], index: object) -> JsonObject:
    if index is not None:
        for known in cast("list[JsonObject]", entries):
            if known.get("index") == index:
                return known
    entries.append({})
    return entries[-1]


def texts_joined(value: Any) -> Any:
    """A copy in which the collected pieces are texts."""
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: texts_joined(part) for name, part in cast("JsonObject", value).items()}
    if isinstance(value, list):
        return [texts_joined(each) for each in cast("list[Any]", value)]
    return value


def _choice(payload: JsonObject) -> JsonObject:
    choices = cast("list[JsonObject]", payload.get("choices") or [{}])
    return choices[0]


def _calls(delta: JsonObject) -> list[JsonObject]:
    """Tool calls as a whole answer holds them: in order and without the index that pieces need."""
    calls = cast("list[JsonObject]", delta.get("tool_calls") or [])
    return _without_index(sorted(calls, key=lambda call: call.get("index") or 0))


def _without_index(entries: list[JsonObject]) -> list[JsonObject]:
    return [{name: value for name, value in entry.items() if name != "index"} for entry in entries]
