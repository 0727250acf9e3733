"""Zip packages and the XML inside them, read within limits: names are never paths, entities are never looked up."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from xml.parsers import expat

from freehold.domain.errors.vault import FileDamaged, FileEncrypted, FileUnread
from freehold.vault.parsing.limits import Spent

_PIECE_BYTES = 1 << 20
_ENCRYPTED = 0x1

_ATTRIBUTE_SPACES = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)


class Package:
    """A zip archive in memory.

    Args:
        data: Its bytes.
        spent: What counts what is unpacked.

    Raises:
        FileUnread: It is damaged, encrypted, or beyond a limit.
    """

    def __init__(self, data: bytes, spent: Spent) -> None:
        self._spent = spent
        self._size = len(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
            raise FileDamaged(name=spent.name, reason="its directory cannot be read") from error
        self.entries = {entry.filename: entry for entry in self._zip.infolist()}
        if len(self._zip.infolist()) > spent.limits.members_max:
            raise spent.too_large(f"there are more than {spent.limits.members_max:,} files inside")

    def check(self) -> None:
        """Look whether what its directory says is within the limits, before another library unpacks it.

        Raises:
            FileUnread: It is encrypted, or beyond a limit.
        """
        said = 0
        for entry in self.entries.values():
            self._refuse_encrypted(entry)
            said += entry.file_size
        self._spent.unpack(said, packed=self._size)

    def read(self, name: str) -> bytes:
        """A file inside; empty where there is none.

        Raises:
            FileUnread: It is damaged, encrypted, or beyond a limit.
        """
        entry = self.entries.get(name)
        return b"" if entry is None else self.unpacked(entry)

    def unpacked(self, entry: zipfile.ZipInfo) -> bytes:
        """What an entry holds; see ``read``."""
        self._refuse_encrypted(entry)
        self._spent.ratio(entry.file_size, packed=entry.compress_size)
        pieces: list[bytes] = []
        try:
            with self._zip.open(entry) as source:
                while piece := source.read(_PIECE_BYTES):
                    self._spent.unpack(len(piece), packed=self._size)
                    self._spent.tick()
                    pieces.append(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError) as error:
            raise FileDamaged(name=self._spent.name, reason="a file inside cannot be unpacked") from error
        return b"".join(pieces)

    def _refuse_encrypted(self, entry: zipfile.ZipInfo) -> None:
        if entry.flag_bits & _ENCRYPTED:
            raise FileEncrypted(name=self._spent.name, reason="a file inside is encrypted")


def local(name: str) -> str:
    """A name without its space."""
    return name.rpartition(" ")[2]


def relation(attributes: Mapping[str, str]) -> str:
    """The ``r:id`` among attributes, or empty."""
    return next((attributes[f"{space} id"] for space in _ATTRIBUTE_SPACES if f"{space} id" in attributes), "")


def read_xml(
    data: bytes,
    *,
    spent: Spent,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None] = lambda _: None,
    characters: Callable[[str], None] = lambda _: None,
) -> None:
    """Tell of every element, its local name only, and of the text between.

    Raises:
        FileUnread: It is no well-formed XML, or it declares a document type, and with that entities.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise FileUnread(name=spent.name, reason="it declares XML entities, which office files never do")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, attributes: start(local(name), attributes)
    parser.EndElementHandler = lambda name: end(local(name))
    parser.CharacterDataHandler = characters
    try:
        for place in range(0, len(data), _PIECE_BYTES):
            parser.Parse(data[place : place + _PIECE_BYTES], False)
            spent.tick()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise FileDamaged(name=spent.name, reason="its XML is not well formed") from error


def value(attributes: Mapping[str, str], name: str) -> str:
    """An attribute by its local name, or empty."""
    return next((text for key, text in attributes.items() if local(key) == name), "")


def core_properties(package: Package, spent: Spent) -> tuple[str, str, str]:
    """Title, author and day of an Office package; empty where it does not say."""
    found: dict[str, str] = {}
    at: list[str] = []

    def start(name: str, _: Mapping[str, str]) -> None:
        at.append(name)

    def characters(text: str) -> None:
        found[at[-1]] = found.get(at[-1], "") + text

    data = package.read("docProps/core.xml")
    if data:
        read_xml(data, spent=spent, start=start, end=lambda _: at.clear(), characters=characters)
    written = found.get("modified") or found.get("created", "")
    return found.get("title", "").strip(), found.get("creator", "").strip(), written[:10]


def relations(package: Package, part: str, spent: Spent) -> dict[str, tuple[str, str]]:
    """Kind and target of each relation of ``part``, by id."""
    folder, _, name = part.rpartition("/")
    found: dict[str, tuple[str, str]] = {}

    def start(element: str, attributes: Mapping[str, str]) -> None:
        if element == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            whole = target.lstrip("/") if target.startswith("/") else _joined(folder, target)
            found[attributes.get("Id", "")] = (attributes.get("Type", "").rpartition("/")[2], whole)

    data = package.read(f"{folder}/_rels/{name}.rels".lstrip("/"))
    if data:
        read_xml(data, spent=spent, start=start)
    return found


def _joined(folder: str, target: str) -> str:
    """A part's name within the package; nothing leads out of it, since it is looked up among its names."""
    parts = folder.split("/") if folder else []
    for part in target.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts)
