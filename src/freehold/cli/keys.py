"""``freehold keys``: made, listed and revoked in the database directly, so that it works while the server runs."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Annotated, Literal

from cyclopts import App, Parameter

from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import open_ring
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.identity.keys import KeyRing
from freehold.storage.keys import KeyRecord

app = App(name="keys", help="Make, list and revoke API keys.")


@app.command(name="new")
def new_key(
    name: str,
    /,
    *,
    tenant: str = "",
    scope: tuple[Literal["infer", "manage", "admin"], ...] = ("infer",),
    label: str = "",
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
    """
    with _ring(config) as (ring, tenants):
        secret, record = ring.new(name=name, tenant=tenant or tenants[0], scopes=scope, label=label)
    if as_json:
        output.print_json({"key": secret, **_document(record)})
    else:
        output.say(secret)
        output.note(f"Key {record.id} ({record.name}), shown this once. Revoke it: freehold keys revoke {record.id}")
    return output.OK


@app.command(name="list")
def list_keys(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """List all keys, revoked ones too. The keys themselves are stored nowhere."""
    with _ring(config) as (ring, _):
        records, problems = ring.list(), ring.problems
    if as_json:
        output.print_json([_document(record) for record in records])
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
                _date(record.created_unix_ms),
                "good" if record.revoked_unix_ms is None else f"revoked {_date(record.revoked_unix_ms)}",
            )
            for record in records
        ]
        output.say(output.table(rows, head=("id", "name", "tenant", "scopes", "label", "made", "state")))
    for problem in problems:
        output.note(f"Opens nothing: {problem}")
    return output.OK


@app.command(name="revoke")
def revoke_key(
    key_id: Annotated[str, Parameter(name="ID")], /, *, config: ConfigFile = "", as_json: Json = False
) -> int:
    """Revoke a key for good. Within seconds a running server refuses it, and ends what runs for it.

    Args:
        key_id: The key's id, from "freehold keys list".
    """
    with _ring(config) as (ring, _):
        ring.revoke(key_id)
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


def _document(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "scopes": sorted(record.scopes),
        "label": record.label or None,
        "created_unix_ms": record.created_unix_ms,
        "revoked_unix_ms": record.revoked_unix_ms,
    }


def _date(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).date().isoformat()
