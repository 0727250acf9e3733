"""``freehold audit``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from freehold.cli import output
from freehold.cli.audit_compare import compare
from freehold.cli.audit_keeping import erase, open_bodies, prune, rotate
from freehold.cli.audit_proofs import check, export, prove
from freehold.cli.audit_report import report
from freehold.cli.junit import Case, write_junit
from freehold.cli.options import Json
from freehold.config.load import data_folder
from freehold.domain.errors.audit import AuditBroken

if TYPE_CHECKING:
    from freehold.audit.verify import VerifyReport

AUDIT_FOLDER = "audit"
_SUITE = "freehold audit verify"

app = App(name="audit", help="Verify, prove, export and keep the audit log.")
app.command(prove)
app.command(check)
app.command(export)
app.command(compare)
app.command(report)
app.command(rotate)
app.command(prune)
app.command(open_bodies, name="open")
app.command(erase)


@app.command
def verify(
    folder: str = "",
    /,
    *,
    vkey: tuple[str, ...] = (),
    remembered: tuple[str, ...] = (),
    witness: tuple[str, ...] = (),
    quorum: int = 0,
    junit: str = "",
    as_json: Json = False,
) -> int:
    """Recompute the whole audit log from its entries, and those of further workers. Works while the server runs, and on a copy.

    The exit code is 0 where everything verifies, 1 where something does not, 2 where the command line cannot be meant.

    Args:
        folder: The log's folder; the data folder's own if not given. Logs of further workers lie beside it.
        vkey: The log's public key, from outside, the present one or an earlier one; once for each log. Without it the
            folder vouches for itself only.
        remembered: File with a checkpoint of this log seen earlier; only with it, or with witnesses, a roll-back is
            detected.
        witness: Verifier key of a witness; once for each.
        quorum: How many of the witnesses must have cosigned; all of them if not given.
        junit: File to write the result to, as JUnit XML.
    """
    from freehold.audit.verify import Quorum, verify_shards  # lazy: loads cryptography

    if quorum and not 0 < quorum <= len(witness):
        raise output.UsageError(f"--quorum {quorum} of {len(witness)} witnesses cannot be; give --witness for each.")
    place = Path(folder).expanduser() if folder else data_folder() / AUDIT_FOLDER
    asked = Quorum(witness, quorum or len(witness))
    notes = [_read(each) for each in remembered]
    try:
        main, *further = verify_shards(place, vkey, notes, asked)
    except AuditBroken as error:
        if junit:
            write_junit(junit, _SUITE, [Case(name=str(place), said=f"{error.code}: {error.message}", failed=True)])
        raise
    if junit:
        write_junit(junit, _SUITE, [Case(name=each.origin, said="\n".join(_lines(each))) for each in (main, *further)])
    if as_json:
        output.print_json({"verified": True, **_document(main), "further": [_document(each) for each in further]})
        return output.OK
    for each in (main, *further):
        output.say("\n".join(_lines(each)))
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
        "pruned": report.pruned,
        "rotations": list(report.rotations),
        "vkey": report.vkey,
        "witnesses": dict(report.witnesses),
        "cosigned_size": None if report.cosigned is None else report.cosigned.size,
    }


def _lines(report: VerifyReport) -> list[str]:
    lines = [f"The audit log verifies: {report.entries} entries, root {report.root}, origin {report.origin}."]
    lines += [f"  {count:8,} {event}" for event, count in sorted(report.events.items())]
    if report.pruned:
        lines.append(f"What entries 0 to {report.pruned - 1} said was pruned and is missing; their hashes verify.")
    if report.orphans:
        lines.append(
            f"{len(report.orphans)} of {report.intents} egress intents have no end: a call was cut off or is running."
        )
    if report.truncations:
        lines.append(f"{len(report.truncations)} entries tell of a tail that a crash tore off.")
    if report.pending:
        lines.append(f"{report.pending} further entries are not covered by a checkpoint yet.")
    if report.rotations:
        places = ", ".join(map(str, report.rotations))
        lines.append(f"The key was changed at entry {places}; the present one is {report.vkey}.")
    if report.cosigned is not None:
        names = ", ".join(sorted(report.witnesses))
        seen = datetime.fromtimestamp(min(report.witnesses.values(), default=0), UTC).isoformat()
        lines.append(f"Cosigned at {report.cosigned.size} entries by {names}, at {seen} or later.")
    return lines


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise output.UsageError(f"The checkpoint {path!r} cannot be read: {error}.") from error
