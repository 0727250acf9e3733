"""One tenant's entries, each with a proof that anybody can check; of other tenants' nothing but hashes.

```
DIR/<log's folder>/checkpoint                  the signed tree that all proofs lead to
DIR/<log's folder>/log.vkey                    its public key, as the folder has it
DIR/<log's folder>/entries.jsonl               the entries, one a line, byte for byte
DIR/<log's folder>/proofs/<index>.tlog-proof   of each entry, with the entry in it
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.entry import decode_record
from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.proof_text import check_inclusion, inclusion_text
from freehold.audit.shards import further_shards
from freehold.audit.tile_store import CHECKPOINT, TileStore
from freehold.audit.tiles import TILE_WIDTH, inclusion_path, leaf_hash, root_from_inclusion, tile_path
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord, Checkpoint, InclusionProof

ENTRIES = "entries.jsonl"
PROOFS = "proofs"
PROOF_SUFFIX = ".tlog-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What one log gave.

    Attributes:
        origin: The log's name.
        folder: Where it lies now.
        entries: Entries exported.
        size: Entries of the log in all.
    """

    origin: str
    folder: Path
    entries: int
    size: int


def logs_of(main: Path) -> tuple[Path, ...]:
    """The folders of all logs of a gateway, the main one first."""
    return (main, *further_shards(main).values())


def sealed_entries(folder: Path, checkpoint: Checkpoint) -> Iterator[tuple[int, bytes, AuditRecord]]:
    """The entries under a checkpoint that are there, in order; those of a pruned beginning are passed over.

    Raises:
        AuditBroken: One is damaged, or missing behind one that is there.
    """
    store, begun = TileStore(folder), False
    for bundle in range(-(-checkpoint.size // TILE_WIDTH)):
        first = bundle * TILE_WIDTH
        width = min(TILE_WIDTH, checkpoint.size - first)
        if not begun and width == TILE_WIDTH and not (folder / tile_path(None, bundle)).exists():
            continue
        begun = True
        for index, data in enumerate(store.bundle(bundle, width), first):
            yield index, data, decode_record(data, index)


def newest_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint of the log in a folder, signed with the key that lies there.

    Raises:
        AuditBroken: There is none, or it does not hold.
    """
    try:
        key = VerifierKey.parse((folder / VERIFIER_KEY).read_text(encoding="utf-8"))
        note = TileStore(folder).checkpoint()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditBroken(reason=f"{folder.name} cannot be read: {error}") from error
    if note is None:
        raise AuditBroken(reason=f"there is no checkpoint in {folder}")
    return open_checkpoint(note, key)


def export_tenant(main: Path, tenant: str, target: Path) -> list[Exported]:
    """Write a tenant's entries of all logs below ``target``, which is made and must be empty.

    Raises:
        AuditBroken: A log does not hold what its checkpoint signs.
        OSError: Something cannot be read or written.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty")
    return [_export(folder, tenant, target / folder.name) for folder in logs_of(main)]


def _export(folder: Path, tenant: str, target: Path) -> Exported:
    checkpoint = newest_checkpoint(folder)
    node = TileStore(folder).nodes(checkpoint.size)
    (target / PROOFS).mkdir(mode=0o700, parents=True)
    count = 0
    with (target / ENTRIES).open("wb") as lines:
        for index, data, record in sealed_entries(folder, checkpoint):
            if record.tenant != tenant:
                continue
            path = inclusion_path(index, checkpoint.size, node)
            if root_from_inclusion(index, checkpoint.size, leaf_hash(data), path) != checkpoint.root:
                raise AuditBroken(reason=f"entry {index} is not in the tree that the checkpoint signs")
            lines.write(data + b"\n")
            proof = InclusionProof(index=index, leaf=data, path=path, checkpoint=checkpoint)
            (target / PROOFS / f"{index}{PROOF_SUFFIX}").write_text(inclusion_text(proof), encoding="utf-8")
            count += 1
    (target / CHECKPOINT).write_text(checkpoint.note, encoding="utf-8")
    (target / VERIFIER_KEY).write_bytes((folder / VERIFIER_KEY).read_bytes())
    return Exported(origin=checkpoint.origin, folder=target, entries=count, size=checkpoint.size)


def check_export(folder: Path, vkey: str | None = None) -> Exported:
    """Check what ``export_tenant`` wrote of one log, with nothing but it and the log's key.

    Args:
        folder: ``DIR/<log's folder>``.
        vkey: The log's public key, from outside; ``None`` takes the one that lies there.

    Raises:
        AuditBroken: A proof fails, entries and proofs differ, or entries are of several tenants.
    """
    try:
        key = vkey or (folder / VERIFIER_KEY).read_text(encoding="utf-8")
        checkpoint = open_checkpoint((folder / CHECKPOINT).read_bytes(), VerifierKey.parse(key))
        lines = (folder / ENTRIES).read_bytes().splitlines()
        proofs = {int(path.stem): path for path in (folder / PROOFS).glob(f"*{PROOF_SUFFIX}") if path.stem.isdigit()}
        tenants: set[str] = set()
        for line, (_, path) in zip(lines, sorted(proofs.items()), strict=False):
            proven = check_inclusion(path.read_text(encoding="utf-8"), vkey=key)
            if proven.checkpoint.root != checkpoint.root or decode_record(line, proven.index) != proven.record:
                raise AuditBroken(
                    reason=f"{path.name} proves another entry than {ENTRIES} holds, or under another tree"
                )
            tenants.add(proven.record.tenant)
    except (OSError, UnicodeDecodeError) as error:
        raise AuditBroken(reason=f"{folder.name} cannot be read: {error}") from error
    if len(lines) != len(proofs) or len(tenants) > 1:
        raise AuditBroken(
            reason=f"{len(lines)} entries, {len(proofs)} proofs, tenants {sorted(tenants)}: no export of one"
        )
    return Exported(origin=checkpoint.origin, folder=folder, entries=len(lines), size=checkpoint.size)
