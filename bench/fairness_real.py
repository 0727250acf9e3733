"""The real run of ``bench.fairness``: a gateway process, SmolLM2-135M on its embedded engine, clients over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from bench.fairness_sim import percentile
from tests.models import starter_model
from tests.support.server import Gateway, running

TINY = "smollm2-135m"
BATCH_TOKENS = 64
SHARE_MAX = 0.05
ERROR_MAX = 0.2
STEPS_MAX = 1.5
MATCH_S = 0.15

CONFIG = """
[server]
port = 0
[deadlines]
total_s = 3600
queue_s = 3600
[tenants.house]
label = "internal"
[tenants.ann]
label = "internal"
[tenants.bob]
label = "internal"
weight = {weight}
[deployments.small]
engine = "embedded"
model = "{model}"
slots = 2
queue_max = 256
context_tokens = 2048
batch_tokens = {batch}
[routes.plain]
deployments = ["small"]
signals = false
"""
WORDS = ["river", "stone", "window", "market", "garden", "paper", "engine", "signal", "winter", "letter", "bridge"]


@dataclass(slots=True)
class Told:
    """One answer.

    Attributes:
        sent_s: When its request was sent; later on, when the gateway had it.
        waited_s: For its turn, as the gateway says.
        position: Its place then; 0 where it did not wait.
        first_s: To its first event with text.
    """

    tenant: str
    sent_s: float
    ended_s: float = 0.0
    waited_s: float = 0.0
    position: int = 0
    first_s: float = 0.0
    tokens: int = 0
    status: int = 0
    receipt: str = ""


@dataclass
class Site:
    """The gateway, its keys and what its clients got."""

    gateway: Gateway
    keys: dict[str, str]
    client: httpx2.AsyncClient
    told: list[Told] = field(default_factory=list[Told])
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    async def ask(self, tenant: str, *, tokens: int, words: int, priority: str = "normal") -> Told:
        """One chat: streamed, unless it is a batch item, which gives its slot up only while nothing of it was sent."""
        text = " ".join(self.chance.choice(WORDS) for _ in range(words))
        told = Told(tenant, time.time())
        body: dict[str, Any] = {
            "model": "plain",
            "messages": [{"role": "user", "content": text}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
        }
        if priority != "batch":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {self.keys[tenant]}", "freehold-priority": priority}
        async with self.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as reply:
            told.status = reply.status_code
            told.receipt = reply.headers.get("freehold-receipt", "")
            told.position = int(reply.headers.get("freehold-queue-position", 0))
            told.waited_s = int(reply.headers.get("freehold-queue-wait-ms", 0)) / 1000
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line[6:])
                    if not told.first_s and event["choices"] and event["choices"][0]["delta"].get("content"):
                        told.first_s = time.time() - told.sent_s
                    told.tokens = (event.get("usage") or {}).get("total_tokens", told.tokens)
                elif line.startswith("{") and told.status == 200:
                    told.tokens = json.loads(line)["usage"]["total_tokens"]
        told.ended_s = time.time()
        self.told.append(told)
        return told

    async def keep_asking(self, tenant: str, until_s: float, **how: Any) -> None:
        """One request after another."""
        while time.time() < until_s:
            tokens = self.chance.randint(4, 28) if "tokens" not in how else how["tokens"]
            told = await self.ask(tenant, **{"words": 8, **how, "tokens": tokens})
            if told.status != 200:
                await asyncio.sleep(0.2)


@contextlib.contextmanager
def site(folder: Path, *, weight: int) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway with a key for each tenant."""
    folder.mkdir(exist_ok=True)
    config = CONFIG.format(weight=weight, model=starter_model(TINY), batch=BATCH_TOKENS)
    with running(config, folder) as gateway:
        keys = {name: gateway.new_key(tenant=name)[0] for name in ("ann", "bob")}
        keys["admin"] = gateway.new_key(tenant="house", scopes=("admin",))[0]
        yield gateway, keys


