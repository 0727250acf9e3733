"""From the question whether there is a newer version to the one that serves, against a hub that speaks the protocol."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from freehold.app import canary as canary_module
from freehold.app.canary import Comparison, compare_versions
from freehold.cli.run import run
from freehold.domain.deployment import Deployment, EngineFingerprint, EngineKind, ModelCard, Terms
from freehold.domain.errors.engine import EngineStartFailed
from freehold.domain.errors.model import HubUnreachable
from freehold.domain.errors.model_versions import CanaryImpossible
from freehold.domain.labels import Level
from freehold.domain.zones import DEVICE
from freehold.evals.canary import parse_prompts
from freehold.hostinfo.clock import SystemClock
from freehold.net.hub import HubSource
from freehold.net.packages import PackageSource
from freehold.routing.canary import level
from freehold.serving.canary_records import LIVE, CanaryRecord, keep_record, looked_with, read_record
from freehold.serving.manifests import Facts
from freehold.serving.pull import Puller
from freehold.serving.registry import ModelRegistry
from freehold.serving.updates import outlook
from freehold.serving.versions import switch, version
from tests.servers.hub_server import COMMIT, HubServer
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gguf_files import tiny_model

NAME = "hf:owner/repo/tiny.gguf"
FILE, CARD = "owner/repo/tiny.gguf", "owner/repo/README.md"
NEWER = "beef" + "0" * 36
NOTES = (
    "---\nlicense: mit\ntags:\n- tiny\n---\n# Tiny 2\nKnows \x1b[31mmore\x1b[0m.\u202e\n"
    "<script>x</script>\n" + "a line\n" * 60
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub of which a version is installed, and which then has a newer one."""
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    with HubServer({FILE: tiny_model(name="One.")}) as server:
        (tmp_path / "freehold.toml").write_text(f'[hub]\nendpoint = "{server.endpoint}"\n')
        assert run(("pull", NAME)) == 0
        server.commits = [(COMMIT, "first")]
        yield server


def newer(hub: HubServer) -> bytes:
    content = tiny_model(name="Two.")
    hub.files |= {FILE: content, CARD: NOTES.encode()}
    hub.commit, hub.revisions = NEWER, {"main", COMMIT, NEWER}
    hub.commits = [(NEWER, "better \x07weights"), (COMMIT, "first")]
    hub.seen.clear()
    hub.ranges.clear()
    return content


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "home" / "models")


def look(registry: ModelRegistry, hub: HubServer) -> Any:
    return asyncio.run(outlook(registry, NAME, hub=HubSource(endpoint=hub.endpoint)))


def test_nothing_newer_is_told(hub: HubServer, registry: ModelRegistry) -> None:
    assert look(registry, hub).offer is None
    assert run(("models", "pull", NAME)) == 0


