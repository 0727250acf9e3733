"""``freehold approvals``: calls of tools that wait for a human, read and decided in the database directly."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import open_ring, this_user
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.identity.approval_book import ApprovalBook
from freehold.storage.approvals import SqliteApprovals

app = App(name="approvals", help="Calls of tools that are held back until a human decides.")

HeldId = Annotated[str, Parameter(name="ID")]


@app.command(name="list")
def list_approvals(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """List the calls that wait, and those that were decided a short while ago."""
    with _book(config) as book:
        found = book.all()
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("No call is held back.")
    else:
        rows = [
            [str(each[name]) for name in ("id", "state", "tenant")] + [_plain(each["tool"]), _time(each)]
            for each in found
        ]
        output.say(output.table(rows, head=("call", "state", "tenant", "tool", "until")))
    return output.OK


@app.command(name="show")
def show_approval(held_id: HeldId, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Show exactly what would be called, and why it is held."""
    with _book(config) as book:
        found = book.get(held_id)
    _say(found, as_json=as_json)
    return output.OK


@app.command(name="allow")
def allow_call(held_id: HeldId, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Let exactly this call be made, once: when the next answer for the same key holds it."""
    with _book(config) as book:
        found = book.decide(held_id, allow=True, by=this_user("approvals"))
    _say(found, as_json=as_json)
    return output.OK


@app.command(name="deny")
def deny_call(held_id: HeldId, /, *, config: ConfigFile = "", as_json: Json = False) -> int:
    """Have this call not made."""
    with _book(config) as book:
        found = book.decide(held_id, allow=False, by=this_user("approvals"))
    _say(found, as_json=as_json)
    return output.OK


@contextlib.contextmanager
def _book(config: str) -> Generator[ApprovalBook]:
    """The held calls of the data folder.

    Raises:
        StorageFailed: Its database cannot be opened.
    """
    clock = SystemClock()
    with open_ring(data_folder(), compiled_or_default(config)) as (_, database):
        yield ApprovalBook(SqliteApprovals(database, new_id=SystemIds(clock).new_id), clock=clock)


def _say(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    lines = (
        f"call       {found['id']}: {found['state']}",
        f"tool       {_plain(found['tool'])}",
        f"arguments  {_plain(found['arguments'])}",
        f"because    {found['because']}",
        f"asked by   key {found['key'] or '-'} of {found['tenant']}, request {found['request']}",
        f"until      {_time(found)}",
    )
    output.say("\n".join(lines))


def _plain(text: object) -> str:
    """Text of a model's, so that a terminal does nothing on it and nothing in it is invisible."""
    return "".join(each if " " <= each <= "~" else each.encode("unicode_escape").decode() for each in str(text))


def _time(found: dict[str, Any]) -> str:
    return f"{datetime.fromtimestamp(found['expires_unix_ms'] // 1000, UTC):%Y-%m-%d %H:%M} UTC"
