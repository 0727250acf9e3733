"""Proofs as text that tools of others read: C2SP tlog-proof for inclusion, the body of C2SP tlog-witness for consistency.

```
c2sp.org/tlog-proof@v1             old <size of the older tree>
extra <base64 of the entry>        <base64 hash>
index <place>                      …
<base64 hash>
…                                  <the newer checkpoint>

<the checkpoint>
```
The entry travels in ``extra``, which the format keeps for what the leaf's hash is made of: so the file proves something
by itself. Nothing in it is believed before the hashes were computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.audit.entry import decode_record
from freehold.audit.note import VerifierKey, from_base64, open_checkpoint, to_base64
from freehold.audit.tiles import HASH_BYTES, is_consistent, leaf_hash, root_from_inclusion
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof

_HEAD = "c2sp.org/tlog-proof@v1"
_PATH_MAX = 63
_DIGITS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """What a proof proves.

    Attributes:
        index: The entry's place.
        record: What it records.
        checkpoint: The checkpoint that it is under.
    """

    index: int
    record: AuditRecord
    checkpoint: Checkpoint


def inclusion_text(proof: InclusionProof) -> str:
    """A proof of inclusion as a tlog-proof file, with the entry in it."""
    head = (_HEAD, f"extra {to_base64(proof.leaf)}", f"index {proof.index}")
    return "\n".join((*head, *map(to_base64, proof.path), "", proof.checkpoint.note))


def check_inclusion(text: str, *, vkey: str) -> ProvenEntry:
    """Check a tlog-proof file of ours.

    Args:
        text: Its content.
        vkey: The log's public key, obtained some other way than with the file.

    Raises:
        AuditBroken: It proves nothing.
    """
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(lines) < len(("head", "extra", "index")) or lines[0] != _HEAD:
        raise AuditBroken(
            reason=f"this is no proof of inclusion: it does not begin with {_HEAD}, an entry and its place"
        )
    entry = from_base64(lines[1].removeprefix("extra ")) if lines[1].startswith("extra ") else None
    if entry is None:
        raise AuditBroken(reason="the proof does not hold its entry")
    index = _number(lines[2], "index")
    path = _hashes(lines[3:])
    checkpoint = open_checkpoint(note, VerifierKey.parse(vkey))
    if root_from_inclusion(index, checkpoint.size, leaf_hash(entry), path) != checkpoint.root:
        raise AuditBroken(reason=f"entry {index} is not in the tree that the checkpoint signs")
    return ProvenEntry(index=index, record=decode_record(entry, index), checkpoint=checkpoint)


def consistency_text(old_size: int, path: Sequence[bytes], newer: Checkpoint) -> str:
    """A proof that the tree of ``old_size`` entries is a beginning of the newer one; what a witness is sent."""
    return "\n".join((f"old {old_size}", *map(to_base64, path), "", newer.note))


def check_consistency(text: str, older: str, *, vkey: str) -> tuple[Checkpoint, Checkpoint]:
    """Check such a proof against the older checkpoint; both checkpoints.

    Raises:
        AuditBroken: It proves nothing.
    """
    key = VerifierKey.parse(vkey)
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    old, new = open_checkpoint(older, key), open_checkpoint(note, key)
    size, path = _number(lines[0], "old"), _hashes(lines[1:])
    if size != old.size or not is_consistent(old.size, old.root, new.size, new.root, path):
        raise AuditBroken(
            reason=f"the first {new.size} entries do not begin with the {old.size} of the older checkpoint"
        )
    return old, new


def _number(line: str, name: str) -> int:
    word, _, digits = line.partition(" ")
    if (
        word != name
        or not (digits.isascii() and digits.isdigit())
        or len(digits) > _DIGITS_MAX
        or str(int(digits)) != digits
    ):
        raise AuditBroken(reason=f"the proof's line {line[:40]!r} should say {name!r} and a number")
    return int(digits)


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(from_base64(line) or b"" for line in lines)
    if len(hashes) > _PATH_MAX or any(len(each) != HASH_BYTES for each in hashes):
        raise AuditBroken(reason="the proof's path holds something that is no hash")
    return hashes
