"""Bundles for machines without a network: models, wheels, licences and a list of both in one archive, checked whole.

On import everything lies aside until all of it was checked; models then come to their places one by one, each by a
rename, and the rest by one. An import that was interrupted is done again: what is in place already stays.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.model import DiskTooSmall, ModelFileInvalid
from freehold.domain.errors.model_versions import BundleExists, BundleImpossible, BundleInvalid, ModelPinned
from freehold.serving import bundle_manifest
from freehold.serving.archive import ArchiveError, ArchiveReader, ArchiveWriter
from freehold.serving.aside import aside
from freehold.serving.bundle_manifest import BundleFile, BundleManifest, BundleModel, paths_of
from freehold.serving.digests import sha256_of, sync_folder
from freehold.serving.gguf import read_header
from freehold.serving.manifests import Facts, Manifest
from freehold.serving.memory_words import size
from freehold.serving.registry import ModelRegistry

ASIDE = ".freehold-bundle-"
"""What folders beside a bundle are called while it is written."""

_MARGIN_BYTES = 64 << 20

Sign = Callable[[str], str]
"""The signed note of a text."""

Check = Callable[[str, str], None]
"""Holds a text against the note that came with it; raises what is to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A file besides the models: its place in the bundle, and where it is."""

    path: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import.

    Attributes:
        manifest: What the bundle says of itself.
        serving: Names that serve the bundle's version now, or did before.
        waiting: Names that serve another version; the bundle's waits.
        folder: Where wheels, licences and the list are.
    """

    manifest: BundleManifest
    serving: tuple[str, ...]
    waiting: tuple[str, ...]
    folder: Path


def export(
    registry: ModelRegistry,
    names: Sequence[str],
    target: Path,
    *,
    extras: Sequence[Extra],
    about: BundleManifest,
    sign: Sign | None = None,
    replaces: bool = False,
) -> BundleManifest:
    """Write a bundle; it is at ``target`` whole or not at all.

    Args:
        registry: Where the models are.
        names: Of the models; each in the version that serves.
        target: File to write.
        extras: Wheels, licences and the list.
        about: What the bundle says of itself besides models and files, which are filled in here.
        sign: Signs it; ``None`` for an unsigned one.
        replaces: Whether a file that is there is replaced.

    Raises:
        BundleExists: A file is there, also one that came meanwhile; it is as it was.
        ModelError: A model is not here or damaged.
        BundleImpossible: It cannot be written.
    """
    models = tuple(_model(registry, name) for name in names)
    files: dict[str, tuple[BundleFile, Path]] = {}
    for each in extras:
        announced = BundleFile(path=each.path, size_bytes=each.file.stat().st_size, sha256=sha256_of(each.file))
        files[each.path] = announced, each.file
    for manifest in models:
        for path in registry.shelf.files(manifest[1]):
            inside, digest = f"models/{path.name}", path.name[7:71]
            files[inside] = BundleFile(path=inside, size_bytes=path.stat().st_size, sha256=digest), path
    whole = BundleManifest(
        form=bundle_manifest.FORM,
        created_unix_ms=about.created_unix_ms,
        freehold=about.freehold,
        python=about.python,
        platform=about.platform,
        wheels_from=about.wheels_from,
        models=tuple(model for model, _ in models),
        files=tuple(announced for announced, _ in files.values()),
    )
    try:
        with aside(target.parent, ASIDE) as scratch:
            part = scratch / target.name
            with part.open("wb") as stream:
                _write(stream, whole, files, sign)
                stream.flush()
                os.fsync(stream.fileno())
            _put(part, target, replaces=replaces)
            sync_folder(target.parent)
    except FileExistsError as error:
        raise BundleExists(path=str(target)) from error
    except (OSError, ArchiveError) as error:
        raise BundleImpossible(reason=_reason(error)) from error
    return whole


