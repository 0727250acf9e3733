"""What a signature on a model says: the canonical text of what is known of it, and where signed texts are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Protocol

from freehold.serving.manifests import Manifest
from freehold.storage.disk import write_atomically

FORM = "freehold-model 1"
_NOTE_BYTES_MAX = 1 << 16


class Trust(Protocol):
    """Whose word on models counts here."""

    def check(self, text: str, note: str, *, name: str) -> None:
        """Hold a model against the note that was kept with it.

        Args:
            text: What a signature has to be of.
            note: The signed text that is there; empty where there is none.
            name: Of the model, for messages.

        Raises:
            SignatureWrong: It is said to be signed by somebody trusted, and is not, or is of another text.
            SignatureMissing: Nobody trusted has signed it, and that is asked for.
        """
        ...


class EverybodyTrusted:
    """No word counts: nothing is signed, and nothing need be."""

    def check(self, text: str, note: str, *, name: str) -> None:
        """All is well."""
        del text, note, name


def manifest_text(manifest: Manifest, name: str) -> str:
    """What is signed: one line a fact, values as JSON strings so that none can pretend to be two lines.

    The date of the pull is not in it: it is this machine's own.
    """
    facts = {
        "name": name,
        "sha256": manifest.sha256,
        "size": str(manifest.size_bytes),
        "license": manifest.license,
        "origin": manifest.origin,
        "tokenizer": manifest.tokenizer_sha256,
        "form": "packed" if manifest.packed else "onnx" if manifest.tokenizer_sha256 else "gguf",
    }
    lines = [FORM, *(f"{key} {json.dumps(value)}" for key, value in facts.items())]
    return "".join(f"{line}\n" for line in lines)


class Signatures:
    """Signed notes, one for each name of each content.

    Args:
        folder: Created when one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, sha256: str) -> str:
        """The note of a name and content; empty where there is none. Nothing is checked."""
        try:
            with self._path(name, sha256).open("rb") as stream:
                return stream.read(_NOTE_BYTES_MAX).decode("utf-8", errors="replace")
        except OSError:
            return ""

    def keep(self, name: str, sha256: str, note: str) -> None:
        """Keep a note; it replaces the one before."""
        write_atomically(self._path(name, sha256), note.encode())

    def _path(self, name: str, sha256: str) -> Path:
        return self._folder / f"{sha256}-{hashlib.sha256(name.encode()).hexdigest()[:32]}.note"
