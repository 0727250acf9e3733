"""Documents of a vault remembered, so that their text is known again when somebody pastes it: keyed fingerprints only.

What is kept here is taken over by every process of the gateway within a second (``gateway/remembering.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol
from zlib import crc32

from freehold.domain.memory import KeptPassage
from freehold.domain.ports import Clock
from freehold.gateway.remembering import TEXT_CHARACTERS_MAX
from freehold.policy.fingerprints import Printer, passages

_DAY_MS = 86_400_000


class ForgettingStore(Protocol):
    """Passages on disk."""

    def keep(self, passages: Sequence[KeptPassage], *, unix_ms: int) -> None:
        """Keep passages; returns at once."""
        ...

    async def forget(self, ids: Sequence[str], *, tenant: str) -> None:
        """Drop what is remembered of some documents."""
        ...


class VaultMemory:
    """Remembers documents.

    Args:
        store: Where passages are kept.
        key_of: The key of a tenant's fingerprints; makes it where there is none, and may block shortly.
        clock: Time.
        keep_days: How long a text is remembered; 0 remembers nothing.
    """

    def __init__(
        self, *, store: ForgettingStore, key_of: Callable[[str], bytes], clock: Clock, keep_days: Callable[[], int]
    ) -> None:
        self._store = store
        self._key_of = key_of
        self._clock = clock
        self._keep_days = keep_days

    async def remember(self, document_id: str, *, tenant: str, label: str, text: str) -> None:
        """Have a text known again; of a very long one what is behind ``TEXT_CHARACTERS_MAX`` is not.

        Raises:
            FreeholdError: There is no key for it.
        """
        days = self._keep_days()
        if not days or not text:
            return
        now_ms = self._clock.unix_ms()
        kept = await asyncio.to_thread(self._passages, document_id, tenant, label, text, now_ms + days * _DAY_MS)
        self._store.keep(kept, unix_ms=now_ms)

    async def forget(self, document_ids: Sequence[str], *, tenant: str) -> None:
        """Know the texts of some documents no more.

        Raises:
            StorageFailed: It could not be done.
        """
        await self._store.forget(document_ids, tenant=tenant)

    def _passages(self, document_id: str, tenant: str, label: str, text: str, until_ms: int) -> list[KeptPassage]:
        prints = Printer(self._key_of(tenant)).prints(text[:TEXT_CHARACTERS_MAX])
        return [
            KeptPassage(
                tenant=tenant,
                id=document_id,
                part=crc32(values),
                label=label,
                expires_unix_ms=until_ms,
                prints=values.tobytes(),
            )
            for values in passages(prints)
        ]
