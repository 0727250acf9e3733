"""Files and batches through the official client, and what becomes of a batch when the gateway dies in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import APIStatusError

from tests.integration.test_workers import workers_of
from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.ports import closed_port
from tests.support.server import Gateway, eventually, running
from tests.support.site import CONFIG, Site, site
from tests.support.upstream import in_thread

CHAT = "/v1/chat/completions"


def line(custom_id: str, text: str = "hello", *, model: str = "plain", url: str = CHAT, **more: Any) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def send(gateway: Gateway, lines: list[str], *, endpoint: str = CHAT, key: str | None = None, **headers: str) -> str:
    """Send a batch; its id."""
    client = gateway.openai(key)
    file = client.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", extra_headers=headers
    )
    return batch.id


def over(gateway: Gateway, batch_id: str, *, within_s: float = 20, key: str | None = None) -> Any:
    client = gateway.openai(key)

    def look() -> Any:
        batch = client.batches.retrieve(batch_id)
        return batch if batch.status in ("completed", "failed", "expired", "cancelled") else None

    return eventually(look, within_s=within_s, what=f"the end of {batch_id}; log: {gateway.log}")


def results(gateway: Gateway, batch: Any) -> tuple[list[dict], list[dict]]:
    """Lines of the output file and of the error file."""
    client = gateway.openai()
    found = []
    for file_id in (batch.output_file_id, batch.error_file_id):
        text = client.files.content(file_id).text if file_id else ""
        found.append([json.loads(each) for each in text.splitlines()])
    return found[0], found[1]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with site(tmp_path_factory.mktemp("batches"), more="[batches]\nretries = 1\n") as running_site:
        yield running_site


def test_a_batch_through_the_official_client(home: Site) -> None:
    lines = [line(f"item-{n}") for n in range(8)] + [line("bad", "400-quote"), line("broken", temperature="hot")]
    batch_id = send(home.gateway, lines)
    batch = over(home.gateway, batch_id)
    assert batch.status == "completed"
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (10, 8, 2)
    good, bad = results(home.gateway, batch)
    assert [each["custom_id"] for each in good] == [f"item-{n}" for n in range(8)]
    assert {each["custom_id"] for each in bad} == {"bad", "broken"}
    first = good[0]
    assert first["error"] is None
    assert first["response"]["status_code"] == 200
    assert first["response"]["body"]["choices"][0]["message"]["content"] == TEXT
    receipt = home.gateway.receipt(first["response"]["request_id"])
    assert receipt["outcome"] == "complete"


def test_what_is_wrong_with_the_input_is_said_line_by_line(home: Site) -> None:
    lines = [
        line("one"),
        line("one"),
        "{no json",
        line("other-url", url="/v1/embeddings"),
        line("who", model="nobody"),
        json.dumps({"custom_id": "get", "method": "GET", "url": CHAT, "body": {}}),
        line("stream", stream=True),
    ]
    asked_before = len(home.small.exchanges)
    batch = over(home.gateway, send(home.gateway, lines))
    assert batch.status == "failed"
    assert [(fault.line, fault.code) for fault in batch.errors.data] == [
        (2, "duplicate_custom_id"),
        (3, "invalid_json_line"),
        (4, "url_mismatch"),
        (5, "model_not_found"),
        (6, "invalid_method"),
        (7, "invalid_request"),
    ]
    assert len(home.small.exchanges) == asked_before, "nothing of a bad batch runs"


def test_every_surface_that_a_batch_may_ask(home: Site) -> None:
    for endpoint, body in {
        "/v1/completions": {"model": "plain", "prompt": "hello"},
        "/v1/embeddings": {"model": "vectors", "input": "hello"},
        "/v1/responses": {"model": "plain", "input": "hello"},
        "/v1/messages": {"model": "plain", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]},
    }.items():
        asked = json.dumps({"custom_id": "x", "method": "POST", "url": endpoint, "body": body})
        batch = over(home.gateway, send(home.gateway, [asked], endpoint=endpoint))
        (good,), bad = results(home.gateway, batch)
        assert not bad
        assert good["response"]["status_code"] == 200, endpoint


def test_the_label_of_a_batch_holds_for_every_item_and_its_files(home: Site) -> None:
    lines = [line("secret", model="auto")]
    batch_id = send(home.gateway, lines, **{"freehold-label": "confidential;zones=lan"})
    batch = over(home.gateway, batch_id)
    good, _ = results(home.gateway, batch)
    receipt = home.gateway.receipt(good[0]["response"]["request_id"])
    assert receipt["label"]["level"] == "confidential"
    with home.gateway.http() as client:
        reply = client.get(f"/v1/files/{batch.output_file_id}/content")
    assert reply.headers["freehold-label"].startswith("confidential")


def test_foreign_and_missing_objects_are_the_same_404(home: Site) -> None:
    gateway = home.gateway
    batch = over(gateway, send(gateway, [line("mine")]))
    boss, _ = gateway.new_key(tenant="other", scopes=("infer", "admin"))
    mine = {"batches": batch.id, "files": batch.output_file_id}
    with gateway.http(boss) as client:
        for group, own in mine.items():
            missing = own[:-1] + ("0" if own[-1] != "0" else "1")
            routes = [("GET", ""), ("POST", "/cancel") if group == "batches" else ("GET", "/content")]
            routes += [("DELETE", "")] if group == "files" else []
            for method, rest in routes:
                answers = [client.request(method, f"/v1/{group}/{each}{rest}") for each in (own, missing)]
                assert [reply.status_code for reply in answers] == [404, 404], (method, group, rest)
                told = [
                    reply.text.replace(each, "ID").replace(reply.json()["error"]["error_id"], "")
                    for reply, each in zip(answers, (own, missing), strict=True)
                ]
                assert told[0] == told[1]
            assert client.get(f"/v1/{group}").json()["data"] == []
        body = {"input_file_id": batch.input_file_id, "endpoint": CHAT, "completion_window": "24h"}
        assert client.post("/v1/batches", json=body).json()["error"]["freehold_code"] == "FH-BATCH-001"
    assert gateway.openai().batches.retrieve(batch.id).status == "completed"


def test_cancelling_ends_what_runs_within_a_second(home: Site) -> None:
    gateway = home.gateway
    batch_id = send(gateway, [line(f"item-{n}", "stall") for n in range(5)])
    client = gateway.openai()
    eventually(lambda: client.batches.retrieve(batch_id).status == "in_progress", what="the beginning")
    eventually(lambda: home.small.exchanges[-1].body["messages"][0]["content"] == "stall", what="the first call")
    stalled = home.small.exchanges[-1]
    assert client.batches.cancel(batch_id).status == "cancelling"
    batch = over(gateway, batch_id, within_s=1)
    assert batch.status == "cancelled"
    assert batch.cancelled_at >= batch.cancelling_at
    eventually(stalled.gone.is_set, within_s=1, what="the end of the call")
    good, bad = results(gateway, batch)
    assert not good
    assert Counter(each["error"]["code"] for each in bad) == {"batch_cancelled": 5}
    with pytest.raises(APIStatusError) as refusal:
        client.batches.cancel(batch_id)
    assert refusal.value.status_code == 409


def test_a_revoked_key_stops_its_batches_and_says_so(home: Site) -> None:
    gateway = home.gateway
    key, key_id = gateway.new_key(tenant="default")
    batch_id = send(gateway, [line(f"item-{n}", "stall") for n in range(3)], key=key)
    eventually(lambda: gateway.openai().batches.retrieve(batch_id).status == "in_progress", what="the beginning")
    with gateway.key_ring() as ring:
        ring.revoke(key_id)
    batch = over(gateway, batch_id, within_s=5)
    assert batch.status == "failed"
    assert batch.errors.data[0].code == "FH-BATCH-004"
    assert [each["error"]["code"] for each in results(gateway, batch)[1]] == ["FH-BATCH-004"] * 3


def test_what_may_pass_is_tried_again_and_no_room_is_no_failure(home: Site) -> None:
    asked_before = len(home.small.exchanges)
    batch = over(home.gateway, send(home.gateway, [line("hurts", "500"), line("fine")]))
    good, bad = results(home.gateway, batch)
    assert [each["custom_id"] for each in good] == ["fine"]
    assert bad[0]["response"]["status_code"] == 500
    texts = [each.body["messages"][0]["content"] for each in home.small.exchanges[asked_before:]]
    assert texts.count("500") == 2, "once more, as [batches] retries says"


def test_files(home: Site) -> None:
    client = home.gateway.openai()
    made = client.files.create(file=("a b.txt", b"\x00\xff" * 700_000), purpose="user_data")
    assert (made.bytes, made.filename, made.purpose, made.status) == (1_400_000, "a b.txt", "user_data", "processed")
    assert client.files.content(made.id).content == b"\x00\xff" * 700_000
    assert [each.id for each in client.files.list(purpose="user_data")] == [made.id]
    stored = home.gateway.data / "files" / made.id
    assert stored.stat().st_mode & 0o777 == 0o600
    with pytest.raises(APIStatusError, match="purpose"):
        client.files.create(file=("x", b"x"), purpose="vision")
    assert client.files.delete(made.id).deleted
    assert not stored.exists()
    with pytest.raises(APIStatusError) as refusal:
        client.files.content(made.id)
    assert refusal.value.status_code == 404


def test_a_large_file_goes_to_the_disk_and_back_without_filling_the_memory(home: Site) -> None:
    client = home.gateway.openai()
    content = random.Random(1).randbytes(1 << 20) * 48
    before = home.gateway.peak_bytes()
    made = client.files.create(file=("large.bin", content), purpose="user_data")
    assert client.files.content(made.id).content == content
    assert home.gateway.peak_bytes() - before < 24 << 20
    client.files.delete(made.id)


def test_an_upload_that_is_no_form_or_too_long_is_refused_and_leaves_nothing(home: Site) -> None:
    before = sorted(path.name for path in (home.gateway.data / "files").glob("*"))
    with home.gateway.http() as client:
        reply = client.post("/v1/files", json={"purpose": "batch"})
        assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (400, "FH-FILE-001")
    with socket.create_connection(home.gateway.address) as wire:
        kind = "multipart/form-data; boundary=b"
        head = f"host: localhost\r\nauthorization: Bearer {home.gateway.key}\r\ncontent-type: {kind}"
        wire.sendall(f"POST /v1/files HTTP/1.1\r\n{head}\r\ncontent-length: {1 << 40}\r\n\r\n--b".encode())
        told = b"".join(iter(lambda: wire.recv(65_536), b""))
    assert told.startswith(b"HTTP/1.1 413")
    assert b"FH-FILE-002" in told
    with home.gateway.http("") as client:
        assert client.post("/v1/files", files={"file": b"x"}, data={"purpose": "batch"}).status_code == 401
    assert sorted(path.name for path in (home.gateway.data / "files").glob("*")) == before


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/audio/speech"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-0"}, "input_file_id"),
        ({"metadata": {"n": 1}}, "metadata"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    ],
)
def test_a_batch_that_is_asked_for_wrongly(home: Site, changes: dict[str, Any], param: str) -> None:
    client = home.gateway.openai()
    file = client.files.create(file=("in.jsonl", line("a").encode()), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | changes
    with home.gateway.http() as http:
        reply = http.post("/v1/batches", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_pages_of_batches_and_metadata(home: Site) -> None:
    client = home.gateway.openai()
    file = client.files.create(file=("in.jsonl", line("a").encode()), purpose="batch")
    made = []
    for n in range(3):
        batch = client.batches.create(
            input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"n": str(n)}
        )
        made.append(over(home.gateway, batch.id))
    first = client.batches.list(limit=2)
    assert first.has_more
    assert [each.id for each in first.data] == [made[2].id, made[1].id]
    assert first.data[0].metadata == {"n": "2"}
    assert client.batches.list(limit=2, after=made[1].id).data[0].id == made[0].id


def message(custom_id: str, text: str = "hello", **params: Any) -> dict[str, Any]:
    asked = {"model": "plain", "max_tokens": 9, "messages": [{"role": "user", "content": text}]} | params
    return {"custom_id": custom_id, "params": asked}


def test_batches_as_anthropics_clients_know_them(home: Site) -> None:
    requests = [message("good"), message("no-model", model="nobody"), message("refused", "400-quote")]
    with home.gateway.http() as client:
        made = client.post("/v1/messages/batches", json={"requests": requests}).json()
        assert (made["type"], made["processing_status"], made["results_url"]) == ("message_batch", "in_progress", None)
        assert made["request_counts"]["processing"] == 3
        path = f"/v1/messages/batches/{made['id']}"

        def look() -> Any:
            batch = client.get(path).json()
            return batch if batch["processing_status"] == "ended" else None

        batch = eventually(look, within_s=20, what="its end")
        counts = {"processing": 0, "succeeded": 1, "errored": 2, "canceled": 0, "expired": 0}
        assert (batch["request_counts"], batch["cancel_initiated_at"]) == (counts, None)
        assert batch["results_url"] == f"{home.gateway.base_url}{path}/results"
        lines = [json.loads(each) for each in client.get(f"{path}/results").text.splitlines()]
        assert [(each["custom_id"], each["result"]["type"]) for each in lines] == [
            ("good", "succeeded"),
            ("no-model", "errored"),
            ("refused", "errored"),
        ]
        assert lines[0]["result"]["message"]["content"][0]["text"] == TEXT
        assert lines[1]["result"]["error"]["error"]["type"] == "not_found_error"
        assert client.get("/v1/messages/batches?limit=1").json()["data"] == [batch]
        assert client.get(f"/v1/batches/{batch['id']}").status_code == 404, "made one way, not seen the other way"
        assert batch["id"] not in client.get("/v1/batches?limit=100").text
        refusal = client.post(f"{path}/cancel")
        assert (refusal.status_code, refusal.json()["error"]["freehold_code"]) == (409, "FH-BATCH-002")


def test_a_message_batch_that_is_cancelled(home: Site) -> None:
    with home.gateway.http() as client:
        made = client.post("/v1/messages/batches", json={"requests": [message("a", "stall"), message("b", "stall")]})
        path = f"/v1/messages/batches/{made.json()['id']}"
        eventually(lambda: home.small.exchanges[-1].body["messages"][0]["content"] == "stall", what="its first call")
        assert client.post(f"{path}/cancel").json()["processing_status"] == "canceling"
        eventually(lambda: client.get(path).json()["processing_status"] == "ended", within_s=1, what="its end")
        assert client.get(path).json()["request_counts"]["canceled"] == 2
        assert client.get(f"{path}/results").text.count('"type":"canceled"') == 2


@pytest.mark.parametrize(
    "requests",
    [
        [],
        "x",
        [{"custom_id": "a b", "params": {}}],
        [{"custom_id": "a", "params": []}],
        [{"custom_id": "a"}],
        [message("a"), message("a")],
        [message("a", stream=True)],
    ],
    ids=str,
)
def test_a_message_batch_that_is_asked_for_wrongly(home: Site, requests: Any) -> None:
    with home.gateway.http() as client:
        reply = client.post("/v1/messages/batches", json={"requests": requests})
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (400, "FH-REQUEST-002")
    assert reply.json()["error"]["param"].startswith("requests")
    assert reply.json()["type"] == "error", "as Anthropic's clients read it"


class SteadyPace(OpenAIServer):
    """Answers each call a moment later, and counts what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    async def answer(self, exchange: Exchange) -> None:
        self.asked[exchange.body["messages"][-1]["content"]] += 1
        await asyncio.sleep(0.003)
        await super().answer(exchange)


