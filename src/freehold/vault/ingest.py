"""Taking files in: each is hashed before anything else is done, and kept whole or not at all.

What was inside a file (of an archive, a mailbox) is kept before the file itself is, so that a file that is there with its
hash is there with all that was in it: whatever interrupts, the next run goes on with the first file that is not.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freehold.domain.errors.vault import FileGone, FileTooLarge, FileUnread, VaultUploadsFull
from freehold.domain.ports import Clock
from freehold.domain.vault import Chunk, Document, Parsed
from freehold.domain.vault_ports import FileParser
from freehold.vault.files import NOTHING, Held, Read, open_file, read_file, stamp_at
from freehold.vault.ingest_ports import Book, FileDone, HeldStore, Labelling, Outcome, Place, Terms
from freehold.vault.making import (
    REASON_CHARACTERS_MAX,
    Member,
    as_reader_of,
    document_id,
    members_of,
    names_of,
    narrowed,
    ordered,
    readers_after,
    title_after_move,
    title_of,
)
from freehold.vault.places import FILE, is_gone, is_inside, path_of

Cut = Callable[[Parsed], Sequence[Chunk]]
"""Cuts what was read into pieces; its title is the document's."""

REMOVED = "It was removed from the vault by hand, and has not changed since. To have it back: freehold add FILE"
"""Why a file is left out that lies where it lay."""

_OPEN_FILES = "/proc/self/fd"
_IS_NAMED = sys.platform == "linux"
"""Whether what is open can be opened again by its number, from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one vault.

    Attributes:
        file_bytes_max: Largest file.
        keep_files: Whether bytes are kept.
        with_vectors: Whether pieces get vectors later.
    """

    file_bytes_max: int
    keep_files: bool = False
    with_vectors: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A file on its way in, its descriptor, and what the vault has of its place."""

    place: Place
    terms: Terms
    here: Mapping[str, Document]
    held: Held | None = None

    @property
    def path(self) -> str:
        """Where its bytes are read: what is open, whatever stands in its place by now, where the system has such names."""
        return f"{_OPEN_FILES}/{self.held.number}" if _IS_NAMED and self.held is not None else str(self.place.path)

    @property
    def own(self) -> Document | None:
        """The file's own document."""
        return self.here.get(self.place.source)


