"""The OpenAPI document: every route, as it is, with words; more is tried by ``python -m tests.fuzz_api``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from freehold.api.key_views import KeyViews
from freehold.api.openapi import DocumentViews, document
from freehold.api.openapi_shapes import SHAPES, Shape
from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES, ViewRoute
from freehold.identity.access import INFER, Access
from freehold.wire.openai_schema import ChatBody
from tests.support.inside import Inside, inside


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with inside(tmp_path_factory.mktemp("inside")) as running:
        yield running


@pytest.fixture(scope="module")
def published(gateway: Inside) -> dict[str, Any]:
    answer = gateway.ask("GET", "/openapi.json")
    assert answer.status == 200
    return answer.json()


def rows() -> dict[tuple[str, str], Access]:
    found = {(route.path.decode(), "post"): INFER for route in INFERENCE_ROUTES}
    return found | {(row.path.replace(":path}", "}"), row.method.lower()): row.access for row in VIEW_ROUTES}


def operations(published: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method): each for path, found in published["paths"].items() for method, each in found.items()}


def test_it_holds_every_row_of_the_table_and_nothing_else(published: dict[str, Any]) -> None:
    assert set(operations(published)) == set(rows())


def test_it_says_what_a_key_must_be_allowed_to_do(published: dict[str, Any]) -> None:
    for place, operation in operations(published).items():
        access = rows()[place]
        assert operation["x-scope"] == access.scope, place
        assert bool(operation["security"]) is (access.scope is not None), place
        assert {"401", "403"}.issubset(operation["responses"]) is (access.scope is not None), place


def test_every_operation_has_words_and_a_name_of_its_own(published: dict[str, Any]) -> None:
    found = operations(published)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    for place, operation in found.items():
        assert re.fullmatch(r"\S.{5,}\.", operation["summary"]), f"{place}: {operation['summary']!r}"
        assert set(operation["responses"]) > {"default"}


def test_parameters_of_a_path_are_declared(published: dict[str, Any]) -> None:
    for (path, _), operation in operations(published).items():
        declared = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert declared == re.findall(r"\{(\w+)\}", path)


def test_every_reference_leads_somewhere_and_no_name_tells_where_it_is_kept(published: dict[str, Any]) -> None:
    names = published["components"]["schemas"]

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    used = {each.removeprefix("#/components/schemas/") for each in references(published)}
    assert used <= set(names)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9]+", name)] == []


def test_errors_are_told_in_the_words_of_each_interface(published: dict[str, Any]) -> None:
    def error(path: str) -> str:
        content = published["paths"][path]["post"]["responses"]["default"]["content"]
        return content["application/json"]["schema"]["$ref"].rpartition("/")[2]

    assert error("/v1/chat/completions") == "OpenAIError"
    assert error("/v1/messages") == error("/v1/messages/batches") == "MessagesError"
    assert error("/api/generate") == "OllamaError"


@pytest.mark.parametrize("path", [route.path.decode() for route in INFERENCE_ROUTES])
def test_errors_are_as_they_are_declared(gateway: Inside, published: dict[str, Any], path: str) -> None:
    name = published["paths"][path]["post"]["responses"]["default"]["content"]["application/json"]["schema"]["$ref"]
    schema = published["components"]["schemas"][name.rpartition("/")[2]]
    for key in (None, gateway.key("ours", "infer")[0]):
        answer = gateway.ask("POST", path, key=key, body=b"[]")
        assert answer.status in {400, 401}
        assert set(schema["required"]) == set(answer.json())


def test_what_must_be_sent_is_required(published: dict[str, Any]) -> None:
    schema = published["components"]["schemas"]["ChatBody"]
    assert set(schema["required"]) == {"model", "messages"}
    assert schema["properties"]["tool_choice"]["anyOf"][0]["enum"] == ["auto", "none", "required"]
    assert "additionalProperties" not in schema
    with pytest.raises(msgspec.ValidationError, match="required"):
        msgspec.convert({"model": "x"}, ChatBody)
    key = published["components"]["schemas"]["NewKeyBody"]
    assert (key["required"], key["additionalProperties"]) == (["name"], False)


def test_every_row_that_reads_a_body_says_which() -> None:
    unsaid = [
        f"{row.method} {row.path}"
        for row in VIEW_ROUTES
        if row.body_bytes_max and SHAPES.get((row.method, row.path), Shape()).body is None
    ]
    assert not unsaid, f"{unsaid}: add what they take to SHAPES of src/freehold/api/openapi_shapes.py"


def test_no_shape_is_of_a_route_that_is_gone() -> None:
    table = {("POST", route.path.decode()) for route in INFERENCE_ROUTES} | {
        (row.method, row.path) for row in VIEW_ROUTES
    }
    assert set(SHAPES) <= table


def test_a_row_without_a_shape_is_in_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ViewRoute("POST", "/v1/new/{new_id}", "keys.rotated", INFER, body_bytes_max=1)
    monkeypatch.setattr("freehold.api.openapi.VIEW_ROUTES", (row,))
    found = document({"keys": KeyViews, "document": DocumentViews})["paths"]["/v1/new/{new_id}"]["post"]
    assert found["requestBody"]["content"] == {"application/json": {"schema": {"type": "object"}}}
    assert "404" in found["responses"]
