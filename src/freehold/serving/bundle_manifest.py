"""What a bundle says of itself: its first member, held against strict rules before anything else of it is read."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import msgspec

from freehold.serving.names import DIGEST
from freehold.serving.reference import HubReference, parse_reference

FORM: Final = "freehold-bundle 1"
MANIFEST: Final = "bundle.json"
NOTE: Final = "bundle.note"
MANIFEST_BYTES_MAX: Final = 4 << 20
NOTE_BYTES_MAX: Final = 1 << 16
_FILES_MAX: Final = 5_000
_PATH: Final = re.compile(
    r"models/sha256-[0-9a-f]{64}\.(?:gguf|onnx|json|e5)"
    r"|wheels/[A-Za-z0-9][A-Za-z0-9._+!-]{0,95}\.whl"
    r"|licences/[A-Za-z0-9][A-Za-z0-9._+-]{0,95}\.txt"
    r"|sbom\.json",
    re.ASCII,
)
_MODEL: Final = "models/sha256-"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One member, in the order in which they come."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleModel:
    """One model; fields as in its manifest. ``note`` is the signature on it, empty for none."""

    name: str
    sha256: str
    license: str
    origin: str
    tokenizer_sha256: str = ""
    packed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleManifest:
    """All of a bundle.

    Attributes:
        form: ``freehold-bundle 1``.
        created_unix_ms: When it was made.
        freehold: Version of the program that made it.
        python: Version of Python that its wheels are for, ``3.11``; empty where it has none.
        platform: What they are for besides, for example ``linux-x86_64``.
        wheels_from: How they came to be, for people.
        models: Its models.
        files: What follows, in this order.
    """

    form: str
    created_unix_ms: int
    freehold: str
    python: str
    platform: str
    wheels_from: str
    models: tuple[BundleModel, ...]
    files: tuple[BundleFile, ...]


def encode(manifest: BundleManifest) -> bytes:
    """The first member."""
    return msgspec.json.format(msgspec.json.encode(manifest))


def decode(content: bytes, *, archive_bytes: int) -> BundleManifest:
    """Read a first member.

    Args:
        content: The member.
        archive_bytes: Length of the archive: what is announced has to fit into it, since nothing is compressed.

    Raises:
        ValueError: It breaks a rule; the message says which.
    """
    try:
        manifest = msgspec.json.decode(content, type=BundleManifest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"what it says of itself cannot be read ({error})") from error
    if manifest.form != FORM:
        raise ValueError(f"it is of the form {manifest.form[:40]!r}; {FORM!r} is taken")
    if len(manifest.files) > _FILES_MAX:
        raise ValueError(f"it announces {len(manifest.files):,} files; {_FILES_MAX:,} are taken at most")
    _check_texts(manifest)
    _check_files(manifest, archive_bytes)
    _check_models(manifest)
    return manifest


def _check_texts(manifest: BundleManifest) -> None:
    """What is shown on a terminal later controls none."""
    own = (manifest.freehold, manifest.python, manifest.platform, manifest.wheels_from)
    for text in (*own, *(text for model in manifest.models for text in (model.license, model.origin))):
        if any(unicodedata.category(each)[0] == "C" and each not in "\n\t" for each in text):
            raise ValueError(f"it says {text[:40]!a}, in which there are characters that no text has")


def _check_files(manifest: BundleManifest, archive_bytes: int) -> None:
    seen: set[str] = set()
    total = 0
    for each in manifest.files:
        if not _PATH.fullmatch(each.path) or ".." in each.path:
            raise ValueError(f"it announces a file called {each.path[:100]!r}")
        if each.path in seen:
            raise ValueError(f"it announces {each.path} twice")
        if not DIGEST.fullmatch(each.sha256) or each.size_bytes < 0:
            raise ValueError(f"what it says of {each.path} is no digest or no size")
        if each.path.startswith(_MODEL) and each.path[len(_MODEL) :].partition(".")[0] != each.sha256:
            raise ValueError(f"{each.path} is announced with the digest of another file")
        seen.add(each.path)
        total += each.size_bytes
    if total > archive_bytes:
        raise ValueError("it announces more than it is long")


def _check_models(manifest: BundleManifest) -> None:
    there = {each.path for each in manifest.files}
    wanted: set[str] = set()
    names: set[str] = set()
    for model in manifest.models:
        reference = parse_reference(model.name)  # ModelUnknown is the caller's to translate
        if not isinstance(reference, (str, HubReference)) or model.name in names:
            raise ValueError(f"it holds a model called {model.name[:100]!r}, or two of that name")
        names.add(model.name)
        wanted |= set(paths_of(model))
        if len(model.note) > NOTE_BYTES_MAX:
            raise ValueError(f"the signature on {model.name} is too long")
    if missing := wanted - there:
        raise ValueError(f"it announces a model without its file {min(missing)}")
    if stray := {path for path in there if path.startswith(_MODEL)} - wanted:
        raise ValueError(f"{min(stray)} is of no model")


def paths_of(model: BundleModel) -> tuple[str, ...]:
    """A model's members.

    Raises:
        ValueError: A digest is none.
    """
    for digest in (model.sha256, model.tokenizer_sha256 or model.sha256):
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest[:80]!r} is no digest")
    suffix = ".e5" if model.packed else ".onnx" if model.tokenizer_sha256 else ".gguf"
    own = f"{_MODEL}{model.sha256}{suffix}"
    return (own, f"{_MODEL}{model.tokenizer_sha256}.json") if model.tokenizer_sha256 else (own,)


def signed_text(content: bytes) -> str:
    """What a signature on a bundle is of: the digest of its first member, in which all others are."""
    return f"{FORM}\nsha256 {hashlib.sha256(content).hexdigest()}\n"