class Ingest:
    """Takes files into one vault.

    Args:
        store: Where documents are kept.
        parser: Reads files.
        cut: Cuts what was read into pieces.
        labelling: Says how sensitive it is.
        book: Who else must know.
        clock: Time.
        key: Under which ids are made, so that they tell nothing of what they name.
        limits: Of the vault.
    """

    def __init__(
        self,
        *,
        store: HeldStore,
        parser: FileParser,
        cut: Cut,
        labelling: Labelling,
        book: Book,
        clock: Clock,
        key: bytes,
        limits: Limits,
    ) -> None:
        self._store = store
        self._parser = parser
        self._cut = cut
        self._labelling = labelling
        self._book = book
        self._clock = clock
        self._key = key
        self._limits = limits

    async def take(self, place: Place, terms: Terms) -> FileDone:
        """Take one file in. What is wrong with it is its outcome, never an error.

        Raises:
            VaultError: The store takes nothing now, or the parser does not run.
            StorageFailed: The book takes nothing now.
        """
        job = _Job(place=place, terms=terms, here=await self._here(place.source, terms))
        try:
            held = await asyncio.to_thread(open_file, place)
        except FileGone as error:
            return await self._gone_now(job, error)
        return await self._take(job, held)

    async def _take(self, job: _Job, held: Held) -> FileDone:
        job = replace(job, held=held)
        place, terms = job.place, job.terms
        try:
            read = await asyncio.to_thread(read_file, held, self._limits.file_bytes_max, place.name)
        except FileGone as error:
            return await self._gone_now(job, error)
        except FileTooLarge as error:
            return await self._failed(job, error, NOTHING)
        is_back = terms.brings_back and await self._store.bring_back(place.source, tenant=terms.tenant)
        own, is_known = job.own, False
        if own is not None and own.sha256 == read.sha256:
            is_known = not is_back and (own.state != "failed" or not terms.tries_again)
        if own is not None and is_known:
            return await self._unchanged(own, job)
        if await self._is_kept_away(job, read.sha256):
            await self.erase(tuple(job.here.values()), by=terms.by)
            return FileDone(source=place.source, outcome=Outcome.LEFT_OUT, reason=REMOVED)
        if terms.sent_bytes_max is not None:
            await self._check_room(job, read)
        if (known := await self._elsewhere(job, read)) is not None:
            return known
        return await self._parse(job, read)

    async def _is_kept_away(self, job: _Job, sha256: str) -> bool:
        """Whether somebody removed what has come of this place."""
        place, tenant = job.place, job.terms.tenant
        return bool(
            place.source.startswith(FILE)
            and await self._store.kept_away(place.source, tenant=tenant, digests=(sha256,))
        )

    async def _check_room(self, job: _Job, read: Read) -> None:
        """Refuse what there is no room for before it is read; what is inside of it is counted when it is kept.

        Raises:
            VaultUploadsFull: There is none.
        """
        most, used = job.terms.sent_bytes_max, await self._store.sent_bytes(tenant=job.terms.tenant)
        if most is not None and used + read.size_bytes > most:
            raise VaultUploadsFull(
                tenant=job.terms.tenant, limit=f"{most:,}", used=f"{used:,}", needed=f"{read.size_bytes:,}"
            )

    async def _gone_now(self, job: _Job, error: FileGone) -> FileDone:
        """It cannot be opened: what was read of it before is still the best that is known."""
        if job.own is None:
            return await self._failed(job, error, NOTHING)
        documents = ordered(job.own, job.here.values())
        return FileDone(source=job.place.source, outcome=Outcome.FAILED, documents=documents, reason=_reason(error))

    async def gone(self, source: str, terms: Terms) -> FileDone | None:
        """Erase what a file was that is not there any more, with all that was inside; ``None`` where it was nothing.

        Raises:
            VaultError: The store takes nothing now.
            StorageFailed: The book takes nothing now.
        """
        documents = tuple((await self._here(source, terms)).values())
        if not documents:
            return None
        await self.erase(documents, by=terms.by)
        return FileDone(source=source, outcome=Outcome.ERASED, documents=documents)

    async def erase(self, documents: Sequence[Document], *, by: str, kept_away: Sequence[Document] = ()) -> int:
        """Erase documents of one tenant, and what was made of them; how many there were.

        Args:
            documents: Which.
            by: Who does, for the audit log.
            kept_away: Those of them that do not come back by themselves while their bytes lie where they lay.
        """
        if not documents:
            return 0
        await self._book.erasing(documents, by=by)
        ids = [each.id for each in documents]
        return await self._store.erase(ids, tenant=documents[0].tenant, kept_away=kept_away)

    async def relabel(self, document: Document, terms: Terms, *, by_hand: bool = True) -> Document:
        """A document with its label raised to what ``terms`` say, and exactly their readers; its own if not ``by_hand``."""
        wanted = self._labelling.label(tenant=terms.tenant, said=(document.label, terms.label), names=(), text=None)
        owner = terms.owner or document.readers.owner
        names, hand = (terms.readers, terms.readers) if by_hand else (document.readers.names, document.by_hand)
        return await self._changed(document, wanted, names, hand, owner, terms.by)

    async def _here(self, source: str, terms: Terms) -> dict[str, Document]:
        """What the vault has of a source. What somebody else sent by the same name is another document."""
        found = await self._store.by_source(source, tenant=terms.tenant)
        is_file = source.startswith(FILE)
        return {each.source: each for each in found if is_file or each.readers.owner == terms.owner}

    async def _elsewhere(self, job: _Job, read: Read) -> FileDone | None:
        """Where the same bytes are in the vault under another name: moved, or a copy that needs no second document."""
        place, own = job.place, job.own
        wanted, terms = self._wanted(job), job.terms
        if own is not None:  # what holds for what is there now holds for what comes in its place
            held = own.by_hand if terms.in_folder else own.readers.names
            terms = replace(terms, readers=narrowed(held, terms.readers), owner=terms.owner or own.readers.owner)
        _, names = readers_after(None, terms)
        for each in await self._store.by_content(read.sha256, tenant=terms.tenant):
            if is_inside(each.source) or each.state == "failed" or each.source in job.here:
                continue
            if place.source.startswith(FILE) and await asyncio.to_thread(is_gone, each.source):
                await self.erase(tuple(job.here.values()), by=terms.by)
                said = replace(terms, owner=job.terms.owner)  # its own owner stays, unless somebody names another
                return await self._moved(each, replace(job, terms=said), wanted)
            readers = self._labelling.readers(each.label, names=names, owner=terms.owner)
            if readers == each.readers and self._joined(each, wanted) == each.label:
                await self.erase(tuple(job.here.values()), by=terms.by)
                found = await self._store.by_source(each.source, tenant=terms.tenant)
                return FileDone(source=place.source, outcome=Outcome.SAME, documents=ordered(each, found))
        return None

    async def _moved(self, document: Document, job: _Job, wanted: str) -> FileDone:
        place, before = job.place, path_of(document.source)
        found = ordered(document, await self._store.by_source(document.source, tenant=job.terms.tenant))
        moved: list[Document] = []
        for each in reversed(found):  # the file itself last: until then it is where it was
            source = place.source + each.source.removeprefix(document.source)
            title = each.title
            if each.id == document.id and before is not None:
                title = title_after_move(title, before=before.name, now=place.name)
            await self._store.move(each.id, tenant=each.tenant, source=source, title=title)
            moved.insert(0, replace(each, source=source, title=title))
        documents = tuple([await self._raised(each, wanted, job.terms) for each in moved])
        return FileDone(source=place.source, outcome=Outcome.MOVED, documents=documents)

    async def _unchanged(self, own: Document, job: _Job) -> FileDone:
        wanted, before = self._wanted(job), ordered(own, job.here.values())
        now = tuple([await self._raised(each, wanted, job.terms) for each in before])
        outcome = Outcome.SAME if now == before else Outcome.RELABELLED
        if own.state == "failed":
            outcome = Outcome.FAILED
        reason = own.reason if own.state == "failed" else ""
        return FileDone(source=own.source, outcome=outcome, documents=now, reason=reason)

    async def _raised(self, document: Document, wanted: str, terms: Terms) -> Document:
        """A document with its label raised to what is wanted, the readers that hold now, and the owner that was named."""
        hand, names = readers_after(document, terms)
        label, owner = self._joined(document, wanted), terms.owner or document.readers.owner
        return await self._changed(document, label, names, hand, owner, terms.by)

    async def _changed(
        self,
        document: Document,
        label: str,
        names: frozenset[str] | None,
        hand: frozenset[str] | None,
        owner: str,
        by: str,
    ) -> Document:
        readers = self._labelling.readers(label, names=names, owner=owner)
        if (label, readers, hand) == (document.label, document.readers, document.by_hand):
            return document
        changed = replace(document, label=label, readers=readers, by_hand=hand)
        text = await self._store.text(document.id, reader=as_reader_of([document])) or ""
        await self._book.relabelling(changed, text=text, by=by)
        await self._store.relabel(document.id, tenant=document.tenant, label=label, readers=readers, by_hand=hand)
        return changed

    async def _parse(self, job: _Job, read: Read) -> FileDone:
        place = job.place
        try:
            parsed = await self._parser.parse(job.path, name=place.name)
        except FileUnread as error:
            return await self._failed(job, error, read)
        if await asyncio.to_thread(stamp_at, place.path) != read.stamp:
            return FileDone(
                source=place.source,
                outcome=Outcome.FAILED,
                documents=tuple(job.here.values()),
                reason="It changed while it was read. Once it is at rest, add it again.",
                settled=False,
            )
        return await self._keep_all(job, parsed, read)

    async def _keep_all(self, job: _Job, parsed: Parsed, read: Read) -> FileDone:
        """Keep what was inside, forget what no longer is, and keep the file itself last."""
        own, source = job.own, job.place.source
        # In a thread: markings are looked for in the whole of a text, and requests are answered meanwhile.
        whole = await asyncio.to_thread(
            self._document, job, parsed, name=job.place.name, read=read, said=job.terms.label, source=source, ground=own
        )
        kept: list[Document] = []
        try:
            for each in await self._members(job, parsed):
                member = await self._keep_member(job, whole, each)
                kept.append(member)
            now = {source, *(each.source for each in kept)}
            await self.erase([each for each in job.here.values() if each.source not in now], by=job.terms.by)
            blob = await asyncio.to_thread(Path(job.path).read_bytes) if self._limits.keep_files else None
            kept.insert(0, await self._keep(whole, parsed, job, blob))
        except VaultUploadsFull:  # of what there is no room for, nothing is kept
            await self.erase(kept, by=job.terms.by)
            raise
        return FileDone(
            source=source,
            outcome=Outcome.ADDED if own is None else Outcome.CHANGED,
            documents=tuple(kept),
            pages=sum(max(1, each.pages) for each in kept),
            size_bytes=read.size_bytes,
        )

    async def _members(self, job: _Job, parsed: Parsed) -> list[Member]:
        """What was inside, without what somebody removed of it, each with what is known of it."""
        source = job.place.source
        found = await asyncio.to_thread(lambda: list(members_of(parsed, source, job.here)))
        if not found or not source.startswith(FILE):
            return found
        digests = [each.sha256 for each in found]
        away = await self._store.kept_away(source, tenant=job.terms.tenant, digests=digests)
        return [each for each in found if each.sha256 not in away]

    async def _keep_member(self, job: _Job, whole: Document, member: Member) -> Document:
        before = job.here.get(member.source)
        if before is not None and before.sha256 == member.sha256 and before.state != "failed":
            return await self._raised(before, whole.label, job.terms)
        read = Read(sha256=member.sha256, size_bytes=len(member.parsed.text.encode("utf-8", "surrogatepass")))
        document = await asyncio.to_thread(
            self._document,
            job,
            member.parsed,
            name=member.name,
            read=read,
            said=whole.label,
            source=member.source,
            ground=member.ground,
        )
        return await self._keep(document, member.parsed, job, None)

    async def _keep(self, document: Document, parsed: Parsed, job: _Job, blob: bytes | None) -> Document:
        before = job.here.get(document.source)
        document = replace(document, id=await self._id(document) if before is None else before.id)
        chunks = await asyncio.to_thread(self._cut, replace(parsed, title=document.title, members=()))
        state = "pending" if self._limits.with_vectors and chunks else "ready"
        document = replace(document, chunks=len(chunks), state=state)
        await self._book.adding(document, text=parsed.text, by=job.terms.by, instead=before is not None)
        await self._store.add(
            document,
            text=parsed.text,
            chunks=chunks,
            vectors=None,
            blob=blob,
            sent_bytes_max=job.terms.sent_bytes_max,
        )
        return document

    async def _failed(self, job: _Job, error: FileUnread, read: Read) -> FileDone:
        """A file that cannot be read is a document too, with the reason, so that nobody takes it for searched."""
        own, place, reason = job.own, job.place, _reason(error)
        if own is None and not job.terms.brings_back and await self._is_kept_away(job, read.sha256):
            return FileDone(source=place.source, outcome=Outcome.LEFT_OUT, reason=REMOVED)
        nothing = Parsed(text="", media_type="", parser="", warnings=(reason,))
        document = self._document(
            job, nothing, name=place.name, read=read, said=job.terms.label, source=place.source, ground=own
        )
        label = self._labelling.unread(document.label)
        readers = self._labelling.readers(label, names=document.readers.names, owner=document.readers.owner)
        document = replace(document, label=label, readers=readers, state="failed")
        left = [each for each in job.here.values() if each.source != place.source]
        await self.erase(left, by=job.terms.by)
        if own is None or _told(own) != _told(document):
            document = replace(document, id=await self._id(document) if own is None else own.id)
            await self._book.adding(document, text="", by=job.terms.by, instead=own is not None)
            await self._store.add(document, text="", chunks=(), vectors=(), blob=None)
        else:
            document = own
        return FileDone(
            source=place.source,
            outcome=Outcome.FAILED,
            documents=(document,),
            reason=reason,
            size_bytes=read.size_bytes,
        )

    def _document(
        self, job: _Job, parsed: Parsed, *, name: str, read: Read, said: str, source: str, ground: Document | None
    ) -> Document:
        """A document, as far as it is known before it is cut; its id comes later.

        Args:
            job: What it is of.
            parsed: What was read.
            name: What it is called.
            read: Its bytes.
            said: Its label at least.
            source: Where it comes from.
            ground: That whose label and readers hold for it: what somebody raised or narrowed stays so.
        """
        terms, raised = job.terms, "" if ground is None else ground.label
        label = self._labelling.label(
            tenant=terms.tenant, said=(said, raised), names=names_of(job.place, name), text=parsed.text
        )
        hand, names = readers_after(ground, terms)
        owner = terms.owner or ("" if ground is None else ground.readers.owner)
        return Document(
            id="",
            tenant=terms.tenant,
            source=source,
            sha256=read.sha256,
            size_bytes=read.size_bytes,
            media_type=parsed.media_type,
            title=title_of(parsed, name),
            author=parsed.author,
            written=parsed.written or (read.written if source.startswith(FILE) else ""),
            language=parsed.language,
            pages=parsed.pages,
            parser=parsed.parser,
            label=label,
            readers=self._labelling.readers(label, names=names, owner=owner),
            by_hand=hand,
            added_unix_ms=self._clock.unix_ms(),
            reason="; ".join(parsed.warnings)[:REASON_CHARACTERS_MAX],
        )

    async def _id(self, document: Document) -> str:
        """One that nothing else has; only what moved away may have the first."""
        again = 0
        while True:
            found = document_id(
                self._key, tenant=document.tenant, source=document.source, sha256=document.sha256, again=again
            )
            taken = await self._store.held(tenant=document.tenant, ids=[found], limit=1)
            if not taken or taken[0].source == document.source:
                return found
            again += 1

    def _wanted(self, job: _Job) -> str:
        """The label that a file has by everything but what is in it."""
        terms, raised = job.terms, "" if job.own is None else job.own.label
        names = names_of(job.place)
        return self._labelling.label(tenant=terms.tenant, said=(terms.label, raised), names=names, text=None)

    def _joined(self, document: Document, wanted: str) -> str:
        return self._labelling.label(tenant=document.tenant, said=(document.label, wanted), names=(), text=None)


def _told(failed: Document) -> tuple[object, ...]:
    """What is new of a file that could not be read, where any of it is."""
    return failed.sha256, failed.state, failed.reason, failed.label, failed.readers, failed.by_hand


def _reason(error: FileUnread) -> str:
    return f"{error.code}: {error.message}"[:REASON_CHARACTERS_MAX]
