"""A vault in a list: everything that its reader may read is found, in order. Implements ``domain.vault_ports.Vault``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.vault import VaultUnknown
from freehold.domain.labels import Level
from freehold.domain.vault import (
    ANYTHING,
    DEFAULT_VAULT,
    Document,
    Filters,
    Found,
    Passage,
    Reader,
    Readers,
    VaultQuery,
)


def passage(
    text: str,
    *,
    document: str = "doc-1",
    label: str = "public",
    title: str = "",
    tenant: str = "default",
    level: Level = Level.PUBLIC,
    names: frozenset[str] | None = None,
    page: int = 1,
    heading: tuple[str, ...] = (),
    score: float = 0.9,
) -> Passage:
    """A passage of a document of its own."""
    kept = Document(
        id=document,
        tenant=tenant,
        source=f"file:///{document}.txt",
        sha256="ab" * 32,
        size_bytes=len(text),
        media_type="text/plain",
        title=title or document,
        label=label,
        readers=Readers(level=level, names=names),
        added_unix_ms=0,
        chunks=1,
    )
    return Passage(
        chunk_id=1, document=kept, start=0, end=len(text), page=page, heading=heading, text=text, score=score
    )


@dataclass
class FakeVault:
    """Finds all that may be read.

    Attributes:
        kept: What there is.
        support: Of every search.
        fails: Raised instead.
        queries: What was asked.
        looks: How often documents were looked at again.
    """

    kept: tuple[Passage, ...] = ()
    support: float | None = None
    fails: FreeholdError | None = None
    known: tuple[str, ...] = (DEFAULT_VAULT,)
    queries: list[VaultQuery] = field(default_factory=list[VaultQuery])
    looks: int = 0

    async def search(self, query: VaultQuery) -> Found:
        """As told."""
        self.queries.append(query)
        if self.fails is not None:
            raise self.fails
        if query.vault not in self.known:
            raise VaultUnknown(vault=query.vault, tenant=query.reader.tenant, known=", ".join(self.known))
        readable = [
            each
            for each in self.kept
            if query.reader.may_read(each.document.tenant, each.document.readers)
            and each.document.id not in query.without
        ]
        return Found(passages=tuple(readable[: query.limit]), support=self.support, generation=7)

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """Those that may be read now."""
        del vault, after
        self.looks += 1
        now = {each.document.id: each.document for each in self.kept}
        return [
            each for each in now.values() if each.id in filters.documents and reader.may_read(each.tenant, each.readers)
        ][:limit]

    def names(self, tenant: str) -> Sequence[str]:
        """Those that are known."""
        del tenant
        return self.known
