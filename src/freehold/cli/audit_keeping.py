"""``freehold audit rotate``, ``prune``, ``open`` and ``erase``: what is done to a log, and beside it, by who keeps it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.server import DataFolderLocked

if TYPE_CHECKING:
    from freehold.audit.bodies import OpenedBody

AUDIT_FOLDER = "audit"


def rotate(*, as_json: Json = False) -> int:
    """Give each log a new key, which the old one signs in an entry. The server must be stopped.

    Whoever holds an older public key can go on using it: verification follows the changes. Hand the new one out all the
    same, and withdraw the old one where it may have been stolen.
    """
    from freehold.audit.export import newest_checkpoint  # lazy: loads cryptography
    from freehold.audit.log import TransparencyLog
    from freehold.hostinfo.clock import SystemClock

    keys: dict[str, str] = {}
    with _own_logs(data_folder()) as folders:
        for folder in folders:
            origin = newest_checkpoint(folder).origin
            log = TransparencyLog.open(folder, origin=origin, clock=SystemClock(), rotate=True)
            log.close()
            keys[origin] = log.vkey
    if as_json:
        output.print_json(keys)
        return output.OK
    for origin, vkey in keys.items():
        output.say(f"{origin} signs with a new key now. Hand out: {vkey}")
    return output.OK


def prune(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """Let go of what entries say that are older than their tenants want them kept. The server must be stopped.

    Hashes stay, so that the log and every proof verify as before. Sealed bodies of months past that time go, and the
    data keys of their senders with them. How long a tenant's entries are kept is audit_days in its table, 184 at least.
    """
    from freehold.audit.bodies import BODIES_FOLDER, delete_bodies  # lazy: loads cryptography
    from freehold.audit.prune import DAY_MS
    from freehold.audit.prune import prune as prune_log
    from freehold.audit.subjects import SUBJECTS_FOLDER, destroy, month_of
    from freehold.cli.configured import loaded_or_default
    from freehold.config.schema_audit import AUDIT_DAYS_LEAST
    from freehold.hostinfo.clock import SystemClock

    home, clock = data_folder(), SystemClock()
    days = {name: each.audit_days for name, each in loaded_or_default(config).config.tenants.items()}
    # Entries of the house, and of tenants that are gone, stay as long as anybody's.
    longest = max(days.values(), default=AUDIT_DAYS_LEAST)
    keys = 0
    with _own_logs(home) as folders:
        logs = [prune_log(each, kept_days=lambda name: days.get(name, longest), clock=clock) for each in folders]
        for name, kept in days.items():
            month = month_of(clock.unix_ms() - kept * DAY_MS)
            keys += destroy(home / SUBJECTS_FOLDER, tenant=name, before=month)
            delete_bodies(home / BODIES_FOLDER, tenant=name, before=month)
    if as_json:
        found = [{"origin": each.origin, "pruned": each.entries, "before": each.before} for each in logs]
        output.print_json({"logs": found, "data_keys": keys})
        return output.OK
    for each in logs:
        output.say(f"{each.origin}: {each.entries} entries were pruned; what is before entry {each.before} is hashes.")
    output.say(f"{keys} data keys of months past their time were destroyed.")
    return output.OK


def open_bodies(receipt_id: str, /, *, as_json: Json = False) -> int:
    """Print the sealed bodies that left for a request, held to what was committed to. That is recorded in the log first.

    Who may read the data folder may do this; nobody may over HTTP.

    Args:
        receipt_id: Of the request.
    """
    from freehold.audit.bodies import BODIES_FOLDER, SealedBodies  # lazy: loads cryptography
    from freehold.audit.subjects import SUBJECTS_FOLDER, SubjectKeys
    from freehold.hostinfo.clock import SystemClock

    home = data_folder()
    keys = SubjectKeys(home / SUBJECTS_FOLDER, SystemClock())
    bodies = SealedBodies(home / BODIES_FOLDER, keys).open(receipt_id)
    if not bodies:
        raise output.UsageError(f"No body of {receipt_id!r} is kept: none left, or [audit] bodies was not sealed then.")
    detail: dict[str, object] = {"receipt": receipt_id, "bodies": len(bodies)}
    _record(home, "body.open", tenant=bodies[0].tenant, subject=bodies[0].subject, detail=detail)
    if as_json:
        output.print_json([_document(each) for each in bodies])
    else:
        for each in bodies:
            output.say(each.body.decode("utf-8", "replace"))
    return output.OK


def erase(*, tenant: str, subject: str = "", as_json: Json = False) -> int:
    """Destroy the data keys of a tenant or of one of its API keys, for good; works while the server runs.

    Sealed bodies become unreadable, commitments in the log can no longer be tried against texts, and the log goes on to
    verify. The log gets an entry that says so. Backups of the folder audit-keys undo this: make none that outlive it.

    Args:
        tenant: Whose.
        subject: Id of one of its API keys; all of them if not given.
    """
    from freehold.audit.bodies import BODIES_FOLDER, delete_bodies  # lazy: loads cryptography
    from freehold.audit.subjects import SUBJECTS_FOLDER, destroy

    home, one = data_folder(), subject or None
    try:
        keys = destroy(home / SUBJECTS_FOLDER, tenant=tenant, subject=one)
        files = delete_bodies(home / BODIES_FOLDER, tenant=tenant, subject=one)
    except OSError as error:
        raise AuditUnwritable(reason=f"not everything was erased ({error}); run the command again") from error
    detail: dict[str, object] = {"data_keys": keys, "files": files, "all": one is None}
    _record(home, "erase", tenant=tenant, subject=subject, detail=detail)
    if as_json:
        output.print_json({"tenant": tenant, "subject": subject, "data_keys": keys, "files": files})
    else:
        output.say(f"{keys} data keys and {files} files of sealed bodies of {subject or tenant} are destroyed.")
    return output.OK


@contextlib.contextmanager
def _own_logs(home: Path) -> Generator[tuple[Path, ...]]:
    """The folders of all logs, while no server uses them."""
    from freehold.audit.export import logs_of
    from freehold.storage.folder import DataFolder

    if not (home / AUDIT_FOLDER).is_dir():
        raise AuditUnwritable(reason=f"there is no audit log in {home} yet")
    with DataFolder.open(home):
        yield logs_of(home / AUDIT_FOLDER)


def _record(home: Path, event: str, *, tenant: str, subject: str, detail: dict[str, object]) -> None:
    """Have it in the log: now where no server runs, else within seconds. What waits in the database is not lost."""
    from freehold.app.key_events import record_key_events
    from freehold.audit.export import newest_checkpoint
    from freehold.audit.log import TransparencyLog
    from freehold.cli.key_ring import DATABASE_FILE, this_user
    from freehold.hostinfo.clock import SystemClock
    from freehold.storage.database import Database
    from freehold.storage.keys import KeyEvent, SqliteKeys

    clock = SystemClock()
    by = this_user(f"audit {event}")
    database = Database.open(home / DATABASE_FILE)
    try:
        keys = SqliteKeys(database)
        keys.note(KeyEvent(unix_ms=clock.unix_ms(), event=event, key_id=subject, tenant=tenant, by=by, detail=detail))
        with contextlib.suppress(DataFolderLocked, AuditUnwritable), _own_logs(home) as (main, *_):
            log = TransparencyLog.open(main, origin=newest_checkpoint(main).origin, clock=clock)
            try:
                asyncio.run(record_key_events(keys, log))
            finally:
                log.close()
    finally:
        database.close()


def _document(each: OpenedBody) -> dict[str, object]:
    return {
        "tenant": each.tenant,
        "subject": each.subject,
        "period": each.period,
        "body_commit": each.commitment,
        "body": each.body.decode("utf-8", "replace"),
    }
