"""The parent of workers, over children that are scripted: what it tells them, and when it gives up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.app import workers as module
from freehold.app.workers import STARTS_MAX, Workers
from freehold.config.load import load
from freehold.domain.errors.server import WorkerFailed
from freehold.serving.slot_table import Cell, SlotTable, row_key


class ScriptedChild:
    """Answers as its script says, and ends when it is told to, or at once where the script says so."""

    def __init__(self, order: dict[str, Any], answer: str | None, *, lives: bool) -> None:
        self.told = [order]
        self._answer = answer
        self._over = asyncio.Event()
        if not lives:
            self._over.set()

    def tell(self, order: dict[str, Any]) -> None:
        self.told.append(order)
        if order["do"] in ("stop", "end"):
            self._over.set()

    async def answer(self) -> str | None:
        return self._answer

    async def ended(self) -> str:
        await self._over.wait()
        return "it was killed by signal 9"

    def kill(self) -> None:
        self._over.set()


class Scene:
    """Two workers, of which the second one's lives are scripted: answer and whether it goes on living."""

    def __init__(self, folder: Path, lives: Iterator[tuple[str | None, bool]]) -> None:
        self.folder = folder
        self.config = folder / "freehold.toml"
        self.config.write_text("[server]\nworkers = 2\n", encoding="utf-8")
        self.children: list[ScriptedChild] = []
        self.announced = 0
        self._lives = lives

    async def start(self, order: dict[str, Any], *, inherits: tuple[int, ...]) -> ScriptedChild:
        assert set(inherits) == {0, order["mine"], *order["bells"]}
        answer, lives = next(self._lives) if order["worker"] == 1 else ("", True)
        child = ScriptedChild(order, answer, lives=lives)
        self.children.append(child)
        return child

    def workers(self, listening: Callable[[], None] = lambda: None) -> Workers:
        def announce() -> None:
            self.announced += 1
            listening()

        loaded = load(self.config, environment={})
        return Workers(
            loaded=loaded,
            folder=self.folder,
            lock=0,
            workers=2,
            port=1,
            reread=lambda: load(self.config, environment={}),
            listening=announce,
        )


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scene]:
    def made(*lives: tuple[str | None, bool]) -> Scene:
        found = Scene(tmp_path, iter(lives))
        monkeypatch.setattr(module.Child, "start", found.start)
        monkeypatch.setattr(module, "PAUSE_S", 0.0)
        return found

    return made


def test_one_that_cannot_start_at_all_ends_the_others(scene: Callable[..., Scene]) -> None:
    found = scene(("FH-AUDIT-002: broken", False))
    with pytest.raises(WorkerFailed, match="Worker 1 cannot serve: FH-AUDIT-002: broken"):
        asyncio.run(found.workers().run())
    assert found.children[0].told[-1] == {"do": "end"}
    assert not found.announced


def test_one_that_ends_before_it_listens_again_and_again_ends_all(scene: Callable[..., Scene]) -> None:
    found = scene(("", False), *[(None, False)] * (STARTS_MAX - 1), ("", False), *[(None, False)] * STARTS_MAX)
    with pytest.raises(WorkerFailed, match="Worker 1 cannot serve: it was killed by signal 9"):
        asyncio.run(found.workers().run())
    assert found.announced == 1
    assert len(found.children) == 1 + 2 + 2 * STARTS_MAX - 1


def test_what_a_dead_one_held_is_given_back(scene: Callable[..., Scene]) -> None:
    found = scene(("", False), ("", True))
    seen: list[list[Cell]] = []

    async def script() -> None:
        start, restarted = found.start, asyncio.Event()

        async def held(order: dict[str, Any], *, inherits: tuple[int, ...]) -> ScriptedChild:
            """Each life begins by holding a slot, as seen from the table."""
            table = SlotTable.open(found.folder / "workers" / "slots")
            with table:
                place = table.place(row_key("one"))
                seen.append(table.cells(place))
                table.put(place, order["worker"], Cell(order["worker"] + 1))
            table.close()
            if len(seen) == 3:
                restarted.set()
            return await start(order, inherits=inherits)

        module.Child.start = held
        running = asyncio.ensure_future(found.workers().run())
        await restarted.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    asyncio.run(script())
    assert seen[2] == [Cell(1), Cell()]
    assert found.announced == 1


def test_signals_are_handed_on(scene: Callable[..., Scene]) -> None:
    found = scene(("", True))

    async def script() -> None:
        listening = asyncio.Event()
        running = asyncio.ensure_future(found.workers(listening.set).run())
        await listening.wait()
        found.config.write_text("[server]\nworkers = 2\ndrain_s = 3\n", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGHUP)
        while not all(len(child.told) == 2 for child in found.children):
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    asyncio.run(script())
    for child in found.children:
        _, reload, stop = child.told[:3]
        assert reload["do"] == "reload"
        assert reload["loaded"]["config"]["server"]["drain_s"] == 3
        assert stop == {"do": "stop"}


def test_what_is_edited_before_they_are_made_is_handed_on(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    found = scene(("", True))

    async def script() -> None:
        workers = found.workers()
        found.config.write_text("[server]\nworkers = 2\ndrain_s = 3\n", encoding="utf-8")
        running = asyncio.ensure_future(workers.run())
        async with asyncio.timeout(10):
            while len(found.children) < 2 or not all(len(child.told) == 2 for child in found.children):
                await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    asyncio.run(script())
    for child in found.children:
        assert child.told[1]["loaded"]["config"]["server"]["drain_s"] == 3


def test_one_that_is_being_made_misses_no_reload(scene: Callable[..., Scene]) -> None:
    found = scene(("", False), ("", True))

    async def script() -> None:
        start, again = found.start, asyncio.Event()

        async def slow(order: dict[str, Any], *, inherits: tuple[int, ...]) -> ScriptedChild:
            if len(found.children) == 2:
                found.config.write_text("[server]\nworkers = 2\ndrain_s = 3\n", encoding="utf-8")
                os.kill(os.getpid(), signal.SIGHUP)
                while len(found.children[0].told) < 2:
                    await asyncio.sleep(0)
                again.set()
            return await start(order, inherits=inherits)

        module.Child.start = slow
        running = asyncio.ensure_future(found.workers().run())
        await again.wait()
        while len(found.children) < 3:
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        await running

    asyncio.run(script())
    order, reload, _ = found.children[2].told
    assert order["loaded"]["config"]["server"]["drain_s"] != 3
    assert (reload["do"], reload["loaded"]["config"]["server"]["drain_s"]) == ("reload", 3)
