import json

import pytest

from freehold.routing.schema import satisfies

PERSON = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "schema", "valid"),
    [
        ('{"name": "Ana", "age": 31}', PERSON, True),
        ('{"name": "Ana", "age": 31.0, "tags": ["a", "b"]}', PERSON, True),
        ('{"name": "Ana"}', PERSON, False),
        ('{"name": "Ana", "age": "31"}', PERSON, False),
        ('{"name": "Ana", "age": true}', PERSON, False),
        ('{"name": "Ana", "age": 1, "tags": ["c"]}', PERSON, False),
        ('{"name": "Ana", "age": 1, "more": 0}', PERSON, False),
        ('{"name": "Ana", "age": 3', PERSON, False),
        ("Sure! {}", PERSON, False),
        ("[]", PERSON, False),
        ("null", {"type": ["string", "null"]}, True),
        ("1", {"const": 2}, False),
        ("1", {"oneOf": [{"type": "string"}]}, True),
        ("1", True, True),
        ("1", False, False),
    ],
)
def test_the_checked_part_of_json_schema(text, schema, valid):
    assert satisfies(text, json.dumps(schema).encode()) is valid


def test_nesting_of_a_hostile_answer_ends():
    assert satisfies("[" * 100_000, b"{}") is False
