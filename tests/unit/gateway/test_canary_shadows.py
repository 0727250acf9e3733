"""Shadow traffic for a canary: asked after the client's answer, on this device alone, compared and never believed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.app.canary_live import live_canaries
from freehold.cli.run import run
from freehold.domain.deployment import Route
from freehold.domain.zones import DEVICE, LAN, Zone
from freehold.gateway.shadows import Around, Seen, Shadows
from freehold.routing.canary import level
from freehold.serving.canary_records import LivePair, keep_live, read_live, read_record
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gguf_files import tiny_model
from tests.support.routing import deployment
from tests.unit.gateway.test_shadows import Bench
from tests.unit.serving.test_registry import digest, install

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROUTE = Route(name="auto", deployments=("small",), canary="next", canary_share=1.0)


def bench(*, route: Route = ROUTE, answer: str = "blue", zone: Zone = DEVICE) -> tuple[Bench, list[Seen]]:
    small = FakeEngine(deployment("small", DEVICE, digest=OLD), default=FakeAnswer(text="blue"))
    following = FakeEngine(deployment("next", zone, digest=NEW), default=FakeAnswer(text=answer))
    made = Bench(route=route, engines={"small": small, "next": following})
    seen: list[Seen] = []

    async def keep(each: Seen) -> None:
        seen.append(each)

    around: Around = replace(made.shadows._around, seen=keep)
    made.shadows = Shadows(around, made.bounds)
    made.learning._shadows = made.shadows
    return made, seen


def test_a_canary_is_asked_the_same_after_the_answer_and_only_compared() -> None:
    async def test() -> None:
        made, seen = bench(answer="green")
        receipt = await made.ask()
        assert receipt.answered_by is not None
        assert receipt.answered_by.deployment == "small"
        assert not made.engines["next"].calls, "the client's answer comes first"
        await made.settle()
        (shadow,) = made.asked
        assert (shadow.for_request, shadow.model_asked, shadow.label) == ("r-0", "next", receipt.label)
        assert [(each.old_digest, each.new_digest, each.alike) for each in seen] == [(OLD, NEW, False)]
        assert made.outcome().right is None, "a canary is not believed"
        assert made.told == [("next", "asked")]

    asyncio.run(test())


@pytest.mark.parametrize(("answer", "alike"), [("blue", True), ("green", False), ("", None)])
def test_answers_are_held_against_each_other(answer: str, alike: bool | None) -> None:
    async def test() -> None:
        made, seen = bench(answer=answer)
        await made.ask()
        await made.settle()
        assert [each.alike for each in seen] == [alike]

    asyncio.run(test())


def test_nothing_goes_to_a_canary_beyond_this_device() -> None:
    """Whatever a configuration got past its checks."""

    async def test() -> None:
        made, seen = bench(zone=LAN)
        await made.ask()
        assert made.shadows.waiting == 0
        await made.settle()
        assert not made.engines["next"].calls
        assert seen == []

    asyncio.run(test())


def test_nothing_goes_to_what_a_reload_put_in_its_place() -> None:
    """The same name, beyond this device by the time that the canary's turn comes."""

    async def test() -> None:
        made, seen = bench()
        await made.ask()
        assert made.shadows.waiting == 1
        elsewhere = FakeEngine(deployment("next", LAN, digest=NEW), default=FakeAnswer(text="blue"))
        made.engines["next"] = elsewhere
        await made.settle()
        assert not elsewhere.calls
        assert (seen, made.told) == ([], [("next", "dropped")])

    asyncio.run(test())


def test_no_model_leaves_memory_for_a_canary() -> None:
    """The next client would have to wait until it is loaded again."""

    async def test() -> None:
        made, seen = bench()
        made.shadows._around = replace(made.shadows._around, fits=lambda name: name != "next")
        await made.ask()
        await made.settle()
        assert not made.engines["next"].calls
        assert (seen, made.told) == ([], [("next", "dropped")])

    asyncio.run(test())


