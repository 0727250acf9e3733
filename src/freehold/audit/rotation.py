"""Replacing a log's key: the old key signs the new one in an entry, and verification follows that chain.

The entry's ``note`` is a signed note of its own, so that Go's ``sumdb/note`` opens it:

```
freehold key.rotate/v1
<origin>
<vkey of the old key>
<vkey of the new key>

— <origin> <signature of the old key>
— <origin> <signature of the new key>
```
The new key's signature shows that whoever holds the old one held the new one too. The first checkpoint that covers the
entry is signed by both keys, every later one by the new key only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from freehold.audit.note import Signer, VerifierKey, is_signed_by, note_parts, open_note, signed_note
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord, Checkpoint

ROTATE = "key.rotate"

_HEAD = "freehold key.rotate/v1"
_WHAT = "key rotation"
_LINES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A change of keys that was read and holds.

    Attributes:
        index: Its entry.
        old: The key until there.
        new: The key from there on.
        note: The signed note.
    """

    index: int
    old: VerifierKey
    new: VerifierKey
    note: str


def rotation_note(old: Signer, new: Signer) -> str:
    """The note in which ``old`` hands over to ``new``."""
    text = "\n".join((_HEAD, old.verifier.name, old.verifier.text, new.verifier.text, ""))
    return signed_note(text, old, new)


def read_rotation(note: object, *, index: int, origin: str) -> Rotation:
    """Read a note; both keys must have signed it.

    Raises:
        AuditBroken: It is none, of another log, or not signed by both keys.
    """
    if not isinstance(note, str):
        raise AuditBroken(reason=f"entry {index} rotates a key without saying which")
    lines = note_parts(note, what=_WHAT)[0].split("\n")
    if len(lines) != _LINES + 1 or lines[0] != _HEAD or lines[1] != origin:
        raise AuditBroken(reason=f"entry {index} is no {_WHAT} of the log {origin}")
    old, new = VerifierKey.parse(lines[2]), VerifierKey.parse(lines[3])
    for key in (old, new):
        open_note(note, key, what=_WHAT)
    if {old.name, new.name} != {origin} or old == new:
        raise AuditBroken(reason=f"entry {index} rotates to a key that is no other one of this log")
    return Rotation(index=index, old=old, new=new, note=note)


def rotation_of(index: int, record: AuditRecord, *, origin: str) -> Rotation:
    """The rotation that an entry records.

    Raises:
        AuditBroken: As ``read_rotation``.
    """
    return read_rotation(record.detail.get("note"), index=index, origin=origin)


class KeyChain:
    """The keys of a log, first to last, and between which sizes each one signs.

    Args:
        given: The key from outside.
        rotations: All changes, in the order of the log.

    Raises:
        AuditBroken: The changes do not follow one another, or ``given`` is none of the log's keys.
    """

    def __init__(self, given: VerifierKey, rotations: Sequence[Rotation]) -> None:
        keys = [rotations[0].old] if rotations else [given]
        for rotation in rotations:
            if rotation.old != keys[-1]:
                raise AuditBroken(reason=f"entry {rotation.index} rotates a key that was not the log's")
            keys.append(rotation.new)
        if given not in keys:
            raise AuditBroken(reason=f"the key {given.name}+{given.id.hex()} never was a key of this log")
        self._keys = keys
        self._ends = [rotation.index + 1 for rotation in rotations]

    @property
    def last(self) -> VerifierKey:
        """The key that signs now."""
        return self._keys[-1]

    def check(self, checkpoint: Checkpoint) -> None:
        """Hold a checkpoint to the key that signed at its size.

        Raises:
            AuditBroken: It is signed by no key, or by one that was replaced before or made after.
        """
        if not any(is_signed_by(checkpoint.note, key) for key in self.at(checkpoint.size)):
            raise AuditBroken(
                reason=f"the checkpoint of {checkpoint.size} entries is not signed with a key that was the log's then"
            )

    def at(self, size: int) -> Iterable[VerifierKey]:
        """The keys that may sign a checkpoint of ``size`` entries: two where the last entry is a change of keys."""
        starts = [0, *self._ends]
        ends = [*self._ends, size]
        return [key for key, start, end in zip(self._keys, starts, ends, strict=True) if start <= size <= end]
