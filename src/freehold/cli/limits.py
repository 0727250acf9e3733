"""``freehold limits``: set, listed and removed in the database directly; a running server holds them within seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from freehold.api.limit_documents import limit_documents
from freehold.cli import output
from freehold.cli.configured import compiled_or_default
from freehold.cli.key_ring import open_ring, this_user, unfiled
from freehold.cli.options import ConfigFile, Json
from freehold.config.load import data_folder
from freehold.domain.limits import Limit
from freehold.hostinfo.clock import SystemClock
from freehold.identity.keys import KeyRing
from freehold.identity.limit_book import LimitBook, limit_amount
from freehold.storage.database import Database
from freehold.storage.limits import SqliteLimits
from freehold.storage.usage import SqliteUsage

app = App(name="limits", help="What tenants and keys may use: requests, tokens, money.")

What = Literal["requests", "tokens", "money"]
PerWindow = Literal["minute", "hour", "day", "month"]
SubjectText = Annotated[str, Parameter(name="SUBJECT")]


@app.command(name="list")
def list_limits(*, config: ConfigFile = "", as_json: Json = False) -> int:
    """List all limits, with what is used of them now. A running server counts requests that still run besides."""
    with open_book(config) as (book, ring, database):
        limits = book.all()
        found = _documents(limits, ring, database)
    if as_json:
        output.print_json(found)
    elif not limits:
        output.say("There are no limits. For example: freehold limits set tenant:default money month 50")
    else:
        output.say(limits_text(limits, found))
    return output.OK


@app.command(name="set")
def set_limit(
    subject: SubjectText,
    what: Annotated[What, Parameter(name="WHAT")],
    window: Annotated[PerWindow, Parameter(name="WINDOW")],
    amount: Annotated[str, Parameter(name="AMOUNT")],
    /,
    *,
    currency: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Set a limit, or change its amount. What was used in this window counts already.

    Args:
        subject: tenant:NAME, or key:ID with an id from "freehold keys list".
        what: requests, tokens (read and written, of every attempt) or money.
        window: minute, hour, day or month, by the calendar in UTC.
        amount: A whole number, or an amount of money such as 12.50. 0 allows nothing.
        currency: Of money, for example EUR; the configuration's if not given.
    """
    with open_book(config) as (book, ring, database):
        limit = book.read(subject, what, window, amount, currency)
        book.set(limit, by=this_user("limits"))
        found = _documents((limit,), ring, database)
    if as_json:
        output.print_json(found[0])
    else:
        output.say(f"{limit.subject}: at most {limit_amount(limit)} a {limit.window}.")
    return output.OK


@app.command(name="remove")
def remove_limit(
    subject: SubjectText,
    what: Annotated[What, Parameter(name="WHAT")],
    window: Annotated[PerWindow, Parameter(name="WINDOW")],
    /,
    *,
    currency: str = "",
    config: ConfigFile = "",
    as_json: Json = False,
) -> int:
    """Remove a limit.

    Args:
        subject: As it is listed; it may be a key or a tenant that is gone.
        what: requests, tokens or money.
        window: minute, hour, day or month.
        currency: Of money; the configuration's if not given.
    """
    with open_book(config) as (book, _, _):
        book.remove(subject, what, window, currency, by=this_user("limits"))
    if as_json:
        output.print_json({"subject": subject, "what": what, "window": window, "removed": True})
    else:
        output.say(f"{subject} is no longer held to {what} a {window}.")
    return output.OK


@contextlib.contextmanager
def open_book(config: str) -> Generator[tuple[LimitBook, KeyRing, Database]]:
    """The limits and keys of the data folder.

    Raises:
        StorageFailed: Its database cannot be opened.
    """
    compiled = compiled_or_default(config)
    with open_ring(data_folder(), compiled) as (ring, database):
        currency = compiled.ledger.currency
        yield LimitBook(SqliteLimits(database), ring, currency=currency, clock=SystemClock()), ring, database


def limits_text(limits: tuple[Limit, ...], documents: list[dict[str, Any]]) -> str:
    """A table of limits."""
    rows = [
        (
            str(limit.subject),
            limit.window.value,
            limit_amount(limit),
            "-" if shown["used"] is None else _used(limit, shown["used"]),
            f"{datetime.fromtimestamp(shown['resets_unix_ms'] // 1000, UTC):%Y-%m-%d %H:%M} UTC",
        )
        for limit, shown in zip(limits, documents, strict=True)
    ]
    return output.table(rows, head=("subject", "each", "at most", "used", "begins anew"))


def _used(limit: Limit, used: int | str) -> str:
    return f"{used:,}" if isinstance(used, int) else f"{used} {limit.currency}"


def _documents(limits: tuple[Limit, ...], ring: KeyRing, database: Database) -> list[dict[str, Any]]:
    usage, unix_ms = SqliteUsage(database, unfiled=unfiled(data_folder())), SystemClock().unix_ms()
    return limit_documents(limits, usage=usage, unix_ms=unix_ms, line_of=ring.line_of)
