"""Versions of a name: switching by one rename, going back, pins, and what the garbage collection leaves alone."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from freehold.domain.errors.model import DigestMismatch, ModelFileInvalid, ModelNotInstalled, ModelUnknown
from freehold.domain.errors.model_versions import ModelPinned, NoVersionBefore, VersionUnknown
from freehold.serving.canary_records import CanaryRecord, LivePair, keep_live, keep_record, read_live, read_record
from freehold.serving.installed import InstalledModel
from freehold.serving.manifests import Facts, Hold
from freehold.serving.registry import ModelRegistry
from freehold.serving.versions import collect, pin, rollback, switch, version, versions
from tests.support.gguf_files import tiny_model
from tests.unit.serving.test_registry import digest, install

NAME = "hf:o/r/f.gguf"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def beside(registry: ModelRegistry, content: bytes) -> InstalledModel:
    fetched = registry.folder / "fetched"
    fetched.write_bytes(content)
    return registry.install_beside(
        fetched, name=NAME, sha256=digest(content), facts=Facts(license="MIT", origin="test", unix_ms=2)
    )


@pytest.fixture
def two(registry: ModelRegistry) -> tuple[InstalledModel, InstalledModel]:
    """A version that serves, and one that waits."""
    return install(registry, NAME, tiny_model(name="One.")), beside(registry, tiny_model(name="Two."))


def test_what_is_fetched_beside_does_not_serve(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    assert registry.find(NAME) == old
    assert [(each.model.sha256, each.standing) for each in versions(registry, NAME)] == [
        (old.sha256, "serves"),
        (new.sha256, "waits"),
    ]
    assert [each.name for each in registry.installed()] == [NAME], "a version is no model of its own"
    assert version(registry, NAME).sha256 == new.sha256
    assert registry.load(f"{NAME}@sha256:{new.sha256}").card.digest == new.digest, (
        "a version can be asked for by digest"
    )


def test_a_switch_and_the_way_back(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    switch(registry, NAME, new.sha256, unix_ms=5)
    assert ModelRegistry(registry.folder).load(NAME).card.digest == new.digest, "others see it without being told"
    assert registry.state(NAME).earlier == (old.sha256,)
    rollback(registry, NAME, unix_ms=6)
    assert registry.load(NAME).card.digest == old.digest
    assert registry.state(NAME).waiting == new.sha256, "what was gone back from can be switched to again"
    with pytest.raises(NoVersionBefore):
        rollback(registry, NAME, unix_ms=7)


def test_a_switch_is_one_rename(registry: ModelRegistry, two: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a crash cuts off, the name leads to one whole version."""
    _, new = two
    seen: list[str] = []
    real = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(f"{registry.find(NAME).sha256[:4]} {Path(target).parent.name}")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    before = registry.find(NAME).sha256[:4]
    switch(registry, NAME, new.sha256, unix_ms=5)
    assert [each for each in seen if "stamps" not in each] == [f"{before} names"]


