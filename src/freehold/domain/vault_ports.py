"""What the vault needs of others, and others of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from freehold.domain.errors.vault import VaultUnknown
from freehold.domain.vault import (
    ANYTHING,
    Chunk,
    Document,
    Filters,
    Found,
    Hit,
    Parsed,
    Passage,
    Reader,
    Readers,
    VaultCounts,
    VaultQuery,
)


class FileParser(Protocol):
    """Reads files, in a jailed child of ours."""

    async def parse(self, path: str, *, name: str) -> Parsed:
        """Read one file; its name is a hint, its content decides.

        Raises:
            VaultError: It cannot be read; the message says why, for its owner.
        """
        ...


class Embedder(Protocol):
    """Makes vectors, on this device."""

    @property
    def model(self) -> str:
        """Name of the model; vectors of two models are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    async def passages(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Unit vectors of texts to be found (little-endian float32), one for each text, however long.

        Raises:
            VaultError: There is no vector; the message says why.
        """
        ...

    async def query(self, text: str) -> bytes:
        """Unit vector of a question.

        Raises:
            VaultError: There is no vector; the message says why.
        """
        ...


class PassageRanker(Protocol):
    """Says how well texts answer a question, on this device."""

    @property
    def model(self) -> str:
        """Name of the model."""
        ...

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """From 0 to 1, larger is better, one for each text.

        Raises:
            VaultError: There are none; the message says why.
        """
        ...


class VaultStore(Protocol):
    """One encrypted file: texts, pieces, postings, vectors, labels and readers, changed together or not at all.

    Every search takes who reads and looks among what that reader may read, and nothing else: an unreadable document
    changes no result, no count and no score.
    """

    async def add(
        self,
        document: Document,
        *,
        text: str,
        chunks: Sequence[Chunk],
        vectors: Sequence[bytes] | None,
        blob: bytes | None = None,
        sent_bytes_max: int | None = None,
    ) -> None:
        """Keep a document whole, instead of any of its tenant's with its id; durable on return.

        Args:
            document: What it is.
            text: Its text.
            chunks: Its pieces, in order.
            vectors: One for each; ``None``: they come later (``put_vectors``), words find it at once.
            blob: Its bytes, where they are kept.
            sent_bytes_max: How many bytes the tenant's documents that clients sent may have together, with this one.
        """
        ...

    async def put_vectors(self, vectors: Mapping[int, bytes]) -> None:
        """Give pieces their vectors; of pieces that are gone meanwhile nothing is kept."""
        ...

    async def without_vectors(self, limit: int) -> Sequence[tuple[int, str]]:
        """Pieces that have none yet, oldest first: id and what is to be embedded."""
        ...

    async def search_words(self, text: str, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """Pieces by their words, best first."""
        ...

    async def rarity(self, text: str, *, reader: Reader) -> Mapping[str, float]:
        """How rare each term of a text is (``idf``, larger is rarer) among the pieces that may be read, if any has it."""
        ...

    async def search_vectors(self, vector: bytes, *, reader: Reader, filters: Filters, limit: int) -> Sequence[Hit]:
        """Pieces by their vectors, best first, exactly."""
        ...

    async def passages(self, chunk_ids: Sequence[int], *, reader: Reader) -> Sequence[Passage]:
        """Pieces with their texts, in the order of ``chunk_ids``, without those that may not be read."""
        ...

    async def neighbours(self, chunk_id: int, *, reader: Reader, before: int, after: int) -> Sequence[Passage]:
        """Pieces around one, in the order of their document, itself among them."""
        ...

    async def documents(
        self, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """Documents that may be read, by id, beginning behind ``after``."""
        ...

    async def document(self, document_id: str, *, reader: Reader) -> Document | None:
        """One document; ``None`` alike where there is none and where it may not be read."""
        ...

    async def text(self, document_id: str, *, reader: Reader) -> str | None:
        """A document's whole text, on the same terms."""
        ...

    async def by_source(self, source: str, *, tenant: str) -> Sequence[Document]:
        """Of one place, what was inside it (``source#…``) among them; for ingest, which asks for no reader."""
        ...

    async def by_content(self, sha256: str, *, tenant: str) -> Sequence[Document]:
        """With these bytes; for ingest."""
        ...

    async def move(self, document_id: str, *, tenant: str, source: str, title: str) -> None:
        """It is somewhere else now; nothing is embedded anew."""
        ...

    async def relabel(
        self,
        document_id: str,
        *,
        tenant: str,
        label: str,
        readers: Readers,
        by_hand: frozenset[str] | None = None,
    ) -> bool:
        """Change who may read it, from the next search on; ``False`` where there is none."""
        ...

    async def erase(self, document_ids: Sequence[str], *, tenant: str, kept_away: Sequence[Document] = ()) -> int:
        """Remove all of them from the file, so that no byte of their text is left in it; how many there were.

        Args:
            document_ids: Which.
            tenant: Whose.
            kept_away: Those of them that are not to come back by themselves, which ``HeldStore.kept_away`` tells.
        """
        ...

    async def generation(self) -> int:
        """Rises with every change."""
        ...

    async def counts(self, *, reader: Reader) -> VaultCounts:
        """How much there is that the reader may read."""
        ...

    async def close(self) -> None:
        """Close the file. Idempotent."""
        ...


class Vault(Protocol):
    """Searching, as the request path and the API see it."""

    async def search(self, query: VaultQuery) -> Found:
        """Find passages.

        Raises:
            VaultError: There is no such vault for this tenant, or it cannot be searched; the message says why.
        """
        ...

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """See ``VaultStore.documents``.

        Raises:
            VaultError: As ``search``.
        """
        ...

    def names(self, tenant: str) -> Sequence[str]:
        """Vaults that a tenant may use."""
        ...


class NoVault:
    """Where there are no private documents."""

    async def search(self, query: VaultQuery) -> Found:
        """There is none.

        Raises:
            VaultUnknown: Always.
        """
        raise VaultUnknown(vault=query.vault, tenant=query.reader.tenant, known="none")

    async def documents(
        self, vault: str, *, reader: Reader, filters: Filters = ANYTHING, after: str = "", limit: int = 100
    ) -> Sequence[Document]:
        """There are none.

        Raises:
            VaultUnknown: Always.
        """
        del filters, after, limit
        raise VaultUnknown(vault=vault, tenant=reader.tenant, known="none")

    def names(self, tenant: str) -> Sequence[str]:  # noqa: ARG002 - a port's
        """None."""
        return ()


class VaultDesk(Vault, Protocol):
    """Everything that may be done to vaults: what the API, the command line and the watcher call."""

    async def document(self, vault: str, document_id: str, *, reader: Reader) -> Document | None:
        """See ``VaultStore.document``."""
        ...

    async def text(self, vault: str, document_id: str, *, reader: Reader) -> str | None:
        """See ``VaultStore.text``."""
        ...

    async def counts(self, vault: str, *, reader: Reader) -> VaultCounts:
        """See ``VaultStore.counts``."""
        ...

    async def add(
        self, vault: str, *, path: str, source: str, name: str, tenant: str, label: str, readers: Readers, by: str
    ) -> Sequence[Document]:
        """Read a file and keep it; what is inside an archive or a mailbox is kept as documents of their own.

        Args:
            vault: Name of the vault.
            path: Where the file lies; it is read once and not kept open.
            source: Where it came from, as its document says (``Document.source``).
            name: What its owner calls it.
            tenant: Whose it is.
            label: How sensitive its owner says it is, as text; markings in it, and the tenant's own label, raise that.
            readers: Who may read it; their level is raised to the label's.
            by: Who adds it, for the audit log.

        Raises:
            VaultError: It cannot be read or kept; the message says why.
        """
        ...

    async def remove(self, vault: str, document_ids: Sequence[str], *, tenant: str, by: str) -> int:
        """Erase documents with all that was made of them, and record that; how many there were.

        What was of a file does not come back by itself while the file stays as it is.
        """
        ...

    async def relabel(
        self,
        vault: str,
        document_id: str,
        *,
        tenant: str,
        label: str,
        readers: Readers,
        by: str,
        by_hand: bool = True,
    ) -> Document | None:
        """Change who may read it, from the next search on, and record that. A label is never lowered by this.

        Args:
            vault: Name of the vault.
            document_id: Which.
            tenant: Whose.
            label: What it is raised to; empty for nothing.
            readers: Who may read it.
            by: Who changes it, for the audit log.
            by_hand: Whether its readers are said, and so hold whatever its folder says; else they stay as they were.
        """
        ...
