"""``freehold batches``: what batches there are, one of them, and stopping one, as the running server knows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, get, post

app = App(name="batches", help="List, show and cancel batches of requests.")

BatchId = Annotated[str, Parameter(name="ID")]

_LIMIT_MAX = 100
_ID = re.compile(r"batch_[0-9a-f]{1,64}")


@app.command(name="list")
def list_batches(*, limit: int = 20, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """List the batches of the key's tenant, newest first.

    Args:
        limit: Most batches listed, 1 to 100; 20 if not given.
    """
    if not 1 <= limit <= _LIMIT_MAX:
        raise output.UsageError(f"--limit is {limit}; 1 to {_LIMIT_MAX} are taken.")
    found: list[dict[str, Any]] = get(find_server(url=url, key_file=key_file), f"/v1/batches?limit={limit}")["data"]
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("No batches yet.")
    else:
        rows = [(each["id"], each["status"], _progress(each), _time(each["created_at"])) for each in found]
        output.say(output.table(rows, head=("batch", "state", "requests", "created")))
    return output.OK


@app.command(name="show")
def show_batch(batch_id: BatchId, /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Show one batch: how far it is, its files, and what is wrong with it.

    Args:
        batch_id: The batch's id, from "freehold batches list".
    """
    return _show(get(find_server(url=url, key_file=key_file), f"/v1/batches/{_checked(batch_id)}"), as_json=as_json)


@app.command(name="cancel")
def cancel_batch(batch_id: BatchId, /, *, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """Stop a batch. What runs is ended at once; results that there are stay.

    Args:
        batch_id: The batch's id, from "freehold batches list".
    """
    server = find_server(url=url, key_file=key_file)
    return _show(post(server, f"/v1/batches/{_checked(batch_id)}/cancel"), as_json=as_json)


def _checked(batch_id: str) -> str:
    if not _ID.fullmatch(batch_id):
        raise output.UsageError(f'{batch_id!r} is no batch id; "freehold batches list" lists them.')
    return batch_id


def _show(batch: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        output.print_json(batch)
        return output.OK
    lines = [
        f"batch     {batch['id']}",
        f"state     {batch['status']}",
        f"asks      {batch['endpoint']}",
        f"requests  {_progress(batch)}",
        f"created   {_time(batch['created_at'])}",
        f"expires   {_time(batch['expires_at'])}",
        f"input     {batch['input_file_id']}",
        f"output    {batch['output_file_id'] or '-'}",
        f"errors    {batch['error_file_id'] or '-'}",
    ]
    errors: Mapping[str, Any] = batch["errors"] or {}
    faults: list[Mapping[str, Any]] = errors.get("data", [])
    lines += [f"wrong     {_wrong(each)}" for each in faults]
    output.say("\n".join(lines))
    return output.OK


def _wrong(fault: Mapping[str, Any]) -> str:
    place = "" if fault["line"] is None else f"line {fault['line']}: "
    return f"{place}{fault['code']}: {fault['message']}"


def _progress(batch: Mapping[str, Any]) -> str:
    counts = batch["request_counts"]
    return f"{counts['completed']} completed, {counts['failed']} failed, {counts['total']} in all"


def _time(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
