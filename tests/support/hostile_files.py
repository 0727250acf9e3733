"""Files that were made to hurt whoever reads them: each by a few lines of code, and what may come of it."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.vault_files import mailbox, message, tarred
from tests.support.vault_office import docx, epub, odt, pptx, xlsx, zipped
from tests.support.vault_pdf import pdf_of, stream, text_pdf

PASSWD = "root:x:0"
"""Begins the file that external entities ask for: nothing of it may ever be in a text."""

_MIB = 1 << 20
_BLOCK = 16 * _MIB
_BLOCKS = 70  # more than a gigabyte
_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    + "]>"
)
_OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "http://127.0.0.1:9/x">]>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One file.

    Attributes:
        name: What it is called.
        make: Its bytes.
        may: Codes of the errors that it may give; ``read`` where it may as well be read.
        pad_to: Bytes that it is made longer to with a hole; 0 for none.
    """

    name: str
    make: Callable[[], bytes]
    may: tuple[str, ...]
    pad_to: int = 0

    def write(self, folder: Path) -> Path:
        """Write it."""
        path = folder / self.name
        path.write_bytes(self.make())
        if self.pad_to:
            with path.open("r+b") as file:
                file.truncate(self.pad_to)
        return path


READ = "read"
ENCRYPTED, DAMAGED, LARGE, COSTLY, UNKNOWN, BLANK, BROKE = (f"FH-VAULT-02{n}" for n in range(1, 8))
UNREAD = "FH-VAULT-020"


def deflated(piece: bytes = bytes(_BLOCK), times: int = _BLOCKS, *, after: bytes = b"") -> tuple[bytes, int]:
    """``piece`` again and again as one raw deflate stream, ``after`` something else, and the checksum of it all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(after) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.crc32(after)
    for _ in range(times):
        checksum = zlib.crc32(piece, checksum)
    return head + block * times + packer.flush(), checksum


def zip_of(name: str, packed: bytes, checksum: int, size: int, *, flags: int = 0, times: int = 1) -> bytes:
    """A zip archive of one packed stream, which ``times`` entries of its directory point to."""
    raw = name.encode()
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, 8, 0, 0, checksum, len(packed), size, len(raw), 0)
    directory = b""
    for number in range(times):
        shown = raw if times == 1 else raw + b"%d" % number
        directory += (
            struct.pack(
                "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, flags, 8, 0, 0, checksum, len(packed), size,
                len(shown), 0, 0, 0, 0, 0, 0,
            )
            + shown
        )  # fmt: skip
    body = local + raw + packed
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, times, times, len(directory), len(body), 0)
    return body + directory + end


@functools.cache
def zip_bomb(name: str = "a.txt", *, times: int = 1, said: int | None = None) -> bytes:
    """More than a gigabyte in a megabyte."""
    packed, checksum = deflated(b"A" * _BLOCK)
    return zip_of(name, packed, checksum, _BLOCK * _BLOCKS if said is None else said, times=times)


def nested_zip(depth: int, width: int, leaf: bytes) -> bytes:
    """Zip archives in zip archives."""
    inner = leaf
    for level in range(depth):
        inner = zipped({f"{level}-{number}.zip" if level else f"{number}.txt": inner for number in range(width)})
    return inner


def replaced(package: bytes, part: str, content: bytes) -> bytes:
    """A package with another part in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != part:
                new.writestr(entry.filename, old.read(entry))
        new.writestr(part, content)
    return out.getvalue()


