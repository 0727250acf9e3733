"""The runner of batches over real stores: turns, pauses, retries, ends, and what a failing disk costs."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.api.batch_item import ItemAnswer
from freehold.app import batch_runner, batch_work
from freehold.app.batch_output import OutputWriter
from freehold.app.batch_runner import BatchRunner
from freehold.config.schema_files import Batches
from freehold.domain.batch import Batch, BatchState, cancelled, finalizing, validated
from freehold.domain.errors.admission import QueueFull
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.request import UnknownModel
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.files import StoredFile
from freehold.domain.identity import Principal, Tenant
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.policy.labelling import joined
from freehold.serving import batch_turns
from freehold.storage import disk
from freehold.storage.batch_results import ItemResult, ResultJournal
from freehold.storage.batches import SqliteBatches
from freehold.storage.database import Database
from freehold.storage.files import SqliteFiles
from tests.support.gateway import INTERNAL, PUBLIC, TREE

CHAT = "/v1/chat/completions"
BUSY = QueueFull(deployment="x", running=1, waiting=1, retry_s=0)
DOWN = UpstreamUnreachable(source="x", deployment="x", reason="why")
SLOTS = 4


@dataclass
class Items:
    """Answers each item as its script says: errors first, one a call, then well; ``hold`` never."""

    script: dict[str, list[FreeholdError]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    pause_s: float = 0

    async def run(self, body: bytes, *, principal: Principal, label: str, **_: str | None) -> ItemAnswer:
        name = json.loads(body)["name"]
        self.asked.append(name)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.pause_s)
            if name == "hold":
                await asyncio.Event().wait()
        finally:
            self.now -= 1
        errors = self.script.get(name, [])
        if errors:
            return ItemAnswer(request_id="r", status=errors[0].http_status, body=b'{"error":{}}', error=errors.pop(0))
        return ItemAnswer(
            request_id="r", status=200, body=json.dumps({"label": label, "as": principal.key_id}).encode()
        )


class Runtime:
    """One route, ``auto``."""

    def route_for(self, model: str) -> Any:
        if model != "auto":
            raise UnknownModel(param="model", model=model, suggestion="")
        return SimpleNamespace(name="auto")

    def deployments_of(self, _route: Any) -> list[Any]:
        return [SimpleNamespace(slots=SLOTS)]


class House:
    """A runner with its stores, in a folder of the test's."""

    def __init__(self, folder: Any, **settings: int) -> None:
        self.folder, self.clock = folder, SystemClock()
        self.ids = SystemIds(self.clock)
        self.database = Database.open(folder / "freehold.db")
        self.files = SqliteFiles(self.database, folder / "files")
        self.store = SqliteBatches(self.database, self.files)
        self.items, self.keys, self.keys_of_others = Items(), {"key-1", "key-2"}, set()
        self.settings = Batches(**settings)
        self.runtime = Runtime()

    def runner(self) -> BatchRunner:
        writer = OutputWriter(
            store=self.files,
            clock=self.clock,
            ids=self.ids,
            keep_days=30,
            line_bytes_max=10_000,
            joined=lambda labels: joined(labels, tree=TREE),
        )
        return BatchRunner(
            store=self.store,
            files=self.files,
            folder=self.folder / "batches",
            items=self.items,  # type: ignore[arg-type]
            runtime=lambda: self.runtime,  # type: ignore[arg-type,return-value]
            principal_of=self.principal,
            read_keys=lambda: self.keys.update(self.keys_of_others),
            writer=writer,
            clock=self.clock,
            ids=self.ids,
            settings=self.settings,
            line_bytes_max=10_000,
            poll_s=0.01,
        )

    def principal(self, key_id: str) -> Principal | None:
        if key_id not in self.keys:
            return None
        tenant = Tenant(name=f"tenant-{key_id}", label=INTERNAL)
        return Principal(key_id=key_id, key_name="x", tenant=tenant, label=PUBLIC, scopes=frozenset({"infer"}))

    async def put(self, number: int, names: list[str], *, key: str = "key-1", **changes: Any) -> Batch:
        """A batch with items of these names."""
        draft = self.files.draft(f"file-{number}")
        for place, name in enumerate(names):
            line = {
                "custom_id": f"{place}:{name}",
                "method": "POST",
                "url": CHAT,
                "body": {"model": "auto", "name": name},
            }
            draft.write(json.dumps(line).encode() + b"\n")
        draft.finish()
        tenant, now_ms = f"tenant-{key}", self.clock.unix_ms()
        file = StoredFile(
            id=f"file-{number}", tenant=tenant, filename="x", purpose="batch", size_bytes=draft.size_bytes,
            created_unix_ms=now_ms, expires_unix_ms=None, label="internal",
        )  # fmt: skip
        await self.files.keep(file, tenant_bytes_max=1 << 30)
        batch = Batch(
            id=f"batch_{number}", tenant=tenant, key_id=key, endpoint=CHAT, input_file_id=file.id, window="24h",
            label="internal", metadata={}, state=BatchState.VALIDATING, created_unix_ms=now_ms,
            expires_unix_ms=now_ms + 60_000,
        )  # fmt: skip
        batch = replace(batch, **changes)
        await self.store.add(batch, open_max=100)
        return batch

    async def change(self, number: int, act: Any) -> None:
        await self.store.change(f"batch_{number}", act)

    async def over(self, number: int) -> Batch:
        """A batch at its end, which a runner brings about meanwhile."""
        for _ in range(1_000):
            batch = await self.store.get(f"batch_{number}", tenant=None)
            journal = self.folder / "batches" / f"batch_{number}.results"
            if batch is not None and batch.is_over and not journal.exists():
                return batch
            await asyncio.sleep(0.005)
        raise AssertionError(f"batch {number} is not over")

    def lines(self, file_id: str) -> list[dict[str, Any]]:
        text = self.files.path(file_id).read_text() if file_id else ""
        return [json.loads(each) for each in text.splitlines()]


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_turns, "_PAUSE_S_MIN", 0.01)
    monkeypatch.setattr(batch_work, "_DISK_S", 0.01)
    made = House(tmp_path)
    yield made
    made.database.close()


