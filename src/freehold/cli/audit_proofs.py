"""``freehold audit prove``, ``check`` and ``export``: proofs for people who do not have the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, get
from freehold.config.load import data_folder

if TYPE_CHECKING:
    from freehold.audit.export import Exported

AUDIT_FOLDER = "audit"

From = Annotated[
    str, Parameter(name="--from", help="File with an older checkpoint: prove that the log only grew since.")
]


def prove(
    receipt_id: str = "",
    /,
    *,
    since: From = "",
    index: int = -1,
    log: str = "",
    url: Url = "",
    key_file: KeyFile = "",
) -> int:
    """Print a proof that others can check: that a receipt's record is in the log, or that the log only grew.

    Inclusion is printed as C2SP tlog-proof, consistency as C2SP tlog-witness sends it.

    Args:
        receipt_id: Whose record; the running server is asked.
        index: An entry by its place instead, read from the data folder.
        log: Name of the log of --index, where there are several workers; the main one if not given.
    """
    from freehold.audit.proof_text import inclusion_text  # lazy: loads cryptography

    if sum((bool(receipt_id), bool(since), index >= 0)) != 1:
        raise output.UsageError("Say what to prove: a receipt's id, --index N, or --from OLD_CHECKPOINT.")
    if since:
        text = _consistency(_text(since))
    elif receipt_id:
        text = inclusion_text(_proof_of(get(find_server(url=url, key_file=key_file), f"/v1/receipts/{receipt_id}")))
    else:
        text = inclusion_text(_proof_at(index, log))
    output.say(text, end="")
    return output.OK


def check(path: str, /, *, vkey: str = "", older: str = "", as_json: Json = False) -> int:
    """Check a proof or an export, with nothing but it and the log's public key.

    Args:
        path: A tlog-proof file, a proof of consistency, or a folder that "freehold audit export" wrote.
        vkey: The log's public key, from outside; of an export with several logs that of one is not enough, so that
            each is then held to its own.
        older: The older checkpoint, for a proof of consistency.
    """
    from freehold.audit.proof_text import check_consistency, check_inclusion  # lazy: loads cryptography

    place = Path(path).expanduser()
    if place.is_dir():
        return _check_export(place, vkey, as_json=as_json)
    if not vkey:
        raise output.UsageError("Give --vkey: a proof does not say by itself whose it is.")
    text = _text(path)
    if text.startswith("old "):
        if not older:
            raise output.UsageError("Give --older: the file with the older checkpoint.")
        old, new = check_consistency(text, _text(older), vkey=vkey)
        found: dict[str, object] = {"checked": True, "old_size": old.size, "size": new.size, "origin": new.origin}
        said = f"The log {new.origin} of {new.size} entries begins with the {old.size} of the older checkpoint."
    else:
        proven = check_inclusion(text, vkey=vkey)
        record = proven.record
        found = {
            "checked": True,
            "origin": proven.checkpoint.origin,
            "index": proven.index,
            "size": proven.checkpoint.size,
            "event": record.event,
            "tenant": record.tenant,
            "request_id": record.request_id,
            "unix_ms": record.unix_ms,
            "detail": record.detail,
        }
        said = (
            f"Entry {proven.index} of {proven.checkpoint.origin} is {record.event} {record.request_id}".rstrip() + "."
        )
    if as_json:
        output.print_json(found)
    else:
        output.say(said)
    return output.OK


def export(folder: str, /, *, tenant: str, as_json: Json = False) -> int:
    """Write a tenant's entries of all logs with a proof of each; of other tenants' nothing but hashes. Works while the server runs.

    That nothing was left out of it, no proof can show; who must know that is given the whole log.

    Args:
        folder: Where to; made, and must be empty.
        tenant: Whose.
    """
    from freehold.audit.export import export_tenant  # lazy: loads cryptography

    try:
        logs = export_tenant(data_folder() / AUDIT_FOLDER, tenant, Path(folder).expanduser())
    except OSError as error:
        raise output.UsageError(f"The export cannot be written: {error}.") from error
    if as_json:
        output.print_json([_exported(each) for each in logs])
        return output.OK
    for each in logs:
        output.say(f"{each.entries} of {each.size} entries of {each.origin} are in {each.folder}, each with its proof.")
    return output.OK


def _check_export(place: Path, vkey: str, *, as_json: bool) -> int:
    from freehold.audit.export import ENTRIES, check_export  # lazy: loads cryptography

    folders = [place] if (place / ENTRIES).exists() else sorted(each.parent for each in place.glob(f"*/{ENTRIES}"))
    if not folders:
        raise output.UsageError(f'{place} holds no export; "freehold audit export" writes one.')
    logs = [check_export(each, vkey if vkey and len(folders) == 1 else None) for each in folders]
    if as_json:
        output.print_json([_exported(each) for each in logs])
        return output.OK
    for each in logs:
        output.say(f"{each.entries} entries of {each.origin} verify, under a tree of {each.size}.")
    if not vkey or len(folders) > 1:
        output.say(
            "The public keys are the export's own. To hold one log to a key that you keep, give its folder and --vkey."
        )
    return output.OK


def _exported(each: Exported) -> dict[str, object]:
    return {"origin": each.origin, "folder": str(each.folder), "entries": each.entries, "size": each.size}


def _proof_of(receipt: dict[str, Any]) -> Any:
    from freehold.audit.proofs import proof_of_json  # lazy: loads cryptography

    proof = receipt.get("proof")
    if proof is None:
        raise output.UsageError(
            "No checkpoint covers this receipt's record yet, or it was never recorded; try again. Where it names private "
            "documents, the proof is for the key that asked and for admin."
        )
    return proof_of_json(proof)


def _proof_at(index: int, log: str) -> Any:
    from freehold.audit.export import logs_of, newest_checkpoint
    from freehold.audit.shards import prove_from_files

    for folder in logs_of(data_folder() / AUDIT_FOLDER):
        origin = newest_checkpoint(folder).origin
        if log in {"", origin}:
            proof = prove_from_files(folder, origin, index)
            if proof is None:
                raise output.UsageError(f"No checkpoint of {origin} covers an entry {index}.")
            return proof
    raise output.UsageError(f"There is no log {log!r} here.")


def _consistency(older: str) -> str:
    from freehold.audit.export import logs_of, newest_checkpoint  # lazy: loads cryptography
    from freehold.audit.note import read_checkpoint
    from freehold.audit.proof_text import consistency_text
    from freehold.audit.tile_store import TileStore
    from freehold.audit.tiles import consistency_path
    from freehold.domain.errors.audit import AuditBroken

    origin = older.partition("\n")[0]
    for folder in logs_of(data_folder() / AUDIT_FOLDER):
        newest = newest_checkpoint(folder)
        if newest.origin == origin:
            old = read_checkpoint(older, origin=origin)
            if not 0 < old.size <= newest.size:
                raise AuditBroken(reason=f"the log has {newest.size} entries, the older checkpoint {old.size}")
            return consistency_text(
                old.size, consistency_path(old.size, newest.size, TileStore(folder).nodes(newest.size)), newest
            )
    raise output.UsageError(f"There is no log {origin!r} here.")


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise output.UsageError(f"{path!r} cannot be read: {error}.") from error
