"""What taking files in needs of others, and what it tells of each file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from freehold.domain.vault import Document, Reader, Readers
from freehold.domain.vault_ports import VaultStore


class Outcome(StrEnum):
    """What became of a file."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    SAME = "same"
    RELABELLED = "relabelled"
    ERASED = "erased"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file that is to be taken in.

    Attributes:
        path: Where it lies.
        source: Where it came from, as its document says.
        name: What its owner calls it.
        inside: Its path below the folder that was named, for rules about names; its name where there was none.
    """

    path: Path
    source: str
    name: str
    inside: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms files are taken in.

    Attributes:
        tenant: Whose they are.
        label: How sensitive their owner says they are, as text; empty for nothing said.
        readers: Who may read them, as somebody says of them alone; ``None`` where nothing is said: everybody of the
            tenant, and of a document that is there already whoever may read it now.
        in_folder: Whether they lie in a folder of the vault's, so that what is said of that holds too.
        folder_readers: Who may read what lies there; ``None`` for everybody of the tenant.
        owner: ``user:…`` who may always read them; empty for none.
        by: Who takes them in, for the audit log.
        tries_again: Whether what failed before, and is unchanged, is tried again.
        brings_back: Whether what somebody removed comes back: only where just this file was named.
        sent_bytes_max: How many bytes the tenant's documents that clients sent may have together; ``None`` for any.
    """

    tenant: str
    label: str = ""
    readers: frozenset[str] | None = None
    in_folder: bool = False
    folder_readers: frozenset[str] | None = None
    owner: str = ""
    by: str
    tries_again: bool = True
    brings_back: bool = False
    sent_bytes_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDone:
    """What became of one file.

    Attributes:
        source: Where it came from, or its path where it is no document.
        outcome: What was done.
        documents: What is in the vault of it now, what was inside it too; the file's own first.
        reason: Why it failed or was left out, and what can be done.
        pages: That were read now.
        size_bytes: That were read now.
        settled: Whether it held still while it was read; else it is worth another look.
    """

    source: str
    outcome: Outcome
    documents: tuple[Document, ...] = ()
    reason: str = ""
    pages: int = 0
    size_bytes: int = 0
    settled: bool = True


class HeldStore(VaultStore, Protocol):
    """A store, and what ingest, erasing and the holder of its key may ask it: nobody reads here, and nobody is asked who."""

    async def held(
        self, *, tenant: str, ids: Sequence[str] | None = None, under: str = "", after: str = "", limit: int = 1_000
    ) -> Sequence[Document]:
        """Documents of a tenant whoever may read them, by id.

        Args:
            tenant: Whose.
            ids: Only these; ``None`` for any.
            under: What their source must begin with.
            after: Begin behind this id.
            limit: At most so many.
        """
        ...

    async def key_holder(self, tenant: str) -> Reader:
        """Somebody who may read whatever anybody of a tenant may: for commands of who holds the file and its key."""
        ...

    async def sent_bytes(self, *, tenant: str) -> int:
        """How many bytes the documents of a tenant have that clients sent, with what was inside of them."""
        ...

    async def kept_away(self, source: str, *, tenant: str, digests: Sequence[str]) -> frozenset[str]:
        """Those digests of bytes that somebody removed from this place, so that they do not come back by themselves."""
        ...

    async def bring_back(self, source: str, *, tenant: str) -> bool:
        """Let everything of a place come back; whether anything was kept away."""
        ...

    async def languages(self) -> Mapping[str, int]:
        """How many documents there are in each language; of many, the newest ones."""
        ...


class Labelling(Protocol):
    """Says how sensitive documents are. Pure."""

    def label(self, *, tenant: str, said: Sequence[str], names: Sequence[str], text: str | None) -> str:
        """The label of a document, as text: of its tenant, what is said, its names, and the markings in it.

        Args:
            tenant: Whose it is.
            said: Labels that somebody says it has, as texts; empty ones say nothing, unreadable ones the strictest.
            names: What it is called: its path, its path in its folder.
            text: What is in it; ``None`` where that is not known yet, or cannot be.
        """
        ...

    def unread(self, label: str) -> str:
        """The label of something that nobody could look into."""
        ...

    def readers(self, label: str, *, names: frozenset[str] | None, owner: str) -> Readers:
        """Who may read what has a label."""
        ...


class Book(Protocol):
    """Who else must know what changes, before it does."""

    async def adding(self, document: Document, *, text: str, by: str, instead: bool) -> None:
        """A document is about to be kept: note it, and know its text again where it is labelled for that.

        Args:
            document: It.
            text: What is in it.
            by: Who adds it.
            instead: Whether it comes in the place of what has its id.
        """
        ...

    async def erasing(self, documents: Sequence[Document], *, by: str) -> None:
        """Documents are about to be erased: note it, and know their texts no more."""
        ...

    async def relabelling(self, document: Document, *, text: str, by: str) -> None:
        """A document's label or readers are about to be what it says."""
        ...
