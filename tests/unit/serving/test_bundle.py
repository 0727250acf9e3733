"""Bundles: what goes in comes out, and whatever else a stranger writes is refused with nothing kept."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.model_versions import BundleExists, BundleImpossible, BundleInvalid, ModelPinned
from freehold.serving.archive import ArchiveError, ArchiveReader, ArchiveWriter
from freehold.serving.bundle import Extra, Imported, export, import_bundle
from freehold.serving.bundle_manifest import FORM, BundleManifest
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from freehold.serving.versions import pin
from tests.support.gguf_files import tiny_model
from tests.unit.serving.test_registry import digest, install

ABOUT = BundleManifest(
    form=FORM, created_unix_ms=1, freehold="0", python="3.11", platform="x", wheels_from="y", models=(), files=()
)


@pytest.fixture
def source(tmp_path: Path) -> ModelRegistry:
    registry = ModelRegistry(tmp_path / "source" / "models")
    install(registry, "tiny", tiny_model())
    install(registry, "hf:o/r/f.gguf", tiny_model(name="Two."))
    return registry


@pytest.fixture
def bundle(source: ModelRegistry, tmp_path: Path) -> Path:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"PK" + bytes(range(256)) * 9)
    long = f"wheels/a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.{'b' * 34}.whl"
    extras = [Extra(path="wheels/a-1-py3-none-any.whl", file=wheel), Extra(path=long, file=wheel)]
    export(source, ["tiny", "hf:o/r/f.gguf"], tmp_path / "b.tar", extras=extras, about=ABOUT)
    return tmp_path / "b.tar"


@pytest.mark.parametrize("replaces", [True, False])
def test_an_export_that_breaks_leaves_what_is_there_and_nothing_of_its_own(
    source: ModelRegistry, tmp_path: Path, *, replaces: bool
) -> None:
    """The last file that it announces is not what it was any more when its turn to be written comes."""
    out = tmp_path / "out"
    out.mkdir()
    if replaces:
        (out / "b.tar").write_bytes(b"before")
    sizes = _Shrinks(tmp_path / "wheel.whl")
    sizes.path.write_bytes(bytes(1_000_000))
    extras = [Extra(path="wheels/a-1-py3-none-any.whl", file=sizes.path)]
    with pytest.raises(BundleImpossible):
        export(source, ["tiny"], out / "b.tar", extras=extras, about=ABOUT, sign=sizes.sign, replaces=replaces)
    assert {each.name: each.read_bytes() for each in out.iterdir()} == ({"b.tar": b"before"} if replaces else {})


class _Shrinks:
    def __init__(self, path: Path) -> None:
        self.path = path

    def sign(self, text: str) -> str:
        """Called between what is announced and what is written."""
        self.path.write_bytes(bytes(10))
        return text


@pytest.mark.parametrize("links", [True, False])
def test_what_came_meanwhile_is_not_replaced(
    source: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    def comes(text: str) -> str:
        (tmp_path / "b.tar").write_bytes(b"somebody's")
        return text

    def refuses(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuses)
    with pytest.raises(BundleExists):
        export(source, ["tiny"], tmp_path / "b.tar", extras=[], about=ABOUT, sign=comes)
    assert (tmp_path / "b.tar").read_bytes() == b"somebody's"
    export(source, ["tiny"], tmp_path / "c.tar", extras=[], about=ABOUT)
    assert (tmp_path / "c.tar").stat().st_nlink == 1
    assert not list(tmp_path.glob(".*part"))


@pytest.fixture
def target(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "target" / "models")


def taken(bundle: Path, target: ModelRegistry, *, check: Callable[[str, str], None] = lambda _t, _n: None) -> Imported:
    return import_bundle(bundle, target, folder=target.folder.parent / "bundles", check=check, unix_ms=9)


def nothing_kept(target: ModelRegistry) -> bool:
    bundles = target.folder.parent / "bundles"
    return not target.installed() and not (bundles.exists() and list(bundles.iterdir())) and not target.states()


def test_what_goes_in_comes_out(bundle: Path, target: ModelRegistry) -> None:
    found = taken(bundle, target)
    assert found.serving == ("tiny", "hf:o/r/f.gguf")
    assert target.load("tiny").card.digest == f"sha256:{digest(tiny_model())}"
    assert target.load("hf:o/r/f.gguf").header.name == "Two."
    assert target.find("tiny").license == "MIT"
    assert sorted(each.name for each in found.folder.iterdir()) == ["bundle.json", "licences", "wheels"]
    assert taken(bundle, target).folder == found.folder, "once more changes nothing"
    with tarfile.open(bundle) as archive:
        assert archive.getnames()[0] == "bundle.json", "any tar reads it"


def test_a_name_that_serves_another_version_goes_on_serving_it(bundle: Path, target: ModelRegistry) -> None:
    old = install(target, "tiny", tiny_model(name="Old."))
    found = taken(bundle, target)
    assert (found.serving, found.waiting) == (("hf:o/r/f.gguf",), ("tiny",))
    assert target.find("tiny").sha256 == old.sha256
    assert target.state("tiny").waiting == digest(tiny_model())


def test_the_signature_is_decided_on_before_anything_else_is_read(bundle: Path, target: ModelRegistry) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[:4_096] + b"\xff" * (len(content) - 4_096))

    def refuse(text: str, note: str) -> None:
        assert text.startswith("freehold-bundle 1\nsha256 ")
        assert note == ""
        raise PermissionError("not by us")

    with pytest.raises(BundleInvalid, match="not by us"):
        taken(bundle, target, check=refuse)
    assert nothing_kept(target)


@pytest.mark.parametrize("place", [0.0, 0.02, 0.3, 0.6, 0.999])
def test_every_flipped_bit_is_found(bundle: Path, target: ModelRegistry, place: float) -> None:
    content = bytearray(bundle.read_bytes())
    content[int(place * len(content))] ^= 0x10
    bundle.write_bytes(content)
    with pytest.raises(BundleInvalid):
        taken(bundle, target)
    assert nothing_kept(target)


@pytest.mark.parametrize("left", [0, 100, 512, 700, 5_000, -2_000, -1_024, -1])
def test_a_truncated_bundle_is_refused(bundle: Path, target: ModelRegistry, left: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:left])
    if left == -1:
        return  # one of the zeros of its end: tar pads as it likes
    with pytest.raises(BundleInvalid):
        taken(bundle, target)
    assert nothing_kept(target)


def made(members: list[tuple[tarfile.TarInfo | str, bytes]], manifest: dict | bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        note = f"{FORM}\nsha256 {hashlib.sha256(content).hexdigest()}\n".encode()
        for info, data in [("bundle.json", content), ("bundle.note", note), *members]:
            member = tarfile.TarInfo(info) if isinstance(info, str) else info
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def manifest_of(*files: tuple[str, bytes], models: list[dict] | None = None, **changes: object) -> dict:
    told = [{"path": path, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in files]
    base = {
        "form": FORM, "created_unix_ms": 1, "freehold": "0", "python": "", "platform": "", "wheels_from": "",
        "models": models or [], "files": told,
    }  # fmt: skip
    return {**base, **changes}


WHEEL = ("wheels/a-1-py3-none-any.whl", b"PK")


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


GGUF = b"GGUF" + b"\0" * 60
HOSTILE: dict[str, tuple[list, dict | bytes]] = {
    "path traversal announced": ([("../x.whl", b"PK")], manifest_of(("../x.whl", b"PK"))),
    "traversal below a folder": ([("wheels/../../x.whl", b"PK")], manifest_of(("wheels/../../x.whl", b"PK"))),
    "absolute path": ([("/etc/x.whl", b"PK")], manifest_of(("/etc/x.whl", b"PK"))),
    "traversal not announced": ([("../x.whl", b"PK"), WHEEL], manifest_of(WHEEL)),
    "symbolic link": ([(link(WHEEL[0], tarfile.SYMTYPE), b"")], manifest_of((WHEEL[0], b""))),
    "hard link": ([(link(WHEEL[0], tarfile.LNKTYPE), b"")], manifest_of((WHEEL[0], b""))),
    "device": ([(link(WHEEL[0], tarfile.CHRTYPE), b"")], manifest_of((WHEEL[0], b""))),
    "folder": ([(link("wheels", tarfile.DIRTYPE), b""), WHEEL], manifest_of(WHEEL)),
    "long name extension": ([("wheels/" + "a" * 120 + ".whl", b"PK")], manifest_of(WHEEL)),
    "not announced": ([WHEEL, ("wheels/b.whl", b"PK")], manifest_of(WHEEL)),
    "missing": ([], manifest_of(WHEEL)),
    "another order": ([WHEEL, ("sbom.json", b"{}")], manifest_of(("sbom.json", b"{}"), WHEEL)),
    "twice": ([WHEEL, WHEEL], manifest_of(WHEEL, WHEEL)),
    "wrong digest": ([(WHEEL[0], b"KP")], manifest_of(WHEEL)),
    "longer": ([(WHEEL[0], b"PKK")], manifest_of(WHEEL)),
    "shorter": ([(WHEEL[0], b"P")], manifest_of(WHEEL)),
    "bomb": ([WHEEL], manifest_of(WHEEL, files=[{"path": WHEEL[0], "size_bytes": 1 << 50, "sha256": "a" * 64}])),
    "negative": ([WHEEL], manifest_of(WHEEL, files=[{"path": WHEEL[0], "size_bytes": -1, "sha256": "a" * 64}])),
    "program": ([("bin/sh", b"PK")], manifest_of(("bin/sh", b"PK"))),
    "other form": ([WHEEL], manifest_of(WHEEL, form="freehold-bundle 2")),
    "no JSON": ([WHEEL], b"{"),
    "manifest of the wrong shape": ([WHEEL], manifest_of(WHEEL, files=[[]])),
    "model by another digest": (
        [(f"models/sha256-{'a' * 64}.gguf", GGUF)],
        manifest_of((f"models/sha256-{'a' * 64}.gguf", GGUF)),
    ),
    "model without its file": ([WHEEL], manifest_of(WHEEL, models=[{"name": "m", "sha256": "a" * 64, "license": "", "origin": ""}])),
    "file of no model": (
        [(f"models/sha256-{digest(GGUF)}.gguf", GGUF)],
        manifest_of((f"models/sha256-{digest(GGUF)}.gguf", GGUF)),
    ),
    "right digest but no model": (
        [(f"models/sha256-{digest(GGUF)}.gguf", GGUF)],
        manifest_of(
            (f"models/sha256-{digest(GGUF)}.gguf", GGUF),
            models=[{"name": "m", "sha256": digest(GGUF), "license": "", "origin": ""}],
        ),
    ),
    "a text that controls a terminal": ([WHEEL], manifest_of(WHEEL, platform="\x1b]0;x\x07")),
    "a licence that does": (
        [(f"models/sha256-{digest(tiny_model())}.gguf", tiny_model())],
        manifest_of(
            (f"models/sha256-{digest(tiny_model())}.gguf", tiny_model()),
            models=[{"name": "m", "sha256": digest(tiny_model()), "license": "MIT\u202e", "origin": ""}],
        ),
    ),
    "another file by a name that Freehold knows": (
        [(f"models/sha256-{digest(GGUF)}.e5", GGUF)],
        manifest_of(
            (f"models/sha256-{digest(GGUF)}.e5", GGUF),
            models=[{"name": "multilingual-e5-small", "sha256": digest(GGUF), "license": "", "origin": "", "packed": True}],
        ),
    ),
    "model by a hostile name": (
        [(f"models/sha256-{digest(tiny_model())}.gguf", tiny_model())],
        manifest_of(
            (f"models/sha256-{digest(tiny_model())}.gguf", tiny_model()),
            models=[{"name": "../../x", "sha256": digest(tiny_model()), "license": "", "origin": ""}],
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_bundle_is_refused_and_nothing_of_it_kept(case: str, target: ModelRegistry, tmp_path: Path) -> None:
    bundle = tmp_path / "x.tar"
    bundle.write_bytes(made(*HOSTILE[case]))
    with pytest.raises(BundleInvalid):
        taken(bundle, target)
    assert nothing_kept(target)
    assert not (tmp_path / "x.whl").exists()


def test_the_hostile_cases_differ_from_a_right_one_in_one_thing(target: ModelRegistry, tmp_path: Path) -> None:
    bundle = tmp_path / "x.tar"
    model = (f"models/sha256-{digest(tiny_model())}.gguf", tiny_model())
    told = [{"name": "m", "sha256": digest(tiny_model()), "license": "", "origin": ""}]
    bundle.write_bytes(made([WHEEL, model], manifest_of(WHEEL, model, models=told)))
    assert taken(bundle, target).serving == ("m",)


def test_a_compressed_archive_is_none(bundle: Path, target: ModelRegistry) -> None:
    import gzip

    bundle.write_bytes(gzip.compress(bundle.read_bytes()))
    with pytest.raises(BundleInvalid):
        taken(bundle, target)


def test_what_is_larger_than_octal_digits_can_say_is_read(tmp_path: Path) -> None:
    """Twelve gigabytes of a sparse file: its header alone is looked at."""
    path = tmp_path / "large.tar"
    with path.open("wb") as stream:
        info = tarfile.TarInfo("models/x")
        info.size = 12 << 30
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
    with path.open("rb") as stream:
        reader = ArchiveReader(stream)
        assert reader.peek() == "models/x"
        with pytest.raises(ArchiveError, match="longer than it may be"):
            reader.read_bytes("models/x", most=1 << 20)


def test_a_file_that_changes_while_it_is_written_spoils_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    for size, right in ((2, b"ab"), (4, b"abc"), (3, b"abd")):
        writer = ArchiveWriter(io.BytesIO())
        with pytest.raises(ArchiveError, match="is not what it was"):
            writer.add_file("f", path, size_bytes=size, sha256=digest(right))


def test_what_is_known_of_a_model_that_is_here_stays_known(bundle: Path, target: ModelRegistry) -> None:
    """Whoever signed it signed that; and its form is how it is found."""
    install(target, "mine", tiny_model())
    before = target.shelf.read(digest(tiny_model()))
    target.signatures.keep("tiny", digest(tiny_model()), "signed")
    content = tiny_model()
    one = {"name": "tiny", "sha256": digest(content), "license": "else", "origin": "elsewhere", "note": "wrong"}
    path = f"models/sha256-{digest(content)}.gguf"
    bundle.write_bytes(made([(path, content)], manifest_of((path, content), models=[one])))
    taken(bundle, target)
    after = target.shelf.read(digest(content))
    assert (after.license, after.origin, after.packed) == (before.license, before.origin, False)
    assert target.signatures.read("tiny", digest(content)) == "signed"
    path = f"models/sha256-{digest(content)}.e5"
    bundle.write_bytes(made([(path, content)], manifest_of((path, content), models=[{**one, "packed": True}])))
    with pytest.raises(BundleInvalid, match="something else"):
        taken(bundle, target)
    assert target.load("mine").header


def test_a_pinned_name_is_moved_by_no_bundle_and_no_pull(target: ModelRegistry, tmp_path: Path) -> None:
    old, content = install(target, "words", tiny_model()), b"other"
    target.shelf.write(replace(target.shelf.read(old.sha256), packed=True))
    pin(target, "words", on=True)
    path = f"models/sha256-{digest(content)}.e5"
    one = {"name": "words", "sha256": digest(content), "license": "", "origin": "", "packed": True}
    (tmp_path / "b.tar").write_bytes(made([(path, content)], manifest_of((path, content), models=[one])))
    with pytest.raises(ModelPinned):
        taken(tmp_path / "b.tar", target)
    assert target.state("words").sha256 == old.sha256
    with pytest.raises(ModelPinned):
        target.add_name(digest(content), name="words", facts=Facts(license="", origin="", unix_ms=1))
