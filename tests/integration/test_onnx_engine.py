"""The real child with real models, and the gateway in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any, cast

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.engine import EngineCrashed, EngineStartFailed
from freehold.domain.errors.request import InputTooLong
from freehold.domain.zones import DEVICE
from freehold.engines.onnx.engine import OnnxEngine
from freehold.engines.onnx.settings import OnnxSettings
from freehold.engines.process.plan import Supervision
from freehold.hostinfo.clock import SystemClock
from freehold.serving.registry import VerifiedOnnx
from freehold.wire.openai_request import decode_embedding, decode_rerank
from tests.models import DEMO_FOLDER, onnx_model
from tests.support.server import Gateway, running

pytestmark = pytest.mark.models

EMBEDDER, RERANKER = "bge-small-en", "ms-marco-minilm-l12"
DIMENSIONS = 384
PASSAGES = {
    "How do I stop a stolen card from being used?": "Freeze the card in the app at once; nobody can pay with it then.",
    "What is the boiling point of water at sea level?": "At a pressure of one atmosphere water boils at 100 degrees.",
    "Who wrote the play about the prince of Denmark?": "Hamlet was written by William Shakespeare around 1600.",
    "Why is the sky blue?": "Air molecules scatter short wavelengths of sunlight more than long ones.",
    "How long may a tenant stay after the lease ends?": "A lessee must leave the flat within thirty days of its expiry.",
    "How is bread made to rise?": "Yeast ferments sugar into carbon dioxide, which makes the dough light.",
}  # fmt: skip


class Bench:
    def __init__(self, engine: OnnxEngine, clock: SystemClock) -> None:
        self.engine = engine
        self.clock = clock

    async def embed(self, *texts: str, **members: Any) -> list[list[float]]:
        body = {"model": "home", "input": texts, **members}
        call = self.engine.prepare(decode_embedding(json.dumps(body).encode(), request_id="r"), want_logprobs=0)
        result = await self.engine.embed(call, permit=None, deadline_s=self.clock.monotonic_s() + 60)
        self.tokens = result.usage.input_tokens
        return [row["embedding"] for row in cast("list[dict[str, Any]]", result.payload["data"])]

    async def rank(self, query: str, *texts: str, **members: Any) -> list[tuple[int, float]]:
        body = {"model": "home", "query": query, "documents": texts, **members}
        call = self.engine.prepare(decode_rerank(json.dumps(body).encode(), request_id="r"), want_logprobs=0)
        result = await self.engine.rerank(call, permit=None, deadline_s=self.clock.monotonic_s() + 60)
        self.tokens = result.usage.input_tokens
        return list(result.ranked)

    @property
    def pid(self) -> int:
        pid = self.engine.state().pid
        assert pid is not None
        return pid


@contextlib.asynccontextmanager
async def bench(model: VerifiedOnnx, *, card: ModelCard | None = None, **settings: Any) -> AsyncIterator[Bench]:
    clock = SystemClock()
    deployment = Deployment(name="home", engine=EngineKind.ONNX, model=card or model.card, zone=DEVICE, terms=Terms())
    paths = {"model_path": str(model.model.path), "tokenizer_path": str(model.tokenizer), "pooling": model.pooling}
    engine = OnnxEngine(deployment=deployment, settings=OnnxSettings(**(paths | settings)), clock=clock, cores=2)
    try:
        yield Bench(engine, clock)
    finally:
        await engine.close()


def run(model: VerifiedOnnx, scenario: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with bench(model, **settings) as found:
            await found.engine.start()
            await asyncio.wait_for(scenario(found), 60)

    asyncio.run(main())


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_embeddings() -> None:
    async def scenario(bench: Bench) -> None:
        queries, passages = list(PASSAGES), list(PASSAGES.values())
        vectors = await bench.embed(*queries, *passages)
        assert {len(each) for each in vectors} == {DIMENSIONS}
        assert all(abs(cosine(each, each) - 1) < 1e-5 for each in vectors)
        for place, query in enumerate(vectors[: len(queries)]):
            likeness = [cosine(query, passage) for passage in vectors[len(queries) :]]
            assert likeness.index(max(likeness)) == place, queries[place]
        # The same text has the same vector, whatever it is sent with, and however often.
        assert (await bench.embed(passages[0], "another text of another length altogether"))[0] == vectors[len(queries)]
        # [CLS] hello world [SEP]
        await bench.embed("hello world")
        assert bench.tokens == 4
        # 512 with the marks is the most; a word is a token here.
        await bench.embed("word " * 510)
        assert bench.tokens == 512
        with pytest.raises(InputTooLong) as caught:
            await bench.embed("word " * 511)
        assert caught.value.values["prompt_tokens"] == 513
        cut = await bench.embed("word " * 600, truncate=True)
        assert (bench.tokens, cut[0]) == (512, (await bench.embed("word " * 510))[0])

    run(onnx_model(EMBEDDER), scenario, threads=1)


def test_reranking() -> None:
    async def scenario(bench: Bench) -> None:
        for place, query in enumerate(PASSAGES):
            found = await bench.rank(query, *PASSAGES.values())
            assert found[0][0] == place, query
            assert len(found) == len(PASSAGES)
            assert all(0 <= relevance <= 1 for _, relevance in found)
        document = "word " * 600
        with pytest.raises(InputTooLong, match=r"documents\[0\] has 604 tokens"):
            await bench.rank("question", document)
        await bench.rank("question", document, truncate=True)
        assert bench.tokens == 512
        await bench.rank("question", document, max_tokens_per_doc=100)
        assert bench.tokens == 104
        with pytest.raises(InputTooLong):  # the query is never cut
            await bench.rank("question " * 600, "word", truncate=True)

    run(onnx_model(RERANKER), scenario, threads=1)


def test_a_child_that_is_killed_comes_back() -> None:
    async def scenario(bench: Bench) -> None:
        before = bench.pid
        asked = asyncio.create_task(bench.embed(*["word " * 400] * 50))
        await bench.embed("word")
        os.kill(before, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="by signal 9"):
            await asked
        assert len(await bench.embed("word")) == 1
        assert bench.pid != before

    run(onnx_model(EMBEDDER), scenario, supervision=Supervision(backoff_first_s=0.01))


def test_a_client_that_left_frees_it() -> None:
    async def scenario(bench: Bench) -> None:
        leaving = asyncio.create_task(bench.embed(*["word " * 400] * 200))
        await bench.embed("word")
        leaving.cancel()
        await asyncio.wait({leaving})
        begun_s = bench.clock.monotonic_s()
        await bench.embed("word")
        assert bench.clock.monotonic_s() - begun_s < 5, "200 such texts take ten times as long"

    run(onnx_model(EMBEDDER), scenario, threads=1)


@pytest.mark.skipif(sys.platform != "linux", reason="the jail is made of Linux system calls")
def test_it_gives_up_what_it_does_not_need() -> None:
    async def scenario(bench: Bench) -> None:
        report = {measure.name: measure.holds for measure in bench.engine.jail_report()}
        assert {"no new privileges", "no network", "no files of others", "no capabilities"} <= report.keys()
        assert report["no new privileges"]

    run(onnx_model(EMBEDDER), scenario)


def test_a_model_that_does_something_else_is_refused_at_its_start() -> None:
    model = onnx_model(RERANKER)
    card = replace(model.card, embeds=True, reranks=False)

    async def main() -> None:
        async with bench(model, card=card) as found:
            with pytest.raises(EngineStartFailed, match="gives 1 numbers where a vector was expected"):
                await found.engine.start()
        async with bench(model, tokenizer_path=str(model.model.path)) as found:
            with pytest.raises(EngineStartFailed, match=r"it ended with exit code 1: .+"):
                await found.engine.start()

    asyncio.run(main())


CONFIG = f"""
[server]
port = 0
drain_s = 2
[ledger]
purchase_price = 1_000
[deployments.vectors]
engine = "onnx"
model = "{EMBEDDER}"
threads = 1
[deployments.ranks]
engine = "onnx"
model = "{RERANKER}"
threads = 1
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    for name in (EMBEDDER, RERANKER):
        onnx_model(name)
    folder = tmp_path_factory.mktemp("onnx")
    shutil.copytree(DEMO_FOLDER / "models", folder / "data" / "models", ignore=shutil.ignore_patterns("*.gguf"))
    with running(CONFIG, folder) as found:
        yield found