@pytest.mark.parametrize("harm", ["flip", "truncate", "missing", "magic"])
def test_a_damaged_version_is_never_switched_to(registry: ModelRegistry, two: tuple, harm: str) -> None:
    old, new = two
    content = new.path.read_bytes()
    new.path.unlink()
    damaged = {
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "truncate": content[: len(content) // 2],
        "magic": b"GGML" + content[4:],
    }
    if harm in damaged:
        new.path.write_bytes(damaged[harm])
    with pytest.raises((DigestMismatch, ModelFileInvalid)):
        switch(registry, NAME, new.sha256, unix_ms=5)
    assert registry.load(NAME).card.digest == old.digest


def test_a_pinned_name_is_not_moved(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    pin(registry, NAME, on=True)
    with pytest.raises(ModelPinned, match=old.sha256):
        switch(registry, NAME, new.sha256, unix_ms=5)
    pin(registry, NAME, on=False)
    switch(registry, NAME, new.sha256, unix_ms=5)
    pin(registry, NAME, on=True)
    with pytest.raises(ModelPinned):
        rollback(registry, NAME, unix_ms=6)
    assert registry.find(NAME).sha256 == new.sha256


def test_one_that_waited_is_found_by_its_whole_digest_and_no_other_names_file_is(
    registry: ModelRegistry, two: tuple
) -> None:
    _, new = two
    third, fourth = tiny_model(name="Three."), tiny_model(name="Four.")
    (registry.folder / "fetched").write_bytes(third)
    facts = Facts(license="", origin="", unix_ms=1)
    registry.install_beside(registry.folder / "fetched", name=NAME, sha256=digest(third), facts=facts)
    assert version(registry, NAME, new.sha256).sha256 == new.sha256
    with pytest.raises(VersionUnknown):
        version(registry, NAME, new.sha256[:12])
    install(registry, "another", fourth)
    with pytest.raises(VersionUnknown):
        version(registry, NAME, digest(fourth))
    registry.add_name(new.sha256, name="another", facts=facts)
    with pytest.raises(VersionUnknown):
        version(registry, NAME, new.sha256)


def test_unknown_versions_are_told(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    assert version(registry, NAME, f"sha256:{old.sha256[:10]}").sha256 == old.sha256
    for wrong in ("ffff" * 16, "", "sha256:"):
        if not wrong:
            switch(registry, NAME, new.sha256, unix_ms=5)  # nothing waits any more
        with pytest.raises(VersionUnknown):
            version(registry, NAME, wrong)
    with pytest.raises(ModelUnknown):
        switch(registry, "other", new.sha256, unix_ms=5)
    with pytest.raises(ModelNotInstalled):
        switch(registry, NAME, "0" * 64, unix_ms=5)


def test_collection_keeps_what_serves_waits_and_is_gone_back_to(registry: ModelRegistry, two: tuple) -> None:
    one, second = two
    assert collect(registry, remove=True).unneeded == ()
    switch(registry, NAME, second.sha256, unix_ms=5)
    third = beside(registry, tiny_model(name="Six."))
    switch(registry, NAME, third.sha256, unix_ms=6)
    fourth = beside(registry, tiny_model(name="Ten."))
    told = collect(registry, remove=False)
    assert [(each.path, each.size_bytes) for each in told.unneeded] == [(one.path, one.size_bytes)]
    assert one.path.exists(), "a dry run removes nothing"
    assert collect(registry, remove=True).size_bytes == one.size_bytes
    assert [one.path.exists(), second.path.exists(), third.path.exists(), fourth.path.exists()] == [False, *[True] * 3]
    assert registry.state(NAME).earlier == (second.sha256,)
    assert len(collect(registry, remove=True, rollbacks=True).unneeded) == 2
    assert registry.load(NAME).card.digest == third.digest
    assert registry.state(NAME).held == {third.sha256}


def test_what_was_found_of_a_version_goes_with_it(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    pair = {"old_sha256": old.sha256, "new_sha256": new.sha256}
    keep_record(registry.folder, CanaryRecord(name=NAME, verdict="undecided", passes=False, **pair))
    keep_live(registry.folder, **pair, pair=LivePair(alike=True, old_chance=None))
    collect(registry, remove=True)
    collect(registry, remove=False, rollbacks=True)
    assert read_record(registry.folder, **pair) is not None
    assert read_live(registry.folder, **pair)
    collect(registry, remove=True, rollbacks=True)
    assert read_record(registry.folder, **pair) is None
    assert read_live(registry.folder, **pair) == []


def test_a_version_that_is_not_here_is_said_plainly(registry: ModelRegistry) -> None:
    install(registry, "lonely")
    with pytest.raises(VersionUnknown, match="'lonely' has no version that waits here"):
        version(registry, "lonely")
    with pytest.raises(VersionUnknown, match="'lonely' has no version 'abc' here"):
        version(registry, "lonely", "abc")


def test_collection_leaves_alone_what_a_gateway_runs(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    switch(registry, NAME, new.sha256, unix_ms=5)
    hold = Hold(old.path)
    found = collect(registry, remove=True, rollbacks=True)
    assert found.in_use == (old.path,)
    assert old.path.exists()
    hold.close()
    assert collect(registry, remove=True, rollbacks=True).size_bytes == old.size_bytes
    assert not old.path.exists()
    Hold(old.path).close()  # what is not there is not held


def test_who_looks_whether_it_is_held_keeps_nobody_from_holding_it(
    registry: ModelRegistry, two: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, flock = two[0], fcntl.flock
    switch(registry, NAME, two[1].sha256, unix_ms=5)
    with old.path.open("rb") as looking:
        flock(looking, fcntl.LOCK_EX)

        def waits(descriptor: int, how: int) -> None:
            if not how & fcntl.LOCK_NB:  # until the other one has seen enough
                flock(looking, fcntl.LOCK_UN)
            flock(descriptor, how)

        monkeypatch.setattr(fcntl, "flock", waits)
        hold = Hold(old.path)
    monkeypatch.undo()
    assert collect(registry, remove=True, rollbacks=True).in_use == (old.path,)
    hold.close()


def test_collection_takes_blobs_that_a_crash_left(registry: ModelRegistry, two: tuple) -> None:
    stray = registry.folder / "blobs" / f"sha256-{'a' * 64}.gguf"
    stray.write_bytes(b"x" * 10)
    (registry.folder / "blobs" / "README").write_text("mine")
    assert [each.path for each in collect(registry, remove=True).unneeded] == [stray]
    stray.write_bytes(b"x" * 10)
    (registry.folder / "manifests" / f"{'a' * 64}.json").write_text("{damaged")
    assert collect(registry, remove=True).unneeded == (), "whose manifest is damaged may be wanted"


def test_two_names_of_one_content_are_switched_apart(registry: ModelRegistry, two: tuple) -> None:
    old, new = two
    registry.add_name(old.sha256, name="mine", facts=Facts(license="MIT", origin="test", unix_ms=3))
    switch(registry, NAME, new.sha256, unix_ms=5)
    assert registry.find("mine").sha256 == old.sha256
    assert collect(registry, remove=True, rollbacks=True).unneeded == ()
    assert registry.remove("mine") == 0, "it is the version before of the other name"
    assert registry.remove(NAME) == old.size_bytes + new.size_bytes


def test_a_folder_of_an_earlier_freehold_is_read(registry: ModelRegistry, two: tuple) -> None:
    """Names were in the manifests alone."""
    old, _ = two
    for each in registry.names.folder.glob("*.json"):
        each.unlink()
    assert registry.find(NAME).sha256 == old.sha256
    assert registry.find(NAME).names == (NAME,)
    assert [each.name for each in registry.installed()] == [NAME]


@pytest.mark.parametrize(
    "content", ["{", json.dumps({"name": "other", "sha256": "a" * 64}), json.dumps({"name": NAME, "sha256": "../x"})]
)
def test_a_damaged_name_leads_nowhere(registry: ModelRegistry, two: tuple, content: str) -> None:
    """Not to the version that it led to first: somebody has switched away from that."""
    _, new = two
    switch(registry, NAME, new.sha256, unix_ms=5)
    path = next(registry.names.folder.glob("*.json"))
    path.write_text(content)
    assert registry.find(NAME) is None
    assert registry.damaged() == (path,)
    assert registry.installed() == ()


def test_names_are_the_owners_alone(registry: ModelRegistry, two: tuple) -> None:
    assert Path(registry.names.folder).stat().st_mode & 0o077 == 0
