"""A new configuration takes effect without a restart; a bad one leaves the old one in force and says why."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

from freehold.app.reload import Reloader
from freehold.app.server import _reread
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import load
from freehold.domain.errors.config import ConfigInvalid
from freehold.domain.errors.model import ModelNotInstalled

GOOD = "[deployments.small]\nengine = 'embedded'\nmodel = 'm'\n\n[routes.{name}]\ndeployments = ['small']\n"
BAD = "[server]\nprot = 1\nport = 70000\n"
WAIT_S = 10


class Force:
    """What is in force, and the wish to be told when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.routes: list[tuple[str, ...]] = []
        self.changed = asyncio.Event()
        self.failing = False

    def read(self) -> Compiled:
        return compile_config(load(self.path, environment={}), environment={})

    async def replace(self, compiled: Compiled) -> None:
        if self.failing:
            raise ModelNotInstalled(name="m", reason="")
        self.routes.append(tuple(compiled.routes))
        self.changed.set()


@pytest.fixture
def force(tmp_path: Path) -> Force:
    path = tmp_path / "freehold.toml"
    path.write_text(GOOD.format(name="auto"), encoding="utf-8")
    return Force(path)


def reloader(force: Force) -> Reloader:
    return Reloader(force.path, read=force.read, replace=force.replace)


def test_a_good_one_comes_into_force(force: Force) -> None:
    assert asyncio.run(reloader(force).reload())
    assert force.routes == [("auto",)]


def test_a_bad_one_changes_nothing_and_all_its_mistakes_are_told(
    force: Force, caplog: pytest.LogCaptureFixture
) -> None:
    force.path.write_text(BAD, encoding="utf-8")
    with caplog.at_level(logging.ERROR, logger="freehold.app"):
        assert not asyncio.run(reloader(force).reload())
    assert force.routes == []
    assert len(caplog.messages) == 3
    assert "line 2" in caplog.messages[0]
    assert "port" in caplog.messages[0]
    assert "line 3" in caplog.messages[1]
    assert caplog.messages[2].endswith("the one before stays in force")


def test_a_file_that_is_gone_changes_nothing(force: Force, caplog: pytest.LogCaptureFixture) -> None:
    force.path.unlink()
    assert not asyncio.run(reloader(force).reload())
    assert force.routes == []
    assert "FH-CONFIG-002" in caplog.messages[0]


def test_one_that_cannot_be_put_in_force_is_told(force: Force, caplog: pytest.LogCaptureFixture) -> None:
    force.failing = True
    assert not asyncio.run(reloader(force).reload())
    assert ModelNotInstalled.code in caplog.messages[0]


def test_it_looks_again_when_told_and_when_the_file_changed(force: Force, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.01)

    async def changed() -> None:
        await asyncio.wait_for(force.changed.wait(), WAIT_S)
        force.changed.clear()

    async def watch() -> None:
        async with reloader(force).watching():
            os.kill(os.getpid(), signal.SIGHUP)
            await changed()
            force.path.write_text(GOOD.format(name="other-name"), encoding="utf-8")
            await changed()

    asyncio.run(watch())
    assert force.routes[0] == ("auto",)
    assert force.routes[-1] == ("other-name", "auto")


def test_flags_outlive_a_reload_and_labels_are_checked_with_their_line(force: Force) -> None:
    loaded = load(force.path, environment={}, flags={"deadlines.total_s": 7})
    assert _reread(loaded).total_s == 7
    force.path.write_text(GOOD.format(name="auto") + "label = 'secrett'\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        _reread(loaded)
    assert caught.value.mistakes[0].startswith("line 7: routes.auto.label: 'secrett' cannot be read")


def test_the_signal_is_nobodys_after_the_end(force: Force) -> None:
    async def watch() -> None:
        async with reloader(force).watching():
            pass

    asyncio.run(watch())
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_it_ends_when_told_in_the_tick_of_the_signal(force: Force) -> None:
    watched = reloader(force)

    async def watch() -> None:
        async with watched.watching():
            await asyncio.sleep(0)
            watched._want()
            await asyncio.sleep(0)

    async def scene() -> None:
        _, hanging = await asyncio.wait({asyncio.ensure_future(watch())}, timeout=WAIT_S)
        assert not hanging

    asyncio.run(scene())
