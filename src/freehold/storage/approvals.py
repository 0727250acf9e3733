"""Calls of tools that are held until a human decides, durable, and shared by all workers. Methods block, but for ``settle``.

A change and its event for the audit log are one transaction, as with keys. An event names the call by its id: what it says,
or a digest of that, which could be guessed, is in no record.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from freehold.domain.trust import Asker, HeldCall, HeldState, ToolCall
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, note_event
from freehold.storage.named_sql import load

OPEN_MS = 60 * 60 * 1000
"""How long a call may be decided, and, once allowed, made."""

WAITING_MAX = 1_000
"""Of one tenant; beyond it the oldest go, which is as if they were denied."""

_KEPT_MS = 24 * 60 * 60 * 1000


class SqliteApprovals:
    """The store of held calls; implements ``domain.trust.Approvals``.

    Args:
        database: Where they are.
        new_id: Makes ids.
    """

    def __init__(self, database: Database, *, new_id: Callable[[], str]) -> None:
        self._database = database
        self._new_id = new_id
        self._sql = load("approvals")

    async def settle(self, calls: Sequence[ToolCall], asker: Asker) -> tuple[HeldCall, ...]:
        """As the port; one transaction for all calls of an answer."""
        return await asyncio.to_thread(self._settle, calls, asker)

    def all(self, tenant: str | None = None) -> tuple[HeldCall, ...]:
        """Every call that is kept, the newest first; of one tenant or of all.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql = self._sql["all_approvals"]

        def query(connection: sqlite3.Connection) -> tuple[HeldCall, ...]:
            return tuple(_held(row) for row in connection.execute(sql, {"tenant": tenant}))

        return self._database.query(query)

    def get(self, held_id: str, tenant: str | None = None) -> HeldCall | None:
        """One call; ``None`` where there is none, or it is another tenant's.

        Raises:
            StorageFailed: It cannot be read.
        """
        sql = self._sql["get_approval"]

        def query(connection: sqlite3.Connection) -> HeldCall | None:
            row = connection.execute(sql, {"id": held_id, "tenant": tenant}).fetchone()
            return None if row is None else _held(row)

        return self._database.query(query)

    def decide(self, held: HeldCall, *, state: HeldState, by: str, unix_ms: int) -> bool:
        """Allow or deny a call that waits. False where it does not wait any more; nothing has changed then.

        Raises:
            StorageFailed: It could not be written; nothing has changed.
        """
        expires = unix_ms + OPEN_MS

        def work(connection: sqlite3.Connection) -> bool:
            return self._set(connection, held, state=state, by=by, unix_ms=unix_ms, expires_unix_ms=expires)

        return self._database.run(work)

    def _settle(self, calls: Sequence[ToolCall], asker: Asker) -> tuple[HeldCall, ...]:
        def work(connection: sqlite3.Connection) -> tuple[HeldCall, ...]:
            connection.execute(self._sql["forget_old"], {"unix_ms": asker.unix_ms - _KEPT_MS})
            return tuple(self._settle_one(connection, call, asker) for call in calls)

        return self._database.run(work)

    def _settle_one(self, connection: sqlite3.Connection, call: ToolCall, asker: Asker) -> HeldCall:
        values = {
            "tenant": asker.tenant,
            "key_id": asker.key_id,
            "digest": call.digest,
            "unix_ms": asker.unix_ms,
        }
        row = connection.execute(self._sql["find_call"], values).fetchone()
        if row is None:
            return self._add(connection, call, asker)
        found = _held(row)
        if found.state is not HeldState.ALLOWED:
            return found
        used = replace(found, state=HeldState.USED)
        self._set(
            connection,
            found,
            state=HeldState.USED,
            by=found.decided_by,
            unix_ms=asker.unix_ms,
            expires_unix_ms=found.expires_unix_ms,
        )
        return used

    def _add(self, connection: sqlite3.Connection, call: ToolCall, asker: Asker) -> HeldCall:
        held = HeldCall(
            id=self._new_id(),
            tenant=asker.tenant,
            key_id=asker.key_id,
            request_id=asker.request_id,
            call=call,
            because=asker.because,
            asked_unix_ms=asker.unix_ms,
            expires_unix_ms=asker.unix_ms + OPEN_MS,
        )
        waiting = connection.execute(self._sql["count_waiting"], {"tenant": asker.tenant}).fetchone()[0]
        if waiting >= WAITING_MAX:
            count = waiting - WAITING_MAX + 1
            connection.execute(self._sql["drop_oldest"], {"tenant": asker.tenant, "count": count})
        values = {
            "id": held.id,
            "tenant": held.tenant,
            "key_id": held.key_id,
            "request_id": held.request_id,
            "tool": call.name,
            "arguments": call.arguments,
            "digest": call.digest,
            "because": held.because,
            "asked_unix_ms": held.asked_unix_ms,
            "expires_unix_ms": held.expires_unix_ms,
        }
        connection.execute(self._sql["add_approval"], values)
        note_event(connection, _event("approval.asked", held, by=held.key_id, unix_ms=asker.unix_ms))
        return held

    def _set(
        self,
        connection: sqlite3.Connection,
        held: HeldCall,
        *,
        state: HeldState,
        by: str,
        unix_ms: int,
        expires_unix_ms: int,
    ) -> bool:
        values = {
            "id": held.id,
            "state": state.value,
            "from_state": held.state.value,
            "by": by,
            "unix_ms": unix_ms,
            "expires_unix_ms": expires_unix_ms,
        }
        is_set = connection.execute(self._sql["set_state"], values).rowcount == 1
        note_event(connection, _event(f"approval.{state.value}", held, by=by, unix_ms=unix_ms) if is_set else None)
        return is_set


def _event(name: str, held: HeldCall, *, by: str, unix_ms: int) -> KeyEvent:
    return KeyEvent(
        unix_ms=unix_ms,
        event=name,
        key_id=held.key_id,
        tenant=held.tenant,
        by=by,
        detail={"approval": held.id, "request": held.request_id},
    )


def _held(row: Sequence[Any]) -> HeldCall:
    """A row; the statements name its columns in this order."""
    held_id, tenant, key_id, request_id, tool, arguments, digest, because, asked, expires, state, decided_by = row
    return HeldCall(
        id=held_id,
        tenant=tenant,
        key_id=key_id,
        request_id=request_id,
        call=ToolCall(name=tool, arguments=arguments, digest=digest),
        because=because,
        asked_unix_ms=asked,
        expires_unix_ms=expires,
        state=HeldState(state),
        decided_by=decided_by,
    )
