"""What every surface of the vault does alike: whose eyes look, in which vault, and what is told of what they see.

Whatever may not be read takes the same way as what is not there: one question to the store, which has the reader in it,
and one answer. Nothing that is told is counted, scored or numbered over more than the reader may read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from freehold.api.files import LabelOf
from freehold.domain.errors.request import FieldInvalid
from freehold.domain.errors.vault import VaultUnknown
from freehold.domain.identity import Principal, Scope, reader_of
from freehold.domain.vault import ANYTHING, Document, Filters, Found, Passage, VaultQuery
from freehold.domain.vault_ports import VaultDesk
from freehold.gateway.standing import Patience
from freehold.policy.labelling import LABEL_HEADER
from freehold.wire.vault_schema import DocumentList, DocumentView, FiltersBody, PassageView, VaultSearchView, VaultView

DEFAULT_VAULT = "archive"
_SCORE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """A document that the caller may read, and the vault that it is in."""

    vault: str
    document: Document


class VaultCounter:
    """Private documents, handed out.

    Args:
        desk: What may be done to vaults; ``None`` where there are none.
        label_of: The label of what a caller gives, from labels that it said.
        joined: The label that all of some labels demand, which were kept as text.
        patience: How long a search that begins now is waited for.
    """

    def __init__(
        self,
        desk: VaultDesk | None,
        *,
        label_of: LabelOf,
        joined: Callable[[Iterable[str]], str],
        patience: Callable[[], Patience],
    ) -> None:
        self._desk = desk
        self._joined = joined
        self._patience = patience
        self.label_of = label_of

    def names(self, principal: Principal) -> Sequence[str]:
        """Vaults that the caller's tenant may use."""
        return () if self._desk is None else self._desk.names(principal.tenant.name)

    def desk_of(self, principal: Principal, vault: str) -> VaultDesk:
        """The desk, where there is such a vault for the caller's tenant.

        Raises:
            VaultUnknown: There is none, or it is not this tenant's.
        """
        names = self.names(principal)
        if self._desk is None or vault not in names:
            known = ", ".join(names) or "no vault"
            raise VaultUnknown(vault=vault, tenant=principal.tenant.name, known=known)
        return self._desk

    def vault_of(self, principal: Principal, said: str | None) -> str:
        """The vault that a caller means: what it says, else ``archive``, else the only one there is.

        Raises:
            VaultUnknown: There is no such vault.
            FieldInvalid: It says none, and there are several others.
        """
        names = self.names(principal)
        if not said and DEFAULT_VAULT not in names and len(names) > 1:
            reason = f"name one of: {', '.join(names)}"
            raise FieldInvalid(param="vault", field="vault", value="missing", reason=reason)
        vault = said or (DEFAULT_VAULT if DEFAULT_VAULT in names or not names else names[0])
        self.desk_of(principal, vault)
        return vault

    async def counted(self, principal: Principal, vault: str) -> VaultView:
        """A vault with what of it the caller may read.

        Raises:
            VaultUnknown: There is no such vault.
        """
        counts = await self.desk_of(principal, vault).counts(vault, reader=reader_of(principal))
        return VaultView(
            name=vault,
            documents=counts.documents,
            failed=counts.failed,
            filling=counts.filling,
            chunks=counts.chunks,
            pending=counts.pending,
            bytes=counts.size_bytes,
        )

    async def search(self, principal: Principal, query: VaultQuery) -> Found:
        """Look in a vault.

        Raises:
            VaultUnknown: There is no such vault.
            VaultLate: It does not answer in the time that a request may take.
            VaultError: It cannot be searched.
        """
        desk = self.desk_of(principal, query.vault)
        return await self._patience().wait(desk.search(query), vault=query.vault)

    async def find(self, principal: Principal, document_id: str, *, vault: str | None = None) -> Seen | None:
        """A document that the caller may read, in one vault or in any; ``None`` for all others alike.

        Raises:
            VaultUnknown: There is no vault of that name.
        """
        reader = reader_of(principal)
        for name in self.names(principal) if vault is None else (vault,):
            found = await self.desk_of(principal, name).document(name, document_id, reader=reader)
            if found is not None:
                return Seen(name, found)
        return None

    async def page(
        self, principal: Principal, vault: str, *, filters: Filters = ANYTHING, after: str = "", limit: int
    ) -> Sequence[Document]:
        """Documents by id, and one more than ``limit`` where there is one.

        Raises:
            VaultUnknown: There is no such vault.
        """
        desk, reader = self.desk_of(principal, vault), reader_of(principal)
        return await desk.documents(vault, reader=reader, filters=filters, after=after, limit=limit + 1)

    async def text(self, principal: Principal, seen: Seen) -> str | None:
        """A document's text; ``None`` where it has gone or been closed meanwhile."""
        desk = self.desk_of(principal, seen.vault)
        return await desk.text(seen.vault, seen.document.id, reader=reader_of(principal))

    async def erase(self, principal: Principal, seen: Seen) -> None:
        """Erase a document that the caller may change, with all that was made of it."""
        desk = self.desk_of(principal, seen.vault)
        await desk.remove(seen.vault, [seen.document.id], tenant=principal.tenant.name, by=principal.key_id)

    def shown_search(self, principal: Principal, query: VaultQuery, found: Found) -> VaultSearchView:
        """What is told of a search."""
        return VaultSearchView(
            vault=query.vault,
            data=[passage_view(each) for each in found.passages],
            support=found.support,
            label=self.label_of_all(principal, (each.document for each in found.passages)),
            filters=filters_body(found.filters),
            generation=found.generation if Scope.ADMIN in principal.scopes else None,
        )

    def raised(self, principal: Principal, label: str, said: str) -> str:
        """A label that was kept, and what a caller says beside it.

        Raises:
            LabelUnreadable: What it says cannot be read.
        """
        return self._joined([label, self.label_of(principal, (said,))])

    def label_of_all(self, principal: Principal, documents: Iterable[Document]) -> str:
        """The label of an answer that holds something of these documents."""
        return self._joined([self.label_of(principal, ()), *sorted({each.label for each in documents})])


