"""``freehold release``: ask that one exact body may go to one deployment, approve it, and publish files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.options import Json, KeyFile, Url
from freehold.cli.server_call import find_server, get, post

app = App(name="release", help="Let one exact text go where its label forbids it; two persons, on record.")

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_FILE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SPAN = re.compile(r"([0-9]{1,5})(m|h)")
_SPAN_S = {"m": 60, "h": 3600}
ReleaseId = Annotated[str, Parameter(name="ID")]


@app.command(name="request")
def request_release(
    target: Annotated[str, Parameter(name="RECEIPT_ID|FILE")],
    /,
    *,
    to: str,
    reason: str,
    label: str = "",
    expires: str = "8h",
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Ask for a release. It is good for nothing until somebody approves it. The key needs the scope manage.

    Args:
        target: The receipt of a request that policy refused within the last seven days, or a file that holds the body
            byte for byte as it will be sent to /v1/chat/completions.
        to: The deployment that may have it.
        reason: Why. Whoever approves reads it; the audit log holds a commitment of it only.
        label: What the label must say besides, for example "confidential;kinds=phi".
        expires: After how long it is good for nothing, at most 24h; 30m or 8h for example.
    """
    members: dict[str, object] = {"to": to, "reason": reason, "expires_s": _seconds(expires)}
    if label:
        members["label"] = label
    is_receipt = _ID.fullmatch(target) is not None
    body = _with(members | {"receipt": target}, None) if is_receipt else _with(members, _read(target))
    made = post(find_server(url=url, key_file=key_file), "/v1/admin/releases", body)
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Release {made['id']} waits for approval; it expires {_time(made['expires_unix_ms'])}.")
        output.say(f"It lets one body labelled {made['label']} go to {made['deployment']}, once.")
        output.note(
            f"Approve it, from level confidential on with somebody else's key: freehold release approve {made['id']}"
        )
    return output.OK


@app.command(name="approve")
def approve_release(
    release_id: ReleaseId,
    /,
    *,
    file: str = "",
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Approve a release with a key of one's own. From level confidential on, not by who asked for it.

    Args:
        release_id: Its id, from "freehold release list".
        file: The body that you have read; it is approved only if it is for exactly that one.
    """
    _check_id(release_id)
    body = _with({}, _read(file)) if file else b""
    done = post(find_server(url=url, key_file=key_file), f"/v1/admin/releases/{release_id}/approve", body)
    if as_json:
        output.print_json(done)
    else:
        output.say(f"Release {release_id} is approved: {done['deployment']} may have that body once.")
        output.say(f"It is good until {_time(done['expires_unix_ms'])}.")
    return output.OK


@app.command(name="list")
def list_releases(*, url: Url = "", key_file: KeyFile = "", as_json: Json = False) -> int:
    """List releases, newest first, those that are over too."""
    found: list[dict[str, Any]] = get(find_server(url=url, key_file=key_file), "/v1/admin/releases")["data"]
    if as_json:
        output.print_json(found)
    elif not found:
        output.say("There are no releases.")
    else:
        output.say(output.table([_row(each) for each in found], head=_HEAD))
    return output.OK


@app.command(name="publish")
def publish_file(
    file_id: Annotated[str, Parameter(name="FILE_ID")],
    /,
    *,
    label: str,
    reason: str,
    url: Url = "",
    key_file: KeyFile = "",
    as_json: Json = False,
) -> int:
    """Give a stored file another label. From level restricted down, two owners must ask for the same within a day.

    Args:
        file_id: Its id, as the API lists it.
        label: The label that it is to have.
        reason: Why. The audit log holds a commitment of it only.
    """
    if not _FILE_ID.fullmatch(file_id):
        raise output.UsageError(f"{file_id!r} is no id of a file.")
    body = json.dumps({"label": label, "reason": reason}).encode()
    done = post(find_server(url=url, key_file=key_file), f"/v1/admin/files/{file_id}/publish", body)
    if as_json:
        output.print_json(done)
    elif done["state"] == "published":
        output.say(f"File {file_id} is {done['label']} now; it was {done['before']}.")
    else:
        output.say(
            f"File {file_id} is still {done['before']}: a second owner must ask for {done['label']} within a day."
        )
    return output.OK


_HEAD = ("release", "state", "to", "label", "asked by", "approved by", "good until", "reason")


def _row(release: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(release["id"]),
        str(release["state"]),
        str(release["deployment"]),
        str(release["label"]),
        str(release["requested_by"]),
        str(release["approved_by"] or "-"),
        _time(release["expires_unix_ms"]),
        " ".join(str(release["reason"]).split()),
    )


def _time(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _seconds(text: str) -> int:
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise output.UsageError(f"--expires is {text!r}; write for example 30m or 8h.")
    return int(found[1]) * _SPAN_S[found[2]]


def _check_id(release_id: str) -> None:
    if not _ID.fullmatch(release_id):
        raise output.UsageError(f'{release_id!r} is no id of a release; "freehold release list" shows them.')


def _read(path: str) -> bytes:
    """A body as it stands in its file."""
    try:
        raw = Path(path).expanduser().read_bytes().strip()
    except OSError as error:
        raise output.UsageError(
            f"{path!r} is no receipt id, and no file that can be read: {error.strerror}."
        ) from error
    try:
        is_object = isinstance(json.loads(raw), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise output.UsageError(f"{path!r} does not hold one JSON object.")
    return raw


def _with(members: Mapping[str, object], body: bytes | None) -> bytes:
    """A JSON object with a member ``body`` byte for byte as it is: each of its bytes is part of what is released."""
    rest = json.dumps(members)
    if body is None:
        return rest.encode()
    return rest[:-1].encode() + (b', "body": ' if members else b'"body": ') + body + b"}"