def check_target(target: Path, *, replaces: bool) -> None:
    """See that a bundle may be written there, before any work is done for it.

    Raises:
        BundleExists: A file is there and may not be replaced.
        BundleImpossible: Something is there that is no file.
    """
    if target.is_file() or (target.is_symlink() and not target.exists()):
        if not replaces:
            raise BundleExists(path=str(target))
    elif target.exists():
        raise BundleImpossible(reason=f"{target} is there, and is no file")


def _put(part: Path, target: Path, *, replaces: bool) -> None:
    """Give what was written its name; raises ``FileExistsError`` where that is taken and nothing may be replaced."""
    if replaces:
        part.replace(target)
        return
    try:
        target.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError as error:  # sticks are formatted without links; nothing closes that gap there
        if os.path.lexists(target):
            raise FileExistsError from error
        part.replace(target)


def _reason(error: Exception) -> str:
    """Why, without numbers of the system and without the path, which the message has."""
    return getattr(error, "strerror", None) or str(error)


def _write(
    stream: BinaryIO, manifest: BundleManifest, files: dict[str, tuple[BundleFile, Path]], sign: Sign | None
) -> None:
    writer, content = ArchiveWriter(stream), bundle_manifest.encode(manifest)
    writer.add_bytes(bundle_manifest.MANIFEST, content)
    text = bundle_manifest.signed_text(content)
    writer.add_bytes(bundle_manifest.NOTE, (text if sign is None else sign(text)).encode())
    for announced, path in files.values():
        writer.add_file(announced.path, path, size_bytes=announced.size_bytes, sha256=announced.sha256)
    writer.end()


def _model(registry: ModelRegistry, name: str) -> tuple[BundleModel, Manifest]:
    model = registry.resolve(name)
    manifest = registry.shelf.read(model.sha256)
    if manifest is None or model.origin == "file":
        raise BundleImpossible(reason=f"{name} is a file of your own; only installed models are put into bundles")
    told = BundleModel(
        name=name,
        sha256=manifest.sha256,
        license=manifest.license,
        origin=manifest.origin,
        tokenizer_sha256=manifest.tokenizer_sha256,
        packed=manifest.packed,
        note=registry.signatures.read(name, manifest.sha256),
    )
    return told, manifest


