"""Private documents in memory: everything that may be done to vaults, by the words of the port and nothing beside.

What it finds, counts and scores is made of what the reader may read and of nothing else, as the port wants it, so that
whatever else shows in an answer was put there by who asked it. Its generation rises with every change, as a store's does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from freehold.domain.errors.vault import VaultError, VaultUnknown
from freehold.domain.vault import ANYTHING, Document, Filters, Found, Passage, Reader, Readers, VaultCounts, VaultQuery

_PIECE = 200


class MemoryDesk:
    """Vaults by name, with the tenants that may use each. Implements ``domain.vault_ports.VaultDesk``."""

    def __init__(self, vaults: Mapping[str, Sequence[str]]) -> None:
        self.vaults = {name: tuple(tenants) for name, tenants in vaults.items()}
        self.kept: dict[str, dict[str, tuple[Document, str]]] = {name: {} for name in vaults}
        self.changes = 0
        self.fails: VaultError | None = None
        """Raised by whatever adds."""
        self.asked: list[VaultQuery] = []
        self.noted: list[tuple[str, str, str]] = []
        """What was changed, which document, by whom."""

    def names(self, tenant: str) -> Sequence[str]:
        return tuple(name for name, tenants in self.vaults.items() if tenant in tenants)

    async def search(self, query: VaultQuery) -> Found:
        self._check(query.vault, query.reader.tenant)
        self.asked.append(query)
        words = set(query.text.lower().split())
        found: list[tuple[float, Document, str]] = []
        for document, text in self._readable(query.vault, query.reader, query.filters):
            if document.id in query.without:
                continue
            hits = sum(1 for word in text.lower().split() if word.strip(".,") in words)
            if hits:
                found.append((float(hits), document, text))
        found.sort(key=lambda each: (-each[0], each[1].id))
        most = max((hits for hits, _, _ in found), default=1.0)
        passages = [
            Passage(
                chunk_id=1000 + self.changes + place,  # as a store's numbers do, it counts what is hidden
                document=document,
                start=0,
                end=min(len(text), _PIECE),
                page=1,
                heading=(document.title,),
                text=text[:_PIECE],
                score=hits / most,
                words_score=hits,
            )
            for place, (hits, document, text) in enumerate(found[: query.limit])
        ]
        return Found(
            passages=tuple(passages), support=0.9 if passages else 0.0, generation=self.changes, filters=query.filters
        )

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        self._check(vault, reader.tenant)
        return [each for each, _ in self._readable(vault, reader, filters) if each.id > after][:limit]

    async def document(self, vault: str, document_id: str, *, reader: Reader) -> Document | None:
        self._check(vault, reader.tenant)
        found = [each for each, _ in self._readable(vault, reader, ANYTHING) if each.id == document_id]
        return found[0] if found else None

    async def text(self, vault: str, document_id: str, *, reader: Reader) -> str | None:
        self._check(vault, reader.tenant)
        found = [text for each, text in self._readable(vault, reader, ANYTHING) if each.id == document_id]
        return found[0] if found else None

    async def counts(self, vault: str, *, reader: Reader) -> VaultCounts:
        self._check(vault, reader.tenant)
        found = self._readable(vault, reader, ANYTHING)
        size_bytes = sum(each.size_bytes for each, _ in found)
        failed = sum(each.state == "failed" for each, _ in found)
        return VaultCounts(documents=len(found), failed=failed, chunks=len(found) - failed, size_bytes=size_bytes)

    async def add(
        self, vault: str, *, path: str, source: str, name: str, tenant: str, label: str, readers: Readers, by: str
    ) -> Sequence[Document]:
        self._check(vault, tenant)
        if self.fails is not None:
            raise self.fails
        raw = Path(path).read_bytes()  # noqa: ASYNC240 - a few bytes, in a test
        return [self.put(vault, raw.decode(), source=source, title=name, tenant=tenant, label=label, readers=readers,
                         by=by)]  # fmt: skip

    def put(
        self, vault: str, text: str, *, title: str, tenant: str, readers: Readers, source: str = "", label: str = "",
        by: str = "",
    ) -> Document:  # fmt: skip
        """Keep a document; its id tells nothing of others."""
        source = source or f"file:///{title}"
        document_id = "doc-" + hashlib.sha256(f"{tenant}:{source}:{readers.owner}".encode()).hexdigest()[:32]
        document = Document(
            id=document_id,
            tenant=tenant,
            source=source,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            size_bytes=len(text.encode()),
            media_type="text/plain",
            title=title,
            author="Ana" if "by ana" in text else "",
            written="2026-05-01",
            parser="memory 1",
            label=label or readers.level.word,
            readers=readers,
            added_unix_ms=1_790_000_000_000,
            chunks=1,
        )
        self.kept[vault][document_id] = (document, text)
        self._note("added", document_id, by)
        return document

    async def remove(self, vault: str, document_ids: Sequence[str], *, tenant: str, by: str) -> int:
        self._check(vault, tenant)
        gone = [each for each in document_ids if each in self.kept[vault]]
        for each in gone:
            del self.kept[vault][each]
            self._note("removed", each, by)
        return len(gone)

    async def relabel(
        self, vault: str, document_id: str, *, tenant: str, label: str, readers: Readers, by: str, by_hand: bool = True
    ) -> Document | None:
        del by_hand
        self._check(vault, tenant)
        if document_id not in self.kept[vault]:
            return None
        document, text = self.kept[vault][document_id]
        document = replace(document, label=label, readers=readers)
        self.kept[vault][document_id] = (document, text)
        self._note("relabelled", document_id, by)
        return document

    def _note(self, what: str, document_id: str, by: str) -> None:
        self.changes += 1
        self.noted.append((what, document_id, by))

    def _check(self, vault: str, tenant: str) -> None:
        names = self.names(tenant)
        if vault not in names:
            raise VaultUnknown(vault=vault, tenant=tenant, known=", ".join(names) or "no vault")

    def _readable(self, vault: str, reader: Reader, filters: Filters) -> list[tuple[Document, str]]:
        every = sorted(self.kept[vault].values(), key=lambda each: each[0].id)
        return [each for each in every if reader.may_read(each[0].tenant, each[0].readers) and _like(each[0], filters)]


def _like(document: Document, filters: Filters) -> bool:
    place = f"{document.source}\n{document.title}".lower()
    return (
        (not filters.documents or document.id in filters.documents)
        and (not filters.sources or any(each.lower() in place for each in filters.sources))
        and (not filters.authors or any(each.lower() in document.author.lower() for each in filters.authors))
        and (not filters.media_types or document.media_type.startswith(filters.media_types))
        and (not filters.written_from or document.written >= filters.written_from)
        and (not filters.written_to or document.written <= filters.written_to)
    )