def _client(gateway: Gateway) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=400, max_keepalive_connections=400)
    return httpx2.AsyncClient(base_url=gateway.base_url, timeout=600, limits=limits)


async def measure(folder: Path, *, seconds: float) -> bool:
    """Measure and print all of it; whether the bars hold."""
    good = True
    for weight in (1, 3):
        with site(folder / f"w{weight}", weight=weight) as (gateway, keys):
            async with _client(gateway) as client:
                good &= await _shares(Site(gateway, keys, client), weight, seconds)
                if weight == 1:
                    good &= await _interactive(Site(gateway, keys, client), seconds)
    return good


async def _shares(at: Site, weight: int, seconds: float) -> bool:
    """Ann keeps 60 going, Bob 3 (weight 1); or both 20 (weight 3)."""
    started_s = time.time()
    until_s = started_s + seconds
    senders = {"ann": 60, "bob": 3} if weight == 1 else {"ann": 20, "bob": 20}
    asking = [
        asyncio.ensure_future(at.keep_asking(tenant, until_s)) for tenant, many in senders.items() for _ in range(many)
    ]
    seen: list[tuple[str, float, float, float]] = []
    while time.time() < until_s - 1:
        await asyncio.sleep(0.5)
        headers = {"authorization": f"Bearer {at.keys['admin']}"}
        asked_s = time.time()
        view = (await at.client.get("/v1/admin/queue", headers=headers)).json()["data"][0]
        asked_s = (asked_s + time.time()) / 2
        seen += [
            (each["tenant"], asked_s - each["waited_s"], asked_s, each["expected_s"])
            for each in view["requests"]
            if each["waited_s"] < 1.0
        ]
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for each in at.told:
        _time(at, each)
    both = [each for each in at.told if started_s + seconds / 10 < each.ended_s < until_s]
    tokens: Counter[str] = Counter()
    for each in both:
        tokens[each.tenant] += each.tokens
    share, wanted = tokens["bob"] / max(1, tokens.total()), weight / (weight + 1)
    hold_s = 2 * seconds * 0.9 / max(1, len(both))
    # Of the first ones nobody could know that others would go on coming.
    settled_s = started_s + seconds / 4
    errors = _estimate_errors(at.told, [each for each in seen if each[1] >= settled_s], hold_s)
    places = _place_errors(at.told, hold_s, settled_s)
    print(
        f"real, weights 1:{weight}, {senders['ann']} and {senders['bob']} going: {len(both)} answers, {tokens.total()}"
        f" tokens, Bob's share {share:.3f} (wanted {wanted:.2f}); place off by {percentile(places, 0.5):.3f} (median),"
        f" {percentile(places, 0.9):.3f} (p90) of {len(places)}; estimate off by {percentile(errors, 0.5):.3f},"
        f" {percentile(errors, 0.9):.3f} of {len(errors)}"
    )
    return abs(share - wanted) <= SHARE_MAX and percentile(errors, 0.5) <= ERROR_MAX


def _estimate_errors(told: list[Told], seen: list[tuple[str, float, float, float]], hold_s: float) -> list[float]:
    """What the view of the queue said within a second of a request's arrival, against what it then waited.

    Of those that had at least as long to wait as a request takes: also when they were looked at, since whoever is next
    waits for the end of one request, of which nobody can say more than that it is near.
    """
    errors: list[float] = []
    for tenant, came_s, asked_s, expected_s in seen:
        alike = [each for each in told if each.tenant == tenant and abs(each.sent_s - came_s) < MATCH_S]
        if len(alike) == 1 and alike[0].waited_s >= hold_s:
            left_s = alike[0].sent_s + alike[0].waited_s - asked_s
            if left_s >= hold_s:
                errors.append(abs(expected_s - left_s) / left_s)
    return errors


