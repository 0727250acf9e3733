"""Private documents: what is kept of them, what is found, and what an answer may quote."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.labels import Level

DEFAULT_VAULT = "archive"
"""The vault that is meant where none is named."""

NOT_IN_DOCUMENTS = "This is not in your documents."
"""The answer where the documents do not say."""

ANSWER_TOKENS = 512
"""Of a context, kept free for an answer from documents where nobody says how long it may be."""

USER, GROUP = "user:", "group:"
"""How a reader is written: ``user:ana``, ``group:legal``."""


class BlockKind(StrEnum):
    """What a piece of a document is."""

    HEADING = "heading"
    TEXT = "text"
    TABLE = "table"
    CODE = "code"
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a document's text that is not cut without need.

    Attributes:
        start: Where it begins in the text, in code points.
        end: Where it ends.
        kind: What it is.
        page: Page, sheet or slide that it begins on, from 1; 0 where there are none.
        heading: Headings that it stands under, outermost first.
    """

    start: int
    end: int
    kind: BlockKind = BlockKind.TEXT
    page: int = 0
    heading: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a parser read in a file.

    Attributes:
        text: All of its text. Offsets anywhere in the vault are code points of this.
        blocks: In the order of the text, none overlapping; together they need not cover it.
        media_type: What the file is by its content, for example ``application/pdf``.
        parser: What read it, and its version: ``pypdfium2 5.15.2``.
        title: Its title, or empty.
        author: Its author, or empty.
        written: Day that it says it was written on, as YYYY-MM-DD; empty where it does not.
        language: ISO 639-1 code of most of the text, or empty.
        pages: Pages, sheets or slides; 0 where there are none.
        members: Files that were inside, by their names there, where it is an archive or a mailbox.
        warnings: What was not read, and why; for its owner.
    """

    text: str
    blocks: tuple[Block, ...] = ()
    media_type: str
    parser: str
    title: str = ""
    author: str = ""
    written: str = ""
    language: str = ""
    pages: int = 0
    members: tuple[tuple[str, Parsed], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who may read a document, beside the tenant that it belongs to.

    Attributes:
        level: Its sensitivity: only who is cleared for that finds it.
        names: ``user:…`` and ``group:…``, one of which must be the reader's; ``None`` for everybody of its tenant.
        owner: ``user:…`` who may always read it; empty for none.
    """

    level: Level
    names: frozenset[str] | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who searches. What may be found follows from this value and a document's ``Readers``, and from nothing else.

    Attributes:
        tenant: Whose documents.
        names: The reader's own ``user:…`` and ``group:…``.
        clearance: Highest level that it may read.
    """

    tenant: str
    names: frozenset[str] = frozenset()
    clearance: Level = Level.RESTRICTED

    def may_read(self, tenant: str, readers: Readers) -> bool:
        """Whether a document of ``tenant`` may be found, shown, counted or named."""
        if tenant != self.tenant or readers.level > self.clearance:
            return False
        return readers.names is None or not self.names.isdisjoint(readers.names) or readers.owner in self.names


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document that is found as one.

    Attributes:
        start: Where it begins in the document's text, in code points.
        end: Where it ends.
        page: Page that it begins on, from 1; 0 where there are none.
        heading: Headings that it stands under, outermost first.
        indexed: What is searched: title and headings, then the text; never shown or quoted.
        kind: What it is.
    """

    start: int
    end: int
    page: int = 0
    heading: tuple[str, ...] = ()
    indexed: str
    kind: BlockKind = BlockKind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document without its text.

    Attributes:
        id: Public.
        tenant: Whose.
        source: Where it came from: ``file:///…``, ``upload:NAME``, ``file:///mail.mbox#2`` for what was inside.
        sha256: Of its bytes.
        size_bytes: Of its bytes.
        media_type: What it is by its content.
        title: What it is called.
        author: Its author, or empty.
        written: Day that it was written on or last changed, YYYY-MM-DD, or empty.
        language: ISO 639-1 code, or empty.
        pages: Pages, sheets or slides; 0 where there are none.
        parser: What read it.
        label: How sensitive it is, as text (``policy.text``).
        readers: Who may read it.
        by_hand: Readers that somebody said of this document alone; ``None`` where nobody did, so that its folder's hold.
        added_unix_ms: When it was added.
        chunks: How many pieces it was cut into.
        state: ``ready``, ``pending`` (found by words already, its vectors are still made) or ``failed``.
        reason: Why it failed, or what was not read.
    """

    id: str
    tenant: str
    source: str
    sha256: str
    size_bytes: int
    media_type: str
    title: str
    author: str = ""
    written: str = ""
    language: str = ""
    pages: int = 0
    parser: str = ""
    label: str
    readers: Readers
    by_hand: frozenset[str] | None = None
    added_unix_ms: int
    chunks: int = 0
    state: str = "ready"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What found documents must be like; every one that is said must hold.

    Attributes:
        documents: Ids, one of which it must be.
        sources: Texts, one of which must be in its source or title, whatever their case.
        authors: Texts, one of which must be in its author.
        written_from: First day, YYYY-MM-DD.
        written_to: Last day.
        media_types: Beginnings, with one of which its media type must begin.
    """

    documents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    written_from: str = ""
    written_to: str = ""
    media_types: tuple[str, ...] = ()


