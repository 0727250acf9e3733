"""The OpenAPI document, made from the table of routes, the shapes of what is sent, and the words of the views."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from freehold import __version__
from freehold.api.asgi import JSON, Headers, Scope
from freehold.api.openapi_shapes import NARROWED, SHAPES, Shape
from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES, InferenceRoute, ViewRoute
from freehold.api.surfaces import Surface
from freehold.identity.access import INFER, Access
from freehold.wire.answers_schema import MessagesError, OllamaError, OpenAIError
from freehold.wire.messages_response import messages_error
from freehold.wire.ollama_response import ollama_error
from freehold.wire.openai_response import encode_json

JsonObject = dict[str, Any]

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_REFERENCE = "#/components/schemas/{name}"
_QUALIFIED = re.compile(rb"freehold\.[a-z_.]*?([a-z]+)(?:_[a-z]+)?\.([A-Z]\w*)")
_SOME_JSON: JsonObject = {"type": "object"}
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})

_ABOUT = """\
Every route but health takes a key: `Authorization: Bearer KEY`, or `x-api-key: KEY`. `x-scope` says what the key must be
allowed to do; `manage` and `admin` see what they reach, and what is out of reach is answered like what does not exist.
Members of a request for inference that are not in its schema are passed on as they are."""

_SECURITY: JsonObject = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_ASKED: Mapping[str, tuple[str, JsonObject]] = {
    "freehold-label": ("Raises the request's label, and never lowers one.", {"type": "string"}),
    "freehold-priority": (
        "``batch`` and ``low`` are refused before others when there is little room.",
        {"type": "string", "enum": ["batch", "low", "normal"]},
    ),
    "freehold-untrusted": (
        "``true``: there are words in the request that nobody vouches for; tools need a human then.",
        {"type": "string"},
    ),
    "freehold-include-receipt": ("``true``: a stream ends with the whole receipt.", {"type": "string"}),
    "x-request-id": ("Your own name of the request.", {"type": "string"}),
}
"""Fields that every request for inference may carry."""


class DocumentViews:
    """The document, as one row of the table.

    Args:
        views: What the table names, by group; their docstrings are the document's words.
    """

    def __init__(self, views: Mapping[str, object]) -> None:
        self._views = views
        self._document = b""

    async def openapi(self, _scope: Scope, _principal: None) -> tuple[int, bytes, Headers]:
        """This document. It shows nobody's data, so that it takes no key."""
        if not self._document:
            self._document = encode_json(document({**self._views, "document": self}))
        return 200, self._document, [JSON]


def document(views: Mapping[str, object]) -> JsonObject:
    """The whole document, as OpenAPI 3.1.

    Args:
        views: What the table names, by group.
    """
    schemas, reference = _schemas()
    paths: dict[str, JsonObject] = {}
    for route in INFERENCE_ROUTES:
        path = route.path.decode()
        paths.setdefault(path, {})["post"] = _inference(route, reference)
    for row in VIEW_ROUTES:
        shown = _PARAMETER.sub(r"{\1}", row.path)
        paths.setdefault(shown, {})[row.method.lower()] = _view(row, views, reference)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Freehold",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


Reference = Callable[[type | None], JsonObject]


def _schemas() -> tuple[JsonObject, Reference]:
    """All schemas by name, and how one of them is referred to."""
    kinds: list[type] = [OpenAIError, MessagesError, OllamaError]
    for shape in SHAPES.values():
        kinds += [kind for kind in (shape.body, shape.answer, *shape.more.values()) if kind is not None]
    kinds = list(dict.fromkeys(kinds))
    found = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    references, schemas = msgspec.json.decode(_QUALIFIED.sub(_short, encode_json(found)))
    for name, members in NARROWED.items():
        schemas[name]["properties"] |= members
    by_kind = dict(zip(kinds, references, strict=True))

    def reference(kind: type | None) -> JsonObject:
        return _SOME_JSON if kind is None else by_kind[kind]

    return schemas, reference


def _short(found: re.Match[bytes]) -> bytes:
    """A name that several schemas have, with the word of its module before it: ``ResponsesFunctionTool``."""
    return found[1].capitalize() + found[2]


def _inference(route: InferenceRoute, reference: Reference) -> JsonObject:
    path = route.path.decode()
    shape = SHAPES.get(("POST", path), Shape(summary=f"Inference: {path}."))
    asked = [
        {"name": name, "in": "header", "description": told, "schema": schema} for name, (told, schema) in _ASKED.items()
    ]
    found = _operation("POST", path, INFER, shape, reference, error=_error_of(route.surface))
    return found | {
        "tags": ["inference"],
        "summary": shape.summary,
        "parameters": asked,
        "requestBody": _body(shape, reference),
    }


def _error_of(surface: Surface) -> type:
    """How errors are told to a surface's clients."""
    errors = {messages_error: MessagesError, ollama_error: OllamaError}
    return errors.get(surface.envelope, OpenAIError)  # pyright: ignore[reportArgumentType]


def _view(row: ViewRoute, views: Mapping[str, object], reference: Reference) -> JsonObject:
    group, _, method = row.view.partition(".")
    shape = SHAPES.get((row.method, row.path), Shape())
    words = inspect.getdoc(getattr(views[group], method)) or ""
    summary, _, more = words.partition("\n\n")
    parameters: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(row.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in shape.query.items()]
    found = _operation(row.method, row.path, row.access, shape, reference, error=_error_of(row.surface))
    found |= {"tags": [group], "summary": " ".join((shape.summary or summary).split()), "parameters": parameters}
    if more:
        found["description"] = more
    if (row.body_bytes_max or row.streams) and (row.method in _BODY_METHODS or shape.body is not None):
        found["requestBody"] = _body(shape, reference)
    return found


def _operation(
    method: str, path: str, access: Access, shape: Shape, reference: Reference, *, error: type
) -> JsonObject:
    """What all operations say: who may, and what comes back."""
    failed = {"application/json": {"schema": reference(error)}}
    content: JsonObject = {}
    if shape.answer_media:
        is_json = shape.answer_media == "application/json"
        schema: JsonObject = reference(shape.answer) if is_json else {"type": "string"}
        content[shape.answer_media] = {"schema": schema}
    if shape.stream:
        content[shape.stream] = {"schema": {"type": "string"}}
    responses: JsonObject = {str(shape.status): {"description": "It went well.", "content": content}}
    for status, kind in shape.more.items():
        responses[str(status)] = {
            "description": "Not now.",
            "content": {"application/json": {"schema": reference(kind)}},
        }
    if shape.status >= _REFUSED:
        responses[str(shape.status)]["description"] = "It is never served."
    if access.scope is not None:
        responses["401"] = {"description": "No key, or one that opens nothing.", "content": failed}
        responses["403"] = {"description": f"A key without the scope {access.scope}.", "content": failed}
    if _PARAMETER.search(path):
        responses["404"] = {"description": "There is no such thing, or it is out of reach.", "content": failed}
    responses["default"] = {"description": "Refused, or failed; the code says why.", "content": failed}
    slug = re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", path)).strip("_")
    return {
        "operationId": f"{method.lower()}_{slug}",
        "security": [] if access.scope is None else [{name: []} for name in _SECURITY],
        "x-scope": access.scope,
        "responses": responses,
    }


_REFUSED = 400


def _body(shape: Shape, reference: Reference) -> JsonObject:
    return {"required": shape.body_required, "content": {shape.media: {"schema": reference(shape.body)}}}
