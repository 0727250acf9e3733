"""``freehold keys``: made, rotated and revoked in the database directly, so that it works while the server runs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, cast

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import open_ring, this_user
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.domain.errors.auth import KeyRequestInvalid
from freehold.domain.identity import UNNAMED, Reads
from freehold.domain.labels import Level
from freehold.identity.keys import KeyRing
from freehold.storage.keys import KeyRecord

app = App(name="keys", help="Make, list, rotate and revoke API keys.")

_SPAN = re.compile(r"([0-9]{1,6})([smhdw]?)")
_SPAN_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Eyes:
    """Which private documents a key may read. What is not given is as it was, or as an ordinary key has it.

    Attributes:
        user: Whose key it is, for documents that name their readers; "" for nobody's.
        group: A group of that person; give it several times for several, "" for none.
        clearance: The highest level of documents that it may read; restricted if never given.
    """

    user: str | None = None
    group: tuple[str, ...] | None = None
    clearance: Literal["public", "internal", "confidential", "restricted"] | None = None

    def over(self, old: Reads) -> Reads:
        """What a key reads with that read with ``old``."""
        return Reads(
            user=old.user if self.user is None else self.user,
            groups=old.groups if self.group is None else frozenset(self.group) - {""},
            clearance=old.clearance if self.clearance is None else Level[self.clearance.upper()],
        )


_AS_IT_IS = Eyes()


@app.command(name="new")
def new_key(
    name: str,
    /,
    *,
    tenant: str = "",
    scope: tuple[Literal["infer", "manage", "admin"], ...] = ("infer",),
    label: str = "",
    expires: str = "",
    eyes: Eyes = _AS_IT_IS,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Make a key. It is shown this once and stored nowhere; a running server knows it within seconds.

    Args:
        name: What you call it.
        tenant: A tenant of the configuration; its first one if not given.
        scope: infer (ask models, see what the tenant owns), manage (the tenant's keys, limits and usage) or admin (the
            same of all tenants, and the house itself); give it several times for several. infer if not given.
        label: Label that the key adds to everything sent with it, for example "confidential".
        expires: After how long the key opens nothing, for example 90d, 12h or 30m. Never if not given.
        eyes: Which private documents it may read.
    """
    life_s = _seconds(expires) if expires else None
    reads = eyes.over(UNNAMED)
    with _ring(config) as (ring, tenants):
        tenant = tenant or tenants[0]
        secret, record = ring.new(
            name=name, tenant=tenant, scopes=scope, label=label, life_s=life_s, reads=reads, by=this_user("keys")
        )
        _show_new(ring, secret, record, as_json=as_json)
    return output.OK