def paced_config(upstream: SteadyPace, *, server: str = "") -> str:
    address = upstream.base_url
    return CONFIG.format(server=server, small=address, large=address, claude=address, closed_port=closed_port())


@pytest.mark.parametrize(("items", "kills"), [(500, 3)])
def test_every_item_has_exactly_one_result_whenever_the_gateway_is_killed(
    tmp_path: Path, items: int, kills: int
) -> None:
    chance = random.Random(os.environ.get("FREEHOLD_KILL_SEED", "4"))
    marks = sorted(chance.sample(range(5, items - 20), kills))
    with in_thread(SteadyPace()) as upstream:
        config = paced_config(upstream)
        with running(config, tmp_path) as gateway:
            batch_id = send(gateway, [line(f"item-{n}", f"item-{n}") for n in range(items)])
            eventually(lambda: len(upstream.asked) >= marks[0], within_s=20, what="the first items")
            gateway.kill()
        for mark in marks[1:]:
            with running(config, tmp_path, wait_ready=False) as gateway:
                eventually(lambda mark=mark: len(upstream.asked) >= mark, within_s=20, what=f"item {mark}")
                gateway.kill()
        with running(config, tmp_path) as gateway:
            batch = over(gateway, batch_id)
            good, bad = results(gateway, batch)
            counts = batch.request_counts
            assert (batch.status, counts.total, counts.completed, counts.failed) == ("completed", items, items, 0)
            assert not bad
            assert [each["custom_id"] for each in good] == [f"item-{n}" for n in range(items)]
            assert len({each["response"]["request_id"] for each in good}) == items
            for each in (good[0], good[-1], chance.choice(good)):
                assert gateway.receipt(each["response"]["request_id"])["outcome"] == "complete"
            eventually(lambda: not list((gateway.data / "batches").iterdir()), what="the end of its journal")
            assert len(list((gateway.data / "files").iterdir())) == 2
        again = sum(upstream.asked.values()) - items
        assert again <= kills * 64, "what had a durable result does not run again"


def test_one_worker_runs_batches_and_its_successor_goes_on(tmp_path: Path) -> None:
    with (
        in_thread(SteadyPace()) as upstream,
        running(paced_config(upstream, server="workers = 2"), tmp_path) as gateway,
    ):
        lines = [line(f"item-{n}", f"item-{n}") for n in range(120)]
        batch_ids = [send(gateway, lines), send(gateway, lines)]
        eventually(lambda: len(upstream.asked) >= 30, within_s=20, what="the first items")
        for worker in workers_of(gateway):
            os.kill(worker, signal.SIGKILL)

        def answers() -> bool:
            with contextlib.suppress(httpx2.TransportError), gateway.http() as client:
                return client.get("/v1/batches").status_code == 200
            return False

        eventually(answers, within_s=20, what="the successors")
        for batch_id in batch_ids:
            batch = over(gateway, batch_id)
            good, bad = results(gateway, batch)
            assert [each["custom_id"] for each in good] == [f"item-{n}" for n in range(120)]
            assert not bad
        long_id = send(gateway, [line("stall", "stall")])
        eventually(lambda: upstream.asked["stall"], what="its call")
        gateway.openai().batches.cancel(long_id)
        assert over(gateway, long_id, within_s=1).status == "cancelled"