def label_line(label: str) -> tuple[bytes, bytes]:
    """The header that tells an answer's label."""
    return LABEL_HEADER.encode(), label.encode("latin-1", "replace")


def document_view(vault: str, document: Document) -> DocumentView:
    """What is told of a document to those who may read it."""
    readers = document.readers
    return DocumentView(
        id=document.id,
        vault=vault,
        title=document.title,
        source=document.source,
        sha256=document.sha256,
        bytes=document.size_bytes,
        media_type=document.media_type,
        author=document.author or None,
        written=document.written or None,
        language=document.language or None,
        pages=document.pages or None,
        parser=document.parser or None,
        label=document.label,
        level=readers.level.word,  # pyright: ignore[reportArgumentType] - one of these words
        readers=None if readers.names is None else sorted(readers.names),
        owner=readers.owner or None,
        added_unix_ms=document.added_unix_ms,
        chunks=document.chunks,
        state=document.state,
        reason=document.reason or None,
    )


def document_list(vault: str, found: Sequence[Document], *, limit: int) -> DocumentList:
    """A page of documents, of which one more was looked for than are shown."""
    shown = found[:limit]
    return DocumentList(
        data=[document_view(vault, each) for each in shown],
        first_id=shown[0].id if shown else None,
        last_id=shown[-1].id if shown else None,
        has_more=len(found) > limit,
    )


def passage_view(passage: Passage) -> PassageView:
    """What is told of a passage: neither the store's number of it, which counts hidden ones, nor raw scores."""
    document = passage.document
    return PassageView(
        document_id=document.id,
        title=document.title,
        source=document.source,
        sha256=document.sha256,
        page=passage.page or None,
        heading=list(passage.heading),
        start=passage.start,
        end=passage.end,
        text=passage.text,
        score=round(passage.score, _SCORE_DIGITS),
        label=document.label,
    )


def filters_of(body: FiltersBody | None) -> Filters:
    """Filters as the vault takes them."""
    if body is None:
        return ANYTHING
    return Filters(
        documents=tuple(body.documents),
        sources=tuple(body.sources),
        authors=tuple(body.authors),
        written_from=body.written_from or "",
        written_to=body.written_to or "",
        media_types=tuple(body.media_types),
    )


def filters_body(filters: Filters) -> FiltersBody:
    """Filters as they are told."""
    return FiltersBody(
        documents=list(filters.documents),
        sources=list(filters.sources),
        authors=list(filters.authors),
        written_from=filters.written_from or None,
        written_to=filters.written_to or None,
        media_types=list(filters.media_types),
    )
