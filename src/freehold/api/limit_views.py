"""Limits, tenants and usage, for those who manage them: ``/v1/admin/…``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, Headers, Scope
from freehold.api.limit_documents import limit_documents, tenant_documents
from freehold.domain.errors.auth import ScopeMissing
from freehold.domain.errors.limits import LimitRequestInvalid
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.identity import Principal
from freehold.domain.identity import Scope as KeyScope
from freehold.domain.limits import Limit, Subject, SubjectKind
from freehold.domain.ports import Clock
from freehold.identity.access import reached_tenant
from freehold.identity.limit_book import Keys, LimitBook
from freehold.ledger.usage import By, day_of, span_of_days, usage_csv, usage_documents, usage_lines
from freehold.storage.usage import SqliteUsage
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import show
from freehold.wire.openai_response import encode_json

_CSV = (b"content-type", b"text/csv; charset=utf-8; header=present")

View = tuple[int, bytes, Headers]


class LimitViews:
    """One method a row of the URL table.

    Args:
        book: The limits.
        keys: Whose they may be.
        usage: What was used.
        refresh: Has a change hold at once in this process.
        clock: Time.
    """

    def __init__(
        self,
        *,
        book: LimitBook,
        keys: Keys,
        usage: SqliteUsage,
        refresh: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._book = book
        self._keys = keys
        self._usage = usage
        self._refresh = refresh
        self._clock = clock

    async def limits(self, scope: Scope, principal: Principal) -> View:
        """The limits that the caller reaches, with what is used of them now."""
        reached = reached_tenant(principal, scope["access"])
        limits = await asyncio.to_thread(self._book.all)
        owners = {record.id: record.tenant for record in self._keys.list()}

        def owner(subject: Subject) -> str | None:
            return subject.name if subject.kind is SubjectKind.TENANT else owners.get(subject.name)

        mine = [limit for limit in limits if reached is None or owner(limit.subject) == reached]
        return _json({"object": "list", "data": await asyncio.to_thread(self._shown, mine)})

    async def set_limit(self, scope: Scope, principal: Principal) -> View:
        """Set a limit, or change its amount."""
        said = _words(decode_document(scope["body"]).values)
        self._check_reach(said["subject"], scope, principal)
        limit = self._book.read(
            said["subject"], said["what"], said["window"], said["amount"], currency=said.get("currency", "")
        )
        await asyncio.to_thread(self._book.set, limit, by=principal.key_id)
        await self._refresh()
        (shown,) = await asyncio.to_thread(self._shown, [limit])
        return _json(shown)

    async def remove_limit(self, scope: Scope, principal: Principal) -> View:
        """Remove the limit that the query names."""
        query = QueryParams(scope["query_string"])
        subject, what, window = (_given(query, name) for name in ("subject", "what", "window"))
        self._check_reach(subject, scope, principal)
        try:
            currency = query.get("currency", "")
            await asyncio.to_thread(self._book.remove, subject, what, window, currency, by=principal.key_id)
        except LimitRequestInvalid as error:
            if error.values["what"] == "the limit":
                raise NotFound(path=scope["path"]) from error
            raise
        await self._refresh()
        return _json({"object": "limit.removed", "subject": subject, "what": what, "window": window})

    async def tenants(self, scope: Scope, principal: Principal) -> View:
        """The tenants that the caller reaches: label, weight, keys, limits, and what they used this month."""
        reached = reached_tenant(principal, scope["access"])
        shown = [tenant for name, tenant in self._keys.tenants.items() if reached in (None, name)]
        found = await asyncio.to_thread(
            tenant_documents, shown, book=self._book, keys=self._keys, usage=self._usage, unix_ms=self._clock.unix_ms()
        )
        return _json({"object": "list", "data": found})

    async def usage(self, scope: Scope, principal: Principal) -> View:
        """What was used, by key, tenant, deployment or day, as JSON or as comma-separated values."""
        query = QueryParams(scope["query_string"])
        word, form = query.get("by", By.KEY), query.get("format", "json")
        if word not in {*By}:
            raise _invalid("by", word, f"give one of {', '.join(By)}")
        if form not in {"json", "csv"}:
            raise _invalid("format", form, "give json or csv")
        by = By(word)
        try:
            span = span_of_days(query.get("from", ""), query.get("to", ""), unix_ms=self._clock.unix_ms())
        except ValueError as error:
            raise _invalid("from and to", f"{query.get('from', '')}, {query.get('to', '')}", str(error)) from error
        uses = await asyncio.to_thread(
            self._usage.read,
            from_unix_ms=span.from_unix_ms,
            to_unix_ms=span.to_unix_ms,
            tenant=reached_tenant(principal, scope["access"]),
            step_ms=by.step_ms,
        )
        lines, names = usage_lines(uses, by), {record.id: record.name for record in self._keys.list()}
        if form == "csv":
            return 200, usage_csv(lines, by, names=names).encode(), [_CSV]
        return _json(
            {
                "object": "list",
                "from": day_of(span.from_unix_ms),
                "to": day_of(span.to_unix_ms),
                "by": by.value,
                "data": usage_documents(lines, by, names=names),
            }
        )

    def _shown(self, limits: list[Limit]) -> list[dict[str, object]]:
        """Limits as JSON-ready values, with what is used of them. Blocks."""
        return limit_documents(limits, usage=self._usage, unix_ms=self._clock.unix_ms(), line_of=self._keys.line_of)

    def _check_reach(self, text: str, scope: Scope, principal: Principal) -> None:
        """Let a caller change the limits of a subject.

        Those of a tenant itself are the house's: whoever manages a tenant cannot lift what the tenant is held to.

        Raises:
            NotFound: It is another tenant's.
            ScopeMissing: It is the caller's tenant itself.
        """
        reached = reached_tenant(principal, scope["access"])
        if reached is None:
            return
        kind, _, name = text.partition(":")
        if kind not in {*SubjectKind}:
            return  # it is no subject, which is told by who reads it
        if self._book.tenant_of(Subject(SubjectKind(kind), name)) != reached:
            raise NotFound(path=scope["path"])
        if kind == SubjectKind.TENANT:
            raise ScopeMissing(scope=KeyScope.ADMIN.value)


def _words(values: Mapping[str, Any]) -> dict[str, str]:
    """The members of a body that sets a limit, as text."""
    found: dict[str, str] = {}
    for name in ("subject", "what", "window", "amount"):
        said = values.get(name)
        if isinstance(said, bool) or not isinstance(said, (str, int) if name == "amount" else str):
            raise _invalid(
                name, said, "give subject, what and window as text, and amount as a whole number, or of money as text"
            )
        found[name] = str(said)
    currency = values.get("currency")
    if currency is not None:
        if not isinstance(currency, str):
            raise _invalid("currency", currency, "it must be text")
        found["currency"] = currency
    if unknown := sorted(set(values) - {*found, "currency"}):
        raise _invalid(unknown[0], values[unknown[0]], "there is no such member")
    return found


def _given(query: QueryParams, name: str) -> str:
    found = query.get(name, "")
    if not found:
        raise _invalid(name, "", "give subject, what and window in the query")
    return found


def _invalid(name: str, value: object, reason: str) -> FieldInvalid:
    return FieldInvalid(param=name, field=name, value=show(value), reason=reason)


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
