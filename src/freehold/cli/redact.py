"""``freehold redact`` and ``freehold restore``: a text without what a detector finds in it, and back again."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, cast

from cyclopts import Parameter

from freehold.cli import output
from freehold.cli.options import Json
from freehold.cli.scan import NOT_COMPLETE, STANDARD_INPUT, look_through, read_text
from freehold.domain.errors.detect import MapUnusable, ScanUnreadable
from freehold.domain.findings import Scan
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE
from freehold.policy.message_texts import texts_of, with_texts
from freehold.policy.pseudonyms import PseudonymMap, pseudonymise
from freehold.policy.redact import redact as redacted
from freehold.policy.restorer import Restorer

_KEY_BYTES = 32
_PIECE_CHARACTERS = 65_536
_OWN = Label(level=Level.RESTRICTED, zones=frozenset({DEVICE}))
"""Whoever has the map may see what it hides."""


def redact(
    file: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    map_file: Annotated[str, Parameter(name="--map")] = "",
    chat: bool = False,
    names: Annotated[bool, Parameter(name="--names", negative="--no-names")] = True,
    within: float = 600.0,
    as_json: Json = False,
) -> int:
    """Print a text with [KIND] in the place of personal data and secrets. Exit code 2: not all was found, and nothing is printed.

    Args:
        file: Text file; "-" reads standard input.
        map_file: Put tokens instead, which "freehold restore" turns back by this file. It is made where it is not there,
            and gets what a further text adds; keep it at home.
        chat: The text is the JSON of a chat request: the texts of its messages are looked through, and arguments of tools.
        names: Look for names and addresses too, which takes most of the time and needs the model rampart.
        within: Give up after so many seconds.
    """
    text = read_text(file)
    body = _body(file, text) if chat else None
    texts, unread = ([text], 0) if body is None else _of_messages(body)
    found = _looked_through(texts, names=names, within_s=within)
    if unread:
        output.note(f"{unread} parts of the messages are no text. Nobody looked into them.")
        return NOT_COMPLETE
    if not found.complete:
        output.note(f"Not everything was looked through: {found.why}.")
        return NOT_COMPLETE
    if map_file:
        path = Path(map_file).expanduser()
        key, known = _map(path)
        made = pseudonymise(texts, found.findings, key, known)
        new, counts = made.texts, made.counts
        _keep(path, key, made.map)
    else:
        done = redacted(texts, found.findings)
        new, counts = done.texts, done.counts
    again = _looked_through(new, names=names, within_s=within)
    if not again.complete or any(again.findings):
        left = sum(map(len, again.findings))
        output.note(f"Looking through the result found {left} more, or was not finished: nothing is printed.")
        return NOT_COMPLETE
    whole = new[0] if body is None else _with_messages(body, new)
    if as_json:
        output.print_json({"text": whole, "counts": dict(counts)})
    else:
        sys.stdout.write(whole)
    return output.OK


def restore(
    file: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    map_file: Annotated[str, Parameter(name="--map")],
    as_json: Json = False,
) -> int:
    """Print a text with what "freehold redact --map" took out put back, but for links, images and tools' arguments.

    Args:
        file: Text file; "-" reads standard input, and prints as it reads.
        map_file: What redact wrote.
    """
    path = Path(map_file).expanduser()
    if not path.is_file():
        raise MapUnusable(path=str(path), reason="there is no such file")
    restorer = Restorer(_map(path)[1], original=_OWN, cleared_for=_OWN)
    if as_json:
        text = restorer.feed(read_text(file)) + restorer.finish()
        output.print_json({"text": text, "restored": restorer.restored, "unknown": restorer.unknown})
        return output.OK
    if file != STANDARD_INPUT:
        sys.stdout.write(restorer.feed(read_text(file)) + restorer.finish())
        return output.OK
    while piece := sys.stdin.readline(_PIECE_CHARACTERS):
        sys.stdout.write(restorer.feed(piece))
        sys.stdout.flush()
    sys.stdout.write(restorer.finish())
    return output.OK


def _body(file: str, text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise ScanUnreadable(path=file, reason=f"it is no JSON ({error})") from error
    if not isinstance(body, dict) or not isinstance(cast("dict[str, object]", body).get("messages"), list):
        raise ScanUnreadable(path=file, reason='it is no chat request: it has no list "messages"')
    return cast("dict[str, object]", body)


def _of_messages(body: dict[str, object]) -> tuple[Sequence[str], int]:
    found = texts_of(cast("list[object]", body["messages"]))
    return found.texts, found.unread


def _with_messages(body: dict[str, object], texts: Sequence[str]) -> str:
    changed = body | {"messages": with_texts(cast("list[object]", body["messages"]), texts)}
    return json.dumps(changed, ensure_ascii=False, indent=2) + "\n"


def _looked_through(texts: Sequence[str], *, names: bool, within_s: float) -> Scan:
    return asyncio.run(look_through(texts, names=names, within_s=within_s))


def _map(path: Path) -> tuple[bytes, PseudonymMap]:
    """The key and the tokens of a map; a new key where there is none yet."""
    if not path.exists():
        return secrets.token_bytes(_KEY_BYTES), PseudonymMap()
    try:
        kept = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        key = bytes.fromhex(cast("str", kept["key"]))
        values = {str(token): str(value) for token, value in cast("dict[str, str]", kept["values"]).items()}
    except OSError as error:
        raise MapUnusable(path=str(path), reason=error.strerror or str(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MapUnusable(path=str(path), reason="it is no map that freehold redact wrote") from error
    return key, PseudonymMap(values=MappingProxyType(values))


def _keep(path: Path, key: bytes, made: PseudonymMap) -> None:
    """Write a map, which only its owner may read, whole or not at all."""
    beside = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as to:
            json.dump({"key": key.hex(), "values": dict(made.values)}, to, ensure_ascii=False)
        beside.replace(path)
    except OSError as error:
        raise MapUnusable(path=str(path), reason=error.strerror or str(error)) from error
