"""``freehold audit rotate``: what is done to a log by who keeps it."""

from __future__ import annotations

from freehold.cli import output
from freehold.cli.options import Json
from freehold.config.load import data_folder
from freehold.domain.errors.audit import AuditUnwritable

AUDIT_FOLDER = "audit"


def rotate(*, as_json: Json = False) -> int:
    """Give each log a new key, which the old one signs in an entry. The server must be stopped.

    Whoever holds an older public key can go on using it: verification follows the changes. Hand the new one out all the
    same, and withdraw the old one where it may have been stolen.
    """
    from freehold.audit.export import logs_of, newest_checkpoint  # lazy: loads cryptography
    from freehold.audit.log import TransparencyLog
    from freehold.hostinfo.clock import SystemClock
    from freehold.storage.folder import DataFolder

    home = data_folder()
    if not (home / AUDIT_FOLDER).is_dir():
        raise AuditUnwritable(reason=f"there is no audit log in {home} yet")
    keys: dict[str, str] = {}
    with DataFolder.open(home):
        for folder in logs_of(home / AUDIT_FOLDER):
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
