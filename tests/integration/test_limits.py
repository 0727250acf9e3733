"""Limits over two workers: caps hold whoever asks at once, block before the upstream is called, and outlive a crash."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_workers import owner, start_parent, workers_of
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer, asked, whole
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread

BOTH = 32
"""Connections of which some reach each of two workers: all at one would happen once in 2 ** 31 tries."""

CLIENTS = 12
EFFECT_S = 2.0
KEYS = {
    "tokens": ("acme", "infer"), "money": ("beta", "infer"), "change": ("acme", "infer"), "cut": ("beta", "infer"),
    "dead": ("beta", "infer"), "manager": ("acme", "infer", "manage"),
}  # fmt: skip
CONFIG = """
[server]
port = 0
drain_s = 2
workers = {workers}

[tenants.default]
[tenants.acme]
[tenants.beta]

[deployments.one]
engine = "openai"
model = "metered"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
slots = 64
queue_max = 64
price = {{ input_per_mtok = 1, output_per_mtok = 10 }}

[routes.plain]
deployments = ["one"]
signals = false
"""


class MeteredServer(OpenAIServer):
    """Uses any number of tokens that a request allows it to, and remembers how many."""

    def __init__(self) -> None:
        super().__init__()
        self.used: list[tuple[int, int]] = []
        self.random = random.Random(7)

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        if mode in {"stall", "silent"}:
            await super()._complete(exchange, mode)
            return
        body = exchange.body
        read, written = len(asked(body)) // 4 + 8, self.random.randint(body["max_tokens"] // 4, body["max_tokens"])
        self.used.append((read, written))
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        await exchange.reply_json(200, whole(body) | {"usage": usage})


@dataclass
class Reply:
    """An answer of the gateway."""

    status_code: int
    headers: dict[str, str]
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Limited:
    gateway: Gateway
    server: MeteredServer
    keys: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def make_keys(self) -> None:
        """Make all keys at once, and wait until both workers know them."""
        with self.gateway.key_ring() as ring:
            for name, (tenant, *scopes) in KEYS.items():
                secret, record = ring.new(name=name, tenant=tenant, scopes=scopes)
                self.keys[name] = secret, record.id
        eventually(
            lambda: all(self.ask(secret).status_code != 401 for _ in range(BOTH)), what="the last in both workers"
        )

    def ask(self, secret: str, text: str = "x" * 120, *, max_tokens: int = 500) -> Reply:
        """One question on a connection of its own, so that any worker may get it."""
        body = {"model": "plain", "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
        with contextlib.closing(HTTPConnection(*self.gateway.address, timeout=60)) as connection:
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(body), headers={"authorization": f"Bearer {secret}"}
            )
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers), answer.read())

    def put(self, subject: str, what: str, window: str, amount: object, *, key: str | None = None) -> Any:
        said = {"subject": subject, "what": what, "window": window, "amount": amount}
        with self.gateway.http(key) as client:
            return client.put("/v1/admin/limits", json=said)

    def in_force(self, secret: str, wanted: str) -> None:
        """Wait until each worker holds this caller to a limit."""
        field = "x-ratelimit-limit-tokens"
        eventually(
            lambda: {self.ask(secret, "x", max_tokens=1).headers.get(field) for _ in range(BOTH)} == {wanted},
            what=wanted,
        )

    def hammer(self, secret: str) -> Counter[str]:
        """Ask from many sides at once until each of them is told that nothing is left for such a request."""
        told: Counter[str] = Counter()
        lock = threading.Lock()

        def client() -> None:
            while True:
                reply = self.ask(secret)
                code = "" if reply.status_code == 200 else reply.json()["error"]["freehold_code"]
                with lock:
                    told[code] += 1
                if code in {"FH-LIMIT-001", "FH-LIMIT-002", "FH-LIMIT-004"}:
                    return
                assert code in {"", "FH-LIMIT-003"}, reply.text

        with ThreadPoolExecutor(CLIENTS) as pool:
            for each in [pool.submit(client) for _ in range(CLIENTS)]:
                each.result()
        return told


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Generator[Limited]:
    folder = tmp_path_factory.mktemp("limited")
    with ExitStack() as stack:
        server = stack.enter_context(in_thread(MeteredServer()))
        gateway = stack.enter_context(running(CONFIG.format(base_url=server.base_url, workers=2), folder))
        found = Limited(gateway, server)
        found.make_keys()
        yield found


def test_a_cap_of_tokens_holds_over_both_workers_and_blocks_before_the_upstream(
    limited: Limited, record_property: Any
) -> None:
    secret, _ = limited.keys["tokens"]
    limited.server.used.clear()
    cap = 30_000
    before = used_by(limited, "acme")
    assert limited.put("tenant:acme", "tokens", "day", cap).status_code == 200
    limited.in_force(secret, str(cap))
    told = limited.hammer(secret)
    used = before + sum(read + written for read, written in limited.server.used)
    record_property("overshoot_percent", 100 * (used - cap) / cap)
    print(f"tokens: {used} of {cap} used, {told}")
    assert used <= cap
    assert used > 0.95 * cap
    calls = len(limited.server.exchanges)
    reply = limited.ask(secret)
    assert (reply.status_code, reply.json()["error"]["type"]) == (429, "rate_limit_error")
    assert 0 < int(reply.headers["retry-after"]) <= 86_400
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-ratelimit-limit-tokens"] == str(cap)
    assert 0 <= int(reply.headers["x-ratelimit-remaining-tokens"]) < 1_000
    assert len(limited.server.exchanges) == calls
    # The receipts say the same as the upstream and the counters do.
    assert used_by(limited, "acme") == used


def usage(limited: Limited, tenant: str) -> list[dict[str, Any]]:
    return [row for row in limited.gateway.get("/v1/admin/usage?by=key")["data"] if row["tenant"] == tenant]


def used_by(limited: Limited, tenant: str) -> int:
    return sum(row["input_tokens"] + row["output_tokens"] for row in usage(limited, tenant))


def test_a_cap_of_money_holds_over_both_workers(limited: Limited, record_property: Any) -> None:
    secret, key_id = limited.keys["money"]
    limited.server.used.clear()
    before = sum(cost["micros"] for row in usage(limited, "beta") for cost in row["cost"])
    cap = 300_000
    assert limited.put(f"key:{key_id}", "money", "month", "0.30").json()["amount"] == "0.300000"
    assert limited.put(f"key:{key_id}", "tokens", "day", 10_000_000).status_code == 200
    limited.in_force(secret, "10000000")
    told = limited.hammer(secret)
    used = before + sum(read + 10 * written for read, written in limited.server.used)
    record_property("overshoot_percent", 100 * (used - cap) / cap)
    print(f"money: {used} of {cap} micro-units used, {told}")
    assert used <= cap
    assert used > 0.95 * cap
    assert limited.put(f"key:{key_id}", "money", "month", "0.000001").status_code == 200
    calls = len(limited.server.exchanges)

    def spent() -> bool:
        replies = [limited.ask(secret, max_tokens=1) for _ in range(BOTH)]
        return {each.json().get("error", {}).get("code") for each in replies} == {"insufficient_quota"}

    eventually(spent, within_s=EFFECT_S, what="the spent budget in both workers")
    calls = len(limited.server.exchanges)
    assert spent()
    assert len(limited.server.exchanges) == calls


def test_a_change_by_another_process_holds_within_two_seconds(limited: Limited) -> None:
    secret, key_id = limited.keys["change"]
    limited.put("tenant:acme", "tokens", "day", 100_000_000)
    command(limited, "limits", "set", f"key:{key_id}", "requests", "day", "0")
    begun_s = time.monotonic()
    eventually(
        lambda: {limited.ask(secret).status_code for _ in range(BOTH)} == {429}, what="the limit in both workers"
    )
    assert time.monotonic() - begun_s < EFFECT_S
    command(limited, "limits", "remove", f"key:{key_id}", "requests", "day")
    eventually(lambda: {limited.ask(secret).status_code for _ in range(BOTH)} == {200}, what="its end in both workers")


def command(limited: Limited, *words: str) -> str:
    """A command beside the running gateway."""
    environment = os.environ | {"FREEHOLD_HOME": str(limited.gateway.data)}
    line = [os.sys.executable, "-m", "freehold", *words, "--config", str(limited.gateway.config), "--json"]
    return subprocess.run(line, env=environment, capture_output=True, check=True, text=True).stdout


def test_a_stream_that_its_client_cuts_is_charged_what_came(limited: Limited) -> None:
    secret, key_id = limited.keys["cut"]
    limited.put(f"key:{key_id}", "tokens", "day", 10_000)
    limited.in_force(secret, "10000")

    def standing() -> tuple[int, int]:
        headers = limited.ask(secret, "x", max_tokens=1).headers
        return int(headers["x-ratelimit-limit-tokens"]), int(headers["x-ratelimit-remaining-tokens"])

    _, left = standing()
    body = {"model": "plain", "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "stall"}]}
    with limited.gateway.http(secret) as client, client.stream("POST", "/v1/chat/completions", json=body) as stream:
        assert int(stream.headers["x-ratelimit-remaining-tokens"]) < left - 300
        next(stream.iter_raw())
    found = eventually(lambda: standing()[1] if standing()[1] > left - 300 else None, what="the rest given back")
    assert left - 200 < found < left


def test_a_dead_workers_calls_hold_nothing_back(limited: Limited) -> None:
    secret, key_id = limited.keys["dead"]
    limited.put(f"key:{key_id}", "tokens", "day", 100_000)
    limited.in_force(secret, "100000")
    before = len(limited.server.exchanges)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(limited.ask, secret, "silent", max_tokens=80_000)
        call = eventually(lambda: limited.server.exchanges[before:], what="the call")[0]
        assert limited.ask(secret, max_tokens=40_000).json()["error"]["freehold_code"] == "FH-LIMIT-003"
        os.kill(owner(workers_of(limited.gateway), call.writer.get_extra_info("peername")[1]), signal.SIGKILL)
        with pytest.raises(Exception, match=r"disconnect|closed|reset"):
            asking.result()
    eventually(lambda: _is_answered(limited, secret), what="room again")
    eventually(lambda: len(workers_of(limited.gateway)) == 2, within_s=30, what="two workers")


def _is_answered(limited: Limited, secret: str) -> bool:
    """Whether a call is; one that waited at the socket of who is dead now is reset."""
    try:
        return limited.ask(secret, max_tokens=40_000).status_code == 200
    except ConnectionResetError:
        return False


def test_who_manages_a_tenant_sets_its_keys_limits_and_not_its_own(limited: Limited) -> None:
    gateway = limited.gateway
    (manager, own), (_, others) = limited.keys["manager"], limited.keys["cut"]
    assert limited.put(f"key:{own}", "requests", "day", 1_000, key=manager).status_code == 200
    refused = {
        f"key:{others}": 404, "key:nothing": 404, "tenant:beta": 404, "tenant:nowhere": 404,
        "tenant:acme": 403, "acme": 400, "tenant:": 404,
    }  # fmt: skip
    for subject, status in refused.items():
        assert limited.put(subject, "requests", "day", 5, key=manager).status_code == status, subject
        query = {"subject": subject, "what": "requests", "window": "day"}
        with gateway.http(manager) as client:
            assert client.delete("/v1/admin/limits", params=query).status_code == status, subject
    seen = gateway.get("/v1/admin/limits", key=manager)["data"]
    assert {each["subject"] for each in seen} == {f"key:{own}", "tenant:acme"}
    assert [each["name"] for each in gateway.get("/v1/admin/tenants", key=manager)["data"]] == ["acme"]
    assert {each["tenant"] for each in gateway.get("/v1/admin/usage?by=key", key=manager)["data"]} == {"acme"}
    assert {each["tenant"] for each in gateway.get("/v1/admin/usage?by=tenant", key=manager)["data"]} == {"acme"}
    everything = gateway.get("/v1/admin/limits")["data"]
    assert {f"key:{own}", "tenant:acme"} < {each["subject"] for each in everything}
    assert {each["name"] for each in gateway.get("/v1/admin/tenants")["data"]} == {"default", "acme", "beta"}
    with gateway.http() as admin:
        query = {"subject": f"key:{own}", "what": "requests", "window": "day"}
        assert admin.delete("/v1/admin/limits", params=query).status_code == 200
        assert admin.delete("/v1/admin/limits", params=query).status_code == 404
        table = admin.get("/v1/admin/usage?by=day&format=csv")
        assert table.headers["content-type"].startswith("text/csv")
        assert table.text.startswith("day,requests,refused,attempts,")
    with gateway.http(limited.keys["tokens"][0]) as client:
        assert {client.get(f"/v1/admin/{each}").status_code for each in ("limits", "tenants", "usage")} == {403}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "subject is null"),
        ({"subject": "tenant:acme", "what": "tokens", "window": "day", "amount": 1.5}, "amount is 1.5"),
        ({"subject": "tenant:acme", "what": "tokens", "window": "day", "amount": True}, "amount is true"),
        ({"subject": "tenant:acme", "what": "tokens", "window": "day", "amount": -1}, "the amount is '-1'"),
        ({"subject": "tenant:acme", "what": "tokens", "window": "week", "amount": 1}, "the window is 'week'"),
        ({"subject": "tenant:acme", "what": "water", "window": "day", "amount": 1}, "what is limited is 'water'"),
        ({"subject": "tenant:acme", "what": "money", "window": "day", "amount": "0.0000001"}, "the amount is"),
        ({"subject": "tenant:acme", "what": "money", "window": "day", "amount": "NaN"}, "the amount is 'NaN'"),
        (
            {"subject": "tenant:acme", "what": "money", "window": "day", "amount": "1", "currency": "euro"},
            "the currency",
        ),
        ({"subject": "tenant:acme", "what": "tokens", "window": "day", "amount": 1, "currency": "EUR"}, "have none"),
        ({"subject": "tenant:acme", "what": "tokens", "window": "day", "amount": 1, "more": 1}, "no such member"),
        ({"subject": "key:nothing", "what": "tokens", "window": "day", "amount": 1}, "there is no such key"),
    ],
)
def test_what_cannot_be_set_is_told(limited: Limited, body: dict[str, Any], told: str) -> None:
    with limited.gateway.http() as client:
        reply = client.put("/v1/admin/limits", json=body)
    assert reply.status_code == 400
    assert told in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "query", ["by=planet", "format=xml", "from=yesterday", "from=2026-02-30", "from=2026-02-02&to=2026-02-02"]
)
def test_a_question_about_usage_that_means_nothing_is_refused(limited: Limited, query: str) -> None:
    with limited.gateway.http() as client:
        reply = client.get(f"/v1/admin/usage?{query}")
    assert (reply.status_code, reply.json()["error"]["freehold_code"]) == (400, "FH-REQUEST-002")


def test_a_crash_of_the_whole_gateway_forgets_no_month(tmp_path: Path) -> None:
    with in_thread(MeteredServer()) as server:
        text = CONFIG.format(base_url=server.base_url, workers=1)
        (tmp_path / "freehold.toml").write_text(text, encoding="utf-8")
        parent = start_parent(tmp_path)
        with parent.process:
            first = Limited(parent.gateway, server)
            assert first.put("tenant:default", "tokens", "month", 1_500).status_code == 200
            assert first.ask(parent.gateway.key, max_tokens=900).status_code == 200
            (used,) = [sum(each) for each in server.used]
            parent.process.kill()  # what it kept is not in the database yet
        with running(text, tmp_path) as gateway:
            again = Limited(gateway, server)
            reply = again.ask(gateway.key, max_tokens=1)
            assert int(reply.headers["x-ratelimit-remaining-tokens"]) == 1_500 - used - sum(server.used[1])
            calls = len(server.used)
            reply = again.ask(gateway.key, max_tokens=1_200)
            assert reply.json()["error"]["freehold_code"] in {"FH-LIMIT-004", "FH-LIMIT-005"}
            assert len(server.used) == calls
            shown = json.loads(command(again, "limits", "list"))
            assert shown[0]["amount"] == 1_500
