"""Reading one file: what it is, then by the reader for that. Runs in a jailed child, and blocks."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from freehold.domain.errors.vault import FileEncrypted, FileWithoutText
from freehold.domain.vault import BlockKind, Parsed
from freehold.vault.parsing.draft import Draft, one_line
from freehold.vault.parsing.inside import Members, tar_files, unpressed, zip_files
from freehold.vault.parsing.kinds import ENCRYPTED, Guess, Kind, kind_of, separator
from freehold.vault.parsing.limits import ParseLimits, Spent
from freehold.vault.parsing.looks import Sight, seen_by
from freehold.vault.parsing.mail import add_message, messages
from freehold.vault.parsing.others import about, add_others, load_office_library, version
from freehold.vault.parsing.package import Package, core_properties
from freehold.vault.parsing.pages import add_pages, day, load_pdf_library
from freehold.vault.parsing.plain import add_markdown, add_rows, add_text
from freehold.vault.parsing.slides import add_slides
from freehold.vault.parsing.web import WebReader, said_charset
from freehold.vault.parsing.word import add_word

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_OWN = "freehold 1"
"""Version of our own readers: raised when they read otherwise."""

_PRESSED_ENDINGS = {"gz": (".gz", ".tgz"), "bz2": (".bz2", ".tbz2"), "xz": (".xz", ".txz")}


class FileReader:
    """Reads files, one after the other.

    Args:
        limits: Of each file.
    """

    def __init__(self, limits: ParseLimits | None = None) -> None:
        self.limits = limits or ParseLimits()
        self.guess = Guess()
        self.sight = Sight()
        self._readers: Mapping[str, Callable[[Draft, bytes, Kind, Spent], Parsed]] = {
            "pdf": self._pdf,
            "word": self._word,
            "slides": self._slides,
            "package": self._package,
            "other": self._other,
            "html": self._html,
            "markdown": self._markdown,
            "text": self._text,
            "code": self._code,
            "csv": self._rows,
            "tsv": self._rows,
            "picture": self._picture,
            "mail": self._mail,
            "mbox": self._mbox,
            "zip": self._zip,
            "tar": self._tar,
            "gz": self._pressed,
            "bz2": self._pressed,
            "xz": self._pressed,
            ENCRYPTED: self._encrypted,
        }

    def load(self) -> None:
        """Load what most files are read with, so that copies of this process need not."""
        load_pdf_library()
        load_office_library()
        self.guess.load()

    def read(self, path: Path, *, name: str) -> Parsed:
        """Read one file; its name is a hint, its content decides.

        Raises:
            FileUnread: It cannot be read; the message says why, and holds nothing of it.
        """
        size = path.stat().st_size
        if size > self.limits.bytes_max:
            raise Spent(name=name, limits=self.limits).too_large(f"it has more than {self.limits.bytes_max:,} bytes")
        return self.read_bytes(path.read_bytes(), name=name)

    def read_bytes(self, data: bytes, *, name: str) -> Parsed:
        """Read what a file holds; see ``read``."""
        return self._read(data, name, Spent(name=name, limits=self.limits))

    def _read(self, data: bytes, name: str, spent: Spent) -> Parsed:
        kind = kind_of(data, name, spent, self.guess)
        draft = Draft(spent)
        parsed = self._readers[kind.reader](draft, data, kind, spent)
        if not parsed.text.strip() and not parsed.members:
            raise FileWithoutText(name=spent.name, reason="; ".join(parsed.warnings) or "nothing is written in it")
        return parsed

    def _members(self, spent: Spent) -> Members:
        """What reads the files inside of one, one level deeper."""

        def inner(name: str, data: bytes) -> Parsed:
            if spent.depth >= spent.limits.depth_max:
                raise spent.too_large(f"archives lie within archives more than {spent.limits.depth_max} deep")
            spent.depth += 1
            outer, spent.name = spent.name, name
            try:
                return self._read(data, name, spent)
            finally:
                spent.depth -= 1
                spent.name = outer

        return Members(spent, inner)

    def _pdf(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        said, pages, warnings = add_pages(draft, data, spent, self.sight)
        reader = f"pypdfium2 {importlib.metadata.version('pypdfium2')}"
        reader += f", {seen_by()}" if self.sight.was_used else ""
        parsed = _parsed(
            draft, kind, reader, title=said.get("Title", ""),
            author=said.get("Author", ""), written=day(said.get("ModDate") or said.get("CreationDate", "")),
        )  # fmt: skip
        return replace(parsed, pages=pages, warnings=tuple(warnings))

    def _word(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        package = Package(data, spent)
        add_word(draft, package, spent)
        title, author, written = core_properties(package, spent)
        return _parsed(draft, kind, _OWN, title=title, author=author, written=written)

    def _slides(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        package = Package(data, spent)
        pages = add_slides(draft, package, spent)
        title, author, written = core_properties(package, spent)
        return replace(_parsed(draft, kind, _OWN, title=title, author=author, written=written), pages=pages)

    def _package(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        Package(data, spent).check()
        return self._other(draft, data, kind, spent)

    def _other(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        said, pages = add_others(draft, data, kind.media_type, spent)
        title, author, written = about(said)
        return replace(_parsed(draft, kind, version(), title=title, author=author, written=written), pages=pages)

    def _html(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        text = kind.text
        if charset := said_charset(data):
            text = _as_said(data, charset, text)
        page = WebReader(draft, spent)
        page.read(text)
        return _parsed(draft, kind, _OWN, title=page.title, author=page.author, written=page.written)

    def _markdown(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        del data, spent
        add_markdown(draft, kind.text)
        return _parsed(draft, kind, _OWN)

    def _text(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        del data, spent
        add_text(draft, kind.text)
        return _parsed(draft, kind, _OWN)

    def _code(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        del data, spent
        add_text(draft, kind.text, kind=BlockKind.CODE)
        return _parsed(draft, kind, _OWN)

    def _rows(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        del data, spent
        left_out = add_rows(draft, kind.text, delimiter=separator(kind.text, kind.reader))
        return replace(_parsed(draft, kind, _OWN), warnings=(left_out,) if left_out else ())

    def _picture(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        seen, missed = self.sight.picture(data, spent)
        if not seen:
            raise FileWithoutText(name=spent.name, reason=self.sight.why_not or "nothing written was seen on it")
        add_text(draft, seen)
        warnings = (f"{len(missed)} of its pictures held no text to be read",) if missed else ()
        return replace(_parsed(draft, kind, seen_by()), warnings=warnings)

    def _mail(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        members = self._members(spent)
        subject, author, written = add_message(draft, data, spent, members)
        parsed = _parsed(draft, kind, _OWN, title=subject, author=author, written=written)
        return replace(parsed, members=tuple(members.found.items()), warnings=members.told())

    def _mbox(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        members = self._members(spent)
        members.read_all(messages(data))
        return replace(_parsed(draft, kind, _OWN), members=tuple(members.found.items()), warnings=members.told())

    def _zip(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        members = self._members(spent)
        members.read_all(zip_files(Package(data, spent)))
        return replace(_parsed(draft, kind, _OWN), members=tuple(members.found.items()), warnings=members.told())

    def _tar(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        members = self._members(spent)
        members.read_all(tar_files(data, spent, members.missed))
        return replace(_parsed(draft, kind, _OWN), members=tuple(members.found.items()), warnings=members.told())

    def _pressed(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        members = self._members(spent)
        inner = unpressed(data, kind.reader, spent)
        members.read_all(iter([(_without_ending(spent.name, kind.reader), lambda: inner)]))
        return replace(_parsed(draft, kind, _OWN), members=tuple(members.found.items()), warnings=members.told())

    def _encrypted(self, draft: Draft, data: bytes, kind: Kind, spent: Spent) -> Parsed:
        del draft, data, kind
        raise FileEncrypted(name=spent.name, reason="by a password")


def read_file(path: Path, *, name: str, limits: ParseLimits) -> Parsed:
    """Read one file, with everything that is needed for it loaded anew; see ``FileReader.read``."""
    return FileReader(limits).read(path, name=name)


def _parsed(draft: Draft, kind: Kind, parser: str, *, title: str = "", author: str = "", written: str = "") -> Parsed:
    text, blocks = draft.text, tuple(draft.blocks)
    first = next((text[each.start : each.end] for each in blocks if each.kind is BlockKind.HEADING), "")
    return Parsed(
        text=text,
        blocks=blocks,
        media_type=kind.media_type,
        parser=parser,
        title=one_line(title) or one_line(first.strip("# \n=-")),
        author=one_line(author),
        written=written if _DAY.fullmatch(written) else "",
    )


def _as_said(data: bytes, charset: str, otherwise: str) -> str:
    try:
        return data.decode(charset)
    except (LookupError, ValueError):
        return otherwise


def _without_ending(name: str, kind: str) -> str:
    for ending in _PRESSED_ENDINGS[kind]:
        if name.lower().endswith(ending):
            return name[: -len(ending)] + (".tar" if ending.startswith(".t") else "")
    return name
