r"""Checkpoints as signed notes: C2SP signed-note and tlog-checkpoint, Ed25519.

```
checkpoint = origin \n size \n base64(root) \n \n "— " name " " base64(keyid ‖ signature) \n
keyid      = SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[:4]
vkey       = name "+" hex(keyid) "+" base64(0x01 ‖ public key)
```
The signature covers the text up to and including the newline before the empty line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from freehold.audit.tiles import HASH_BYTES
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import Checkpoint

LOG = b"\1"
WITNESS = b"\4"
_KEY_BYTES = 32
_ID_BYTES = 4
_MARK = "— "
_PRIVATE = "PRIVATE+KEY+"
_NOTE_CHARACTERS_MAX = 1_000_000
_SIZE_DIGITS_MAX = 20


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a log's or a witness's key, with the name it signs under.

    Attributes:
        name: The log's origin, or the witness's name.
        public: The Ed25519 public key.
        kind: What it signs: ``LOG`` for notes themselves, ``WITNESS`` for cosignatures of them.
    """

    name: str
    public: bytes
    kind: bytes = LOG

    @classmethod
    def parse(cls, text: str, *, kind: bytes = LOG) -> VerifierKey:
        """Read a vkey line.

        Raises:
            AuditBroken: It is none, of another kind, or its key id is not that of its key.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        data = from_base64(encoded)
        if data is None or len(data) != 1 + _KEY_BYTES or data[:1] != kind or not is_name(name):
            what = "verifier key" if kind == LOG else "witness's verifier key"
            raise AuditBroken(reason=f"{text.strip()[:80]!r} is no {what}, which reads NAME+ID+KEY")
        key = cls(name, data[1:], kind)
        if key.id.hex() != key_id:
            raise AuditBroken(reason=f"the verifier key of {name} has the id {key_id[:16]}, its key has {key.id.hex()}")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that tell which key signed."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The vkey line."""
        return f"{self.name}+{self.id.hex()}+{to_base64(self.kind + self.public)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed ``message``."""
        # Imported here: the library takes 20 ms to load, and most commands verify nothing.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A log's private key.

    Args:
        name: What it signs under: the log's origin.
        seed: 32 random bytes, the Ed25519 private key.

    Raises:
        ValueError: The name or the seed cannot be one.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not is_name(name):
            raise ValueError(f"{name!r} cannot name a log: no space, no plus sign, not empty")
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Read the private text.

        Raises:
            AuditBroken: It is none.
        """
        name, _, rest = text.strip().removeprefix(_PRIVATE).partition("+")
        key_id, _, encoded = rest.partition("+")
        data = from_base64(encoded)
        if not text.startswith(_PRIVATE) or data is None or len(data) != 1 + _KEY_BYTES or not is_name(name):
            raise AuditBroken(reason="the log's key file holds no key")
        signer = cls(name, data[1:])
        if data[:1] != LOG or signer.verifier.id.hex() != key_id:
            raise AuditBroken(reason="the log's key file is damaged")
        return signer

    @property
    def private_text(self) -> str:
        """The key as it is kept: the form of Go's ``sumdb/note``."""
        return f"{_PRIVATE}{self.verifier.name}+{self.verifier.id.hex()}+{to_base64(LOG + self._seed)}"

    def sign(self, *, size: int, root: bytes, successor: Signer | None = None) -> Checkpoint:
        """Sign the tree of ``size`` entries; at the change of keys the next key signs beside this one."""
        verifier = self.verifier
        text = checkpoint_text(verifier.name, size, root)
        note = signed_note(text, self, *(() if successor is None else (successor,)))
        return Checkpoint(origin=verifier.name, size=size, root=root, note=note)

    def signature_line(self, text: str) -> str:
        """The line that says that this key signed ``text``."""
        verifier = self.verifier
        return f"{_MARK}{verifier.name} {to_base64(verifier.id + self._key.sign(text.encode()))}\n"


