"""Small PDF files, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def pdf_of(objects: Mapping[int, bytes], *, root: int = 1, info: int = 0) -> bytes:
    """A PDF file of numbered objects with a table of where they are."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places: dict[int, int] = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 00001 f \n"
    named = b" /Info %d 0 R" % info if info else b""
    out += b"trailer\n<< /Size %d /Root %d 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, named, start)
    return bytes(out)


def stream(body: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(body), entries, body)


def text_pdf(
    pages: Sequence[Sequence[str]], *, title: str = "", author: str = "", headings: bool = True, catalog: bytes = b""
) -> bytes:
    """A PDF of text: lines of each page, the first of which is larger where ``headings`` is set.

    Characters beyond Latin-1 cannot be said in its font.
    """
    drawn = [_drawn(lines, headings=headings) for lines in pages]
    return drawn_pdf(drawn, title=title, author=author, catalog=catalog)


def drawn_pdf(pages: Sequence[bytes], *, title: str = "", author: str = "", catalog: bytes = b"") -> bytes:
    """A PDF of what is drawn on each page, with Helvetica as ``/F1``."""
    count = len(pages)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(count))
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        2: b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    }
    for number, drawn in enumerate(pages):
        page = 4 + 2 * number
        objects[page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >>"
            b" /Contents %d 0 R >>" % (page + 1)
        )
        objects[page + 1] = stream(drawn)
    info = 4 + 2 * count
    objects[info] = b"<< /Title %s /Author %s /CreationDate (D:20240305100000Z) >>" % (_said(title), _said(author))
    return pdf_of(objects, info=info)


def placed(texts: Sequence[tuple[float, float, str]], *, size: int = 10) -> bytes:
    """Texts at their places, each drawn for itself, in the order in which they are named."""
    return b"\n".join(b"BT /F1 %d Tf 1 0 0 1 %.1f %.1f Tm %s Tj ET" % (size, x, y, _said(text)) for x, y, text in texts)


def grid(
    rows: Sequence[Sequence[str]], *, x: float = 50, y: float = 780, wide: float = 120, high: float = 14
) -> list[tuple[float, float, str]]:
    """The cells of a table with their places, row by row."""
    return [
        (x + wide * column, y - high * line, cell)
        for line, row in enumerate(rows)
        for column, cell in enumerate(row)
        if cell
    ]


def _drawn(lines: Sequence[str], *, headings: bool) -> bytes:
    drawn = [b"BT /F1 10 Tf 50 790 Td 14 TL"]
    for number, line in enumerate(lines):
        if number == 0 and headings:
            drawn.append(b"/F1 18 Tf %s Tj T* T* /F1 10 Tf" % _said(line))
        else:
            drawn.append(b"%s Tj T*" % _said(line))
    return b"\n".join([*drawn, b"ET"])


def _said(text: str) -> bytes:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return b"(" + escaped.encode("cp1252", "replace") + b")"


def picture_pdf(pictures: Sequence[tuple[bytes, int, int]]) -> bytes:
    """A scanned PDF: each page one JPEG picture with its width and height."""
    count = len(pictures)
    kids = b" ".join(b"%d 0 R" % (3 + 3 * number) for number in range(count))
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
    }
    for number, (jpeg, width, height) in enumerate(pictures):
        page = 3 + 3 * number
        objects[page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /XObject << /I %d 0 R >> >>"
            b" /Contents %d 0 R >>" % (width // 2, height // 2, page + 2, page + 1)
        )
        objects[page + 1] = stream(b"q %d 0 0 %d 0 0 cm /I Do Q" % (width // 2, height // 2))
        objects[page + 2] = stream(
            jpeg,
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
            b" /Filter /DCTDecode " % (width, height),
        )
    return pdf_of(objects)
