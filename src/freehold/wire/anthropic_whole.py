"""A whole message from the events of the Messages API, nothing lost: what a client gets who did not stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from freehold.wire.openai_whole import arguments_of

JsonObject = dict[str, Any]

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_ARGUMENTS = "partial_json"
_CITATIONS = "citations_delta"
_NOT_MERGED = frozenset({"type", "delta", "usage"})


class MessageBuilder:
    """Puts a message together as Anthropic's own clients do.

    A piece of a kind that is not known yet is laid over its block: texts are added to texts, lists to lists.
    """

    __slots__ = ("_blocks", "_message", "_pieces")

    def __init__(self) -> None:
        self._message: JsonObject = {}
        self._blocks: dict[int, JsonObject] = {}
        self._pieces: dict[int, dict[str, list[str]]] = {}

    def add(self, event: JsonObject) -> None:
        """Take the next event; what it lacks of its shape is not missed, since it was checked where it came in."""
        match event.get("type"):
            case "message_start":
                self._message = dict(cast("JsonObject", event["message"]))
            case "content_block_start":
                self._blocks[int(event["index"])] = dict(cast("JsonObject", event["content_block"]))
            case "content_block_delta":
                self._piece(int(event["index"]), cast("JsonObject", event["delta"]))
            case "content_block_stop":
                self.block(int(event["index"]))
            case "message_delta":
                self._message |= cast("JsonObject", event["delta"])
                self._message |= {name: value for name, value in event.items() if name not in _NOT_MERGED}
                self._message["usage"] = {**_usage(self._message), **_usage(event)}
            case _:
                pass  # a ping, or what comes next

    def block(self, index: int) -> JsonObject:
        """A block that has ended."""
        block = self._blocks.setdefault(index, {})
        for name, pieces in self._pieces.pop(index, {}).items():
            if name != _ARGUMENTS:
                block[name] = (block.get(name) or "") + "".join(pieces)
            elif text := "".join(pieces):
                block["input"] = arguments_of(text)
        return block

    @property
    def message(self) -> JsonObject:
        """All of it."""
        return {**self._message, "content": [self.block(index) for index in sorted(self._blocks)]}

    def _piece(self, index: int, delta: JsonObject) -> None:
        block = self._blocks.setdefault(index, {})
        kind = str(delta.get("type"))
        joined = _ARGUMENTS if kind == "input_json_delta" else _TEXTS.get(kind, "")
        for name, value in delta.items():
            if name == "type":
                continue
            if kind == _CITATIONS and name == "citation":
                block["citations"] = [*(block.get("citations") or []), value]
            elif isinstance(value, str) and (name == joined or (not joined and isinstance(block.get(name), str))):
                self._pieces.setdefault(index, {}).setdefault(name, []).append(value)
            elif not joined and isinstance(value, list) and isinstance(block.get(name), list):
                block[name] = [*block[name], *cast("list[Any]", value)]
            else:
                block[name] = value


def _usage(holder: JsonObject) -> JsonObject:
    return cast("JsonObject", holder.get("usage") or {})


def message_of_events(events: Iterable[bytes]) -> JsonObject:
    """The message that the data of these events make."""
    builder = MessageBuilder()
    for data in events:
        builder.add(_OBJECT.decode(data))
    return builder.message
