"""The models folder: content addresses, names, verification, removal, references."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from freehold.domain.errors.model import DigestMismatch, ModelFileInvalid, ModelNotInstalled, ModelUnknown
from freehold.domain.errors.model_versions import ModelInUse
from freehold.serving import digests
from freehold.serving.manifests import Facts, Hold
from freehold.serving.registry import InstalledModel, ModelRegistry
from tests.support.gguf_files import tiny_model


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def install(registry: ModelRegistry, name: str, content: bytes | None = None) -> InstalledModel:
    content = tiny_model() if content is None else content
    registry.folder.mkdir(parents=True, exist_ok=True)
    fetched = registry.folder / "fetched"
    fetched.write_bytes(content)
    return registry.install(
        fetched, name=name, sha256=digest(content), facts=Facts(license="MIT", origin="test", unix_ms=1_700_000_000_000)
    )


def rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def test_installed_model_is_found_verified_and_loaded(registry: ModelRegistry) -> None:
    content = tiny_model()
    model = install(registry, "smollm2-135m", content)
    assert model.path == registry.folder / "blobs" / f"sha256-{digest(content)}.gguf"
    assert stat.S_IMODE(model.path.stat().st_mode) == 0o400
    assert registry.find("smollm2-135m") == model
    assert registry.installed() == (model,)
    verified = registry.load("smollm2-135m")
    assert verified.card.digest == f"sha256:{digest(content)}"
    assert verified.card.context_tokens == 2048
    assert verified.card.infill
    assert verified.card.license == "MIT"


def test_nothing_is_created_by_looking(registry: ModelRegistry) -> None:
    assert registry.installed() == ()
    assert registry.find("x") is None
    assert registry.damaged() == ()
    assert not registry.folder.exists()


def test_changed_content_is_refused_before_loading(registry: ModelRegistry) -> None:
    model = install(registry, "smollm2-135m")
    registry.load("smollm2-135m")
    flipped = bytearray(model.path.read_bytes())
    flipped[-1] ^= 1
    rewrite(model.path, bytes(flipped))
    with pytest.raises(DigestMismatch) as caught:
        registry.load("smollm2-135m")
    assert "--repair" in str(caught.value)


def test_exchanged_file_with_old_times_is_read_again(registry: ModelRegistry) -> None:
    """Size and modification time can be forged; the change time and the inode cannot."""
    model = install(registry, "smollm2-135m")
    registry.load("smollm2-135m")
    before = model.path.stat()
    other = registry.folder / "other"
    other.write_bytes(tiny_model(name="Evil"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(model.path)
    assert model.path.stat().st_size == before.st_size
    with pytest.raises(DigestMismatch):
        registry.load("smollm2-135m")


def test_unchanged_file_is_read_once(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    install(registry, "smollm2-135m")
    registry.load("smollm2-135m")
    reads: list[Path] = []

    def counting(path: Path) -> str:
        reads.append(path)
        return digest(path.read_bytes())

    monkeypatch.setattr(digests, "sha256_of", counting)
    model = registry.load("smollm2-135m").model
    ModelRegistry(registry.folder).load("smollm2-135m")
    assert reads == []
    registry.verify(model, fresh=True)
    assert reads == [model.path]


def test_missing_file_is_named(registry: ModelRegistry) -> None:
    model = install(registry, "smollm2-135m")
    model.path.unlink()
    with pytest.raises(ModelFileInvalid, match="cannot be read"):
        registry.load("smollm2-135m")


def test_two_names_share_one_file_and_the_last_removes_it(registry: ModelRegistry) -> None:
    first = install(registry, "a-name")
    second = registry.add_name(first.sha256, name="b-name", facts=Facts(license="MIT", origin="test", unix_ms=1))
    assert second.path == first.path
    assert second.names == ("a-name", "b-name")
    assert registry.remove("a-name") == 0
    assert registry.find("a-name") is None
    assert registry.remove("b-name") == first.size_bytes
    assert not first.path.exists()
    assert registry.installed() == ()
    with pytest.raises(ModelUnknown):
        registry.remove("b-name")


def test_what_a_gateway_runs_is_removed_only_where_another_name_keeps_it(registry: ModelRegistry) -> None:
    first = install(registry, "a-name")
    registry.add_name(first.sha256, name="b-name", facts=Facts(license="MIT", origin="test", unix_ms=1))
    hold = Hold(first.path)
    assert registry.remove("a-name") == 0
    with pytest.raises(ModelInUse, match="'b-name' is used by a running server"):
        registry.remove("b-name")
    assert registry.find("b-name") is not None
    assert first.path.exists()
    hold.close()
    assert registry.remove("b-name") == first.size_bytes


def test_a_name_leads_to_one_content(registry: ModelRegistry) -> None:
    old = install(registry, "name", tiny_model(name="One."))
    new = install(registry, "name", tiny_model(name="Two."))
    assert registry.find("name") == new
    assert old.path.exists(), "the version before is kept: the garbage collection removes it"
    assert len(registry.installed()) == 1
    assert registry.remove("name") == old.size_bytes + new.size_bytes
    assert not old.path.exists()


def test_references(registry: ModelRegistry, tmp_path: Path) -> None:
    install(registry, "hf:o/r/f.gguf")
    assert registry.resolve("hf:o/r/f.gguf").name == "hf:o/r/f.gguf"
    with pytest.raises(ModelNotInstalled):
        registry.resolve("hf:o/r/other.gguf")
    with pytest.raises(ModelNotInstalled):
        registry.resolve("smollm2-135m")
    with pytest.raises(ModelUnknown, match="did you mean smollm2-135m"):
        registry.resolve("smolm2-135m")
    own = tmp_path / "own.gguf"
    own.write_bytes(tiny_model(name="Own."))
    found = registry.load(str(own))
    assert found.model.origin == "file"
    assert found.model.path == own
    assert found.model.license == "apache-2.0"
    assert registry.installed()[0].name != "own"
    with pytest.raises(ModelFileInvalid):
        registry.resolve(str(tmp_path / "missing.gguf"))


def test_damaged_manifest_is_passed_over_and_shown(registry: ModelRegistry) -> None:
    install(registry, "whole")
    bad = registry.folder / "manifests" / ("0" * 64 + ".json")
    for content in (b"{", b"[]", b'{"sha256": "' + b"1" * 64 + b'"}', b"\xff"):
        bad.write_bytes(content)
        assert [model.name for model in registry.installed()] == ["whole"]
        assert registry.damaged() == (bad,)


def test_a_manifest_cannot_point_elsewhere(registry: ModelRegistry) -> None:
    model = install(registry, "whole")
    manifest = next((registry.folder / "manifests").iterdir())
    manifest.write_bytes(manifest.read_bytes().replace(model.sha256.encode(), b"../../../../etc/passwd"))
    assert registry.find("whole") is None


@pytest.mark.parametrize("sha256", ["", "../x", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_make_file_names(registry: ModelRegistry, sha256: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        registry.blob_path(sha256)


def test_a_damaged_stamp_costs_one_reading_only(registry: ModelRegistry) -> None:
    install(registry, "x")
    registry.load("x")
    for stamp in (registry.folder / "stamps").iterdir():
        stamp.write_text("{")
    registry.load("x")
    assert "{" not in [stamp.read_text() for stamp in (registry.folder / "stamps").iterdir()]