def import_bundle(path: Path, registry: ModelRegistry, *, folder: Path, check: Check, unix_ms: int) -> Imported:
    """Take a bundle in, after all of it was checked.

    Args:
        path: The bundle.
        registry: Where its models go.
        folder: Where the rest goes, on the same disk as the models.
        check: Decides on its signature, before anything else of it is read.
        unix_ms: Date of the import.

    Raises:
        BundleInvalid: It is none, or not what it says. Nothing of it was kept.
        DiskTooSmall: It does not fit.
        ModelError: As ``check``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with aside(folder, ".import-") as scratch:
            content, manifest = _unpacked(path, registry, scratch, folder=folder, check=check)
            return _placed(manifest, registry, scratch, folder / hashlib.sha256(content).hexdigest()[:16], unix_ms)
    except ModelFileInvalid as error:
        raise BundleInvalid(path=str(path), reason=f"a model in it is none: {error.values['reason']}") from error
    except (ArchiveError, OSError, ValueError) as error:
        raise BundleInvalid(path=str(path), reason=_reason(error)) from error


def _unpacked(
    path: Path, registry: ModelRegistry, scratch: Path, *, folder: Path, check: Check
) -> tuple[bytes, BundleManifest]:
    """What a bundle says of itself, once all of it was checked and lies in ``scratch``."""
    with path.open("rb") as stream:
        reader = ArchiveReader(stream)
        content, manifest = _read_manifest(path, reader, check)
        for model in manifest.models:
            _check_beside(registry, model)
        _check_disk(path, folder, manifest)
        for name in ("models", "wheels", "licences"):
            (scratch / name).mkdir(mode=0o700)
        for each in manifest.files:
            reader.copy(each.path, scratch / each.path, size_bytes=each.size_bytes, sha256=each.sha256)
        reader.end()
    for model in manifest.models:
        if not model.packed and not model.tokenizer_sha256:
            read_header(scratch / paths_of(model)[0])
    (scratch / bundle_manifest.MANIFEST).write_bytes(content)
    return content, manifest


def _read_manifest(path: Path, reader: ArchiveReader, check: Check) -> tuple[bytes, BundleManifest]:
    content = reader.read_bytes(bundle_manifest.MANIFEST, most=bundle_manifest.MANIFEST_BYTES_MAX)
    raw = reader.read_bytes(bundle_manifest.NOTE, most=bundle_manifest.NOTE_BYTES_MAX)
    text, note = bundle_manifest.signed_text(content), raw.decode("utf-8", errors="replace")
    check(text, "" if note == text else note)
    if not note.startswith(text):
        raise ArchiveError("what it says of itself was changed since it was made")
    try:
        return content, bundle_manifest.decode(content, archive_bytes=reader.length_bytes)
    except FreeholdError as error:  # a model's name
        raise BundleInvalid(path=str(path), reason=error.message) from error


def _check_beside(registry: ModelRegistry, model: BundleModel) -> None:
    """See that a model changes nothing of what is here: not what is known of a content, and not what a name serves.

    A GGUF model waits where its name serves another version. Other forms cannot wait; of those that the program knows by
    name, only the very file that it knows is taken.

    Raises:
        ModelPinned: Its name is pinned to another version, and it could not wait.
        ValueError: It is not what is here by that digest, or by that name.
    """
    known, state = registry.shelf.read(model.sha256), registry.state(model.name)
    if known is not None and (known.tokenizer_sha256, known.packed) != (model.tokenizer_sha256, model.packed):
        raise ValueError(f"it holds {model.name} as something else than what is here by that digest")
    if not model.tokenizer_sha256 and not model.packed:
        return
    entry = registry.catalogue.entries.get(model.name)
    if entry is not None and entry.sha256 and entry.sha256 != model.sha256:
        raise ValueError(f"its {model.name} is not the file that Freehold knows by that name")
    if state is not None and state.pinned and state.sha256 != model.sha256:
        raise ModelPinned(name=model.name, digest=f"sha256:{state.sha256}")


def _check_disk(path: Path, folder: Path, manifest: BundleManifest) -> None:
    needs = sum(each.size_bytes for each in manifest.files) + _MARGIN_BYTES
    free = shutil.disk_usage(folder).free
    if needs > free:
        raise DiskTooSmall(name=path.name, needs=size(needs), free=size(free), path=str(folder))


def _placed(manifest: BundleManifest, registry: ModelRegistry, scratch: Path, rest: Path, unix_ms: int) -> Imported:
    """Put what was checked in its place."""
    serving: list[str] = []
    waiting: list[str] = []
    for model in manifest.models:
        (serving if _install(registry, model, scratch, unix_ms) else waiting).append(model.name)
        if model.note and not registry.signatures.read(model.name, model.sha256):
            registry.signatures.keep(model.name, model.sha256, model.note)
    if not rest.exists():
        shutil.rmtree(scratch / "models")
        scratch.rename(rest)
        sync_folder(rest.parent)
    return Imported(manifest=manifest, serving=tuple(serving), waiting=tuple(waiting), folder=rest)


def _install(registry: ModelRegistry, model: BundleModel, scratch: Path, unix_ms: int) -> bool:
    """Put one model in its place; whether its name serves it."""
    own, *beside = paths_of(model)
    tokenizer = scratch / beside[0] if beside else None
    state = registry.state(model.name)
    known = registry.shelf.read(model.sha256)
    told = model if known is None else known
    facts = Facts(
        license=told.license,
        origin=told.origin,
        unix_ms=unix_ms,
        tokenizer_sha256=model.tokenizer_sha256,
        packed=model.packed,
    )
    is_other = state is not None and state.sha256 != model.sha256
    if is_other and tokenizer is None and not model.packed:  # other forms change with the program's own catalogue
        registry.install_beside(scratch / own, name=model.name, sha256=model.sha256, facts=facts)
        return False
    registry.install(scratch / own, name=model.name, sha256=model.sha256, facts=facts, tokenizer=tokenizer)
    return True
