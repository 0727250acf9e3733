"""Every text of a conversation as it was sent, wherever it stands: what a declassifier must look at and may replace.

One walk both collects and replaces, so that what is replaced is what was looked at. Arguments of a tool call are JSON in
a string: their own texts are looked at, keys and numbers too, as a program that reads them would see them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

_TEXT_MEMBERS = ("text", "refusal", "reasoning", "reasoning_content", "thinking")
"""Members of a message or of one of its parts that hold text."""

_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "reasoning", "thinking", "tool_result", "tool_use", "summary_text"}
)
"""Types of parts whose texts are all looked at; any other part is one that was not read."""

_UNREAD_PARTS = frozenset(
    {
        "image", "image_url", "input_image", "audio", "input_audio", "video", "video_url", "file", "input_file", "document",
    }
)  # fmt: skip
"""Types of parts that are no text."""

_NO_TEXTS = frozenset(
    {
        "model", "role", "type", "name", "id", "object", "tool_call_id", "tool_use_id", "call_id", "tool_choice", "format",
        "encoding_format", "reasoning_effort", "effort", "service_tier", "detail", "media_type", "signature", "required",
        "$ref", "pattern",
    }
)  # fmt: skip
"""Members whose values are words of a protocol or names that something else refers to. What is in them stays, and is
found when the request is looked through again."""

_TOOL_VALUES = frozenset({"arguments", "input"})
"""Members that hold what a tool is called with as values: its keys and numbers are looked at too."""

_OWN_MEMBER = "freehold"

_HALF = re.compile("[\ud800-\udfff]")

_DEPTH_MAX = 64
"""How deep arguments may be nested; what is deeper is looked at as the text that it is."""


T = TypeVar("T")

_Walked = Callable[[Callable[[str], str]], tuple[T, int]]
"""One walk: gets what changes each text, gives what came of it, and how much was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTexts:
    """What is in some messages.

    Attributes:
        texts: Every text, in the order of the walk.
        unread: Parts that are no text: images, audio, files, and what is not known. Nothing is proven of them.
    """

    texts: tuple[str, ...]
    unread: int


def texts_of(messages: Sequence[object]) -> MessageTexts:
    """Every text of messages, decoded from JSON in the shape of OpenAI's or Anthropic's chat."""
    return _texts_of(lambda change: _messages(messages, change))


def with_texts(messages: Sequence[object], texts: Sequence[str]) -> list[object]:
    """The same messages with other texts; the given ones are not changed.

    Args:
        messages: As ``texts_of`` got them.
        texts: One for each that it gave, in its order.

    Raises:
        ValueError: There are more or fewer.
    """
    return _with_texts(lambda change: _messages(messages, change), texts)


def texts_of_body(members: Mapping[str, object]) -> MessageTexts:
    """Every text of a whole request, decoded from JSON, whatever members it has: of names and ids none is a text."""
    return _texts_of(lambda change: _body(members, change))


def with_body_texts(members: Mapping[str, object], texts: Sequence[str]) -> dict[str, object]:
    """The same request with other texts; the given one is not changed.

    Args:
        members: As ``texts_of_body`` got them.
        texts: One for each that it gave, in its order.

    Raises:
        ValueError: There are more or fewer.
    """
    return _with_texts(lambda change: _body(members, change), texts)


def _texts_of(walked: _Walked[object]) -> MessageTexts:
    found: list[str] = []

    def take(text: str) -> str:
        found.append(text)
        return text

    _, unread = walked(take)
    return MessageTexts(texts=tuple(found), unread=unread)


