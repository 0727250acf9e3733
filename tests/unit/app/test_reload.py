"""A new configuration takes effect without a restart; a bad one leaves the old one in force and says why."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from freehold.app import server
from freehold.app.broker import _life
from freehold.app.reload import Reloader, own_files
from freehold.app.rules import rulebook_of
from freehold.app.server import _reread, serve
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, load
from freehold.domain.errors.config import ConfigInvalid
from freehold.domain.errors.model import ModelNotInstalled
from freehold.domain.errors.policy import RulesInvalid
from freehold.hostinfo.clock import SystemClock
from freehold.net.brokered.serve import LineLimits
from tests.support.audit import open_log
from tests.support.gguf_files import OWN_FILES

GOOD = "[deployments.small]\nengine = 'embedded'\nmodel = 'm'\n\n[routes.{name}]\ndeployments = ['small']\n"
BAD = "[server]\nprot = 1\nport = 70000\n"
OWN = OWN_FILES.format(adapters='["a.gguf@0.5"]')
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


FORBID = '@id("{name}") forbid (principal, action, resource) when {{ context.label.level > 1 }};\n'


def with_rules(force: Force) -> Path:
    rules = force.path.with_name("own.cedar")
    rules.write_text(FORBID.format(name="one"), encoding="utf-8")
    force.path.write_text(GOOD.format(name="auto") + "\n[policy]\nrules = 'own.cedar'\n", encoding="utf-8")
    return rules


def test_it_looks_at_the_rules_too_also_where_they_were_named_later(
    force: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.01)
    seen: list[str] = []

    async def replace(compiled: Compiled) -> None:
        seen.append(compiled.rules)
        force.changed.set()

    async def until(text: str) -> None:
        while not seen or seen[-1] != text:
            force.changed.clear()
            await asyncio.wait_for(force.changed.wait(), WAIT_S)

    async def watch() -> None:
        async with Reloader(force.path, read=force.read, replace=replace).watching():
            rules = with_rules(force)
            await until(rules.read_text("utf-8"))
            rules.write_text(FORBID.format(name="another"), encoding="utf-8")
            await until(FORBID.format(name="another"))

    asyncio.run(watch())


@pytest.mark.parametrize("edited", ["file", "rules"])
def test_what_is_edited_between_the_reading_and_the_watching_is_seen(
    force: Force, monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    rules = with_rules(force)
    loaded = load(force.path, environment={})
    if edited == "file":
        force.path.write_text(force.path.read_text("utf-8") + "\n[routes.more]\ndeployments = ['small']\n", "utf-8")
    else:
        rules.write_text(FORBID.format(name="another"), encoding="utf-8")

    async def watch() -> None:
        watched = Reloader(force.path, rules=str(rules), seen=loaded.seen, read=force.read, replace=force.replace)
        async with watched.watching():
            await asyncio.wait_for(force.changed.wait(), WAIT_S)
            looked, force.changed = asyncio.Event(), asyncio.Event()
            monkeypatch.setattr(watched, "_models_state", lambda: (looked.set(), ())[1])
            for _ in range(3):
                looked.clear()
                await asyncio.wait_for(looked.wait(), WAIT_S)

    asyncio.run(watch())
    assert len(force.routes) == 1, "once"


def test_nor_is_what_is_edited_while_rules_that_are_new_are_read_lost(
    force: Force, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    edits = iter(("\n[routes.more]\ndeployments = ['small']\n",))

    def read() -> Compiled:
        compiled = force.read()
        if compiled.rules and (more := next(edits, "")):
            force.path.write_text(force.path.read_text("utf-8") + more, encoding="utf-8")
        return compiled

    async def watch() -> None:
        async with Reloader(force.path, read=read, replace=force.replace).watching():
            with_rules(force)
            while not force.routes or "more" not in force.routes[-1]:
                force.changed.clear()
                await asyncio.wait_for(force.changed.wait(), WAIT_S)

    asyncio.run(watch())


def test_a_server_sees_what_was_edited_while_it_started(force: Force, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    loaded = load(force.path, environment={})
    compiled = compile_config(loaded, environment={})
    force.path.write_text(GOOD.format(name="other-name"), encoding="utf-8")

    @contextlib.asynccontextmanager
    async def nothing(*_: object) -> AsyncIterator[None]:
        yield

    async def live(life: Any) -> None:
        async with life():
            await asyncio.wait_for(force.changed.wait(), WAIT_S)

    monkeypatch.setattr(server, "witnessing", nothing)
    monkeypatch.setattr(server, "calm_collector", lambda: None)
    monkeypatch.setattr(server, "listener_of", lambda *_, life, **__: life)
    monkeypatch.setattr(server, "run_listener", lambda life, *_: asyncio.run(live(life)))
    house = SimpleNamespace(run=nothing, replace=force.replace)
    stores = SimpleNamespace(models=SimpleNamespace(names=SimpleNamespace(folder=force.path.parent / "names")))
    server._run(cast("Any", house), loaded, compiled, cast("Any", stores), None, ())
    assert force.routes == [("other-name", "auto")]


def test_a_broker_sees_what_was_edited_while_it_started(
    force: Force, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    monkeypatch.chdir(tmp_path)
    text = "[egress]\nbroker = 'unix:///{}'\n[deployments.far]\nengine = 'openai'\nmodel = 'm'\nzone = 'lan'\n"
    text = text.format(str(tmp_path / "s").lstrip("/"))
    force.path.write_text(text + "base_url = 'http://10.0.0.1/v1'\n", encoding="utf-8")
    loaded: LoadedConfig = load(force.path, environment={})
    compiled = compile_config(loaded, environment={}, as_broker=True)
    force.path.write_text(text + "base_url = 'http://10.0.0.2/v1'\n", encoding="utf-8")
    audit, limits = open_log(tmp_path / "audit"), LineLimits(users=frozenset(), body_bytes=1)

    async def live() -> None:
        life = asyncio.ensure_future(_life(loaded, compiled, audit, SystemClock(), limits, None))
        async with asyncio.timeout(WAIT_S):
            while sum("is in force at the egress broker" in each for each in caplog.messages) < 2:
                await asyncio.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        await life

    with caplog.at_level(logging.INFO, logger="freehold.app"):
        asyncio.run(live())
    audit.close()


def test_another_text_of_the_rules_is_another_configuration(force: Force) -> None:
    plain = force.read()
    rules = with_rules(force)
    first = force.read()
    rules.write_text(FORBID.format(name="another"), encoding="utf-8")
    assert len({plain.digest, first.digest, force.read().digest}) == 3


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("@id(\n", "FH-POLICY-004", "own.cedar:1: this is not Cedar"),
        (
            '@id("x") forbid (principal, action, resource) unless { context.label.level > 0 };',
            "FH-POLICY-005",
            "and the same text made internal may",
        ),
    ],
)
def test_bad_rules_leave_those_before_in_force_and_say_so(
    force: Force, caplog: pytest.LogCaptureFixture, text: str, code: str, told: str
) -> None:
    rules = with_rules(force)

    async def replace(compiled: Compiled) -> None:
        rulebook_of(compiled)
        force.routes.append(tuple(compiled.routes))

    watched = Reloader(force.path, read=force.read, replace=replace)
    assert asyncio.run(watched.reload())
    rules.write_text(text, encoding="utf-8")
    assert not asyncio.run(watched.reload())
    assert len(force.routes) == 1
    assert code in caplog.messages[0]
    assert told in caplog.messages[0]
    assert caplog.messages[-1].endswith("the one before stays in force")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_does_not_start_with_bad_rules(force: Force, workers: int) -> None:
    rules = with_rules(force)
    rules.write_text("@id(\n", encoding="utf-8")
    remote = "[deployments.far]\nengine = 'openai'\nmodel = 'm'\nzone = 'lan'\nbase_url = 'http://10.0.0.1/v1'\n"
    text = f"[server]\nworkers = {workers}\n{remote}[policy]\nrules = 'own.cedar'\n"
    force.path.write_text(text, encoding="utf-8")
    data = force.path.with_name("data")
    with pytest.raises(RulesInvalid) as refused:
        serve(load(force.path, environment={}), data_folder=data)
    assert "own.cedar:1: this is not Cedar" in refused.value.message
    assert not data.exists()


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


def test_files_of_ones_own_are_those_that_engines_of_ours_are_given_by_their_paths(force: Force) -> None:
    force.path.write_text(OWN, encoding="utf-8")
    folder = force.path.parent
    assert own_files(force.read()) == (folder / "own.gguf", folder / "a.gguf")


def test_a_model_is_taken_over_once_it_has_come_to_rest(force: Force, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each look while it is being copied: it is no model until then, and it would be read whole each time."""
    monkeypatch.setattr("freehold.app.reload._LOOK_EVERY_S", 0.001)
    force.path.write_text(OWN, encoding="utf-8")
    model = force.path.with_name("own.gguf")
    model.write_bytes(b"old")
    looks: list[bytes] = []
    pieces = iter((b"n", b"ne", b"new"))

    class Watched(Reloader):
        def _models_state(self) -> tuple:
            if looks and (piece := next(pieces, b"")):
                model.write_bytes(piece + b" and longer than before")
            looks.append(model.read_bytes())
            return super()._models_state()

    async def watch() -> None:
        found = Watched(force.path, models=own_files(force.read()), read=force.read, replace=force.replace)
        async with found.watching():
            await asyncio.wait_for(force.changed.wait(), WAIT_S)
            seen, force.changed = len(looks), asyncio.Event()
            while len(looks) < seen + 5:
                await asyncio.sleep(0.001)

    asyncio.run(watch())
    assert len(force.routes) == 1, "once"
    assert looks[4] == looks[3] == b"new and longer than before"
