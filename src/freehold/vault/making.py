"""Documents made of what was read: their names, ids and readers. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.vault import Document, Parsed, Reader
from freehold.vault.ingest_ports import Place, Terms
from freehold.vault.places import FILE, INSIDE, is_inside

REASON_CHARACTERS_MAX = 1_000
TITLE_CHARACTERS_MAX = 300
_ID_DIGITS = 24


def derived_key(key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, from which neither ``key`` nor that for another one follows."""
    return hmac.new(key, f"freehold vault {purpose}".encode(), hashlib.sha256).digest()


def document_id(key: bytes, *, tenant: str, source: str, sha256: str, again: int = 0) -> str:
    """A document's id: the same in every process that takes the same file in, and telling nothing without the key.

    Args:
        key: Of the vault.
        tenant: Whose it is.
        source: Where it came from first.
        sha256: Of its bytes then.
        again: Another one for each number, where the id is taken by what came from there before and moved on.
    """
    told = "\0".join((tenant, source, sha256, str(again))).encode("utf-8", "surrogatepass")
    return "doc-" + hmac.new(key, told, hashlib.sha256).hexdigest()[:_ID_DIGITS]


def digest_of(text: str) -> str:
    """What stands for the bytes of what was inside a file: the SHA-256 of its text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def inside(parsed: Parsed, source: str) -> Iterator[tuple[str, str, Parsed]]:
    """Source, name and content of everything that was inside, each before what was inside of it."""
    separator = "." if is_inside(source) else INSIDE
    for number, (name, member) in enumerate(parsed.members, 1):
        place = f"{source}{separator}{number}"
        yield place, name, replace(member, members=())
        yield from inside(member, place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Something that was inside a file.

    Attributes:
        source: Its place.
        name: What it is called.
        parsed: What was read of it.
        sha256: Of its text.
        ground: That whose label and readers hold for it; ``None`` where nothing is known.
    """

    source: str
    name: str
    parsed: Parsed
    sha256: str
    ground: Document | None


def members_of(parsed: Parsed, source: str, here: Mapping[str, Document]) -> Iterator[Member]:
    """Everything that was inside a file, with what holds for it.

    That is what holds for the same text, whatever place it has among the others now; else for what was in its place;
    else for the file, so that what somebody closed stays closed when something is put into it.

    Args:
        parsed: The file.
        source: Its place.
        here: What the vault has of it, by places.
    """
    texts = {each.sha256: each for each in here.values() if is_inside(each.source)}
    texts |= {each.sha256: each for each in here.values() if is_inside(each.source) and each.by_hand is not None}
    for place, name, member in inside(parsed, source):
        sha256 = digest_of(member.text)
        ground = texts.get(sha256) or here.get(place) or here.get(source)
        yield Member(source=place, name=name, parsed=member, sha256=sha256, ground=ground)


def names_of(place: Place, inside_name: str = "") -> tuple[str, ...]:
    """By what names rules about sources may know a file."""
    path = str(place.path) if place.source.startswith(FILE) else ""
    return tuple(dict.fromkeys(each for each in (path, place.inside or place.name, inside_name) if each))


def title_of(parsed: Parsed, name: str) -> str:
    """What a document is called: its own title, else the name of its file."""
    title = " ".join((parsed.title or name).split())
    return title[:TITLE_CHARACTERS_MAX]


def title_after_move(title: str, *, before: str, now: str) -> str:
    """The title at another place: a name of a file is the file's new name, a title of its own stays."""
    return now if title == before else title


def narrowed(now: frozenset[str] | None, said: frozenset[str] | None) -> frozenset[str] | None:
    """Readers that a document has once others are said for it: fewer, or the same, and never nobody by that alone."""
    if said is None or now == said:
        return now
    if now is None:
        return said
    return now & said or now


def readers_after(before: Document | None, terms: Terms) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Readers that were said of a document alone, and those that it has, once it is looked at on these terms.

    What its folders say now holds, whatever they said before; what somebody said of it alone is never widened by that.

    Args:
        before: What is there; ``None`` where nothing is.
        terms: What is said now.
    """
    hand = narrowed(None if before is None else before.by_hand, terms.readers)
    if terms.in_folder:
        return hand, narrowed(hand, terms.folder_readers)
    return hand, narrowed(None if before is None else before.readers.names, terms.readers)


def following(
    inner: frozenset[str] | None, *, before: frozenset[str] | None, now: frozenset[str] | None
) -> frozenset[str] | None:
    """Readers of what was inside a file whose readers are changed: the same where it had the same, else never more."""
    if inner == before:
        return now
    if inner is None or now is None:
        return now if inner is None else inner
    return inner & now


def ordered(own: Document, here: Iterable[Document]) -> tuple[Document, ...]:
    """A file's document, and then those of what was inside it."""
    return (own, *sorted((each for each in here if each.id != own.id), key=lambda each: each.source))


def as_reader_of(documents: Sequence[Document]) -> Reader:
    """Somebody who may read these documents of one tenant: who holds the vault's key may anyway."""
    names = frozenset(name for each in documents for name in (*(each.readers.names or ()), each.readers.owner) if name)
    return Reader(tenant=documents[0].tenant, names=names)
