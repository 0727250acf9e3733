"""A child's files are checked before every start of it, also after a crash, and nothing is asked of one whose files were spoilt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from freehold.domain.errors.engine import EngineNotReady, EngineStartFailed, ModelFileChanged
from tests.support.virtual_time import run_virtual
from tests.unit.engines.process.fake_child import FakeFiles, Rig
from tests.unit.engines.process.test_supervisor import now_s


@pytest.fixture(autouse=True)
def in_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time waits for no thread."""

    async def at_once(work: Callable[[], None]) -> None:
        work()

    monkeypatch.setattr(asyncio, "to_thread", at_once)


def test_a_child_whose_files_changed_is_not_started_again_until_they_are_right() -> None:
    async def scenario() -> None:
        files = FakeFiles()
        rig = Rig(files=files)
        await rig.supervisor.start()
        assert files.checks == 1
        life = await rig.life()
        files.wrong = "its digest is another"
        life.child.end(1)
        await asyncio.sleep(5)
        assert len(rig.children) == 1, "nothing was started"
        assert files.checks > 1
        state = rig.supervisor.state()
        assert not state.ready
        assert "'/m.gguf' is not the file that was checked: its digest is another" in state.detail
        begun_s = now_s()
        with pytest.raises(EngineNotReady, match="is not the file that was checked"):
            await rig.supervisor.ready(wait_s=60)
        assert now_s() == begun_s, "nobody waits for what its owner has to mend"
        with pytest.raises(ModelFileChanged):
            await rig.supervisor.start()
        files.wrong = ""
        await asyncio.sleep(10)
        assert rig.supervisor.state().ready, "put back, it is used without a restart"
        assert len(rig.children) == 2
        await rig.supervisor.start()
        await rig.supervisor.close()

    run_virtual(scenario)


def test_waits_between_looks_at_a_file_that_is_wrong_grow() -> None:
    async def scenario() -> None:
        files = FakeFiles()
        rig = Rig(files=files)
        await rig.supervisor.start()
        files.wrong = "its digest is another"
        (await rig.life()).child.end(1)
        await asyncio.sleep(100)
        assert files.checks < 20
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_first_start_with_wrong_files_fails_at_once() -> None:
    async def scenario() -> None:
        rig = Rig(files=FakeFiles(wrong="its digest is another"))
        with pytest.raises(ModelFileChanged):
            await rig.supervisor.start()
        assert rig.children == []
        assert rig.supervisor.state().detail.startswith("failed: ")
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_file_that_changed_while_it_was_loaded_is_not_served() -> None:
    async def scenario() -> None:
        rig = Rig(files=FakeFiles(moved=True))
        with pytest.raises(EngineStartFailed, match="a file of its model changed while it was loaded"):
            await rig.supervisor.start()
        assert rig.child.signals == ["KILL"]
        await rig.supervisor.close()

    run_virtual(scenario)


def test_a_child_whose_file_was_written_over_is_ended_before_it_is_asked_again() -> None:
    async def scenario() -> None:
        files = FakeFiles()
        rig = Rig(files=files)
        await rig.supervisor.start()
        plan = rig.supervisor.plan
        for _ in range(3):
            life = await rig.life()
            assert not rig.supervisor.is_spoilt()
            files.over = True
            with pytest.raises(EngineNotReady, match="its model file was written over"):
                await rig.supervisor.ready(wait_s=60)
            assert life.child.signals == ["KILL"]
            death = await life.death()
            assert "its model file was written over" in death.how
        await rig.life()
        assert len(rig.children) == 4, "its content was the same after all"
        assert rig.supervisor.plan == plan, "that was no lack of memory"
        await rig.supervisor.close()

    run_virtual(scenario)


def test_an_answer_that_was_being_given_meanwhile_is_nobodys() -> None:
    async def scenario() -> None:
        files = FakeFiles()
        rig = Rig(files=files)
        await rig.supervisor.start()
        life = await rig.life()
        files.over = True
        assert rig.supervisor.is_spoilt()
        assert rig.supervisor.is_spoilt(), "so is that of whoever asks next"
        assert (life.child.signals, life.ready) == (["KILL"], False)
        await rig.supervisor.close()

    run_virtual(scenario)