@app.command(name="set")
def set_key(
    key_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    eyes: Eyes = _AS_IT_IS,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Change which private documents a key may read; what is not given stays. Its next request does so.

    Args:
        key_id: The key's id, from "freehold keys list".
        eyes: Which private documents it may read from now on.
    """
    with _ring(config) as (ring, _):
        old = found.reads if (found := ring.find(key_id)) is not None else UNNAMED
        record = ring.change_reads(key_id, eyes.over(old), by=this_user("keys"))
        document = _document(ring, record)
    if as_json:
        output.print_json(document)
    else:
        output.say(f"Key {key_id} reads as {_eyes(record.reads)}.")
    return output.OK


@app.command(name="show")
def show_key(
    key_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Show one key. The key itself is stored nowhere.

    Args:
        key_id: The key's id, from "freehold keys list".
    """
    with _ring(config) as (ring, _):
        record = ring.find(key_id)
        if record is None:
            raise KeyRequestInvalid(what="the key id", value=key_id, reason="there is no key with this id")
        document = _document(ring, record)
    if as_json:
        output.print_json(document)
        return output.OK
    shown = [(name, _words(value)) for name, value in document.items() if not name.endswith("_unix_ms")]
    output.say(output.table([*shown, ("made", _date(record.created_unix_ms))], head=("what", "value")))
    return output.OK


@app.command(name="rotate")
def rotate_key(
    key_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    overlap: str = "24h",
    expires: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Make a key in place of another one: same name, tenant, scopes, label and eyes, a new secret, shown this once.

    Args:
        key_id: The key's id, from "freehold keys list".
        overlap: How long the old key stays good beside the new one, for example 24h or 7d; 0 if it leaked.
        expires: After how long the new key opens nothing. As long as the old one was made for, if not given.
    """
    overlap_s, life_s = _seconds(overlap), _seconds(expires) if expires else None
    with _ring(config) as (ring, _):
        secret, record = ring.rotate(key_id, overlap_s=overlap_s, life_s=life_s, by=this_user("keys"))
        _show_new(ring, secret, record, as_json=as_json)
    if not as_json:
        output.note(f"Key {key_id} opens nothing {f'after {overlap}' if overlap_s else 'from now on'}.")
    return output.OK


@app.command(name="list")
def list_keys(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """List all keys, revoked ones too. The keys themselves are stored nowhere."""
    with _ring(config) as (ring, _):
        records, problems = ring.list(), ring.problems
        documents = [_document(ring, record) for record in records]
        states = [_state(ring, record) for record in records]
    if as_json:
        output.print_json(documents)
        return output.OK
    if not records:
        output.say('There are no keys yet. "freehold up" makes the first.')
    else:
        rows = [
            (
                record.id,
                record.name,
                record.tenant,
                " ".join(sorted(record.scopes)),
                record.label or "-",
                _eyes(record.reads),
                _date(record.created_unix_ms),
                state,
            )
            for record, state in zip(records, states, strict=True)
        ]
        output.say(output.table(rows, head=("id", "name", "tenant", "scopes", "label", "reads as", "made", "state")))
    for problem in problems:
        output.note(f"Opens nothing: {problem}")
    return output.OK


@app.command(name="revoke")
def revoke_key(
    key_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    force: bool = False,
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Revoke a key for good. Within seconds a running server refuses it, and ends what runs for it.

    Args:
        key_id: The key's id, from "freehold keys list".
        force: Also if it is the last key with the scope admin.
    """
    with _ring(config) as (ring, _):
        ring.revoke(key_id, force=force, by=this_user("keys"))
    if as_json:
        output.print_json({"id": key_id, "revoked": True})
    else:
        output.say(f"Key {key_id} is revoked.")
    return output.OK


@contextlib.contextmanager
def _ring(config: str) -> Generator[tuple[KeyRing, tuple[str, ...]]]:
    """The keys of the data folder, and the tenants of the configuration."""
    compiled = compiled_or_default(config)
    with open_ring(data_folder(), compiled) as (ring, _):
        yield ring, tuple(compiled.tenants)


def _seconds(text: str) -> int:
    """A span of time in seconds: a number with s, m, h, d or w.

    Raises:
        KeyRequestInvalid: It is none.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise KeyRequestInvalid(what="the time", value=text, reason="write for example 90d, 24h, 30m, or 0")
    return int(found[1]) * _SPAN_S[found[2]]


def _show_new(ring: KeyRing, secret: str, record: KeyRecord, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"key": secret, **_document(ring, record)})
        return
    output.say(secret)
    until = f", until {_date(record.expires_unix_ms)}" if record.expires_unix_ms is not None else ""
    told = f"Key {record.id} ({record.name}){until}, shown this once."
    output.note(f"{told} Revoke it: freehold keys revoke {record.id}")


def _state(ring: KeyRing, record: KeyRecord) -> str:
    state = ring.state(record)
    if record.revoked_unix_ms is not None:
        return f"{state} {_date(record.revoked_unix_ms)}"
    if record.expires_unix_ms is None:
        return state
    return (
        f"{state} {_date(record.expires_unix_ms)}"
        if state == "expired"
        else f"{state} to {_date(record.expires_unix_ms)}"
    )


def _document(ring: KeyRing, record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": sorted(record.scopes),
        "label": record.label or None,
        "created_unix_ms": record.created_unix_ms,
        "revoked_unix_ms": record.revoked_unix_ms,
        "expires_unix_ms": record.expires_unix_ms,
        "follows": record.follows or None,
        "user": record.reads.user or None,
        "groups": sorted(record.reads.groups),
        "clearance": record.reads.clearance.word,
        "state": ring.state(record),
    }


def _eyes(reads: Reads) -> str:
    """``ana, legal, up to confidential``; ``-`` where nothing was said."""
    words = [*([reads.user] if reads.user else []), *sorted(reads.groups)]
    if reads.clearance is not Level.RESTRICTED:
        words.append(f"up to {reads.clearance.word}")
    return ", ".join(words) or "-"


def _words(value: object) -> str:
    words: list[object] = [*cast("list[object]", value)] if isinstance(value, list) else [value or "-"]
    return " ".join(str(word) for word in words) or "-"


def _date(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).date().isoformat()
