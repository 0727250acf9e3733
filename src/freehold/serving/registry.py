"""What models are on this machine: files named by their content, one manifest each, and the names that lead to them.

::

    blobs/sha256-DIGEST.gguf      the file, read-only; .onnx and .json for an ONNX model and its tokenizer, .e5 for a
                                  packed file
    manifests/DIGEST.json         its licence, origin, size
    names/…json                   where a name leads, led before, and may be switched to
    signatures/…note              signed words on a content by a name
    stamps/…json                  digests of files in their present state
    partial/DIGEST.partial        what a pull has fetched so far
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from freehold.domain.errors.model import DigestMismatch, ModelError, ModelFileInvalid, ModelNotInstalled, ModelUnknown
from freehold.domain.errors.model_versions import ModelInUse, ModelPinned
from freehold.serving.catalogue import Catalogue, load_catalogue
from freehold.serving.checked_files import CheckedFiles
from freehold.serving.digests import sync_folder
from freehold.serving.gguf import read_header
from freehold.serving.installed import InstalledModel, VerifiedModel, VerifiedOnnx, VerifiedTagger, VerifiedText
from freehold.serving.manifests import Facts, Manifest, Shelf, suffix_of
from freehold.serving.names import NameBook, NameState
from freehold.serving.reference import FilePath, HubReference, parse_reference
from freehold.serving.signed import EverybodyTrusted, Signatures, Trust, manifest_text

_VERSION: Final = re.compile(r"(.+)@sha256:([0-9a-f]{64})", re.DOTALL)
"""A name with the digest that is meant, whatever the name leads to by then."""


class ModelRegistry:
    """The models folder. Methods read and write files; ``verify`` and ``load`` may read gigabytes.

    Args:
        folder: Created when something is installed; the owner's alone.
        catalogue: Names to suggest; the one that comes with Freehold by default.

    Attributes:
        folder: As above.
        shelf: Contents, and what is known of each.
        names: Where names lead.
        signatures: Signed words on models.
        trust: Whose count; nobody's, and none is asked for, until somebody says so.
    """

    def __init__(self, folder: Path, *, catalogue: Catalogue | None = None) -> None:
        self.folder = folder
        self._catalogue = catalogue
        self.shelf = Shelf(folder)
        self.names = NameBook(folder / "names")
        self.signatures = Signatures(folder / "signatures")
        self.trust: Trust = EverybodyTrusted()

    @property
    def catalogue(self) -> Catalogue:
        """Names that can be pulled."""
        return self._catalogue or load_catalogue()

    def installed(self) -> tuple[InstalledModel, ...]:
        """All models that serve under some name, each under its first name, by name."""
        models = [self._view(manifest, "") for manifest in self.shelf.all()]
        named = [replace(model, name=model.names[0]) for model in models if model.names]
        return tuple(sorted(named, key=lambda model: model.name))

    def find(self, name: str) -> InstalledModel | None:
        """The model installed under ``name``, or ``None``. Its file may still be damaged: see ``verify``.

        ``NAME@sha256:DIGEST`` is that very version, whatever the name leads to; also one that does not serve.
        """
        match = _VERSION.fullmatch(name)
        if match is not None:
            manifest = self.shelf.read(match[2])
            return None if manifest is None else self._view(manifest, name)
        state = self.state(name)
        manifest = None if state is None else self.shelf.read(state.sha256)
        return None if manifest is None else self._view(manifest, name)

    def resolve(self, reference: str) -> InstalledModel:
        """The model of a reference: an installed name, ``hf:OWNER/REPO/FILE.gguf`` or the path of a file.

        Raises:
            ModelUnknown: There is no such name.
            ModelNotInstalled: It could be pulled, but is not here.
            ModelFileInvalid: The path does not lead to a readable file.
        """
        if (found := self.find(reference)) is not None:
            return found
        if _VERSION.fullmatch(reference) is not None:
            raise ModelNotInstalled(name=reference)
        parsed = parse_reference(reference)
        if isinstance(parsed, FilePath):
            return self._own_file(parsed)
        raise self.missing(reference)

    def missing(self, name: str) -> ModelError:
        """What is to be said of a name that leads to nothing here: it can be pulled, or there is no such model."""
        is_hub = isinstance(parse_reference(name), HubReference)
        if is_hub or name in self.catalogue.entries or _VERSION.fullmatch(name) is not None:
            return ModelNotInstalled(name=name)
        installed = tuple(name for model in self.installed() for name in model.names)
        return ModelUnknown(name=name, suggestion=self.catalogue.suggestion(name, others=installed))

    def verify(self, model: InstalledModel, *, fresh: bool = False) -> None:
        """Check that the file still has its digest; read whole only if it changed since the last time.

        Args:
            model: Which.
            fresh: Read it whole in any case.

        Raises:
            DigestMismatch: It has another one.
            ModelFileInvalid: It cannot be read.
        """
        for path, expected in model.files.items():
            try:
                found = self.shelf.digests.digest(path, fresh=fresh)
            except OSError as error:
                raise ModelFileInvalid(path=str(path), reason=f"it cannot be read ({error.strerror})") from error
            if found != expected:
                raise DigestMismatch(name=model.name, found=found, expected=expected)

    def check_signed(self, model: InstalledModel) -> None:
        """Hold a model against the signature that came with it, by the word of those who are trusted.

        Raises:
            SignatureWrong: Somebody trusted has signed something else.
            SignatureMissing: Nobody trusted has signed it, and that is asked for.
        """
        name = _base(model.name)
        manifest = self.shelf.read(model.sha256)
        if manifest is None:  # a file of the user's own: there is no manifest to sign
            self.trust.check("", "", name=name)
            return
        note = self.signatures.read(name, model.sha256)
        self.trust.check(manifest_text(manifest, name), note, name=name)

    def checked_files(self, model: InstalledModel, *, of: str) -> CheckedFiles:
        """The files of a model that was verified, to be looked at before each start of the engine ``of`` a deployment.

        Its signature, too, by who is trusted then.
        """
        return CheckedFiles(
            model.files, digests=self.shelf.digests, deployment=of, vouched=lambda: self.check_signed(model)
        )

    def load(self, reference: str) -> VerifiedModel:
        """Resolve, verify and read the header: what must precede every start of an engine.

        Raises:
            ModelError: As ``resolve``, ``verify`` and ``check_signed``.
        """
        model = self.resolve(reference)
        if model.tokenizer is not None:
            raise ModelFileInvalid(path=reference, reason='it is an ONNX model; set engine = "onnx"')
        if model.packed:
            raise ModelFileInvalid(path=reference, reason="it is no GGUF file; the vault uses it, and no deployment")
        self.verify(model)
        self.check_signed(model)
        return VerifiedModel(model=model, header=read_header(model.path))

    def load_onnx(self, reference: str) -> VerifiedOnnx:
        """The same for a model that the engine ``onnx`` runs: one of the catalogue.

        Raises:
            ModelError: As ``resolve``, ``verify`` and ``check_signed``.
        """
        model = self.resolve(reference)
        entry = self.catalogue.entries.get(reference)
        if model.tokenizer is None or entry is None or entry.onnx is None or entry.onnx.labels:
            entries = self.catalogue.entries.items()
            known = ", ".join(name for name, each in entries if each.onnx is not None and not each.onnx.labels)
            raise ModelFileInvalid(path=reference, reason=f"engine onnx runs these models of the catalogue: {known}")
        self.verify(model)
        self.check_signed(model)
        return VerifiedOnnx(model=model, tokenizer=model.tokenizer, entry=entry, pooling=entry.onnx.pooling)

    def load_tagger(self, name: str) -> VerifiedTagger:
        """The same for a model of the catalogue that marks names in texts, which no deployment serves.

        Raises:
            ModelError: As ``resolve``, ``verify`` and ``check_signed``.
        """
        model = self.resolve(name)
        entry = self.catalogue.entries.get(name)
        if model.tokenizer is None or entry is None or entry.onnx is None or not entry.onnx.labels:
            raise ModelFileInvalid(path=name, reason="it is no model that marks names in texts")
        self.verify(model)
        self.check_signed(model)
        return VerifiedTagger(model=model, tokenizer=model.tokenizer, labels=entry.onnx.labels)

    def load_text(self, name: str) -> VerifiedText:
        """The same for a model of the catalogue that embeds or ranks for the vault.

        Raises:
            ModelError: As ``resolve``, ``verify`` and ``check_signed``.
        """
        model = self.resolve(name)
        entry = self.catalogue.entries.get(name)
        fits = entry is not None and (entry.embeds or entry.reranks)
        if entry is None or not fits or (model.tokenizer is None and not model.packed):
            raise ModelFileInvalid(path=name, reason="the vault can use no file of its form")
        self.verify(model)
        self.check_signed(model)
        return VerifiedText(model=model, entry=entry)

    def remove(self, name: str) -> int:
        """Remove a name with its versions, and each file with its last name; bytes that became free.

        Raises:
            ModelNotInstalled: It is not here; ``ModelUnknown`` where it cannot be had, either.
            ModelInUse: A gateway of this machine runs a file of it that no other name keeps. Nothing was removed.
        """
        with self.names.changing():
            mine = [each for each in self.shelf.all() if name in each.names]
            state = self.state(name)
            if state is None:
                raise self.missing(name)
            wanted = {state.sha256, state.waiting, *state.earlier}
            alone = wanted - self._held(but=name)
            if any(each.sha256 in alone and self.shelf.in_use(each) for each in self.shelf.all()):
                raise ModelInUse(name=name)
            self.names.remove(name)
            for manifest in mine:
                self.shelf.write(replace(manifest, names=tuple(each for each in manifest.names if each != name)))
            held = self._held()
            gone = [each for each in self.shelf.all() if each.sha256 in wanted and each.sha256 not in held]
            return sum(map(self.shelf.drop, gone))

    def install(
        self, fetched: Path, *, name: str, sha256: str, facts: Facts, tokenizer: Path | None = None
    ) -> InstalledModel:
        """Take over a complete file whose digest was just found to be ``sha256``, under ``name``.

        The header must have been read; the rename is atomic and durable, and replaces a damaged file of that digest.
        An ONNX model brings its tokenizer, whose digest in ``facts`` was found too.

        Raises:
            ModelPinned: The name is pinned to another content.
        """
        with self.names.changing():  # the garbage collection must not meet a file that nothing leads to yet
            self._place(fetched, sha256=sha256, facts=facts, tokenizer=tokenizer)
            return self._named(sha256, name=name, facts=facts)

    def install_beside(self, fetched: Path, *, name: str, sha256: str, facts: Facts) -> InstalledModel:
        """The same for a newer GGUF file of a name that is here: it waits, what serves goes on serving.

        Raises:
            ModelError: There is no such name; see ``missing``.
        """
        with self.names.changing():
            self._place(fetched, sha256=sha256, facts=facts)
            return self._waiting(sha256, name=name, facts=facts)

    def _place(self, fetched: Path, *, sha256: str, facts: Facts, tokenizer: Path | None = None) -> None:
        """Move a file whose digest was just found to its place; nothing leads to it yet."""
        suffix = suffix_of(with_tokenizer=tokenizer is not None, packed=facts.packed)
        files = [(fetched, self.shelf.blob_path(sha256, suffix=suffix))]
        if tokenizer is not None:
            files.insert(0, (tokenizer, self.shelf.tokenizer_path(facts.tokenizer_sha256)))
        for source, blob in files:
            blob.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            source.chmod(0o400)
            source.replace(blob)
            sync_folder(blob.parent)

    def add_name(self, sha256: str, *, name: str, facts: Facts) -> InstalledModel:
        """Give a content that is here one more name; a name that led elsewhere leads here from now on.

        What it led to before stays as the version to go back to. What is known of a content's tokenizer and its form
        stays known.

        Raises:
            ModelPinned: The name is pinned to another one.
        """
        with self.names.changing():
            return self._named(sha256, name=name, facts=facts)

    def _named(self, sha256: str, *, name: str, facts: Facts) -> InstalledModel:
        state = self.state(name)
        if state is not None and state.pinned and state.sha256 != sha256:
            raise ModelPinned(name=name, digest=f"sha256:{state.sha256}")
        manifest = self._described(sha256, name=name, facts=facts)
        if state is None:
            state = NameState(name=name, sha256=sha256, changed_unix_ms=facts.unix_ms)
        self.names.write(state.led_to(sha256, unix_ms=facts.unix_ms))
        return self._view(manifest, name)

    def add_waiting(self, sha256: str, *, name: str, facts: Facts) -> InstalledModel:
        """Keep a content that is here as the version that ``name`` could be switched to; it does not serve.

        Raises:
            ModelError: There is no such name; see ``missing``.
        """
        with self.names.changing():
            return self._waiting(sha256, name=name, facts=facts)

    def _waiting(self, sha256: str, *, name: str, facts: Facts) -> InstalledModel:
        state = self.state(name)
        if state is None:
            raise self.missing(name)
        manifest = self._described(sha256, name="", facts=facts)
        self.names.write(replace(state, waiting="" if sha256 == state.sha256 else sha256))
        return self._view(manifest, f"{name}@sha256:{sha256}")

    def state(self, name: str) -> NameState | None:
        """Where a name leads; ``None`` for one that leads nowhere."""
        if (found := self.names.read(name)) is not None:
            return found if self.shelf.read(found.sha256) is not None else None
        if self.names.knows(name):
            return None  # damaged: what the name led to first may be another version than the one that was chosen
        for manifest in self.shelf.all():
            if name in manifest.names:
                return NameState(name=name, sha256=manifest.sha256, changed_unix_ms=manifest.pulled_unix_ms)
        return None

    def states(self) -> list[NameState]:
        """Where each name leads, by name."""
        found = {each.name: each for each in self.names.all()}
        for manifest in self.shelf.all():
            for name in manifest.names:
                if name not in found and self.names.knows(name):
                    continue
                state = NameState(name=name, sha256=manifest.sha256, changed_unix_ms=manifest.pulled_unix_ms)
                found.setdefault(name, state)
        return sorted(found.values(), key=lambda each: each.name)

    def blob_path(self, sha256: str, *, suffix: str = ".gguf") -> Path:
        """Where the file of a digest is or will be; named by us, never by an upstream."""
        return self.shelf.blob_path(sha256, suffix=suffix)

    def damaged(self) -> tuple[Path, ...]:
        """Manifests and names that cannot be read; "freehold doctor" shows them, everything else passes over them."""
        return (*self.shelf.damaged(), *self.names.damaged())

    def _held(self, *, but: str = "") -> set[str]:
        """Digests that some name needs, or may go back to; of all names but one."""
        names = (state for state in self.states() if state.name != but)
        return {digest for state in names for digest in (state.sha256, state.waiting, *state.earlier)}

    def _described(self, sha256: str, *, name: str, facts: Facts) -> Manifest:
        """Write what is known of a content that is here."""
        known = self.shelf.read(sha256)
        names = known.names if known is not None else ()
        tokenizer_sha256 = facts.tokenizer_sha256 or (known.tokenizer_sha256 if known is not None else "")
        packed = facts.packed or (known is not None and known.packed)
        suffix = suffix_of(with_tokenizer=bool(tokenizer_sha256), packed=packed)
        manifest = Manifest(
            sha256=sha256,
            size_bytes=self.shelf.blob_path(sha256, suffix=suffix).stat().st_size,
            names=names if name in {"", *names} else (*names, name),
            license=facts.license,
            origin=facts.origin,
            pulled_unix_ms=facts.unix_ms,
            tokenizer_sha256=tokenizer_sha256,
            packed=packed,
        )
        self.shelf.write(manifest)
        return manifest

    def _own_file(self, reference: FilePath) -> InstalledModel:
        path = Path(reference.path).expanduser().absolute()
        header = read_header(path)
        try:
            digest = self.shelf.digests.digest(path)
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

    def _view(self, manifest: Manifest, name: str) -> InstalledModel:
        return InstalledModel(
            name=name,
            path=self.shelf.model_path(manifest),
            sha256=manifest.sha256,
            size_bytes=manifest.size_bytes,
            license=manifest.license,
            origin=manifest.origin,
            pulled_unix_ms=manifest.pulled_unix_ms,
            names=tuple(self._names_of(manifest)),
            tokenizer=self.shelf.tokenizer_path(manifest.tokenizer_sha256) if manifest.tokenizer_sha256 else None,
            tokenizer_sha256=manifest.tokenizer_sha256,
            packed=manifest.packed,
        )

    def _names_of(self, manifest: Manifest) -> list[str]:
        """The names that lead to a content, in the order in which it got them."""
        led = [state.name for state in self.states() if state.sha256 == manifest.sha256]
        order = {name: place for place, name in enumerate(manifest.names)}
        return sorted(led, key=lambda name: (order.get(name, len(order)), name))


def _base(name: str) -> str:
    """The name of a version."""
    match = _VERSION.fullmatch(name)
    return name if match is None else match[1]
