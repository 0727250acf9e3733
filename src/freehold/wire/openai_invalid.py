"""Turns a validation error of the decoder into a ``FieldInvalid`` that names member, value and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from freehold.domain.errors.request import FieldInvalid, UnsupportedParameter
from freehold.wire.openai_schema import ALLOWED

_PATH = re.compile(r" - at `\$(?P<path>.*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>.+)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.+)`$")
_BOUND = re.compile(r"^Expected `\w+` (?P<sign><=|>=|<|>) (?P<bound>\S+)$")
_LENGTH = re.compile(r"^Expected `(?P<what>\w+)` of length (?P<sign><=|>=) (?P<bound>\d+)$")
_TYPE = re.compile(r"^Expected `(?P<wanted>[^`]+)`, got `(?P<got>\w+)`$")
_STEP = re.compile(r"\[(?P<index>\d+)\]|\.?(?P<name>[^.\[\]]+)")

_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SIGNS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_SHOWN_CHARACTERS = 40


def field_invalid(
    error: msgspec.ValidationError, values: dict[str, Any], *, allowed: Mapping[str, str] = ALLOWED, below: str = ""
) -> FieldInvalid:
    """The error as the client gets it.

    Args:
        error: Raised by ``msgspec.convert`` on ``values``.
        values: The decoded body; scalars of it are shown, texts only in part.
        allowed: What closed lists of values allow, by path.
        below: Where in ``values`` lies what was converted.
    """
    text = str(error)
    place = _PATH.search(text)
    path = f"{below}{place['path']}".removeprefix(".") if place else below
    text = _PATH.sub("", text)
    if missing := _MISSING.match(text):
        return invalid(_join(path, missing["name"]), "missing", "it is required")
    if unknown := _UNKNOWN.match(text):
        return invalid(_join(path, unknown["name"]), "unknown", "there is no such option; leave it out")
    return invalid(path, show(_find(values, path)), _reason(text, _allowed(path, allowed)))


def invalid(field: str, value: str, reason: str) -> FieldInvalid:
    """A ``FieldInvalid`` whose ``param`` is the member."""
    return FieldInvalid(field=field or "body", value=value, reason=reason, param=field or None)


def unsupported(field: str, value: object, reason: str) -> UnsupportedParameter:
    """An ``UnsupportedParameter`` whose ``param`` is the member."""
    return UnsupportedParameter(field=field, value=show(value), reason=reason, param=field)


def show(value: object) -> str:
    """A value in a message: a scalar as JSON, of a container only what it is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(cast('list[object]', value))}"
    text = msgspec.json.encode(value).decode() if not isinstance(value, int) or value.bit_length() < 64 else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _reason(text: str, allowed: str) -> str:
    if bound := _BOUND.match(text):
        return f"it must be {_SIGNS[bound['sign']]} {bound['bound'].removesuffix('.0')}"
    if length := _LENGTH.match(text):
        unit = "characters" if length["what"] == "str" else "entries"
        return f"it must have {_SIGNS[length['sign']]} {length['bound']} {unit}"
    if text == "Number out of range":
        return "the number is out of range"
    if wrong := _TYPE.match(text):
        wanted = [_WORDS.get(each, each) for each in wrong["wanted"].split(" | ") if each != "null"]
        needed = f"it must be {' or '.join(wanted)}, not {_WORDS.get(wrong['got'], wrong['got'])}"
        return f"{needed}; allowed are {allowed}" if allowed else needed
    return f"allowed are {allowed}" if allowed else text


def _allowed(path: str, allowed: Mapping[str, str]) -> str:
    names = [step["name"] for step in _STEP.finditer(path) if step["name"]]
    return allowed.get(".".join(names[-2:])) or allowed.get(names[-1] if names else "") or ""


def _find(values: object, path: str) -> object:
    for step in _STEP.finditer(path):
        if step["index"] is not None and isinstance(values, list):
            values = cast("list[object]", values)[int(step["index"])]
        elif step["name"] is not None and isinstance(values, dict):
            values = cast("dict[str, object]", values).get(step["name"])
    return values


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
