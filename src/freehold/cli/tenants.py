"""``freehold tenants``: what the configuration, the keys, the limits and the receipts say of each."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from freehold.api.limit_documents import tenant_documents
from freehold.cli import output
from freehold.cli.key_ring import unfiled
from freehold.cli.limits import limits_text, open_book
from freehold.cli.options import ConfigFile, Json
from freehold.cli.usage import cost_text
from freehold.config.load import data_folder
from freehold.domain.limits import Subject, SubjectKind
from freehold.hostinfo.clock import SystemClock
from freehold.storage.usage import SqliteUsage

app = App(name="tenants", help="Tenants with their keys, limits and this month's use.")


@app.command(name="list")
def list_tenants(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """List the tenants of the configuration."""
    with open_book(config) as (book, ring, database):
        found = tenant_documents(
            ring.tenants.values(),
            book=book,
            keys=ring,
            usage=SqliteUsage(database, unfiled=unfiled(data_folder())),
            unix_ms=SystemClock().unix_ms(),
        )
    if as_json:
        output.print_json(found)
        return output.OK
    rows: list[tuple[str, ...]] = []
    for each in found:
        used: dict[str, Any] = each["this_month"] or {}  # pyright: ignore[reportAssignmentType] - JSON-ready values
        tokens = used.get("input_tokens", 0) + used.get("output_tokens", 0)
        limits: list[object] = each["limits"]  # pyright: ignore[reportAssignmentType] - the same
        rows.append(
            (
                str(each["name"]),
                str(each["label"]),
                str(each["weight"]),
                str(each["keys"]),
                str(len(limits)),
                f"{used.get('requests', 0):,}",
                f"{tokens:,}",
                cost_text(used.get("cost", ())),
            )
        )
    head = ("tenant", "label", "weight", "keys", "limits", "requests this month", "tokens", "cost")
    output.say(output.table(rows, head=head))
    return output.OK


@app.command(name="show")
def show_tenant(
    name: Annotated[str, Parameter(name="NAME")], /, *, config: ConfigFile = "", as_json: Json = False
) -> int:
    """Show one tenant with its keys and limits.

    Args:
        name: As the configuration calls it.
    """
    with open_book(config) as (book, ring, database):
        subject = book.subject(f"{SubjectKind.TENANT}:{name}")
        (found,) = tenant_documents(
            [ring.tenants[name]],
            book=book,
            keys=ring,
            usage=SqliteUsage(database, unfiled=unfiled(data_folder())),
            unix_ms=SystemClock().unix_ms(),
        )
        limits = tuple(limit for limit in book.all() if limit.subject == Subject(subject.kind, subject.name))
        keys = [record for record in ring.list() if record.tenant == name and record.revoked_unix_ms is None]
    if as_json:
        output.print_json(found | {"key_ids": [record.id for record in keys]})
        return output.OK
    used: dict[str, Any] = found["this_month"] or {}  # pyright: ignore[reportAssignmentType] - JSON-ready values
    output.say(f"tenant      {name}")
    output.say(f"label       {found['label']}")
    output.say(f"weight      {found['weight']}")
    output.say(
        f"this month  {used.get('requests', 0):,} requests, {used.get('input_tokens', 0):,} tokens read,"
        f" {used.get('output_tokens', 0):,} written, {cost_text(used.get('cost', ()))}"
    )
    for record in keys:
        output.say(f"key         {record.id} ({record.name})")
    if limits:
        output.say()
        output.say(limits_text(limits, found["limits"]))  # pyright: ignore[reportArgumentType] - as above
    return output.OK