def run(house: House, scenario: Any) -> Any:
    """Run ``scenario`` beside a runner, which is stopped behind it."""

    async def main() -> Any:
        runner = house.runner()
        task = asyncio.ensure_future(runner.run())
        try:
            return await scenario(runner)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

    return asyncio.run(main())


def test_items_run_as_who_created_the_batch_under_its_label_and_not_too_many_at_once(house):
    async def scenario(_runner):
        await house.put(1, [f"n{n}" for n in range(300)], label="confidential")
        return await house.over(1)

    batch = run(house, scenario)
    good = house.lines(batch.output_file_id)
    assert (batch.state, batch.total, batch.completed, batch.failed) == ("completed", 300, 300, 0)
    assert [each["custom_id"] for each in good] == [f"{n}:n{n}" for n in range(300)]
    assert good[0]["response"]["body"] == {"label": "confidential", "as": "key-1"}
    assert house.items.most == SLOTS
    assert list((house.folder / "batches").iterdir()) == []


def test_a_bound_of_all_batches(tmp_path):
    house = House(tmp_path, parallel=2)

    async def scenario(_runner):
        await house.put(1, ["x"] * 9)
        await house.put(2, ["x"] * 9, key="key-2")
        return [await house.over(1), await house.over(2)]

    assert [each.state for each in run(house, scenario)] == ["completed", "completed"]
    assert house.items.most == 2
    house.database.close()


def test_tenants_take_turns(house):
    async def scenario(_runner):
        await house.put(1, ["many"] * 200)
        await house.put(2, ["few"] * 40, key="key-2")
        await house.over(2)

    run(house, scenario)
    last_of_few = len(house.items.asked) - 1 - house.items.asked[::-1].index("few")
    met = Counter(house.items.asked[house.items.asked.index("few") : last_of_few + 1])
    assert met["many"] <= met["few"] + SLOTS + 1


def test_no_room_is_no_failure_and_what_may_pass_is_tried_again(house):
    house.items.script = {"busy": [BUSY.again() for _ in range(6)], "down": [DOWN.again() for _ in range(3)]}
    house.items.script["gone"] = [DOWN.again() for _ in range(9)]

    async def scenario(_runner):
        await house.put(1, ["fine", "busy", "down", "gone"])
        return await house.over(1)

    batch = run(house, scenario)
    assert {each["custom_id"] for each in house.lines(batch.output_file_id)} == {"0:fine", "1:busy", "2:down"}
    (bad,) = house.lines(batch.error_file_id)
    assert (bad["custom_id"], bad["response"]["status_code"]) == ("3:gone", 502)
    assert Counter(house.items.asked) == {"fine": 1, "busy": 7, "down": 4, "gone": 4}