def test_the_version_that_answered_is_the_receipts_own() -> None:
    async def test() -> None:
        made, seen = bench()
        await made.ask()
        tell = made.shadows._around.told
        later = FakeEngine(deployment("next", DEVICE, digest="sha256:" + "c" * 64))

        def reloaded(name: str, what: str) -> None:
            made.engines["next"] = later
            tell(name, what)

        made.shadows._around = replace(made.shadows._around, told=reloaded)
        await made.settle()
        assert [each.new_digest for each in seen] == [NEW]

    asyncio.run(test())


def test_a_share_is_drawn_and_none_is_none() -> None:
    async def test() -> None:
        made, seen = bench(route=replace(ROUTE, canary_share=0.5))
        made.lots[:] = [0.49, 0.5]
        await made.ask()
        await made.ask()
        await made.settle()
        assert len(seen) == 1
        without, seen = bench(route=replace(ROUTE, canary_share=0.0))
        await without.ask()
        assert (without.shadows.waiting, seen) == (0, [])

    asyncio.run(test())


def test_it_waits_while_anything_else_runs_here() -> None:
    async def test() -> None:
        made, seen = bench()
        made.may_run = False
        await made.ask()
        await made.settle(within=0.02)
        assert (seen, made.shadows.waiting) == ([], 1)
        made.may_run = True
        made.shadows._wake.set()
        await made.settle()
        assert len(seen) == 1

    asyncio.run(test())


def test_a_canary_that_fails_costs_nobody_anything() -> None:
    async def test() -> None:
        made, seen = bench()
        made.engines["next"].ready = False
        made.engines["next"].default = FakeAnswer(cut_at=0)
        receipt = await made.ask()
        await made.settle()
        assert receipt.outcome.value == "complete"
        assert seen == []

    asyncio.run(test())


def test_what_is_kept_is_digests_and_whether_they_agree(tmp_path: Path) -> None:
    keep = live_canaries(tmp_path)
    asyncio.run(keep(Seen(old_digest=OLD, new_digest=NEW, alike=True, old_chance=0.5)))
    asyncio.run(keep(Seen(old_digest=OLD, new_digest="known:x", alike=True, old_chance=None)))
    assert read_live(tmp_path, old_sha256="a" * 64, new_sha256="b" * 64) == [LivePair(alike=True, old_chance=0.5)]
    (file,) = (tmp_path / "canaries").iterdir()
    assert file.read_text() == '{"alike":true,"old_chance":0.5}\n'
    with file.open("a") as stream:
        stream.write("{damaged\n")
    assert len(read_live(tmp_path, old_sha256="a" * 64, new_sha256="b" * 64)) == 1


def test_a_verdict_follows_from_live_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    registry, name = ModelRegistry(tmp_path / "models"), "hf:o/r/f.gguf"
    old, content = install(registry, name), tiny_model(name="Two.")
    (registry.folder / "fetched").write_bytes(content)
    new = digest(content)
    registry.install_beside(
        registry.folder / "fetched", name=name, sha256=new, facts=Facts(license="", origin="", unix_ms=1)
    )
    assert run(("models", "canary", name, "--live")) == 1, "nobody was asked"
    for questions, passes in ((60, False), (100, True)):
        for _ in range(questions - len(read_live(registry.folder, old_sha256=old.sha256, new_sha256=new))):
            pair = LivePair(alike=True, old_chance=None)
            keep_live(registry.folder, old_sha256=old.sha256, new_sha256=new, pair=pair)
        assert run(("models", "canary", name, "--live")) == (0 if passes else 1)
        record = read_record(registry.folder, old_sha256=old.sha256, new_sha256=new)
        assert record is not None
        assert (record.verdict, record.questions) == ("not worse" if passes else "undecided", questions)
        assert (record.looked, record.alpha) == (("live",), level(0)), "looks at live requests spend nothing more"
    assert run(("models", "switch", name)) == 0