def _place_errors(told: list[Told], hold_s: float, since_s: float) -> list[float]:
    """The place in the header, against how many started until one's own turn; off by one is off by nothing."""
    starts = sorted(each.sent_s + each.waited_s for each in told)
    errors: list[float] = []
    for each in told:
        if each.position and each.waited_s >= hold_s and each.sent_s >= since_s:
            before = sum(each.sent_s < start <= each.sent_s + each.waited_s for start in starts)
            errors.append(max(0, abs(each.position - before) - 1) / max(1, before))
    return errors


async def _interactive(at: Site, seconds: float) -> bool:
    """Bob asks now and then, while Ann's batch items fill both slots; against Bob on a server with nothing to do."""

    async def ask_now_and_then(until_s: float) -> list[Told]:
        found: list[Told] = []
        while time.time() < until_s:
            await asyncio.sleep(at.chance.expovariate(1 / 2.0))
            found.append(await at.ask("bob", tokens=8, words=20))
        return found

    idle = await ask_now_and_then(time.time() + seconds / 4)
    until_s = time.time() + seconds
    at.told.clear()
    batch = [
        asyncio.ensure_future(at.keep_asking("ann", until_s, tokens=120, words=300, priority="batch")) for _ in range(6)
    ]
    await asyncio.sleep(5.0)
    asked = await ask_now_and_then(until_s)
    for task in batch:
        task.cancel()
    await asyncio.gather(*batch, return_exceptions=True)
    items = [each for each in at.told if each.tenant == "ann"]
    done = [each for each in items if each.status == 200]
    steps = [_step_s(_attempt(at, each)) for each in done]
    step_s = statistics.median(steps)
    waits = [each.waited_s for each in asked]
    extra = [_besides_reading_s(at, each) for each in asked]
    idle_extra = [_besides_reading_s(at, each) for each in idle]
    p95_s, extra_s = percentile(waits, 0.95), percentile(extra, 0.95)
    print(
        f"real, both slots full of batch: {len(asked)} interactive answers, waited {percentile(waits, 0.5) * 1000:.0f} ms"
        f" (median), {p95_s * 1000:.0f} ms (p95) for their turn; one step (a prompt batch of {BATCH_TOKENS} tokens) takes"
        f" {step_s * 1000:.0f} ms: {p95_s / step_s:.2f} steps"
    )
    print(
        f"  until their first token, without the reading of their own prompt: {percentile(extra, 0.5) * 1000:.0f} ms"
        f" (median), {extra_s * 1000:.0f} ms (p95): {extra_s / step_s:.2f} steps; on an idle server"
        f" {percentile(idle_extra, 0.95) * 1000:.0f} ms (p95)"
    )
    print(f"  batch meanwhile: {len(done)} items done, {len(items) - len(done)} sent back to come again")
    return p95_s <= STEPS_MAX * step_s and bool(done)


def _receipt(at: Site, told: Told) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {at.keys[told.tenant]}"}
    return httpx2.get(f"{at.gateway.base_url}/v1/receipts/{told.receipt}", headers=headers, timeout=60).json()


def _attempt(at: Site, told: Told) -> dict[str, Any]:
    return _receipt(at, told)["attempts"][-1]


def _time(at: Site, told: Told) -> None:
    """When the gateway had a request, and how long it waited: by its receipt, since clients are late too."""
    receipt = _receipt(at, told)
    attempt = receipt["attempts"][-1]
    told.waited_s = attempt["queue_ms"] / 1000
    told.sent_s = (receipt["created_unix_ms"] + attempt["started_ms"]) / 1000 - told.waited_s


def _step_s(attempt: dict[str, Any]) -> float:
    timings = attempt["timings"]
    return timings["prompt_ms"] / 1000 * BATCH_TOKENS / max(1, timings["prompt_tokens"])


def _besides_reading_s(at: Site, told: Told) -> float:
    return max(0.0, told.first_s - _attempt(at, told)["timings"]["prompt_ms"] / 1000)
