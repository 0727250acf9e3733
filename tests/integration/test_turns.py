"""Who waits is told so, sees itself in the queue, and batch makes way: a gateway as a process, asked over HTTP."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import httpx2
import pytest

from tests.support.server import eventually
from tests.support.site import Site, site

QUEUE_S = 2
SLOTS = 2


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("turns"), more=f"\n[deadlines]\nqueue_s = {QUEUE_S}\n") as running:
        yield running


@pytest.fixture(scope="module")
def theirs(house: Site) -> str:
    """A key of another tenant."""
    return house.gateway.new_key(tenant="other")[0]


@pytest.fixture
def pool() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def ask(house: Site, text: str, *, key: str | None = None, priority: str = "", **members: Any) -> httpx2.Response:
    body = {"model": "plain", "messages": [{"role": "user", "content": text}], **members}
    with house.gateway.http(key) as client:
        headers = {"freehold-priority": priority} if priority else {}
        return client.post("/v1/chat/completions", json=body, headers=headers, timeout=30)


def queue_of(house: Site, *, key: str | None = None) -> dict[str, Any]:
    view = house.gateway.get("/v1/admin/queue", key=key)["data"]
    return next(each for each in view if each["deployment"] == "small")


def full(house: Site, pool: ThreadPoolExecutor, **how: Any) -> list[Future[httpx2.Response]]:
    """Both slots are taken by answers that wait for ``release``."""
    held = [pool.submit(ask, house, "slow", **how) for _ in range(SLOTS)]
    eventually(lambda: queue_of(house)["running"] == SLOTS, what="two that run")
    return held


def let_go(house: Site, *held: Future[httpx2.Response]) -> None:
    """Release answers until all are there."""
    for _ in range(20):
        house.small.let_go()
        if not wait(held, timeout=0.5).not_done:
            return
    pytest.fail("what runs does not end")


def test_who_waited_is_told_its_place_and_its_wait(house: Site, theirs: str, pool: ThreadPoolExecutor) -> None:
    manager, _ = house.gateway.new_key(tenant="default", scopes=("manage",))
    held = full(house, pool)
    waits = pool.submit(ask, house, "hello", key=theirs)
    eventually(lambda: queue_of(house)["waiting"] == 1, what="one that waits")
    streams = pool.submit(ask, house, "hello", stream=True)
    eventually(lambda: queue_of(house)["waiting"] == 2, what="two that wait")
    seen, managed = queue_of(house), queue_of(house, key=manager)
    assert (seen["slots"], seen["running"], seen["running_by_tenant"]) == (SLOTS, SLOTS, {"default": SLOTS})
    assert seen["waiting_by_priority"] == {"normal": 2, "low": 0, "batch": 0}
    assert [(each["tenant"], each["position"]) for each in seen["requests"]] == [("other", 1), ("default", 2)]
    assert [(each["tenant"], each["position"]) for each in managed["requests"]] == [("default", 2)]
    let_go(house, *held)
    for answer, position in ((waits.result(), "1"), (streams.result(), "2")):
        assert answer.status_code == 200
        assert answer.headers["freehold-queue-position"] == position
        assert int(answer.headers["freehold-queue-wait-ms"]) > 0
    assert "freehold-queue-position" not in ask(house, "hello").headers


def test_a_refusal_says_where_one_stood_and_when_to_come_back(house: Site, pool: ThreadPoolExecutor) -> None:
    held = full(house, pool)
    refused = ask(house, "hello")
    assert refused.status_code == 503
    assert refused.json()["error"]["freehold_code"] in ("FH-ADMIT-002", "FH-ADMIT-004")
    assert refused.headers["freehold-queue-position"] == "1"
    assert int(refused.headers["freehold-queue-wait-ms"]) >= 0
    assert int(refused.headers["retry-after"]) >= 1
    let_go(house, *held)


def test_batch_makes_way_for_who_is_more_urgent(house: Site, pool: ThreadPoolExecutor) -> None:
    held = full(house, pool, priority="batch")
    answer = ask(house, "hello")
    assert answer.status_code == 200
    assert answer.headers["freehold-queue-position"] == "1"
    assert int(answer.headers["freehold-queue-wait-ms"]) < 1_000
    gave_way = next(each for each in held if each.done())
    refused = gave_way.result()
    assert (refused.status_code, refused.json()["error"]["freehold_code"]) == (503, "FH-ADMIT-008")
    assert int(refused.headers["retry-after"]) >= 1
    receipt = house.gateway.receipt(refused.headers["freehold-receipt"])
    assert [(each["outcome"], each["error_code"]) for each in receipt["attempts"]] == [("cancelled", "FH-ADMIT-008")]
    let_go(house, *held)


def test_the_queue_is_for_managers_only(house: Site, theirs: str) -> None:
    with house.gateway.http(theirs) as client:
        assert client.get("/v1/admin/queue").status_code == 403