def _with_texts(walked: _Walked[T], texts: Sequence[str]) -> T:
    left = iter(texts)

    def give(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise ValueError("there are fewer texts than were found") from None

    changed, _ = walked(give)
    if next(left, None) is not None:
        raise ValueError("there are more texts than were found")
    return changed


def _messages(messages: Sequence[object], change: Callable[[str], str]) -> tuple[list[object], int]:
    walk = _Walk(change)
    return walk.messages(messages), walk.unread


def _body(members: Mapping[str, object], change: Callable[[str], str]) -> tuple[dict[str, object], int]:
    walk = _BodyWalk(change)
    return walk.body(members), walk.unread


class _RepeatedError(Exception):
    """An object names a member twice."""


class _Walk:
    """One walk over messages; ``change`` gets each text and says what stands in its place."""

    def __init__(self, change: Callable[[str], str]) -> None:
        self._change = change
        self.unread: int = 0

    def messages(self, messages: Sequence[object]) -> list[object]:
        return [self._message(each) for each in messages]

    def _message(self, message: object) -> object:
        if not isinstance(message, Mapping):
            self.unread += 1
            return message
        changed = dict(cast("Mapping[str, object]", message))
        for name in ("name", *_TEXT_MEMBERS):
            if isinstance(text := changed.get(name), str):
                changed[name] = self._change(text)
        if "content" in changed:
            changed["content"] = self._content(changed["content"])
        if isinstance(calls := changed.get("tool_calls"), list):
            changed["tool_calls"] = [self._call(each) for each in cast("list[object]", calls)]
        if "function_call" in changed:
            changed["function_call"] = self._function(changed["function_call"])
        return changed

    def _content(self, content: object) -> object:
        if isinstance(content, str):
            return self._change(content)
        if isinstance(content, list):
            return [self._part(each) for each in cast("list[object]", content)]
        self.unread += content is not None
        return content

    def _part(self, part: object) -> object:
        if isinstance(part, str):
            return self._change(part)
        if not isinstance(part, Mapping):
            self.unread += 1
            return part
        changed = dict(cast("Mapping[str, object]", part))
        if not _is_of(changed.get("type", "text"), _TEXT_PARTS):
            self.unread += 1
            return changed
        for name in _TEXT_MEMBERS:
            if isinstance(text := changed.get(name), str):
                changed[name] = self._change(text)
        if "content" in changed:
            changed["content"] = self._content(changed["content"])
        if "input" in changed:  # of a tool, as Anthropic's clients send it: values, not a text
            changed["input"] = self._value(changed["input"])
        return changed

    def _call(self, call: object) -> object:
        if not isinstance(call, Mapping):
            self.unread += 1
            return call
        changed = dict(cast("Mapping[str, object]", call))
        if "function" in changed:
            changed["function"] = self._function(changed["function"])
        if isinstance(custom := changed.get("custom"), Mapping):
            inner = dict(cast("Mapping[str, object]", custom))
            if isinstance(text := inner.get("input"), str):
                inner["input"] = self._change(text)
            changed["custom"] = inner
        return changed

    def _function(self, function: object) -> object:
        if not isinstance(function, Mapping):
            self.unread += function is not None
            return function
        changed = dict(cast("Mapping[str, object]", function))
        if isinstance(arguments := changed.get("arguments"), str):
            changed["arguments"] = self._arguments(arguments)
        elif arguments is not None:
            changed["arguments"] = self._value(arguments)
        return changed

    def _arguments(self, arguments: str) -> str:
        try:
            values, repeated = _read(arguments)
        except (ValueError, RecursionError):
            return self._change(arguments)
        if _depth(values) > _DEPTH_MAX:
            return self._change(arguments)
        changed = self._value(values)
        return arguments if changed == values and not repeated else _written(changed)

    def _value(self, value: object) -> object:
        """A value of JSON. A number that stands for something sensitive becomes a text."""
        if isinstance(value, str):
            return self._change(value)
        if isinstance(value, Mapping):
            return self._members(cast("Mapping[str, object]", value))
        if isinstance(value, list):
            return [self._value(each) for each in cast("list[object]", value)]
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        changed = self._change(text)
        return value if changed == text else changed

    def _members(self, members: Mapping[str, object]) -> dict[str, object]:
        changed: dict[str, object] = {}
        for name, value in members.items():
            shown = self._change(name)
            while shown in changed:  # two names that read the same now: neither member is lost
                shown += "_"
            changed[shown] = self._value(value)
        return changed


class _BodyWalk(_Walk):
    """A walk over a whole request. What has no place in it that is known here is a text all the same."""

    def body(self, members: Mapping[str, object]) -> dict[str, object]:
        return {name: value if name == _OWN_MEMBER else self._any(name, value) for name, value in members.items()}

    def _any(self, name: str, value: object) -> object:
        if isinstance(value, str):
            if name in _NO_TEXTS:
                return value
            return self._arguments(value) if name == "arguments" else self._change(value)
        if isinstance(value, list):
            entries = cast("list[object]", value)
            return entries if name in _NO_TEXTS else [self._any(name, each) for each in entries]
        if not isinstance(value, Mapping):
            return value
        inner = cast("Mapping[str, object]", value)
        if _is_of(inner.get("type"), _UNREAD_PARTS):
            self.unread += 1
            return inner
        if name in _TOOL_VALUES:
            return self._value(inner)
        return {each: self._any(each, below) for each, below in inner.items()}


def _is_of(kind: object, kinds: frozenset[str]) -> bool:
    """Whether a type is one of some; in a schema it may be a list, or a member that is called so."""
    return isinstance(kind, str) and kind in kinds


def _read(arguments: str) -> tuple[object, bool]:
    """The values of arguments as most readers see them, and whether some of what is written is not seen by them.

    Of members named twice a reader sees one, and we have looked at no other: only that one may go on.

    Raises:
        ValueError: They are no JSON, or hold a number of thousands of digits.
        RecursionError: They are nested too deep.
    """
    try:
        return json.loads(arguments, object_pairs_hook=_once), False
    except _RepeatedError:
        return json.loads(arguments), True


def _written(value: object) -> str:
    """JSON as text; half a character, which only an escape can say, stays an escape."""
    text = json.dumps(value, ensure_ascii=False)
    return text if _HALF.search(text) is None else json.dumps(value)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedError
    return found


def _depth(value: object) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        each, depth = pending.pop()
        deepest = max(deepest, depth)
        if isinstance(each, Mapping):
            pending += [(inner, depth + 1) for inner in cast("Mapping[str, object]", each).values()]
        elif isinstance(each, list):
            pending += [(inner, depth + 1) for inner in cast("list[object]", each)]
    return deepest