def test_notes_and_size_come_before_any_download(
    hub: HubServer, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    content = newer(hub)
    offer = look(registry, hub).offer
    assert (offer.sha256, offer.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (offer.license, offer.revision) == ("mit", NEWER)
    assert offer.changes == ("2026-11-29 better weights",)
    assert "Knows [31mmore[0m." in offer.notes, "other people's words, without what a terminal would act on"
    assert "\u202e" not in offer.notes
    assert offer.notes.startswith("# Tiny 2"), "what is for machines is left out"
    capsys.readouterr()
    assert run(("models", "updates")) == 0
    shown = capsys.readouterr().out
    for each in (offer.sha256, "licence  mit", NEWER, "better weights", "    | # Tiny 2", "more lines"):
        assert each in shown
    assert "\x1b" not in shown
    assert hub.ranges == [], "no byte of the model was fetched"
    assert registry.state(NAME).waiting == ""


def test_one_that_cannot_be_asked_about_keeps_nobody_from_the_others(
    hub: HubServer, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    newer(hub)
    gone = "hf:another/repo/tiny.gguf"
    content = tiny_model(name="Three.")
    (registry.folder / "fetched").write_bytes(content)
    registry.install(
        registry.folder / "fetched",
        name=gone,
        sha256=hashlib.sha256(content).hexdigest(),
        facts=Facts(license="", origin="hf:another/repo@main", unix_ms=1),
    )
    capsys.readouterr()
    assert run(("models", "updates")) == 1
    shown = capsys.readouterr().out
    assert f"{NAME}: a newer version" in shown
    assert f"{gone}: FH-MODEL-" in shown
    assert run(("models", "updates", "--json")) == 1
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found[gone]["error"]["freehold_code"].startswith("FH-MODEL-")
    assert found[NAME]["offer"]["size_bytes"]


def test_a_pull_fetches_beside_and_an_interrupted_one_goes_on(hub: HubServer, registry: ModelRegistry) -> None:
    content = newer(hub)
    old = registry.find(NAME).sha256
    hub.behaviour.cut_after = [100] + [0] * 6
    puller = Puller(
        registry=registry,
        hub=HubSource(endpoint=hub.endpoint, retry_wait_s=0.0),
        packages=PackageSource(),
        clock=SystemClock(),
    )
    with pytest.raises(HubUnreachable):
        asyncio.run(puller.pull_beside(look(registry, hub).offer))
    hub.behaviour.cut_after = []
    assert run(("models", "pull", NAME)) == 0
    assert hub.ranges[-1] == "bytes=100-"
    assert registry.find(NAME).sha256 == old
    assert version(registry, NAME).sha256 == hashlib.sha256(content).hexdigest()
    assert look(registry, hub).offer.is_here


def test_one_that_waits_makes_way_for_a_newer_one_and_can_be_had_back(
    hub: HubServer, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that passed its canary: that is said before anything is fetched, and how to get it back after."""
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    serves, waited = registry.find(NAME).sha256, version(registry, NAME).sha256
    passed = CanaryRecord(
        name=NAME, old_sha256=serves, new_sha256=waited, verdict="not worse", passes=True, unix_ms=1, looked=()
    )
    keep_record(registry.folder, passed)
    capsys.readouterr()
    assert run(("models", "pull", NAME)) == 0
    assert "makes way" not in capsys.readouterr().err, "the same one goes on waiting"

    hub.files[FILE] = tiny_model(name="Three.")
    assert run(("models", "pull", NAME)) == 0
    shown = capsys.readouterr()
    assert f"{NAME}: sha256:{waited[:12]}, which passed its canary, waits, and makes way for the newer one" in shown.err
    assert f"sha256:{waited[:12]} waits no longer." in shown.out
    back = f"freehold models switch {NAME} --to {waited}"
    assert shown.out.endswith(f"  {back}\n")
    third = version(registry, NAME).sha256
    assert third not in {serves, waited}
    assert run(back.split()[1:]) == 0, "what its canary found still holds"
    assert (registry.find(NAME).sha256, registry.state(NAME).waiting) == (waited, third)


def test_a_file_that_is_no_model_never_waits(hub: HubServer, registry: ModelRegistry) -> None:
    newer(hub)
    hub.files[FILE] = b"GGUF" + bytes(5_000)
    assert run(("models", "pull", NAME)) == 1
    assert registry.state(NAME).waiting == ""
    assert registry.load(NAME).header.name == "One."


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_hub_that_trickles_is_left_in_the_end(hub: HubServer, registry: ModelRegistry, part: str) -> None:
    """It is never silent for long, and a card would take it as long as it likes."""
    newer(hub)
    hub.files[CARD] = b"a line\n" * 50
    hub.behaviour.trickle = part
    with pytest.raises(HubUnreachable, match=r"the card did not come within 0\.3 s"):
        asyncio.run(outlook(registry, NAME, hub=HubSource(endpoint=hub.endpoint, notes_s=0.3)))


def test_a_hub_without_card_and_history_still_offers(hub: HubServer, registry: ModelRegistry) -> None:
    newer(hub)
    del hub.files[CARD]
    hub.commits = []
    offer = look(registry, hub).offer
    assert (offer.notes, offer.changes, offer.license) == ("", (), "")


# --- the canary, with scripted engines -----------------------------------------------------------


@dataclass(slots=True)
class Scripted(FakeEngine):
    """A fake that says what runs, and may not start."""

    refuses: bool = False
    closed: list[str] = field(default_factory=list)

    async def start(self) -> None:
        if self.refuses:
            raise EngineStartFailed(deployment="small", reason="it has no legs")

    async def close(self) -> None:
        self.closed.append(self.deployment.model.name)

    def fingerprint(self) -> EngineFingerprint:
        return EngineFingerprint(engine="fake", version="1", template_sha256="ab")


def engine(reference: str, answers: dict[str, str], *, refuses: bool = False) -> Scripted:
    deployment = Deployment(
        name="small",
        engine=EngineKind.EMBEDDED,
        model=ModelCard(name=reference, digest=reference.rpartition("@")[2], context_tokens=1_000),
        zone=DEVICE,
        terms=Terms(clearance=Level.RESTRICTED, kinds=None),
    )
    return Scripted(
        deployment=deployment, answers={key: FakeAnswer(text=text) for key, text in answers.items()}, refuses=refuses
    )


KNOWN = "\n".join(
    json.dumps({"id": f"q{n}", "prompt": f"{n} plus 1?", "grade": "number", "answers": [str(n + 1)]})
    for n in range(10, 90)
)
FREE = "\n".join(json.dumps({"prompt": f"free {n}?"}) for n in range(80))


def compared(
    registry: ModelRegistry, folder: Path, prompts: str, old: dict[str, str], new: dict[str, str] | None
) -> CanaryRecord:
    """Both versions answer by their scripts; a new one without a script does not start."""
    there = registry.state(NAME)
    made: list[Scripted] = []

    def engine_of(reference: str) -> Scripted:
        is_old = reference.endswith(there.sha256)
        made.append(engine(reference, old if is_old else new or {}, refuses=not is_old and new is None))
        return made[-1]

    comparison = Comparison(
        name=NAME,
        old=registry.find(NAME),
        new=version(registry, NAME),
        prompts=parse_prompts(prompts),
        folder=folder,
        earlier=read_record(registry.folder, old_sha256=there.sha256, new_sha256=version(registry, NAME).sha256),
    )
    record = asyncio.run(compare_versions(comparison, engine_of=engine_of, clock=SystemClock()))
    assert [len(each.closed) for each in made] == [1, 1], "both were closed"
    keep_record(registry.folder, record)
    return record


RIGHT = {f"{n} plus 1?": str(n + 1) for n in range(10, 90)}
WRONG = dict.fromkeys(RIGHT, "I do not know")
FREELY = {f"free {n}?": f"word{n}" for n in range(80)}


@pytest.mark.parametrize(
    ("prompts", "old", "new", "verdict", "code"),
    [
        (KNOWN, RIGHT, RIGHT, "not worse", 0),
        (KNOWN, WRONG, RIGHT, "better", 0),
        (KNOWN, RIGHT, WRONG, "worse", 1),
        (KNOWN.splitlines()[0], RIGHT, RIGHT, "undecided", 1),
        (KNOWN, RIGHT, None, "failed", 1),
        (FREE, FREELY, FREELY, "not worse", 0),
        (FREE, FREELY, {**FREELY, **{f"free {n}?": "another" for n in range(9)}}, "undecided", 1),
    ],
)
def test_only_a_version_that_passes_takes_over(
    hub: HubServer, registry: ModelRegistry, tmp_path: Path, prompts: str, old: dict, new: dict, verdict: str, code: int
) -> None:
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    before = registry.find(NAME).sha256
    assert run(("models", "switch", NAME)) == 1, "nobody has compared them"
    record = compared(registry, tmp_path, prompts, old, new)
    assert record.verdict == verdict, record
    assert run(("models", "switch", NAME)) == code
    assert (registry.find(NAME).sha256 == before) == bool(code)
    if not code:
        assert run(("models", "rollback", NAME)) == 0
        assert registry.find(NAME).sha256 == before


def test_each_further_set_of_questions_has_to_be_clearer_and_the_same_one_again_has_not(
    hub: HubServer, registry: ModelRegistry, tmp_path: Path
) -> None:
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    fewer = "\n".join(KNOWN.splitlines()[:40])
    tried = compared(registry, tmp_path, "\n".join(KNOWN.splitlines()[:29]), WRONG, RIGHT)
    assert (tried.verdict, tried.passes, tried.looked) == ("undecided", False, ()), "trying some out spends nothing"
    first = compared(registry, tmp_path, fewer, RIGHT, RIGHT)
    again = compared(registry, tmp_path / "again", fewer, RIGHT, RIGHT)
    assert (again.looked, again.alpha) == (first.looked, first.alpha) == ((first.question_digest,), level(0))
    failed = compared(registry, tmp_path / "failed", KNOWN, RIGHT, None)
    assert (failed.verdict, failed.looked) == ("failed", first.looked), "who does not run was not looked at"
    more = compared(registry, tmp_path / "more", KNOWN, RIGHT, RIGHT)
    assert (more.looked, more.alpha) == ((first.question_digest, more.question_digest), level(1))
    assert more.verdict == "undecided", "at a first look these would do"


def test_a_comparison_by_an_earlier_freehold_counts_as_one_look() -> None:
    earlier = CanaryRecord(
        name=NAME, old_sha256="a" * 64, new_sha256="b" * 64, verdict="undecided", passes=False, questions=9
    )
    assert looked_with(None, LIVE) == (LIVE,)
    assert looked_with(earlier, "sha256:x") == (LIVE, "sha256:x")
    assert looked_with(replace(earlier, question_digest="sha256:y"), LIVE) == ("sha256:y", LIVE)
    assert looked_with(replace(earlier, questions=0), LIVE) == (LIVE,)


def test_a_comparison_counts_for_exactly_these_two_versions(
    hub: HubServer, registry: ModelRegistry, tmp_path: Path
) -> None:
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    record = compared(registry, tmp_path, KNOWN, RIGHT, RIGHT)
    assert read_record(registry.folder, old_sha256=record.old_sha256, new_sha256=record.new_sha256) == record
    assert read_record(registry.folder, old_sha256=record.new_sha256, new_sha256=record.old_sha256) is None
    hub.files[FILE] = tiny_model(name="Six.")
    assert run(("models", "pull", NAME)) == 0
    assert run(("models", "switch", NAME)) == 1, "the version that waits by now is another"


def test_where_the_version_that_serves_does_not_run_nothing_is_compared(
    hub: HubServer, registry: ModelRegistry, tmp_path: Path
) -> None:
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    comparison = Comparison(
        name=NAME, old=registry.find(NAME), new=version(registry, NAME), prompts=parse_prompts(KNOWN), folder=tmp_path
    )
    with pytest.raises(CanaryImpossible, match="no legs"):
        asyncio.run(
            compare_versions(
                comparison, engine_of=lambda reference: engine(reference, {}, refuses=True), clock=SystemClock()
            )
        )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "0 questions"),
        ("{", "line 1 is no question"),
        ('{"id": "a"}', "prompt must be a text"),
        ('{"id": "a", "prompt": "x"}\n{"id": "a", "prompt": "y"}', "a second time"),
        ('{"id": "a", "prompt": "x", "grade": "contains"}', "answers is missing"),
        ("[]", "not an object"),
    ],
)
def test_prompts_that_cannot_be_used_are_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_prompts(text)


def test_a_switch_survives_what_else_happens_to_the_folder(hub: HubServer, registry: ModelRegistry) -> None:
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    switch(registry, NAME, version(registry, NAME).sha256, unix_ms=5)
    assert run(("pull", NAME, "--repair")) == 0
    assert registry.load(NAME).header.name == "Two.", "a repair is of the version that serves"


def test_a_canary_shows_how_far_it_is_beside_its_result(
    hub: HubServer,
    registry: ModelRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line a tenth where nobody looks at a terminal, for each of the two; nothing of it is in what a program reads."""
    newer(hub)
    assert run(("models", "pull", NAME)) == 0
    old, new = registry.find(NAME).sha256[:12], version(registry, NAME).sha256[:12]
    (tmp_path / "questions.jsonl").write_text(KNOWN, encoding="utf-8")
    monkeypatch.setattr(canary_module, "engine_maker", lambda *_, **__: lambda reference: engine(reference, RIGHT))
    capsys.readouterr()
    assert run(("models", "canary", NAME, "--prompts", str(tmp_path / "questions.jsonl"), "--json")) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["passes"] is True
    lines = shown.err.splitlines()
    for digest, standing in ((old, "which serves"), (new, "the new one")):
        told = [each for each in lines if each.startswith(f"{NAME}, {digest}, {standing}: ")]
        assert told[-1].endswith(": 80 of 80 questions asked")
        assert len(told) == 11, "a line a tenth, and one at the first answer"
