"""The engine around a scripted child, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.engine import EngineCrashed, EngineNotReady, EnginePackagesMissing
from freehold.domain.errors.request import ContentUnsupported, InputTooLong, UnsupportedParameter
from freehold.domain.errors.upstream import UpstreamBroken, UpstreamProtocol, UpstreamTimeout
from freehold.domain.ports import UpstreamCall
from freehold.domain.response import EmbeddingResult, RerankResult
from freehold.domain.zones import DEVICE
from freehold.engines.onnx.child import Answer, ChildSpec, OnnxChild
from freehold.engines.onnx.engine import OnnxEngine
from freehold.engines.onnx.packages import INSTALL
from freehold.engines.onnx.settings import OnnxSettings
from freehold.wire.openai_request import decode_chat, decode_embedding, decode_rerank
from tests.support.virtual_time import run_virtual

MOST = 5
TEXT_S = 1.0
DIMENSIONS = 2


class ScriptedChild:
    """Takes a second a text, five words at most. A vector is (words, 0); a relevance is a tenth of the words."""

    pid = 4711
    jail = ()
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dies_at = ""
        self.says: Answer | None = None
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()

    async def ask(self, message: Mapping[str, Any]) -> Answer:
        query = str(message.get("query", ""))
        if self.says is not None:
            return self.says
        if "texts" in message:
            self.asked.append("lengths")
            counted = [len(text.split()) + len(query.split()) for text in message["texts"]]
            return Answer(tokens=tuple(counted))
        async with self._turn:
            await asyncio.sleep(TEXT_S)
        text = message["text"]
        self.asked.append(text)
        if text == self.dies_at:
            self._ended.set()
            raise UpstreamBroken(deployment="home", reason="its process ended")
        words = len(text.split())
        if words > MOST and not message["cut"]:
            return Answer(too_long=words)
        words = min(words, MOST)
        numbers = struct.pack("<f", words / 10) if query else struct.pack("<ff", words, 0)
        return Answer(tokens=(words,), numbers=numbers)

    async def wait(self) -> int:
        await self._ended.wait()
        return -9

    async def prove_ready(self) -> None: ...

    async def heartbeat(self) -> None: ...

    def terminate(self) -> None:
        self._ended.set()

    kill = terminate

    def last_output(self) -> str:
        return ""

    async def release(self) -> None: ...


class LoopClock:
    def unix_ms(self) -> int:
        return 1

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


class Rig:
    def __init__(self, *, reranks: bool = False, missing: tuple[str, ...] = ()) -> None:
        self.children: list[ScriptedChild] = []
        self.clock = LoopClock()
        card = ModelCard(name="tiny", context_tokens=MOST, embeds=not reranks, reranks=reranks)
        self.engine = OnnxEngine(
            deployment=Deployment(name="home", engine=EngineKind.ONNX, model=card, zone=DEVICE, terms=Terms()),
            settings=OnnxSettings(model_path="m.onnx", tokenizer_path="t.json"),
            clock=self.clock,
            cores=1,
            jitter=lambda: 1.0,
            missing=lambda: missing,
            launch=self._launch,
        )

    async def _launch(self, spec: ChildSpec) -> OnnxChild:
        assert spec.threads == 1
        self.children.append(ScriptedChild())
        return cast("OnnxChild", self.children[-1])

    @property
    def child(self) -> ScriptedChild:
        return self.children[-1]

    async def embed(self, *texts: str, within_s: float = 600, **members: Any) -> EmbeddingResult:
        body = {"model": "home", "input": texts, **members}
        call = self.engine.prepare(decode_embedding(json.dumps(body).encode(), request_id="r"), want_logprobs=0)
        return await self.engine.embed(call, permit=None, deadline_s=self.clock.monotonic_s() + within_s)

    async def rerank(self, *texts: str, **members: Any) -> RerankResult:
        body = {"model": "home", "query": "q", "documents": texts, **members}
        call = self.engine.prepare(decode_rerank(json.dumps(body).encode(), request_id="r"), want_logprobs=0)
        return await self.engine.rerank(call, permit=None, deadline_s=self.clock.monotonic_s() + 600)


def run(scenario: Callable[[Rig], Awaitable[None]], *, reranks: bool = False) -> None:
    async def main() -> None:
        rig = Rig(reranks=reranks)
        await rig.engine.start()
        try:
            await scenario(rig)
        finally:
            await rig.engine.close()

    run_virtual(main)


def vectors(result: EmbeddingResult) -> list[Any]:
    return [row["embedding"] for row in cast("list[dict[str, Any]]", result.payload["data"])]


def test_vectors_come_in_the_order_of_the_texts_with_what_was_read() -> None:
    async def scenario(rig: Rig) -> None:
        result = await rig.embed("a b", "a")
        assert vectors(result) == [[2.0, 0.0], [1.0, 0.0]]
        assert (result.usage.input_tokens, result.usage.measured) == (3, True)
        assert result.payload["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        packed = vectors(await rig.embed("a", encoding_format="base64"))
        assert struct.unpack("<ff", base64.b64decode(packed[0])) == (1.0, 0.0)

    run(scenario)


def test_one_text_needs_no_look_at_its_length_first() -> None:
    async def scenario(rig: Rig) -> None:
        await rig.embed("a")
        assert rig.child.asked == ["a"]

    run(scenario)


def test_a_text_that_is_too_long_is_named_before_any_is_computed() -> None:
    async def scenario(rig: Rig) -> None:
        for texts, param in ((["a b c d e f"], "input[0]"), (["a"] * 70 + ["a b c d e f"], "input[70]")):
            with pytest.raises(InputTooLong) as caught:
                await rig.embed(*texts)
            assert caught.value.param == param
            assert caught.value.values["prompt_tokens"] == 6
            assert caught.value.values["context_tokens"] == MOST
        assert rig.child.asked == ["a b c d e f", "lengths", "lengths"]

    run(scenario)


def test_a_text_is_cut_where_the_client_says_so() -> None:
    async def scenario(rig: Rig) -> None:
        result = await rig.embed("a", "a b c d e f", truncate=True)
        assert (vectors(result)[1], result.usage.input_tokens) == ([5.0, 0.0], 6)

    run(scenario)


@pytest.mark.parametrize(("wanted", "taken"), [(DIMENSIONS, True), (None, True), (1, False), (3, False)])
def test_vectors_have_the_length_that_they_have(wanted: int | None, taken: bool) -> None:
    async def scenario(rig: Rig) -> None:
        if taken:
            assert vectors(await rig.embed("a", dimensions=wanted)) == [[1.0, 0.0]]
            return
        with pytest.raises(UnsupportedParameter, match=f"dimensions = {wanted}.*vectors of 2 numbers") as caught:
            await rig.embed("a", dimensions=wanted)
        assert caught.value.param == "dimensions"

    run(scenario)


def test_a_length_to_cut_at_is_refused_and_not_ignored() -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(UnsupportedParameter, match="truncate_prompt_tokens = 3"):
            await rig.embed("a", truncate_prompt_tokens=3)
        await rig.embed("a", truncate_prompt_tokens=-1)

    run(scenario)


def test_documents_come_by_relevance() -> None:
    async def scenario(rig: Rig) -> None:
        result = await rig.rerank("a", "a b c", "a b", top_n=2)
        assert [(index, round(relevance, 3)) for index, relevance in result.ranked] == [(1, 0.3), (2, 0.2)]
        assert result.usage.input_tokens == 6

    run(scenario, reranks=True)


def test_a_document_is_too_long_with_its_query() -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(InputTooLong) as caught:
            await rig.rerank("a", "a b c d e")
        assert caught.value.param == "documents[1]"
        assert caught.value.values["prompt_tokens"] == 6
        assert rig.child.asked == ["lengths"]

    run(scenario, reranks=True)


@pytest.mark.parametrize("reranks", [True, False])
def test_what_the_model_does_not_do_is_refused(reranks: bool) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(ContentUnsupported):
            await (rig.embed("a") if reranks else rig.rerank("a"))

    run(scenario, reranks=reranks)


def test_a_short_request_does_not_wait_for_the_whole_of_a_long_one() -> None:
    async def scenario(rig: Rig) -> None:
        long = asyncio.create_task(rig.embed(*["a b"] * 50))
        await asyncio.sleep(TEXT_S / 2)
        begun_s = rig.clock.monotonic_s()
        await rig.embed("a")
        assert rig.clock.monotonic_s() - begun_s <= 2 * TEXT_S
        assert not long.done()
        assert len(vectors(await long)) == 50

    run(scenario)


def test_a_client_that_left_costs_the_text_that_is_being_computed_and_no_more() -> None:
    async def scenario(rig: Rig) -> None:
        leaving = asyncio.create_task(rig.embed(*["a b"] * 50))
        await asyncio.sleep(3.5 * TEXT_S)
        leaving.cancel()
        await asyncio.wait({leaving})
        await rig.embed("a")
        assert rig.child.asked.count("a b") <= 4

    run(scenario)


def test_a_child_that_ends_is_named_and_another_one_answers() -> None:
    async def scenario(rig: Rig) -> None:
        rig.child.dies_at = "b"
        with pytest.raises(EngineCrashed, match="by signal 9"):
            await rig.embed("a", "b", "c")
        assert vectors(await rig.embed("a")) == [[1.0, 0.0]]
        assert len(rig.children) == 2
        assert rig.engine.state().restarts == 1

    run(scenario)


@pytest.mark.parametrize("reranks", [True, False])
@pytest.mark.parametrize("numbers", [b"", b"\0" * 3, b"\0" * 12])
def test_a_child_that_gives_something_else_than_it_is_wanted_for_is_ended(numbers: bytes, reranks: bool) -> None:
    async def scenario(rig: Rig) -> None:
        rig.child.says = Answer(tokens=(1,), numbers=numbers)
        with pytest.raises(EngineCrashed, match="by signal 9"):
            await (rig.rerank("a") if reranks else rig.embed("a"))
        await (rig.rerank("a") if reranks else rig.embed("a"))
        assert len(rig.children) == 2

    run(scenario, reranks=reranks)


def test_a_child_that_tells_the_lengths_of_other_texts_is_ended() -> None:
    async def scenario(rig: Rig) -> None:
        rig.child.says = Answer(tokens=(1,))
        with pytest.raises(EngineCrashed, match="by signal 9"):
            await rig.embed("a", "b")

    run(scenario)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_no_answer(number: float) -> None:
    async def scenario(rig: Rig) -> None:
        rig.child.says = Answer(tokens=(1,), numbers=struct.pack("<f", number))
        with pytest.raises(UpstreamProtocol, match=r"not finite for documents\[0\]"):
            await rig.rerank("a")
        assert rig.engine.state().ready

    run(scenario, reranks=True)


def test_what_takes_too_long_ends() -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(UpstreamTimeout, match=r"answer within 2\.5 s"):
            await rig.embed("a", "b", "c", within_s=2.5 * TEXT_S)
        assert rig.engine.state().ready

    run(scenario)


def test_missing_packages_are_named_with_the_command_that_brings_them() -> None:
    async def main() -> None:
        rig = Rig(missing=("onnxruntime", "tokenizers"))
        with pytest.raises(EnginePackagesMissing) as caught:
            await rig.engine.start()
        assert "onnxruntime, tokenizers" in caught.value.message
        assert INSTALL in caught.value.message
        with pytest.raises(EngineNotReady, match="freehold\\[embed\\]"):
            await rig.embed("a")
        assert not rig.children

    run_virtual(main)


def test_it_never_answers_in_text() -> None:
    body = b'{"model":"home","messages":[{"role":"user","content":"Hi"}]}'

    async def scenario(rig: Rig) -> None:
        with pytest.raises(ContentUnsupported, match="chat requests"):
            rig.engine.prepare(decode_chat(body, request_id="r"), want_logprobs=0)

    run(scenario)


def test_what_it_cannot_do_is_refused_and_it_counts_nothing() -> None:
    async def scenario(rig: Rig) -> None:
        hi = decode_chat(b'{"model": "home", "messages": [{"role": "user", "content": "Hi"}]}', request_id="r")
        call = UpstreamCall(origin="child:", path="/chat", body=b"", headers=(), request=hi)
        with pytest.raises(ContentUnsupported, match="chat requests"):
            rig.engine.stream(call, permit=None, deadline_s=rig.clock.monotonic_s() + 1)
        assert not rig.engine.counts
        assert await rig.engine.count(call, permit=None, deadline_s=rig.clock.monotonic_s() + 1) is None
        assert rig.engine.relaying is None

    run(scenario)
