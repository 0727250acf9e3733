"""What a change of a vault leaves elsewhere: an event for the audit log, and fingerprints of what is restricted.

Events name documents by commitments: HMACs under a key of the data folder's. Who has that key can show that an entry is about
a certain document, or file; nobody else learns which, nor what it was called.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence

from freehold.domain.ports import Clock
from freehold.domain.vault import Document
from freehold.gateway.vault_labels import VaultLabels
from freehold.gateway.vault_memory import VaultMemory
from freehold.storage.keys import KeyEvent, SqliteKeys

_TOGETHER = 500
"""Documents of one event."""


class VaultBook:
    """Implements ``vault.ingest_ports.Book`` for one vault.

    Args:
        vault: Its name.
        events: Where events wait for the audit log.
        memory: Remembers restricted texts.
        labels: Says which are.
        key: Of commitments.
        clock: Time.
    """

    def __init__(
        self, vault: str, *, events: SqliteKeys, memory: VaultMemory, labels: VaultLabels, key: bytes, clock: Clock
    ) -> None:
        self._vault = vault
        self._events = events
        self._memory = memory
        self._labels = labels
        self._key = key
        self._clock = clock

    async def adding(self, document: Document, *, text: str, by: str, instead: bool) -> None:
        """See ``Book``."""
        if instead:
            await self._memory.forget([document.id], tenant=document.tenant)
        await self._remember(document, text)
        detail = {**self._told(document), "content": self.commit(document.sha256), "state": document.state}
        await self._note("vault.changed" if instead else "vault.added", document.tenant, by, detail)

    async def erasing(self, documents: Sequence[Document], *, by: str) -> None:
        """See ``Book``."""
        tenant = documents[0].tenant
        await self._memory.forget([each.id for each in documents], tenant=tenant)
        for start in range(0, len(documents), _TOGETHER):
            named = [self.commit(each.id) for each in documents[start : start + _TOGETHER]]
            await self._note("vault.erased", tenant, by, {"vault": self._vault, "documents": named})

    async def relabelling(self, document: Document, *, text: str, by: str) -> None:
        """See ``Book``."""
        await self._memory.forget([document.id], tenant=document.tenant)
        await self._remember(document, text)
        await self._note("vault.relabelled", document.tenant, by, self._told(document))

    def commit(self, told: str) -> str:
        """The commitment to an id or a digest."""
        return hmac.new(self._key, f"{self._vault}\0{told}".encode(), hashlib.sha256).hexdigest()

    async def _remember(self, document: Document, text: str) -> None:
        if self._labels.restricts(document.tenant, document.label):
            await self._memory.remember(document.id, tenant=document.tenant, label=document.label, text=text)

    def _told(self, document: Document) -> dict[str, object]:
        return {"vault": self._vault, "document": self.commit(document.id), "label": document.label}

    async def _note(self, event: str, tenant: str, by: str, detail: dict[str, object]) -> None:
        noted = KeyEvent(unix_ms=self._clock.unix_ms(), event=event, key_id="", tenant=tenant, by=by, detail=detail)
        await asyncio.to_thread(self._events.note, noted)
