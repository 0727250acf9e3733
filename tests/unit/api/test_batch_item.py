"""One item of a batch: an ordinary request at the lowest priority, whose every end is a result."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from freehold.api.batch_item import ENDPOINTS, Collected, ItemRunner
from freehold.api.routes import INFERENCE_ROUTES
from freehold.domain.errors.admission import Overloaded
from freehold.domain.errors.auth import ScopeMissing
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.server import Internal
from freehold.domain.identity import Principal, Tenant, reader_of
from freehold.domain.labels import Level as Sensitivity
from freehold.domain.priority import Priority
from freehold.domain.receipt import Receipt
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.serving.overload import Door, Level
from tests.support.gateway import INTERNAL, PUBLIC
from tests.support.receipts import make_receipt

CHAT = "/v1/chat/completions"
BODY = b'{"model": "auto", "messages": [{"role": "user", "content": "hello"}]}'


class Pipeline:
    """Answers, or raises what it is given; remembers the request."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.request: Any = None
        self.principal: Principal | None = None

    async def answer(self, request: Any, principal: Principal, sink: Any) -> Receipt:
        self.request, self.principal = request, principal
        if self.error is not None:
            raise self.error
        sink._exchange.reply(200, [], b'{"ok":true}')
        return make_receipt(label=INTERNAL)


def run(
    pipeline: Pipeline,
    body: bytes = BODY,
    *,
    level: Level = Level.OPEN,
    scopes: tuple[str, ...] = ("infer",),
    endpoint: str = CHAT,
    field: str | None = None,
) -> Any:
    door = Door(jitter=lambda: 0.0)
    door.set_level(level, resource="memory")
    runner = ItemRunner(pipeline=pipeline, ids=SystemIds(SystemClock()), door=door)  # type: ignore[arg-type]
    tenant = Tenant(name="acme", label=INTERNAL)
    principal = Principal(
        key_id="k",
        key_name="k",
        tenant=tenant,
        label=PUBLIC,
        scopes=frozenset(scopes),
        user="ana",
        groups=frozenset({"hr"}),
        clearance=Sensitivity.CONFIDENTIAL,
    )
    return asyncio.run(runner.run(body, endpoint=endpoint, principal=principal, label="confidential", field=field))


def test_an_item_is_a_request_of_the_lowest_priority_under_its_batchs_label() -> None:
    pipeline = Pipeline()
    answer = run(pipeline)
    assert (answer.status, answer.body, answer.error) == (200, b'{"ok":true}', None)
    assert pipeline.request.priority is Priority.BATCH
    assert pipeline.request.label_header == "confidential"
    assert pipeline.request.id == answer.request_id
    assert answer.label == "internal;zones=world"


def test_documents_are_read_with_nobodys_eyes_for_a_file_that_all_of_a_tenant_may_fetch() -> None:
    pipeline = Pipeline()
    run(pipeline)
    assert pipeline.principal is not None
    reader = reader_of(pipeline.principal)
    assert (reader.tenant, reader.names, reader.clearance) == ("acme", frozenset(), Sensitivity.CONFIDENTIAL)


def test_an_item_of_anthropics_has_the_header_that_its_batch_was_made_with() -> None:
    body = b'{"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}'
    pipeline = Pipeline()
    run(pipeline, body, endpoint="/v1/messages", field="tools-1,more-2")
    assert pipeline.request.native.headers == (("anthropic-beta", "tools-1,more-2"),)
    run(pipeline, endpoint=CHAT, field="tools-1")
    assert pipeline.request.native is None


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [(EngineCrashed(deployment="x", how="by signal 9"), EngineCrashed, 502), (ValueError("ours"), Internal, 500)],
)
def test_every_error_is_a_result(error: BaseException, kind: type, status: int) -> None:
    answer = run(Pipeline(error))
    assert (type(answer.error), answer.status) == (kind, status)
    assert json.loads(answer.body)["error"]["error_id"] == answer.request_id


def test_a_body_that_its_surface_refuses() -> None:
    answer = run(Pipeline(), b'{"model": "auto", "messages": 7}')
    assert (answer.status, json.loads(answer.body)["error"]["param"]) == (400, "messages")


def test_a_key_that_may_not_ask_and_a_server_that_is_short_of_memory() -> None:
    assert isinstance(run(Pipeline(), scopes=("manage",)).error, ScopeMissing)
    assert isinstance(run(Pipeline(), level=Level.NO_BATCH).error, Overloaded)


def test_leaving_is_no_result() -> None:
    with pytest.raises(asyncio.CancelledError):
        run(Pipeline(asyncio.CancelledError()))


def test_what_a_batch_may_ask_is_served_to_clients_too() -> None:
    served = {route.path.decode(): route.surface for route in INFERENCE_ROUTES}
    assert {path: served[path] for path in ENDPOINTS} == dict(ENDPOINTS)


def test_nobody_streams_to_an_item() -> None:
    exchange = Collected(CHAT)
    for use in (lambda: exchange.start(200, []), lambda: exchange.write(b"x"), exchange.end, exchange.abort):
        with pytest.raises(RuntimeError):
            use()
    with pytest.raises(RuntimeError):
        asyncio.run(exchange.body(limit_bytes=1))
    assert exchange.header(b"x") is None
