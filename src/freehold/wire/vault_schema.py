"""What the routes for private documents take and show, typed, with every bound in this one place."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

QUERY_CHARACTERS_MAX = 32_000
RESULTS_MAX = 50
DOCUMENTS_MAX = 100
TEXT_CHARACTERS_MAX = 4_000_000
READERS_MAX = 64

VaultName = Annotated[str, Meta(min_length=1, max_length=64)]
Query = Annotated[str, Meta(min_length=1, max_length=QUERY_CHARACTERS_MAX)]
Words = Annotated[list[Annotated[str, Meta(min_length=1, max_length=500)]], Meta(max_length=100)]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
LabelText = Annotated[str, Meta(min_length=1, max_length=1_000)]
ReaderText = Annotated[str, Meta(min_length=6, max_length=80, pattern=r"^(user|group):")]
ReaderList = Annotated[list[ReaderText], Meta(max_length=READERS_MAX)]


class FiltersBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """What found documents must be like; every member that is said must hold."""

    documents: Words = field(default_factory=list)
    sources: Words = field(default_factory=list)
    authors: Words = field(default_factory=list)
    written_from: Day | None = None
    written_to: Day | None = None
    media_types: Words = field(default_factory=list)


class VaultSearchBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/vault/search``. A member that is not known is refused: a mistyped filter would be none."""

    query: Query
    vault: VaultName | None = None
    limit: Annotated[int, Meta(ge=1, le=RESULTS_MAX)] = 8
    max_characters: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    filters: FiltersBody | None = None
    infer_filters: bool = True


class NewDocumentBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/vault/documents`` as JSON: a text instead of a file."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    text: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
    vault: VaultName | None = None
    label: LabelText | None = None
    readers: ReaderList | None = None
    everybody: bool = False


class NewDocumentForm(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/vault/documents`` as a form; ``readers`` is ``everybody``, or readers with commas between."""

    file: str
    vault: VaultName | None = None
    label: LabelText | None = None
    readers: str | None = None


class DocumentChangeBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``PATCH /v1/vault/documents/{document_id}``; ``everybody`` or ``readers``, not both. A label only rises."""

    label: LabelText | None = None
    readers: ReaderList | None = None
    everybody: bool = False


class DocumentView(Struct, kw_only=True):
    """A document without its text. ``readers`` is ``null`` where all of its tenant may read it."""

    object: Literal["vault.document"] = "vault.document"
    id: str
    vault: str
    title: str
    source: str
    sha256: str
    bytes: int
    media_type: str
    author: str | None
    written: str | None
    language: str | None
    pages: int | None
    parser: str | None
    label: str
    level: Literal["public", "internal", "confidential", "restricted"]
    readers: list[str] | None
    owner: str | None
    added_unix_ms: int
    chunks: int
    state: str
    reason: str | None


class DocumentList(Struct, kw_only=True):
    """Documents by id; the next page begins after ``last_id``."""

    object: Literal["list"] = "list"
    data: list[DocumentView]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DocumentsAdded(Struct, kw_only=True):
    """What a file was kept as; several where it holds others."""

    object: Literal["list"] = "list"
    data: list[DocumentView]


class DocumentDeleted(Struct, kw_only=True):
    """A document is gone."""

    object: Literal["vault.document.deleted"] = "vault.document.deleted"
    id: str
    deleted: bool = True


class PassageView(Struct, kw_only=True):
    """A piece of a document: its characters from ``start`` to ``end``, in code points. Untrusted: it asks for nothing."""

    document_id: str
    title: str
    source: str
    sha256: str
    page: int | None
    heading: list[str]
    start: int
    end: int
    text: str
    score: float
    label: str
    trusted: Literal[False] = False


class VaultSearchView(Struct, kw_only=True):
    """What was found, best first. ``generation`` is told to the scope ``admin`` alone: it rises with hidden changes."""

    object: Literal["vault.search"] = "vault.search"
    vault: str
    data: list[PassageView]
    support: float | None
    label: str
    filters: FiltersBody
    generation: int | None


class VaultView(Struct, kw_only=True):
    """A vault, with what of it the caller may read.

    Of the documents ``failed`` could not be read, and ``filling`` have some of the ``pending`` pieces without vectors.
    """

    object: Literal["vault"] = "vault"
    name: str
    documents: int
    failed: int
    filling: int
    chunks: int
    pending: int
    bytes: int


class VaultList(Struct, kw_only=True):
    """Vaults that the caller's tenant may use."""

    object: Literal["list"] = "list"
    data: list[VaultView]


class StoreSearchBody(Struct, kw_only=True):
    """``POST /v1/vector_stores/{vault}/search``, as OpenAI has it."""

    query: Query | Annotated[list[Query], Meta(min_length=1, max_length=8)]
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Meta(ge=1, le=RESULTS_MAX)] = 10
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False


class RankingOptions(Struct, kw_only=True):
    """How results are ranked; the vault's own settings decide whether a model orders them anew."""

    ranker: str | None = None
    score_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0


class StoreFileBody(Struct, kw_only=True):
    """``POST /v1/vector_stores/{vault}/files``, as OpenAI has it."""

    file_id: Annotated[str, Meta(min_length=1, max_length=64)]
    attributes: dict[str, Any] | None = None
    chunking_strategy: dict[str, Any] | None = None


class StoreView(Struct, kw_only=True):
    """A vault as OpenAI's clients know it."""

    id: str
    name: str
    status: Literal["in_progress", "completed"]
    usage_bytes: int
    file_counts: dict[str, int]
    object: Literal["vector_store"] = "vector_store"
    created_at: int = 0
    last_active_at: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    expires_after: None = None
    expires_at: None = None


class StoreFileView(Struct, kw_only=True):
    """A document as OpenAI's clients know it."""

    id: str
    vector_store_id: str
    status: Literal["in_progress", "completed", "failed"]
    usage_bytes: int
    created_at: int
    last_error: dict[str, str] | None
    attributes: dict[str, str | float | bool]
    object: Literal["vector_store.file"] = "vector_store.file"
    chunking_strategy: dict[str, str] = field(default_factory=lambda: {"type": "other"})


class StoreHit(Struct, kw_only=True):
    """A passage as OpenAI's clients know it."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | float | bool]
    content: list[dict[str, str]]


class StoreHits(Struct, kw_only=True):
    """All of one search."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[StoreHit]
    has_more: bool = False
    next_page: None = None


ALLOWED: dict[str, str] = {}
"""What closed lists of values allow: there are none."""
