"""``freehold audit compare``: the server's log against that of its broker."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.options import Json
from freehold.config.load import data_folder

if TYPE_CHECKING:
    from freehold.audit.compare import Egress

AUDIT_FOLDER = "audit"
_SHOWN_MAX = 20


def compare(broker: str, /, *, folder: str = "", as_json: Json = False) -> int:
    """Hold what the server let out against what its egress broker sent. Ends with 1 where one tells of something else.

    Works while both run, for who may read both. It verifies neither log: "freehold audit verify" does.

    Args:
        broker: Folder of the broker's log.
        folder: Folder of the server's log; the data folder's own if not given. Those of further workers lie beside it.
    """
    from freehold.audit.compare import compare as compared  # lazy: loads cryptography

    ours = Path(folder).expanduser() if folder else data_folder() / AUDIT_FOLDER
    found = compared(ours, Path(broker).expanduser())
    if as_json:
        output.print_json({"agree": found.agree, **asdict(found)})
    else:
        output.say(f"{found.same:,} egresses are the same in both logs.")
        if found.before:
            output.say(f"{found.before:,} of the server's are older than the broker's log and were not compared.")
        if found.reads:
            output.say(
                f"{found.reads:,} reads of models are in the broker's alone: the command line, which asks, has none."
            )
        _tell("The broker sent what the server's log does not tell of", found.only_broker)
        _tell("The server let out what the broker did not send", found.only_server)
    return output.OK if found.agree else output.FAILED


def _tell(what: str, egresses: tuple[Egress, ...]) -> None:
    if not egresses:
        return
    output.say(f"{what}: {len(egresses):,}.")
    for each in egresses[:_SHOWN_MAX]:
        output.say(f"  {each.request_id}: {each.body_bytes:,} bytes to {each.origin} ({each.deployment}), {each.label}")
