"""What is asked of a vault for a request: within its time, and once more before its prompt goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from freehold.domain.errors.vault import VaultChanged, VaultLate
from freehold.domain.labels import Label
from freehold.domain.ports import Clock
from freehold.domain.vault import Document, Filters, Reader
from freehold.domain.vault_ports import Vault
from freehold.domain.zones import ZoneTree
from freehold.gateway.flow import label_of_text
from freehold.policy.lattice import leq

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a vault is waited for.

    Attributes:
        clock: Time.
        until_s: Until when, by it.
        total_s: How long that is in all, for messages.
    """

    clock: Clock
    until_s: float
    total_s: float

    async def wait(self, work: Coroutine[Any, Any, T], *, vault: str) -> T:
        """What comes of some work on a vault, which is cancelled where the time is over or nobody waits any more.

        One that does not end when it is cancelled holds nobody up either.

        Raises:
            VaultLate: The time is over.
            VaultError: As the work.
        """
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait((working,), timeout=max(self.until_s - self.clock.monotonic_s(), 0.0))
            if working.done():
                return working.result()
        finally:
            working.cancel()
        raise VaultLate(vault=vault, seconds=f"{self.total_s:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The documents that a prompt has passages of, as they were when its request was decided.

    Attributes:
        vault: Where they are.
        reader: Who asks.
        documents: The digest of each one's bytes, by its id.
        label: That the decision was made for: theirs, joined with all else.
        patience: How long the vault is waited for.
        tree: The site's zones.
    """

    vault: str
    reader: Reader
    documents: Mapping[str, str]
    label: Label
    patience: Patience
    tree: ZoneTree

    async def check(self, vault: Vault) -> None:
        """See that they are what they were: there, readable, with the same bytes and no label that asks for more.

        Raises:
            VaultChanged: One is not.
            VaultLate: The vault does not say so in time.
            VaultError: It cannot be asked.
        """
        filters = Filters(documents=tuple(self.documents))
        asking = vault.documents(self.vault, reader=self.reader, filters=filters, limit=len(self.documents))
        if not self.holds(await self.patience.wait(asking, vault=self.vault)):
            raise VaultChanged(vault=self.vault)

    def holds(self, now: Sequence[Document]) -> bool:
        """Whether that is so of what may be read now."""
        found = {each.id: each for each in now}
        return all(
            name in found
            and found[name].sha256 == sha256
            and leq(label_of_text(found[name].label, self.tree), self.label)
            for name, sha256 in self.documents.items()
        )
