"""The engine around a scripted child, in virtual time: what fails is said in words, and a dead child comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest

from freehold.domain.detect_ports import Looked
from freehold.domain.errors.detect import DetectorFailed
from freehold.domain.errors.upstream import UpstreamBroken
from freehold.domain.findings import Finding
from freehold.engines.detector.child import DetectorChild, DetectorSpec, NameModel
from freehold.engines.detector.engine import DetectorEngine
from tests.support.virtual_time import run_virtual

MODEL = NameModel(version="m-1", model_path="/m.onnx", tokenizer_path="/t.json", labels=("O", "B-X", "I-X"))
FOUND = Looked(findings=(Finding(start=0, end=2, kind="pii", type="EMAIL"),), versions=(("structured", "1"),))


class LoopClock:
    def unix_ms(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


class ScriptedChild:
    """Takes a second a piece; dies at ``die``, is silent at ``hang``, lies at ``lie``."""

    pid = 4711
    jail = ()

    def __init__(self, *, ready: bool) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._ready = ready
        self._ended = asyncio.Event()

    async def ask(self, message: Mapping[str, Any]) -> Looked:
        piece = message["piece"]
        self.asked.append((piece, message["names"]))
        if piece == "die":
            self._ended.set()
            raise UpstreamBroken(source="detector", deployment="detector", reason="its process ended")
        await asyncio.sleep(1_000 if piece == "hang" else 1)
        return Looked(findings=(Finding(start=0, end=99, kind="pii", type="EMAIL"),)) if piece == "lie" else FOUND

    async def prove_ready(self) -> None:
        if not self._ready:
            self._ended.set()
            await asyncio.sleep(1_000)

    async def heartbeat(self) -> None:
        return

    async def wait(self) -> int:
        await self._ended.wait()
        return 1

    def terminate(self) -> None:
        self._ended.set()

    def kill(self) -> None:
        self._ended.set()

    def last_output(self) -> str:
        return "ImportError: onnxruntime"

    async def release(self) -> None:
        return


class Bench:
    """Counts the children it launches; those in ``unable`` never become ready."""

    def __init__(self, *, model: NameModel | None = MODEL, no_model: str = "", unable: int = 0) -> None:
        self.children: list[ScriptedChild] = []
        self.unable = unable
        self.engine = DetectorEngine(
            module="m", model=model, no_model=no_model, clock=LoopClock(), jitter=lambda: 0.0, launch=self._launch
        )

    async def _launch(self, spec: DetectorSpec) -> DetectorChild:
        assert spec.module == "m"
        self.children.append(ScriptedChild(ready=len(self.children) >= self.unable))
        return cast("DetectorChild", self.children[-1])

    async def look(self, piece: str = "text", *, names: bool = True, left_s: float = 60) -> Looked:
        deadline_s = asyncio.get_running_loop().time() + left_s
        return await self.engine.look(piece, names=names, deadline_s=deadline_s)


def run(scenario: Callable[[Bench], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        bench = Bench(**options)
        try:
            await scenario(bench)
        finally:
            await bench.engine.close()

    run_virtual(main)


def test_the_first_piece_starts_it_and_nothing_does_before() -> None:
    async def scenario(bench: Bench) -> None:
        await asyncio.sleep(5)
        assert not bench.children
        assert await asyncio.gather(bench.look(), bench.look()) == [FOUND, FOUND]
        assert len(bench.children) == 1
        assert bench.engine.state().ready

    run(scenario)


def test_names_are_not_asked_for_where_there_is_no_model_and_are_said_to_be_missed() -> None:
    async def scenario(bench: Bench) -> None:
        looked = await bench.look()
        assert looked.findings == FOUND.findings
        assert looked.missed == "names were not looked for: it is not here"
        assert not (await bench.look(names=False)).missed
        assert [names for _, names in bench.children[0].asked] == [False, False]

    run(scenario, model=None, no_model="it is not here")


def test_a_child_that_dies_fails_its_piece_and_is_started_again() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.look()
        with pytest.raises(DetectorFailed, match="its process ended"):
            await bench.look("die")
        assert await bench.look() == FOUND
        assert len(bench.children) == 2
        assert bench.engine.state().restarts == 1

    run(scenario)


def test_a_piece_that_takes_too_long_fails_when_its_time_is_over() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.look()
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(DetectorFailed, match="the time was over"):
            await bench.look("hang", left_s=2)
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(2, abs=0.01)

    run(scenario)


def test_half_a_character_can_be_said_to_the_child() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.look("a\ud800b\U0001f600")
        assert bench.children[0].asked == [("a\ufffdb\U0001f600", True)]

    run(scenario)


def test_a_finding_that_is_nowhere_fails_the_piece() -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(DetectorFailed, match="nowhere"):
            await bench.look("lie")

    run(scenario)


def test_a_child_that_cannot_start_is_tried_again_later_and_not_by_every_piece() -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(3):
            with pytest.raises(DetectorFailed, match="onnxruntime"):
                await bench.look()
        assert len(bench.children) == 1
        await asyncio.sleep(60)
        assert await bench.look() == FOUND

    run(scenario, unable=1)


def test_one_that_is_cancelled_while_it_starts_starts_it_for_the_others() -> None:
    async def scenario(bench: Bench) -> None:
        first, second = asyncio.create_task(bench.look()), asyncio.create_task(bench.look())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == FOUND
        assert len(bench.children) == 1

    run(scenario)


def test_once_closed_it_starts_no_child_again() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.look()
        await bench.engine.close()
        with pytest.raises(DetectorFailed, match="it was closed"):
            await bench.look()
        assert len(bench.children) == 1

    run(scenario)
