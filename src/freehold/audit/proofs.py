"""Inclusion proofs as JSON: what ``/v1/receipts/{id}`` returns, and what anybody may check."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec

from freehold.audit.entry import decode_entry
from freehold.audit.note import VerifierKey, open_checkpoint, read_checkpoint
from freehold.audit.tiles import HASH_BYTES, leaf_hash, root_from_inclusion
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord, InclusionProof


class _ProofMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    size: int
    entry: str
    leaf_hash: bytes
    path: tuple[bytes, ...]
    checkpoint: str


def proof_json(proof: InclusionProof) -> dict[str, object]:
    """The proof, ready for JSON.

    ``entry`` is the recorded entry, ``leaf_hash`` its RFC 6962 leaf hash, ``path`` the sibling hashes from the leaf
    up, ``checkpoint`` the signed note of the tree of ``size`` entries. Hashes are base64.
    """
    return {
        "index": proof.index,
        "size": proof.checkpoint.size,
        "entry": proof.leaf.decode(),
        "leaf_hash": _base64(leaf_hash(proof.leaf)),
        "path": [_base64(step) for step in proof.path],
        "checkpoint": proof.checkpoint.note,
    }


def verify_receipt_proof(proof: Mapping[str, object], *, vkey: str) -> AuditRecord:
    """Check a proof as ``proof_json`` writes it; returns the record that it proves.

    Args:
        proof: The ``proof`` member of a receipt.
        vkey: The log's public key, obtained some other way than with the proof.

    Raises:
        AuditBroken: It proves nothing.
    """
    members = _members(proof)
    checkpoint = open_checkpoint(members.checkpoint, VerifierKey.parse(vkey))
    entry = members.entry.encode("utf-8", "surrogatepass")
    if members.leaf_hash != leaf_hash(entry) or members.size != checkpoint.size:
        raise AuditBroken(reason="the proof's parts do not belong together")
    if any(len(step) != HASH_BYTES for step in members.path):
        raise AuditBroken(reason="the proof's path holds something that is no hash")
    if root_from_inclusion(members.index, checkpoint.size, leaf_hash(entry), members.path) != checkpoint.root:
        raise AuditBroken(reason=f"entry {members.index} is not in the tree that the checkpoint signs")
    return decode_entry(entry, members.index)[1]


def proof_of_json(proof: Mapping[str, object]) -> InclusionProof:
    """The proof in the ``proof`` member of a receipt; nothing is checked.

    Raises:
        AuditBroken: It cannot be read.
    """
    members = _members(proof)
    origin = members.checkpoint.partition("\n")[0]
    return InclusionProof(
        index=members.index,
        leaf=members.entry.encode("utf-8", "surrogatepass"),
        path=members.path,
        checkpoint=read_checkpoint(members.checkpoint, origin=origin),
    )


def _members(proof: Mapping[str, object]) -> _ProofMembers:
    try:
        return msgspec.convert(dict(proof), _ProofMembers)
    except msgspec.ValidationError as error:
        raise AuditBroken(reason=f"the proof cannot be read: {error}") from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