ANYTHING = Filters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A piece that one half of the search found.

    Attributes:
        chunk_id: Of the store.
        score: Larger is better. Of words: BM25, counted over what the reader may read; of vectors: the cosine.
    """

    chunk_id: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document that answers a search, with its text.

    Attributes:
        chunk_id: Of the store.
        document: Where it is from.
        start: Where it begins in the document's text, in code points.
        end: Where it ends.
        page: Page that it begins on; 0 where there are none.
        heading: Headings that it stands under.
        text: The document's text from ``start`` to ``end``, unchanged.
        score: From 0 to 1 within one search; of no meaning beside another's.
        words_score: Of its words; 0.0 where they did not find it.
        vector_score: Cosine; 0.0 where vectors did not find it.
    """

    chunk_id: int
    document: Document
    start: int
    end: int
    page: int = 0
    heading: tuple[str, ...] = ()
    text: str
    score: float = 0.0
    words_score: float = 0.0
    vector_score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found.

    Attributes:
        passages: Best first.
        support: Calibrated probability that the passages hold the answer; ``None`` where nothing was measured.
        generation: Of the index: it rises with every change.
        filters: What was taken from the question, and held.
        support_at: Support below which there is no answer in them (``SearchSettings.support_at``).
    """

    passages: tuple[Passage, ...]
    support: float | None = None
    generation: int = 0
    filters: Filters = ANYTHING
    support_at: float = 0.5

    @property
    def is_enough(self) -> bool:
        """Whether an answer may be in the passages."""
        return bool(self.passages) and (self.support is None or self.support >= self.support_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultCounts:
    """How much of a vault somebody may read.

    Attributes:
        documents: All of them.
        failed: Documents that could not be read.
        filling: Documents that have pieces without vectors.
        chunks: Pieces of all documents.
        pending: Pieces without vectors.
        size_bytes: Of the files that the documents were made of.
    """

    documents: int = 0
    failed: int = 0
    filling: int = 0
    chunks: int = 0
    pending: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A quote that was found, character for character, where it says.

    Attributes:
        number: As the answer writes it: ``[1]``.
        document_id: Whose text it is.
        sha256: Of that document's bytes.
        title: What the document is called.
        source: Where it came from.
        page: Page of the quote; 0 where there are none.
        start: Where it begins in the document's text, in code points.
        end: Where it ends.
        quote: The document's own characters from ``start`` to ``end``.
        answer_start: Where the part of the answer that it supports begins, in code points.
        answer_end: Where that ends.
    """

    number: int
    document_id: str
    sha256: str
    title: str
    source: str
    page: int
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultQuery:
    """A search.

    Attributes:
        vault: Name of the vault.
        text: What is asked.
        reader: Who asks.
        limit: Passages at most.
        characters_max: Of all passages together; 0 for no bound.
        filters: What they must be like, beside what the question says.
        infer_filters: Whether the question's own words (a year, a file's name, an author) narrow the search.
        without: Ids of documents that are passed over, for those of further ranks.
    """

    vault: str
    text: str
    reader: Reader
    limit: int = 8
    characters_max: int = 0
    filters: Filters = ANYTHING
    infer_filters: bool = True
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultAsk:
    """What a request wants of a vault before it is answered.

    Attributes:
        vault: Which; empty for the route's, else the default one.
        limit: Passages at most; 0 for the default.
        filters: What they must be like.
        only_what_may_leave: Leave out passages with which it could not go where it would go without them.
        is_tool: It was asked for as the tool ``file_search``, so that its answer tells of a call.
        tells_texts: Whether the answer repeats the passages.
    """

    vault: str = ""
    limit: int = 0
    filters: Filters = ANYTHING
    only_what_may_leave: bool = False
    is_tool: bool = False
    tells_texts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How one vault searches: chosen on its owner's own questions, else what was best on ours.

    Attributes:
        embedder: Model that made its vectors; empty for words alone.
        reranker: Model that orders the first passages anew; empty for none.
        words: Share of words against vectors in the order, 0 to 1.
        fusion: ``minmax`` or ``rrf``.
        candidates: Pieces that each half gives.
        reranked: Pieces that are ordered anew.
        support_at: Least probability that the documents hold the answer; below, there is none. ``None`` for what was
            learned with the model of the vectors.
    """

    embedder: str = ""
    reranker: str = ""
    words: float = 0.5
    fusion: str = "minmax"
    candidates: int = 100
    reranked: int = 30
    support_at: float | None = None


def vector_bytes(vector: Sequence[float]) -> bytes:
    """A vector as the index keeps it: little-endian float32."""
    return struct.pack(f"<{len(vector)}f", *vector)
