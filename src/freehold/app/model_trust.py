"""Whose signatures on models and bundles count: keys of the configuration, in the form of the audit log's signed notes."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.note import Signer, VerifierKey, note_parts, signed_note
from freehold.config.compile import ModelTrustPlan
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.errors.model_versions import SignatureMissing, SignatureWrong, SigningKeyUnusable

_SEED_BYTES = 32
_KEY_BYTES_MAX = 4_096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrust:
    """Implements ``serving.signed.Trust``.

    Attributes:
        keys: Of those whose word counts.
        unsigned: Whether what none of them signed is taken, too.
    """

    keys: tuple[VerifierKey, ...]
    unsigned: bool

    def check(self, text: str, note: str, *, name: str) -> None:
        """See ``Trust``. A note of somebody unknown counts as none; a wrong one of somebody trusted as an attack."""
        if not note:
            return self._unsigned(name)
        try:
            signed, lines = note_parts(note, what=f"signature of {name}")
        except AuditBroken as error:
            raise SignatureWrong(name=name, reason="what is kept as its signature is none") from error
        mine = [(key, line[2]) for line in lines for key in self.keys if (line[0], line[1]) == (key.name, key.id)]
        if not mine:
            return self._unsigned(name)
        for key, signature in mine:
            if not key.verifies(signed.encode(), signature):
                raise SignatureWrong(name=name, reason=f"the signature of {key.name} on it is wrong")
        if signed != text:
            raise SignatureWrong(name=name, reason=f"{mine[0][0].name} has signed something else by this name")
        return None

    def _unsigned(self, name: str) -> None:
        if not self.unsigned:
            raise SignatureMissing(name=name)


def trust_of(plan: ModelTrustPlan, further: Iterable[str] = ()) -> KeyTrust:
    """The trust that a configuration states; ``further`` keys of a command line count as much.

    Raises:
        SigningKeyUnusable: A key is none.
    """
    return KeyTrust(keys=tuple(map(verifier_key, (*plan.keys, *further))), unsigned=plan.unsigned)


@dataclass(frozen=True, slots=True)
class TrustNow:
    """Implements ``serving.signed.Trust`` by what the configuration states at the moment of each look.

    Attributes:
        plan: What it states now.
    """

    plan: Callable[[], ModelTrustPlan]

    def check(self, text: str, note: str, *, name: str) -> None:
        """See ``Trust``."""
        trust_of(self.plan()).check(text, note, name=name)


def verifier_key(text: str) -> VerifierKey:
    """A public key from its line.

    Raises:
        SigningKeyUnusable: It is none.
    """
    try:
        return VerifierKey.parse(text)
    except AuditBroken as error:
        raise SigningKeyUnusable(path=text[:80], reason=str(error.values.get("reason", ""))) from error


def make_key(name: str, path: Path) -> VerifierKey:
    """Make a private key in a new file that its owner alone can read; its public half.

    Raises:
        SigningKeyUnusable: The file is there, or cannot be written, or nobody can be called so.
    """
    try:
        signer = Signer(name, secrets.token_bytes(_SEED_BYTES))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as error:
        raise SigningKeyUnusable(path=str(path), reason=getattr(error, "strerror", None) or str(error)) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{signer.private_text}\n")
    return signer.verifier


def read_key(path: Path) -> Signer:
    """A private key from its file.

    Raises:
        SigningKeyUnusable: It is none, or others can read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise SigningKeyUnusable(path=str(path), reason="others can read it; make it mode 600")
            return Signer.parse(file.read(_KEY_BYTES_MAX).decode("ascii", errors="replace"))
    except OSError as error:
        raise SigningKeyUnusable(path=str(path), reason=error.strerror or "it cannot be read") from error
    except AuditBroken as error:
        raise SigningKeyUnusable(path=str(path), reason=str(error.values.get("reason", ""))) from error


def signed_by(text: str, signers: Sequence[Signer]) -> str:
    """The note of a text."""
    return signed_note(text, *signers)
