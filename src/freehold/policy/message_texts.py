"""Every text of a conversation as it was sent, wherever it stands: what a declassifier must look at and may replace.

One walk both collects and replaces, so that what is replaced is what was looked at. Arguments of a tool call are JSON in
a string: their own texts are looked at, keys and numbers too, as a program that reads them would see them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

_TEXT_MEMBERS = ("text", "refusal", "reasoning", "reasoning_content", "thinking")
"""Members of a message or of one of its parts that hold text."""

_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "reasoning", "thinking", "tool_result", "tool_use", "summary_text"}
)
"""Types of parts whose texts are all looked at; any other part is one that was not read."""

_DEPTH_MAX = 64
"""How deep arguments may be nested; what is deeper is looked at as the text that it is."""


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
    found: list[str] = []

    def take(text: str) -> str:
        found.append(text)
        return text

    walk = _Walk(take)
    walk.messages(messages)
    return MessageTexts(texts=tuple(found), unread=walk.unread)


def with_texts(messages: Sequence[object], texts: Sequence[str]) -> list[object]:
    """The same messages with other texts; the given ones are not changed.

    Args:
        messages: As ``texts_of`` got them.
        texts: One for each that it gave, in its order.

    Raises:
        ValueError: There are more or fewer.
    """
    left = iter(texts)

    def give(_: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise ValueError("there are fewer texts than the messages have") from None

    changed = _Walk(give).messages(messages)
    if next(left, None) is not None:
        raise ValueError("there are more texts than the messages have")
    return changed


class _RepeatedError(Exception):
    """An object names a member twice."""


class _Walk:
    """One walk over messages; ``change`` gets each text and says what stands in its place."""

    def __init__(self, change: Callable[[str], str]) -> None:
        self._change = change
        self.unread = 0

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
        if changed.get("type", "text") not in _TEXT_PARTS:
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
        repeated = False
        try:
            values = json.loads(arguments, object_pairs_hook=_once)
        except _RepeatedError:
            # Of members named twice a reader sees one, and we have looked at no other: only that one may go on.
            repeated, values = True, json.loads(arguments)
        except (ValueError, RecursionError):
            return self._change(arguments)
        if _depth(values) > _DEPTH_MAX:
            return self._change(arguments)
        changed = self._value(values)
        return arguments if changed == values and not repeated else json.dumps(changed, ensure_ascii=False)

    def _value(self, value: object) -> object:
        """A value of JSON. A number that stands for something sensitive becomes a text."""
        if isinstance(value, str):
            return self._change(value)
        if isinstance(value, Mapping):
            items = cast("Mapping[str, object]", value).items()
            return {self._change(name): self._value(each) for name, each in items}
        if isinstance(value, list):
            return [self._value(each) for each in cast("list[object]", value)]
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        changed = self._change(text)
        return value if changed == text else changed


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