def part_of(package: bytes, part: str) -> bytes:
    """A part of a package."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return archive.read(part)


def with_doctype(package: bytes, part: str, doctype: str, reference: str, instead_of: str) -> bytes:
    """A package, a part of which declares a document type and refers to an entity of that."""
    text = part_of(package, part).decode()
    head, _, rest = text.partition("?>")
    return replaced(package, part, f"{head}?>{doctype}{rest.replace(instead_of, reference)}".encode())


def _docx(text: str = "TEXT") -> bytes:
    return docx([("h1", "Title"), ("p", text)])


def _sheet(cells: str) -> bytes:
    book = xlsx({"A": [["x"]]})
    part = "xl/worksheets/sheet1.xml"
    head, _, _ = part_of(book, part).decode().partition("<sheetData>")
    return replaced(book, part, f"{head}<sheetData>{cells}</sheetData></worksheet>".encode())


def _tar_of_others() -> bytes:
    others: list[tarfile.TarInfo] = []
    for name, kind, target in (
        ("link", tarfile.SYMTYPE, "/etc/passwd"), ("hard", tarfile.LNKTYPE, "/etc/passwd"),
        ("pipe", tarfile.FIFOTYPE, ""), ("device", tarfile.CHRTYPE, ""), ("../up", tarfile.SYMTYPE, "../../etc"),
    ):  # fmt: skip
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        others.append(entry)
    return tarred({"../../etc/cron.d/x": b"an harmless text"}, others=others)


def _sparse_tar() -> bytes:
    out = io.BytesIO()
    entry = tarfile.TarInfo("hole.txt")
    entry.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(b""))
    return out.getvalue()


def _gz_of_gz(times: int) -> bytes:
    data = b"a text"
    for _ in range(times):
        data = gzip.compress(data, 1)
    return data


def _gz_bomb() -> bytes:
    packed, checksum = deflated()
    size = _BLOCK * _BLOCKS
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + packed + struct.pack("<II", checksum, size & 0xFFFFFFFF)


def _png(width: int, height: int, *, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(rows or bytes(4_096))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _nested_messages(depth: int) -> bytes:
    data = message("the innermost")
    for _ in range(depth):
        data = b"From: a@x.org\nTo: b@x.org\nSubject: s\nContent-Type: message/rfc822\n\n" + data
    return data


def _many_parts(count: int) -> bytes:
    head = b"From: a@x.org\nTo: b@x.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n"
    return head + b"--B\nContent-Type: text/plain\n\nx\n" * count + b"--B--\n"


def _pages(kids: bytes, count: int, more: dict[int, bytes] | None = None) -> bytes:
    return pdf_of({
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        **(more or {3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"}),
    })  # fmt: skip


def _deep_pages(depth: int) -> bytes:
    more = {n: b"<< /Type /Pages /Parent %d 0 R /Count 1 /Kids [%d 0 R] >>" % (n - 1, n + 1) for n in range(3, depth)}
    more[depth] = b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 9 9] >>" % (depth - 1)
    return _pages(b"3 0 R", 1, more)


def _drawn(content: bytes, box: bytes = b"0 0 595 842") -> bytes:
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>" % box
    )
    return _pages(b"3 0 R", 1, {3: page, 4: font, 5: content})


def _stream_bomb() -> bytes:
    packed, _ = deflated(b" " * _BLOCK, 40)
    checksum = zlib.adler32(b"")
    return _drawn(stream(b"\x78\x9c" + packed + struct.pack(">I", checksum), b"/Filter /FlateDecode "))


def _acting_pdf() -> bytes:
    catalog = (
        b"/OpenAction << /S /JavaScript /JS (app.launchURL\\('http://127.0.0.1:9'\\)) >>"
        b" /AA << /WC << /S /Launch /F (/bin/sh) >> >>"
    )
    return text_pdf([["Heading", "A page that wants to do something."]], catalog=catalog)


def _encrypted_pdf() -> bytes:
    plain = text_pdf([["Heading", "text"]])
    secret = b"<" + b"41" * 32 + b">"
    entry = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O %s /U %s >> /ID [<41> <41>] /Size" % (secret, secret)
    return plain.replace(b"/Size", entry)


def _huge_scan() -> bytes:
    image = stream(b"\0" * 64, b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /ColorSpace /DeviceGray"
                   b" /BitsPerComponent 8 ")  # fmt: skip
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 600] /Resources << /XObject << /I 4 0 R >> >> /Contents 5 0 R >>"
    return _pages(b"3 0 R", 1, {3: page, 4: image, 5: stream(b"600 0 0 600 0 0 cm /I Do")})


def _old_office(*streams: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "".join(streams).encode("utf-16-le") + bytes(512)


def _named(name: str, make: Callable[[], bytes], *may: str, pad_to: int = 0) -> Hostile:
    return Hostile(name=name, make=make, may=may, pad_to=pad_to)


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


_ROW = b'<row r="1"><c r="A1"><v>1</v></c></row>'
_WORD, _SHEET, _SLIDE = "word/document.xml", "xl/workbook.xml", "ppt/slides/slide1.xml"


@functools.cache
def _padded_part(package: bytes, part: str, piece: bytes) -> bytes:
    """A package with a part that unpacks to half a gigabyte of ``piece``."""
    text = part_of(package, part)[:-8]
    block = piece * (_MIB // len(piece))
    packed, checksum = deflated(block, 512, after=text)
    last = zip_of(part, packed, checksum, len(text) + 512 * len(block))
    return _joined(without(package, part), last)


def without(package: bytes, part: str) -> bytes:
    """A package without a part."""
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        return zipped({entry.filename: old.read(entry) for entry in old.infolist() if entry.filename != part})


def _joined(first: bytes, last: bytes) -> bytes:
    """Two zip archives without comments as one."""
    (count, size, start), (more, length, behind) = (struct.unpack("<HII", each[-12:-2]) for each in (first, last))
    directory = first[start : start + size]
    entry = bytearray(last[behind : behind + length])
    struct.pack_into("<I", entry, 42, start)  # where its data begin now
    body = first[:start] + last[:behind]
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count + more, count + more, size + length, len(body), 0)
    return body + directory + entry + end


ARCHIVES: tuple[Hostile, ...] = (
    _named("flat-bomb.zip", zip_bomb, LARGE),
    _named("overlapping-bomb.zip", lambda: zip_bomb(times=1_000), LARGE, DAMAGED),
    _named("lying-bomb.zip", lambda: zip_bomb(said=10), DAMAGED, LARGE),
    _named("nested-bomb.zip", lambda: nested_zip(4, 10, b"0" * (4 * _MIB)), READ, LARGE),
    _named("deep.zip", lambda: nested_zip(60, 1, b"a text"), LARGE),
    _named("many.zip", lambda: zipped({f"{n}.txt": "" for n in range(25_000)}), LARGE),
    _named(
        "traversal.zip",
        lambda: zipped(
            {
                "../../etc/passwd": "a text",
                "/etc/shadow": "b text",
                "C:\\x\\..\\y.txt": "c text",
                "a\u202etxt.exe": "d text",
            }
        ),
        READ,
    ),
    _named("encrypted.zip", lambda: zip_of("a.txt", b"x" * 32, 0, 20, flags=1), ENCRYPTED),
    _named("cut.zip", lambda: _half(zipped({"a.txt": random.Random(1).randbytes(9_000)})), DAMAGED),
    _named("links.tar", _tar_of_others, READ),
    _named("cut.tar", lambda: tarred({"a.txt": b"x" * 9_000})[:3_000], DAMAGED),
    _named("sparse.tar", _sparse_tar, LARGE, DAMAGED),
    _named("bomb.gz", _gz_bomb, LARGE),
    _named("gz-of-gz.gz", lambda: _gz_of_gz(200), LARGE),
    _named("cut.gz", lambda: _half(gzip.compress(random.Random(1).randbytes(9_000))), DAMAGED),
    _named("bomb.bz2", lambda: bz2.compress(bytes(45 * _MIB)) * 25, LARGE),
)

OFFICE: tuple[Hostile, ...] = (
    _named("outside.docx", lambda: with_doctype(_docx(), _WORD, _OUTSIDE, "&e;&h;", "TEXT"), UNREAD),
    _named("laughs.docx", lambda: with_doctype(_docx(), _WORD, _LAUGHS, "&j;", "TEXT"), UNREAD),
    _named("bomb.docx", lambda: _padded_part(_docx(), _WORD, b"<w:p/>"), LARGE),
    _named("cut.docx", lambda: _half(_docx()), DAMAGED),
    _named("encrypted.docx", lambda: _old_office("EncryptionInfo", "EncryptedPackage"), ENCRYPTED),
    _named(
        "deep-tables.docx",
        lambda: replaced(
            _docx(),
            _WORD,
            part_of(_docx(), _WORD).replace(b"</w:body>", b"<w:tbl><w:tr><w:tc>" * 100_000 + b"</w:body>"),
        ),
        DAMAGED,
    ),
    _named("outside.xlsx", lambda: with_doctype(xlsx({"A": [["x"]]}), _SHEET, _OUTSIDE, "&e;", ">A<"), READ, DAMAGED),
    _named("bomb.xlsx", lambda: _padded_part(xlsx({"A": [["x"]]}), "xl/worksheets/sheet1.xml", _ROW), LARGE),
    _named(
        "far-corner.xlsx",
        lambda: _sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        READ,
        DAMAGED,
        COSTLY,
        BROKE,
        LARGE,
    ),
    _named("cut.xlsx", lambda: _half(xlsx({"A": [["x"]]})), DAMAGED),
    _named(
        "outside.pptx",
        lambda: with_doctype(pptx([("TEXT", ["x"])]), _SLIDE, _OUTSIDE, "&e;", "TEXT"),
        UNREAD,
    ),
    _named(
        "laughs.odt",
        lambda: with_doctype(odt([("p", "TEXT")]), "content.xml", _LAUGHS, "&j;", "TEXT"),
        READ,
        DAMAGED,
        UNREAD,
        COSTLY,
        BLANK,
    ),
    _named(
        "outside.epub",
        lambda: with_doctype(epub({"One": "TEXT"}), "OEBPS/c1.xhtml", _OUTSIDE, "&e;", "TEXT"),
        READ,
        DAMAGED,
    ),
    _named("old.doc", lambda: _old_office("WordDocument"), DAMAGED, BROKE, BLANK),
    _named(
        "deep.rtf",
        lambda: b"{\\rtf1 " + b"{" * 100_000 + b"a text" + b"}" * 100_000 + b"}",
        READ,
        DAMAGED,
        BROKE,
        BLANK,
    ),
)

PAGES: tuple[Hostile, ...] = (
    _named("million.pdf", lambda: _pages(b"3 0 R", 1_000_000), LARGE, DAMAGED),
    _named("many-pages.pdf", lambda: text_pdf([["x"]] * 12_000, headings=False), LARGE),
    _named("endless.pdf", lambda: _pages(b"2 0 R", 5), READ, DAMAGED, BLANK, UNREAD),
    _named("deep.pdf", lambda: _deep_pages(5_000), READ, DAMAGED, BLANK, UNREAD, BROKE),
    _named("cut.pdf", lambda: text_pdf([["Heading", "x" * 80]] * 30)[:2_000], DAMAGED, BLANK, READ),
    _named("encrypted.pdf", _encrypted_pdf, ENCRYPTED),
    _named("acting.pdf", _acting_pdf, READ),
    _named("bomb.pdf", _stream_bomb, COSTLY, BLANK, BROKE, DAMAGED, READ),
    _named("own-length.pdf", lambda: _drawn(b"<< /Length 5 0 R >>\nstream\nBT ET\nendstream"), BLANK, DAMAGED),
    _named("huge-page.pdf", lambda: _drawn(stream(b"0 0 9 9 re f"), b"0 0 99999999 99999999"), BLANK),
    _named("huge-scan.pdf", _huge_scan, BLANK, COSTLY, BROKE),
)

TEXTS: tuple[Hostile, ...] = (
    _named("outside.svg", f"<?xml version='1.0'?>{_OUTSIDE}<svg><text>&e;</text></svg>".encode, READ),
    _named("outside.html", f"{_OUTSIDE}<html><body>&e; a page<iframe src=file:///etc/passwd>".encode, READ),
    _named("deep.html", lambda: b"<html>" + b"<div>" * 100_000 + b"inside" + b"</div>" * 100_000, READ),
    _named("comment.html", lambda: b"<html>a page<!--" + b"-" * (4 * _MIB), READ, BLANK, COSTLY),
    _named("brackets.html", lambda: b"<html>a page" + b"<" * (4 * _MIB), READ, COSTLY),
    _named("attribute.html", lambda: b"<html>a page<a b='" + b"c " * (4 * _MIB), READ, COSTLY),
    _named("long-line.csv", lambda: b"a,b\n1,2\n" + b"x," * (5 * _MIB), READ, LARGE),
    _named("long-field.csv", lambda: b'a,b\n1,2\n"' + b"x" * (8 * _MIB), READ),
    _named("hashes.md", lambda: b"# a\n\n## b\n\n- c\n\n# " + b" #" * 200_000 + b"x\n" + b"`" * 100_000, READ),
    _named("bytes.txt", lambda: b"a text \xff\xfe\xc3\x28\xa0\xed\xa0\x80\xf8 with wrong bytes in it\n" * 100, READ),
    _named("long.txt", lambda: b"a line of text\n" * (20 * _MIB // 15), LARGE),
    _named("gigabyte.txt", lambda: b"a text\n", LARGE, pad_to=(1 << 30) + 1),
    _named("empty.txt", lambda: b"", BLANK),
    _named("zeros.txt", lambda: bytes(16 * _MIB), UNKNOWN, BLANK),
    _named("random.docx", lambda: random.Random(2).randbytes(200_000), UNKNOWN),
    _named("program.pdf", lambda: b"\x7fELF" + bytes(2_000), UNKNOWN),
    _named("page.txt.exe", lambda: text_pdf([["Heading", "A PDF by another name."]]), READ),
)

MAILS: tuple[Hostile, ...] = (
    _named("empty.mbox", lambda: b"From a@x.org Tue Mar  5 10:00:00 2024\n\n" * 100_000, LARGE, BLANK, READ, UNREAD),
    _named("nested.eml", lambda: _nested_messages(1_000), LARGE, READ),
    _named("parts.eml", lambda: _many_parts(10_000), LARGE),
    _named(
        "attached.eml",
        lambda: message("see", attached={"../../x.txt": b"a text", "b.zip": zip_bomb(said=10), "e.bin": b"\0" * 99}),
        READ,
    ),
    _named("header.eml", lambda: b"From: a@x.org\nTo: " + b"b@x.org, " * 500_000 + b"\nSubject: s\n\nhello", READ),
    _named("words.eml", lambda: b"From: a@x.org\nTo: b\nSubject: " + b"=?utf-8?q?=00?= " * 20_000 + b"\n\nhello", READ),
    _named("mailbox.mbox", lambda: mailbox([message("hello"), b"\xff\xfe broken", message("again")]), READ),
)

PICTURES: tuple[Hostile, ...] = (
    _named("huge.png", lambda: _png(100_000, 100_000), LARGE),
    _named("wide.png", lambda: _png(7_900, 8_000, rows=bytes(64_000_000)), BLANK, COSTLY),
    _named("cut.png", lambda: _png(500, 500)[:60], DAMAGED),
)

HOSTILE: tuple[Hostile, ...] = (*ARCHIVES, *OFFICE, *PAGES, *TEXTS, *MAILS, *PICTURES)
"""All of them, each with a name of its own."""