def test_embeddings_over_http(gateway: Gateway) -> None:
    client = gateway.openai()
    reply = client.embeddings.with_raw_response.create(model="vectors", input=["hello", "hello world"])  # base64
    packed = reply.parse()
    plain = client.embeddings.create(model="auto", input=["hello", "hello world"], encoding_format="float")
    assert [len(row.embedding) for row in packed.data] == [DIMENSIONS, DIMENSIONS]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
    assert packed.usage.prompt_tokens == 7
    receipt = gateway.receipt(reply.headers["freehold-receipt"])
    assert (receipt["task"], receipt["outcome"]) == ("embedding", "complete")
    attempt = receipt["attempts"][0]
    assert (attempt["zone"], attempt["bytes_left"]) == ("device", 0)
    assert attempt["usage"] == attempt["usage"] | {"input_tokens": 7, "measured": True}
    assert attempt["cost"]["source"] == "owned-hardware"
    assert attempt["cost"]["energy_mwh"] >= 0


def test_reranking_over_http(gateway: Gateway) -> None:
    body = {"query": "Why is the sky blue?", "documents": list(PASSAGES.values()), "top_n": 2}
    with gateway.http() as client:
        for name in ("ranks", "auto"):
            answer = client.post("/v1/rerank", json={"model": name, **body}).json()
            assert answer["results"][0]["index"] == 3
            assert len(answer["results"]) == 2
            assert answer["usage"]["total_tokens"] > 0
        long = client.post("/v1/rerank", json={"model": "ranks", **body, "documents": ["word " * 600]}).json()
        assert (long["error"]["freehold_code"], long["error"]["param"]) == ("FH-REQUEST-020", "documents[0]")


def test_ollama_cuts_where_it_is_told_to(gateway: Gateway) -> None:
    with gateway.http() as client:
        body = {"model": "vectors", "input": "word " * 600}
        assert client.post("/api/embed", json=body).json()["freehold_code"] == "FH-REQUEST-020"
        answer = client.post("/api/embed", json={**body, "truncate": True}).json()
        assert (answer["prompt_eval_count"], len(answer["embeddings"][0])) == (512, DIMENSIONS)
