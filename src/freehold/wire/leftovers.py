"""What an answer of OpenAI's dialect says that another dialect has no member for: kept in one member, ``openai``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from freehold.wire.openai_whole import merge, texts_joined
from freehold.wire.vault_ask import VAULT

JsonObject = dict[str, Any]

NAME = "openai"
"""The member that holds them: top-level ones as they are, those of usage, the choice and the turn in
``usage``, ``choice`` and ``message``."""

OWN = "freehold"
"""The member in which we say what became of an answer; every dialect has it beside its own members."""

_OWN = (OWN, VAULT)
_TOP = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation", *_OWN})
_CHOICE = frozenset({"index", "delta", "message", "finish_reason", "stop_reason", "matched_stop"})
_USAGE = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_OFTEN_EMPTY = ("annotations",)
_TURN = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning", "function_call"})


class Leftovers:
    """Collects them from the events of one answer."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: JsonObject = {}

    def add(self, payload: Mapping[str, object]) -> None:
        """Take the next event, or a whole answer."""
        if not payload.keys() <= _TOP:
            merge(self._found, _beyond(payload, _TOP))
        choices = cast("list[JsonObject]", payload.get("choices") or [{}])
        choice = choices[0]
        if more := _beyond(choice, _CHOICE):
            merge(self._found, {"choice": more})
        usage = payload.get("usage")
        if isinstance(usage, dict) and (more := _beyond(cast("JsonObject", usage), _USAGE)):
            merge(self._found, {"usage": more})
        turn = cast("JsonObject", choice.get("delta") or choice.get("message") or {})
        turn = {name: value for name, value in turn.items() if name != "annotations" or not _are_told(value)}
        if more := _beyond(turn, _TURN):
            merge(self._found, {"message": more})

    def member(self) -> JsonObject:
        """The member, if there is anything to keep."""
        return {NAME: texts_joined(self._found)} if self._found else {}


def own_of(payload: Mapping[str, object]) -> JsonObject:
    """Our own members of an event or of a whole answer, if it has any."""
    return {name: payload[name] for name in _OWN if name in payload}


def add_own(held: JsonObject, payload: Mapping[str, object]) -> None:
    """Take those of the next event: what is found and what is cited come in pieces."""
    for name, told in own_of(payload).items():
        before: object = held.get(name)
        both = isinstance(before, dict) and isinstance(told, dict)
        held[name] = {**cast("JsonObject", before), **cast("JsonObject", told)} if both else told


def leftovers_of(whole: JsonObject) -> Leftovers:
    """Those of a whole answer."""
    found = Leftovers()
    found.add(whole)
    return found


def _are_told(annotations: object) -> bool:
    """Whether they are sources in files, for which other dialects have words of their own."""
    return isinstance(annotations, list) and all(
        isinstance(each, dict) and "file_citation" in each for each in cast("list[object]", annotations)
    )


def _beyond(values: Mapping[str, object], known: frozenset[str]) -> JsonObject:
    return {
        name: value
        for name, value in values.items()
        if name not in known and value is not None and not (name in _OFTEN_EMPTY and not value)
    }
