"""Every kind of file that is read, made by a few lines: its text, its blocks, and what it says of itself."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass

import pytest

from freehold.domain.errors.vault import FileWithoutText
from freehold.domain.vault import BlockKind, Parsed
from freehold.vault.parsing.draft import BLOCKS_MAX, Draft
from freehold.vault.parsing.limits import ParseLimits, Spent
from freehold.vault.parsing.read import FileReader
from tests.support.vault_files import mailbox, message, picture, tarred
from tests.support.vault_office import docx, epub, odt, pptx, xlsx, zipped
from tests.support.vault_pdf import picture_pdf, text_pdf

for _needed in ("magika", "kreuzberg", "pypdfium2"):
    pytest.importorskip(_needed, reason="the extra vault is not installed")

READER = FileReader()
HAS_SIGHT = importlib.util.find_spec("rapidocr") is not None

OFFICE = [
    ("h1", "Annual report"),
    ("p", "Revenue of R&D rose by 12 % <net>."),
    ("h2", "Figures"),
    ("table", [["Year", "Revenue"], ["2022", "10"], ["2023", "12|3"]]),
    ("p", "The end."),
]
TABLE = "| Year | Revenue |\n| --- | --- |\n| 2022 | 10 |\n| 2023 | 12\\|3 |"
HTML = """<!doctype html><html><head><title>A page &amp; more</title><meta name="author" content="Ana Örn">
<meta name=date content=2024-03-05><style>p {}</style></head><body><h1>Annual report</h1>
<p>Revenue of <b>R&amp;D</b> rose<br>by 12 %.</p><script>if (a < b) {}</script><p style="display: none">unseen</p>
<h2>Figures</h2><table><tr><th>Year<th>Revenue<tr><td>2022<td>10<tr><td>2023<td>12|3</table>
<pre>x = 1
  y</pre></body></html>"""
MARKDOWN = "# Annual report\n\nRevenue rose.\n\n## Figures ##\n\n| Year | Revenue |\n|---|---|\n| 2022 | 10 |\n\n```py\nx = 1\n```\nThe end.\n"


@dataclass(frozen=True)
class Case:
    """A file, and what is to be read in it."""

    name: str
    data: bytes
    media_type: str
    has: tuple[str, ...]
    title: str = ""
    author: str = ""
    written: str = ""
    pages: int = 0


_OFFICE_TYPE = "application/vnd.openxmlformats-officedocument"
CASES = (
    Case("a.docx", docx(OFFICE, title="T", author="Ana"), f"{_OFFICE_TYPE}.wordprocessingml.document",
         ("Revenue of R&D rose by 12 % <net>.", TABLE), "T", "Ana", "2024-03-05"),
    Case("a.pptx", pptx([("Plan & goals", ["First <point>"]), ("More", ["Third"])]),
         f"{_OFFICE_TYPE}.presentationml.presentation", ("Plan & goals", "First <point>", "Third"), "Plan & goals",
         written="2024-03-05", pages=2),
    Case("a.xlsx", xlsx({"Sales": [["Year", "R&D"], [2022, 10.5]], "Costs": [["a", "b"], ["c", "d"]]}),
         f"{_OFFICE_TYPE}.spreadsheetml.sheet", ("| Year | R&D |\n| --- | --- |\n| 2022 | 10.5 |",), "Sales",
         written="2024-03-05", pages=2),
    Case("a.odt", odt([("h1", "Annual report"), ("p", "R&D <net>")]), "application/vnd.oasis.opendocument.text",
         ("R&D <net>",), "Annual report"),
    Case("a.epub", epub({"One & two": "text <one>"}), "application/epub+zip", ("One & two", "text <one>"), "A book"),
    Case("a.rtf", rb"{\rtf1\ansi{\b R&D} Gr\'fc\'dfe.\par Second.}", "application/rtf", ("R&D Grüße.", "Second.")),
    Case("a.html", HTML.encode(), "text/html", ("Revenue of R&D rose\nby 12 %.", TABLE, "x = 1\n  y"), "A page & more",
         "Ana Örn", "2024-03-05"),
    Case("a.pdf", text_pdf([["Annual report", "Revenue rose by 12 %.", "It did."], ["Figures", "None."]], author="Ana"),
         "application/pdf", ("Revenue rose by 12 %.\nIt did.",), "Annual report", "Ana", "2024-03-05", 2),
    Case("a.md", MARKDOWN.encode(), "text/markdown", (MARKDOWN,), "Annual report"),
    Case("a.csv", "Year;Größe\r\n2022;10\r\n2023;12\r\n".encode("cp1252"), "text/csv",
         ("| Year | Größe |\n| --- | --- |\n| 2022 | 10 |\n| 2023 | 12 |",)),
    Case("a.tsv", b"Year\tRevenue\n2022\t10\n", "text/tab-separated-values", ("| Year | Revenue |\n| --- | --- |\n| 2022 | 10 |",)),
    Case("a.py", b"import os\n\n\ndef f(x):\n    return os.path.join(x, 'a')\n", "text/x-python", ("def f(x):\n    return",)),
    Case("latin.txt", "Die Größe der Straße ist ungewiß, sagt Jürgen.".encode("latin-1"), "text/plain", ("Größe der Straße",)),
    Case("u16.txt", "Die Größe der Straße".encode("utf-16"), "text/plain", ("Die Größe der Straße",)),
    Case("u16le.txt", "Die Größe der Straße".encode("utf-16-le"), "text/plain", ("Die Größe der Straße",)),
    Case("bom.txt", "\ufeffMit Marke\r\nund\rZeilen\x00.".encode(), "text/plain", ("Mit Marke\nund\nZeilen.",)),
    Case("a.eml", message("Hello Bo,\n\nall is well.", subject="Größen"), "message/rfc822",
         ("From: Ana Örn <ana@example.org>", "Subject: Größen", "all is well."), "Größen", "Ana Örn <ana@example.org>", "2024-03-05"),
)  # fmt: skip


def read(name: str, data: bytes, **limits: int) -> Parsed:
    reader = FileReader(ParseLimits(**limits)) if limits else READER
    return reader.read_bytes(data, name=name)


def assert_sound(parsed: Parsed) -> None:
    """Blocks lie in the text, in order, begin and end with what is no blank line, and hold all of its words."""
    at = 0
    for block in parsed.blocks:
        assert at <= block.start < block.end <= len(parsed.text)
        assert parsed.text[at : block.start].strip() in ("", "===", "---")
        piece = parsed.text[block.start : block.end]
        assert piece.strip("\n") == piece
        at = block.end
    assert not parsed.text[at:].strip()
    assert not {"\r", "\0", "\ufeff"} & set(parsed.text)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_of_each_kind_is_read(case: Case) -> None:
    parsed = read(case.name, case.data)
    assert_sound(parsed)
    for piece in case.has:
        assert piece in parsed.text
    assert "unseen" not in parsed.text
    assert (parsed.media_type, parsed.title, parsed.author) == (case.media_type, case.title, case.author)
    assert (parsed.written, parsed.pages, parsed.warnings) == (case.written, case.pages, ())
    assert parsed.parser.split()[0] in ("freehold", "kreuzberg", "pypdfium2")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_its_content_and_not_its_name_says_what_it_is(case: Case) -> None:
    named = ("text/csv", "text/tab-separated-values", "text/plain")
    parsed = read("photo.png", case.data)
    assert parsed.media_type in ((case.media_type,) if case.media_type not in named else named)


@pytest.mark.parametrize("name", ["a.docx", "a.html", "a.md"])
def test_headings_tables_and_code_are_blocks_under_their_headings(name: str) -> None:
    case = next(each for each in CASES if each.name == name)
    parsed = read(name, case.data)
    kinds = {block.kind: block for block in parsed.blocks}
    assert kinds[BlockKind.TABLE].heading == ("Annual report", "Figures")
    headings = [block for block in parsed.blocks if block.kind is BlockKind.HEADING]
    assert [block.heading for block in headings] == [(), ("Annual report",)]
    assert (BlockKind.CODE in kinds) == (name != "a.docx")


def test_pages_slides_and_sheets_are_told() -> None:
    for name, words in (("a.pdf", "None."), ("a.pptx", "Third"), ("a.xlsx", "| c | d |")):
        parsed = read(name, next(each.data for each in CASES if each.name == name))
        place = parsed.text.index(words)
        assert next(block.page for block in parsed.blocks if block.start <= place < block.end) == 2


def test_what_stands_on_the_margins_of_a_word_file_is_read_once() -> None:
    margin = '<w:hdr xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:p><w:r><w:t>SECRET</w:t></w:r></w:p></w:hdr>'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/header"
    rels = "".join(f'<Relationship Id="h{n}" Type="{kind}" Target="header{n}.xml"/>' for n in (1, 2))
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(docx(OFFICE))) as made:
        parts: dict[str, bytes | str] = {name: made.read(name) for name in made.namelist()}
    parts["word/_rels/document.xml.rels"] = f'<Relationships xmlns="{space}">{rels}</Relationships>'
    parts |= {"word/header1.xml": margin, "word/header2.xml": margin}
    parsed = read("a.docx", zipped(parts))
    assert parsed.text.startswith("SECRET\n\nAnnual report")
    assert parsed.text.count("SECRET") == 1


def test_a_long_table_of_values_has_its_header_in_every_piece() -> None:
    rows = "\n".join(f"{n},{n * n}" for n in range(4_500))
    parsed = read("a.csv", f"n,square\n{rows}\n".encode())
    tables = [parsed.text[block.start : block.end] for block in parsed.blocks]
    assert len(tables) == 3
    assert all(table.startswith("| n | square |\n| --- | --- |\n") for table in tables)
    assert "| 4499 | 20241 |".replace("20241", str(4499 * 4499)) in tables[-1]


def test_an_attachment_is_a_member_and_so_is_a_message_of_a_mailbox() -> None:
    mail = message(
        "see below", attached={"note.md": b"# Note\n\nwith text", "a.docx": docx(OFFICE), "x.bin": b"\0\1" * 50}
    )
    parsed = read("a.mbox", mailbox([mail, message("second", subject="Two")]))
    assert (parsed.media_type, parsed.text) == ("application/mbox", "")
    assert [(name, member.title) for name, member in parsed.members] == [("1", "Figures"), ("2", "Two")]
    first = parsed.members[0][1]
    assert [(name, member.title) for name, member in first.members] == [
        ("note.md", "Note"),
        ("a.docx", "Annual report"),
    ]
    assert len(first.warnings) == 1
    assert first.warnings[0].startswith("x.bin: ")


@pytest.mark.parametrize("pack", ["zip", "tar", "tar.gz"])
def test_what_is_in_an_archive_is_read_and_what_is_not_read_is_said(pack: str) -> None:
    files = {"a/one.txt": b"first text", "../../etc/two.txt": b"second text", "empty.txt": b"", "x.bin": b"\0\1" * 50}
    data = zipped(files) if pack == "zip" else tarred(files)
    parsed = read(f"a.{pack}", gzip.compress(data) if pack == "tar.gz" else data)
    inner = parsed.members[0][1] if pack == "tar.gz" else parsed
    assert [(name, member.text) for name, member in inner.members] == [
        ("a/one.txt", "first text"),
        ("etc/two.txt", "second text"),
    ]
    assert [warning.split(":")[0] for warning in inner.warnings] == ["empty.txt", "x.bin"]


@pytest.mark.skipif(not HAS_SIGHT, reason="the extra ocr is not installed")
def test_a_picture_and_a_scanned_page_are_read_by_their_looks() -> None:
    lines = ["The contract ends in March", "Total amount 4711 Euro"]
    parsed = read("a.png", picture(lines, width=600))
    assert parsed.text.splitlines() == lines
    assert parsed.parser.startswith("rapidocr")
    scan = read("a.pdf", picture_pdf([(picture(lines[1:], kind="JPEG", width=600), 600, 100)]))
    assert "4711" in scan.text
    assert (scan.pages, scan.blocks[0].page, scan.warnings) == (1, 1, ())


def test_without_the_extra_a_scanned_page_is_told_with_what_would_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = picture(["unread"], kind="JPEG")
    reader = FileReader()
    monkeypatch.setattr(reader.sight, "load", lambda: False)
    with pytest.raises(FileWithoutText, match=r"page 1 held no text to be read: .*freehold\[ocr\]"):
        reader.read_bytes(picture_pdf([(jpeg, 1_000, 100)]), name="scan.pdf")


def test_blocks_beyond_the_most_join_the_last_one() -> None:
    draft = Draft(Spent(name="x", limits=ParseLimits()))
    for number in range(BLOCKS_MAX + 2):
        draft.add(str(number))
    assert len(draft.blocks) == BLOCKS_MAX
    assert draft.blocks[-1].end == draft.length
