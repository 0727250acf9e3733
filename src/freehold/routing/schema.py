"""Does a text satisfy a JSON schema? The part of JSON Schema that answers are constrained with.

Checked: ``type``, ``enum``, ``const``, ``required``, ``properties``, ``additionalProperties: false`` and ``items``.
Other keywords constrain nothing here, so that a schema that this cannot read never turns a good answer away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast

_DEPTH_MAX = 32
_JsonObject = Mapping[str, object]

_TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}


def satisfies(text: str, schema_json: bytes) -> bool:
    """Whether ``text`` is JSON and, as far as checked here, what ``schema_json`` describes."""
    try:
        value: object = json.loads(text)
        schema: object = json.loads(schema_json)
    except (ValueError, RecursionError):
        return False
    return _matches(value, schema, _DEPTH_MAX)


def _matches(value: object, schema: object, depth: int) -> bool:
    if schema is False:
        return False
    if not isinstance(schema, dict) or depth == 0:
        return True
    rules = cast("_JsonObject", schema)
    if "const" in rules and value != rules["const"]:
        return False
    allowed = rules.get("enum")
    if isinstance(allowed, list) and value not in cast("list[object]", allowed):
        return False
    if not _has_type(value, rules.get("type")):
        return False
    if isinstance(value, dict):
        return _object_matches(cast("_JsonObject", value), rules, depth)
    if isinstance(value, list):
        return all(_matches(item, rules.get("items"), depth - 1) for item in cast("list[object]", value))
    return True


def _has_type(value: object, wanted: object) -> bool:
    names = cast("list[object]", wanted) if isinstance(wanted, list) else [wanted]
    checks = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
    return not checks or any(check(value) for check in checks)


def _object_matches(value: _JsonObject, rules: _JsonObject, depth: int) -> bool:
    required, members = rules.get("required"), rules.get("properties")
    known: _JsonObject = cast("_JsonObject", members) if isinstance(members, dict) else {}
    if isinstance(required, list) and any(name not in value for name in cast("list[object]", required)):
        return False
    if rules.get("additionalProperties") is False and any(name not in known for name in value):
        return False
    return all(_matches(value[name], known[name], depth - 1) for name in value if name in known)