def is_name(name: str) -> bool:
    """Whether a log may be called so: not empty, no plus sign, nothing that is white space or unprintable."""
    return bool(name) and name.isprintable() and "+" not in name and not any(map(str.isspace, name))


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The signed part of a checkpoint."""
    return f"{origin}\n{size}\n{to_base64(root)}\n"


def signed_note(text: str, *signers: Signer) -> str:
    """A signed note of ``text``, which ends with a newline and holds no empty line."""
    return "".join((text, "\n", *(signer.signature_line(text) for signer in signers)))


def note_parts(note: bytes | str, *, what: str = "checkpoint") -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The text of a signed note, and of each signature line the signer's name, key id and signature. Nothing is checked.

    Args:
        note: The note.
        what: What it is, for errors.

    Raises:
        AuditBroken: It is no signed note.
    """
    signed, gap, signatures = _decoded(note).partition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise AuditBroken(reason=f"the {what} is no signed note")
    return f"{signed}\n", [_signature(line, what) for line in signatures[:-1].split("\n")]


def open_note(note: bytes | str, key: VerifierKey, *, what: str = "checkpoint") -> str:
    """The text of a note that ``key`` signed. Lines of other signers may stand beside it; they are not checked.

    Raises:
        AuditBroken: It is no signed note, or not signed by this key.
    """
    text, lines = note_parts(note, what=what)
    ours = [signature for name, key_id, signature in lines if name == key.name and key_id == key.id]
    if not ours:
        raise AuditBroken(reason=f"the {what} is not signed with the key {key.name}+{key.id.hex()}")
    if not all(key.verifies(text.encode(), signature) for signature in ours):
        raise AuditBroken(reason=f"the {what}'s signature is wrong")
    return text


def open_checkpoint(note: bytes | str, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint that ``key`` signed.

    Lines of other signers (witnesses) may stand beside it; they are not checked.

    Raises:
        AuditBroken: It is no checkpoint, or not signed by this key, or of another log.
    """
    return _checkpoint(open_note(note, key), _decoded(note), key.name)


def read_checkpoint(note: bytes | str, *, origin: str) -> Checkpoint:
    """Read a checkpoint of the log ``origin`` without asking who signed it.

    Raises:
        AuditBroken: It is no checkpoint, or of another log.
    """
    return _checkpoint(note_parts(note)[0], _decoded(note), origin)


def is_signed_by(note: bytes | str, key: VerifierKey) -> bool:
    """Whether ``note`` is a checkpoint with a good signature of ``key``."""
    try:
        open_checkpoint(note, key)
    except AuditBroken:
        return False
    return True


def _checkpoint(signed: str, note: str, name: str) -> Checkpoint:
    origin, size, root, *_ = [*signed[:-1].split("\n"), "", "", ""]
    decoded = from_base64(root)
    if decoded is None or len(decoded) != HASH_BYTES or len(size) > _SIZE_DIGITS_MAX or not _is_decimal(size):
        raise AuditBroken(reason="the checkpoint does not hold origin, size and root")
    if origin != name:
        raise AuditBroken(reason=f"the checkpoint is of the log {origin!r}, not {name!r}")
    return Checkpoint(origin=origin, size=int(size), root=decoded, note=note)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and text == str(int(text))


def _signature(line: str, what: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    data = from_base64(encoded)
    if not line.startswith(_MARK) or not space or not is_name(name) or data is None or len(data) <= _ID_BYTES:
        raise AuditBroken(reason=f"a signature line of the {what} cannot be read")
    return name, data[:_ID_BYTES], data[_ID_BYTES:]


def _decoded(note: bytes | str) -> str:
    if len(note) > _NOTE_CHARACTERS_MAX:
        raise AuditBroken(reason="the checkpoint is too long to be one")
    try:
        return note if isinstance(note, str) else note.decode()
    except UnicodeDecodeError as error:
        raise AuditBroken(reason="the checkpoint is no text") from error


def to_base64(data: bytes) -> str:
    """Standard base64 of ``data``."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """The bytes of canonical base64, ``None`` for anything else: one value must have one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if to_base64(data) == text else None