def test_a_cancelled_batch_keeps_what_it_has(house):
    async def scenario(runner):
        await house.put(1, ["done", *["hold"] * 9])
        while "hold" not in house.items.asked or house.items.asked.count("done") < 1 or house.items.now < SLOTS:
            await asyncio.sleep(0.005)
        await house.change(1, lambda batch: cancelled(batch, unix_ms=1))
        runner.nudge()
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.total, batch.completed, batch.failed) == ("cancelled", 10, 1, 9)
    assert {each["error"]["code"] for each in house.lines(batch.error_file_id)} == {"batch_cancelled"}


def test_a_batch_whose_time_is_over(house):
    async def scenario(_runner):
        await house.put(1, ["done", "hold"], expires_unix_ms=house.clock.unix_ms() + 300)
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.completed, batch.failed) == ("expired", 1, 1)
    assert house.lines(batch.error_file_id)[0]["error"]["code"] == "batch_expired"


@pytest.mark.parametrize("how", ["revoked", "unknown at the next item"])
def test_a_batch_without_its_key(house, how):
    async def scenario(runner):
        await house.put(1, ["done", "hold", "hold"])
        while house.items.asked.count("hold") < 2:
            await asyncio.sleep(0.005)
        house.keys.discard("key-1")
        if how == "revoked":
            runner.end_revoked(house.keys)
        else:
            await house.put(2, ["never"])
            assert (await house.over(2)).errors[0].code == "FH-BATCH-004"
            runner.end_revoked(house.keys)
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.completed, batch.failed) == ("failed", 1, 2)
    assert batch.errors[0].code == "FH-BATCH-004"


@pytest.mark.parametrize("state", ["validating", "in_progress"])
def test_an_input_that_is_gone(house, state):
    async def scenario(_runner):
        await house.put(1, ["x"], state=BatchState(state), total=1 if state == "in_progress" else 0)
        return await house.over(1)

    original = house.put

    async def put(*arguments, **more):
        batch = await original(*arguments, **more)
        house.files.path("file-1").unlink()
        return batch

    house.put = put
    batch = run(house, scenario)
    assert batch.state == "failed"
    assert batch.errors[0].code == "FH-BATCH-005"


@pytest.mark.parametrize("at", ["in_progress", "finalizing", "cancelling"])
def test_a_batch_is_taken_up_where_a_crash_left_it(house, at):
    async def before():
        await house.put(1, ["a", "b", "c"])
        await house.change(1, lambda batch: validated(batch, total=3, unix_ms=1))
        done = ResultJournal(house.folder / "batches" / "batch_1.results", 3)
        places = [0, 1, 2] if at == "finalizing" else [1]
        done.add([ItemResult(place, True, b'{"custom_id":"before"}') for place in places])
        done.close()
        (house.folder / "batches" / "batch_0.results").write_bytes(b"of a batch that is over")
        if at == "finalizing":
            await house.change(1, lambda batch: finalizing(batch, unix_ms=1))
        if at == "cancelling":
            await house.change(1, lambda batch: cancelled(batch, unix_ms=1))

    asyncio.run(before())
    batch = run(house, lambda _runner: house.over(1))
    names = [each["custom_id"] for each in house.lines(batch.output_file_id)]
    expected = {
        "in_progress": ("completed", ["0:a", "before", "2:c"], ["a", "c"]),
        "finalizing": ("completed", ["before"] * 3, []),
        "cancelling": ("cancelled", ["before"], []),
    }
    assert (batch.state.value, names, house.items.asked) == expected[at]
    assert list((house.folder / "batches").iterdir()) == []


def test_a_stop_in_the_middle_loses_nothing(house):
    async def first(_runner):
        await house.put(1, [*(f"n{n}" for n in range(40)), "hold"])
        while len(house.items.asked) < 41:
            await asyncio.sleep(0.002)

    run(house, first)
    house.items.script = {}
    asked = Counter(house.items.asked)

    async def release(_runner):
        await house.change(1, lambda batch: replace(batch, expires_unix_ms=house.clock.unix_ms() + 200))
        return await house.over(1)

    batch = run(house, release)
    assert (batch.completed, batch.failed) == (40, 1)
    again = Counter(house.items.asked) - asked
    assert sum(again.values()) <= SLOTS + 1, "what had an answer was kept at the stop"


