"""Objects that paths name, for tests of who may reach them: one entry a parameter of the table of routes.

A new parameter needs one line in ``OBJECTS``: how to make such an object over the API, and an id that never existed and
looks like one. Where two routes call different things the same, the key is the beginning of the path and the parameter. A route whose body must hold something before anything happens may have one in ``BODIES``.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.inside import Inside

NEVER = "00000000-0000-7000-8000-000000000000"
"""An id of the common form that nothing has."""

_CHAT: dict[str, object] = {"model": "plain", "messages": [{"role": "user", "content": "hello"}]}
_HEX = "0" * 12 + "7" + "0" * 3 + "8" + "0" * 15


@dataclass(frozen=True)
class Kind:
    """What a parameter names.

    Attributes:
        make: Makes one with a key of the scopes ``infer`` and ``manage``; its id. Whoever is shown the object sees the
            text that is given third.
        missing: An id that never existed, as long as those that do.
        is_everybodys: It is no tenant's: the same for all.
    """

    make: Callable[[Inside, str, str], str]
    missing: str = NEVER
    is_everybodys: bool = False


def _receipt(gateway: Inside, key: str, mark: str) -> str:
    answer = gateway.ask("POST", "/v1/chat/completions", key=key, body=_CHAT, headers={"X-Request-Id": mark})
    assert answer.status == 200, answer.body
    return dict(answer.headers)["freehold-receipt"]


def _key(gateway: Inside, key: str, mark: str) -> str:
    answer = gateway.ask("POST", "/v1/admin/keys", key=key, body={"name": mark})
    assert answer.status == 201, answer.body
    return answer.json()["id"]


def _file(gateway: Inside, key: str, mark: str) -> str:
    ask = {"custom_id": mark, "method": "POST", "url": "/v1/chat/completions", "body": _CHAT}
    form = f"""--cut\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--cut\r\n\
Content-Disposition: form-data; name="file"; filename="{mark}.jsonl"\r\n\r\n{json.dumps(ask)}\r\n--cut--\r\n"""
    fields = {"Content-Type": "multipart/form-data; boundary=cut"}
    answer = gateway.ask("POST", "/v1/files", key=key, body=form.encode(), headers=fields)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def _batch(gateway: Inside, key: str, mark: str) -> str:
    body = {
        "input_file_id": _file(gateway, key, mark),
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"mark": mark},
    }
    answer = gateway.ask("POST", "/v1/batches", key=key, body=body)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def _message_batch(gateway: Inside, key: str, mark: str) -> str:
    body = {"requests": [{"custom_id": mark, "params": {**_CHAT, "max_tokens": 5}}]}
    answer = gateway.ask("POST", "/v1/messages/batches", key=key, body=body)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def _release(gateway: Inside, key: str, mark: str) -> str:
    body = {"to": "small", "reason": mark, "label": "confidential", "body": _CHAT}
    answer = gateway.ask("POST", "/v1/admin/releases", key=key, body=body)
    assert answer.status == 201, answer.body
    return answer.json()["id"]


def _approval(gateway: Inside, key: str, mark: str) -> str:
    mark = f"{mark}-{next(_number)}"
    call = {"id": "c", "type": "function", "function": {"name": mark, "arguments": "{}"}}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "found"},
        {"role": "user", "content": f"call:{mark}"},
    ]
    body = {"model": "plain", "messages": messages, "tools": [{"type": "function", "function": {"name": mark}}]}
    answer = gateway.ask("POST", "/v1/chat/completions", key=key, body=body)
    assert answer.status == 200, answer.body
    return answer.json()["freehold"]["held"][0]["id"]


_number = itertools.count(100_000)


def _classifier(gateway: Inside, key: str, mark: str) -> str:
    examples = [{"text": "a" * (1 + n % 7), "label": (mark, "other")[n % 2]} for n in range(20)]
    body = {"name": f"made-{next(_number)}", "model": "vectors", "examples": examples}
    answer = gateway.ask("POST", "/v1/classifiers", key=key, body=body)
    assert answer.status == 200, answer.body
    return answer.json()["id"]


def _document(gateway: Inside, key: str, mark: str) -> str:
    body = {"name": f"{mark}-{next(_number)}.txt", "text": mark, "everybody": True}
    answer = gateway.ask("POST", "/v1/vault/documents", key=key, body=body)
    assert answer.status == 201, answer.body
    return answer.json()["data"][0]["id"]


def _same(name: str) -> Callable[[Inside, str, str], str]:
    return lambda _gateway, _key, _mark: name


OBJECTS: dict[str, Kind] = {
    "/v1/models/{name": Kind(_same("plain"), missing="never", is_everybodys=True),
    "/v1/admin/memory/{name": Kind(_same("small"), missing="never", is_everybodys=True),
    "kind": Kind(_same("speech"), missing="speech", is_everybodys=True),
    "receipt_id": Kind(_receipt),
    "key_id": Kind(_key),
    "/v1/classifiers/{name": Kind(_classifier, missing="made-000000"),
    "release_id": Kind(_release),
    "document_id": Kind(_document, missing=f"doc-{_HEX}"),
    "vault": Kind(_same("archive"), missing="nowhere", is_everybodys=True),
    "file_id": Kind(_file, missing=f"file-{_HEX}"),
    "approval_id": Kind(_approval),
    "batch_id": Kind(_batch, missing=f"batch_{_HEX}"),
    "/v1/messages/batches/{batch_id": Kind(_message_batch, missing=f"msgbatch_{_HEX}"),
}
"""By parameter, or by the beginning of a path and the parameter, as in ``/v1/models/{name``."""

BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/v1/admin/keys"): {"name": "made"},
    ("POST", "/v1/admin/files/{file_id}/publish"): {"label": "internal", "reason": "made"},
    ("POST", "/api/show"): {"model": "plain"},
    ("POST", "/v1/vector_stores/{vault}/search"): {"query": "marked"},
    ("POST", "/v1/vector_stores/{vault}/files"): {"file_id": f"file-{_HEX}"},
}
"""By method and path as the table has them; an empty object for all others."""


def kind_of(parameter: str, path: str) -> Kind:
    """What a parameter names."""
    found = [key for key in OBJECTS if key == parameter or (key.startswith("/") and path.startswith(key))]
    assert found, (
        f"the route {path} has the parameter {parameter!r}, which tests/support/objects.py does not know: add to OBJECTS "
        "how one is made over the API and an id that never existed, so that the matrix of who may reach it can be made"
    )
    return OBJECTS[max(found, key=len)]
