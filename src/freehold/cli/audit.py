"""``freehold audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from freehold.cli import output
from freehold.cli.options import Json
from freehold.config.load import data_folder

if TYPE_CHECKING:
    from freehold.audit.verify import VerifyReport

AUDIT_FOLDER = "audit"

app = App(name="audit", help="Verify the audit log.")


@app.command
def verify(
    folder: str = "",
    /,
    *,
    vkey: tuple[str, ...] = (),
    remembered: tuple[str, ...] = (),
    as_json: Json = False,
) -> int:
    """Recompute the whole audit log from its entries, and those of further workers. Works while the server runs, and on a copy.

    Args:
        folder: The log's folder; the data folder's own if not given. Logs of further workers lie beside it.
        vkey: The log's public key, from outside; once for each log. Without it the folder vouches for itself only.
        remembered: File with a checkpoint of this log seen earlier; only with it a roll-back is detected.
    """
    from freehold.audit.verify import verify_shards  # lazy: loads cryptography

    place = Path(folder).expanduser() if folder else data_folder() / AUDIT_FOLDER
    main, *further = verify_shards(place, vkey, [_read(each) for each in remembered])
    if as_json:
        output.print_json({"verified": True, **_document(main), "further": [_document(each) for each in further]})
        return output.OK
    for report in (main, *further):
        _tell(report)
    if not main.key_given:
        output.say("The public key is the folder's own. To hold the log to a key that you keep, give --vkey.")
    return output.OK


def _document(report: VerifyReport) -> dict[str, object]:
    return {
        "origin": report.origin,
        "entries": report.entries,
        "root": report.root,
        "events": dict(report.events),
        "intents": report.intents,
        "orphans": list(report.orphans),
        "truncations": list(report.truncations),
        "pending": report.pending,
        "key_given": report.key_given,
        "checkpoint": report.checkpoint.note,
    }


def _tell(report: VerifyReport) -> None:
    output.say(f"The audit log verifies: {report.entries} entries, root {report.root}, origin {report.origin}.")
    for event, count in sorted(report.events.items()):
        output.say(f"  {count:8,} {event}")
    if report.orphans:
        output.say(
            f"{len(report.orphans)} of {report.intents} egress intents have no end: a call was cut off or is running."
        )
    if report.truncations:
        output.say(f"{len(report.truncations)} entries tell of a tail that a crash tore off.")
    if report.pending:
        output.say(f"{report.pending} further entries are not covered by a checkpoint yet.")


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise output.UsageError(f"The checkpoint {path!r} cannot be read: {error}.") from error