def test_a_disk_that_is_full_for_a_while(house, monkeypatch):
    works, left = disk.append, [6]

    def full(descriptor, data):
        if b'"custom_id"' in data and b"response" in data and left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "no space")
        works(descriptor, data)

    monkeypatch.setattr(disk, "append", full)
    monkeypatch.setattr("freehold.app.batch_runner._AGAIN_S", 0.01)

    async def scenario(_runner):
        await house.put(1, [f"n{n}" for n in range(20)])
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.completed) == ("completed", 20)
    assert left == [0]
    assert len(list((house.folder / "files").iterdir())) == 2


def test_a_model_that_a_reload_took_away_is_the_items_error(house):
    async def scenario(_runner):
        await house.put(1, ["a"], state=BatchState.IN_PROGRESS, total=1)
        return await house.over(1)

    house.runtime.route_for = lambda model: (_ for _ in ()).throw(UnknownModel(model=model, suggestion=""))
    assert run(house, scenario).state == "completed"
    assert house.items.asked == ["a"]


def test_what_was_read_before_it_changed_leads_to_nothing(house):
    """Other tasks go on while the list of batches is read: it may say less than what is."""
    reads: list[list[Batch]] = []
    read = house.store.active

    async def late():
        reads.append(await read())
        await asyncio.sleep(0.01)
        return reads[-1] if len(reads) % 2 else reads[max(0, len(reads) - 3)]

    house.store.active = late
    house.items.pause_s = 0.01

    async def scenario(_runner):
        await house.put(1, [f"n{n}" for n in range(60)])
        batch = await house.over(1)
        await asyncio.sleep(0.1)
        return batch, await house.over(1)

    first, later = run(house, scenario)
    assert (first.state, first.completed) == ("completed", 60)
    assert later == first
    assert len(house.items.asked) == 60, "nothing runs again"


@pytest.mark.parametrize("ticks", range(6))
def test_a_stop_is_never_missed(house, ticks):
    """Also in the very tick in which there is something new to do."""

    async def main():
        runner = house.runner()
        task = asyncio.ensure_future(runner.run())
        await asyncio.sleep(0.005)
        runner.nudge()
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        task.cancel()
        assert done

    asyncio.run(main())


def test_a_key_that_another_worker_made_a_moment_ago(house):
    async def scenario(_runner):
        house.keys_of_others.add("key-3")
        await house.put(1, ["fine"], key="key-3")
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.completed) == ("completed", 1)


def test_results_that_cannot_be_written_for_long_leave_nothing_open(house, monkeypatch):
    real, begun = SqliteFiles.draft, []

    def draft(files, file_id):
        if len(begun) in {1, 3, 5}:  # the second file of a pair
            begun.append(None)
            raise OSError(errno.ENOSPC, "full")
        begun.append(real(files, file_id))
        return begun[-1]

    monkeypatch.setattr(batch_runner, "_AGAIN_S", 0.01)

    async def scenario(_runner):
        await house.put(1, ["fine"])
        monkeypatch.setattr(SqliteFiles, "draft", draft)
        return await house.over(1)

    batch = run(house, scenario)
    assert (batch.state, batch.completed, len(begun)) == ("completed", 1, 8)
    assert {path.name for path in (house.folder / "files").iterdir()} == {"file-1", batch.output_file_id}


def test_names_of_models_are_not_kept_without_end(house):
    runner = house.runner()
    for number in range(3_000):
        assert runner._lane(f"name-{number}") == ("", 1)
    assert runner._lane("x" * 1_000) == ("", 1)
    assert runner._lane("auto") == ("auto", SLOTS)
    assert len(runner._lanes) <= batch_runner._LANES_MAX
    assert max(map(len, runner._lanes)) < 1_000


@pytest.mark.parametrize("error", [BUSY, DOWN])
def test_a_timer_that_comes_a_little_early_leaves_no_item_behind(house, error):
    class Behind(SystemClock):
        """A millisecond and a half behind the timers, as this clock is for those of uvloop."""

        def monotonic_s(self):
            return time.monotonic() - 0.0015

    house.clock = Behind()
    house.items.script = {"last": [error.again()]}

    async def scenario(_runner):
        await house.put(1, ["last"])
        return await house.over(1)

    assert run(house, scenario).completed == 1
