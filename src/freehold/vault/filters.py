"""What a question's own words say about the documents that it means: a file's name, a company, an author, a day. Pure.

Cautious on purpose: what is taken here only asks, and narrows only where it surely means documents that the reader may
read (``titled``), and where what they hold answers about as well as everything would (``search``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from freehold.domain.vault import Document, Filters

_FILE = re.compile(
    r"(?<![\w.-])[\w-][\w.-]*\.(?:pdf|docx?|pptx?|xlsx?|csv|html?|md|txt|eml|mbox|json|py)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{3,80})[\"”“»]")
_YEAR = re.compile(r"(?<![\w.,-])(?:FY ?)?((?:19|20)\d\d)(?![\w-]|[.,]\d)")
_DATED = re.compile(
    r"\b(?:written|dated|signed|sent|published|received|created)\s+(?P<how>in|on|before|after|since|until)?\s*"
    r"(?P<day>(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?)(?![\w-])",
    re.IGNORECASE,
)
_NAME = r"(?:[^\W\d_a-z][\w.&'’-]*)(?:\s+(?:[^\W\d_a-z][\w.&'’-]*|&|of|de|von|van))*"
_AUTHOR = re.compile(rf"\b(?:written by|authored by|sent by|signed by|by|author)\s+(?P<name>{_NAME})")
_ENDING = re.compile(r"\.\w{1,5}$")
_TOKEN = re.compile(r"[\w&][\w.&'’-]*|[^\w\s]")
_SMALL_WORDS = (
    "a an and are as at by did do does for from give had has have how i if in is it list may me my of on our show tell"
    " that the their then there these they this to was we were what when where which who whom whose why will with you"
    " summarise summarize compare explain find please describe"
)
_SMALL = frozenset(_SMALL_WORDS.split())
_SENTENCE_ENDS = frozenset(".?!…:")
_LINKS = frozenset({"of", "de", "von", "van", "&"})
ASKED_MAX = 6
"""Names of one question that are looked for at most: each is one look into the index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a question may say of its documents, in its own words.

    Attributes:
        files: Names of files.
        names: Titles in quotes, companies, people: whatever is written like a name.
        authors: Who is said to have written it.
        years: Years that it names.
        written_from: First day that it says, or empty.
        written_to: Last day.
    """

    files: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    years: tuple[str, ...] = ()
    written_from: str = ""
    written_to: str = ""

    @property
    def anything(self) -> bool:
        """Whether there is something to look for."""
        return self != Meant()


def meant_by(question: str) -> Meant:
    """What a question may say of its documents."""
    files = _once(match.group() for match in _FILE.finditer(question))
    rest = _FILE.sub(" ", question)
    authors = _once(_name(match["name"]) for match in _AUTHOR.finditer(rest))
    quoted = [match[1].strip() for match in _QUOTED.finditer(rest)]
    names = _once((*quoted, *_names(rest)))
    first, last = _days(rest)
    return Meant(
        files=files[:ASKED_MAX],
        names=tuple(name for name in names if name not in authors)[:ASKED_MAX],
        authors=authors[:ASKED_MAX],
        years=_once(match[1] for match in _YEAR.finditer(_DATED.sub(" ", rest))),
        written_from=first,
        written_to=last,
    )


def titled(documents: Sequence[Document], name: str, years: Sequence[str]) -> tuple[str, ...]:
    """Ids of the documents that a name surely means: it is their whole title or file's name, or stands in one with a year.

    Less doesn't count. A word of the question that is in some title is in answers without that title too, and titles
    are indexed with their pieces, so that such a word already draws them to the front. One word alone is never a whole
    title here. The day that a document was written on is not its year: the report on a year is written in the next one.

    Args:
        documents: Those that have the name in their title or source.
        name: As ``Meant.names`` has it.
        years: That the question names.
    """
    whole = " ".join(name.casefold().split())
    standing = re.compile(rf"(?<![^\W\d_]){re.escape(whole)}(?![^\W\d_])")
    of_years = [re.compile(rf"(?<!\d){year}") for year in years]
    found: list[str] = []
    for each in documents:
        place = f"{each.title}\n{each.source}".casefold()
        is_of_year = bool(standing.search(place)) and any(year.search(place) for year in of_years)
        if is_of_year or (" " in whole and whole in _whole_names(each)):
            found.append(each.id)
    return tuple(found)


def _whole_names(document: Document) -> set[str]:
    """What a document is called, with and without the end that says its type."""
    file = re.split(r"[/\\:]", document.source)[-1]
    return {form for each in (document.title, file) for form in (each.casefold(), _ENDING.sub("", each.casefold()))}


def both(given: Filters, inferred: Filters) -> Filters | None:
    """Filters that say what both say; ``None`` where they say different things of one kind: then the given ones hold."""
    if any(getattr(given, name) and getattr(inferred, name) for name in Filters.__dataclass_fields__):
        return None
    return replace(
        given,
        **{name: value for name in Filters.__dataclass_fields__ if (value := getattr(inferred, name))},
    )


def _days(question: str) -> tuple[str, str]:
    match = _DATED.search(question)
    if match is None:
        return "", ""
    day, how = match["day"], (match["how"] or "in").lower()
    first, last = f"{day}-01-01"[:10] if len(day) == 4 else f"{day}-01"[:10], f"{day}-12-31"[:10]
    if len(day) == 7:
        last = f"{day}-31"
    elif len(day) == 10:
        first = last = day
    if how in {"before", "until"}:
        return "", last if how == "until" else first
    return first, "" if how in {"after", "since"} else last


def _names(text: str) -> Iterator[str]:
    """Words next to each other that begin with a capital.

    Not small ones, nor one alone that begins a sentence and has no other capital: any word does that.
    """
    run: list[str] = []
    before, opens = ".", False
    for token in (*_TOKEN.findall(text), "."):
        if (token[0].isupper() and token.lower() not in _SMALL) or (run and token in _LINKS):
            opens = opens if run else before[-1] in _SENTENCE_ENDS
            run.append(token)
        elif run:
            name = _name(" ".join(run))
            if " " in name or not opens or name[1:] != name[1:].lower():
                yield name
            run = []
        before = token


def _name(words: str) -> str:
    """A name without the small words that a sentence begins with, and without what belongs to no name."""
    parts = words.split()
    while parts and (parts[0].lower().strip("'’") in _SMALL or parts[0] in _LINKS):
        del parts[0]
    while parts and parts[-1] in _LINKS:
        del parts[-1]
    name = " ".join(parts).strip(".,'’-&")
    return re.sub(r"['’]s$", "", name)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if len(text) > 2))
