"""Small office files, made from nothing: no binary lies in the repository."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Block = tuple[str, object]
"""``("h1", "Title")``, ``("p", "Text")`` or ``("table", [["a", "b"], ["1", "2"]])``."""

_OPEN = "http://schemas.openxmlformats.org"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OFFICE = "application/vnd.openxmlformats-officedocument"
_RELATED = f"{_OPEN}/officeDocument/2006/relationships"


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    """A zip archive of ``files``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(blocks: Sequence[Block], *, title: str = "", author: str = "", prologue: str = "") -> bytes:
    """A DOCX file; ``prologue`` stands before its document's root, where a DOCTYPE would."""
    body = "".join(_docx_block(*block) for block in blocks)
    document = (
        f'{_XML}{prologue}<w:document xmlns:w="{_OPEN}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>'
    )
    heading = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2, 3)
    )
    styles = f'{_XML}<w:styles xmlns:w="{_OPEN}/wordprocessingml/2006/main">{heading}</w:styles>'
    parts = {
        "word/document.xml": (document, f"{_OFFICE}.wordprocessingml.document.main+xml"),
        "word/styles.xml": (styles, f"{_OFFICE}.wordprocessingml.styles+xml"),
    }
    own = {"word/_rels/document.xml.rels": _rels((("styles", "styles.xml"),))}
    return _package("word/document.xml", parts, own, title=title, author=author)


def _docx_block(kind: str, content: object) -> str:
    if kind == "table":
        rows = "".join(
            "<w:tr>" + "".join(f"<w:tc>{_docx_block('p', cell)}</w:tc>" for cell in row) + "</w:tr>"
            for row in content  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        )
        return f"<w:tbl>{rows}</w:tbl>"
    style = f'<w:pPr><w:pStyle w:val="Heading{kind[1]}"/></w:pPr>' if kind.startswith("h") else ""
    return f'<w:p>{style}<w:r><w:t xml:space="preserve">{escape(str(content))}</w:t></w:r></w:p>'


def pptx(slides: Sequence[tuple[str, Sequence[str]]], *, title: str = "", author: str = "") -> bytes:
    """A PPTX file: each slide a title and paragraphs."""
    parts = {"ppt/presentation.xml": (_presentation(len(slides)), f"{_OFFICE}.presentationml.presentation.main+xml")}
    for number, (heading, paragraphs) in enumerate(slides, 1):
        shapes = _shape("title", [heading]) + _shape("body", paragraphs)
        slide = (
            f'{_XML}<p:sld xmlns:p="{_OPEN}/presentationml/2006/main" xmlns:a="{_OPEN}/drawingml/2006/main">'
            f"<p:cSld><p:spTree><p:nvGrpSpPr/><p:grpSpPr/>{shapes}</p:spTree></p:cSld></p:sld>"
        )
        parts[f"ppt/slides/slide{number}.xml"] = (slide, f"{_OFFICE}.presentationml.slide+xml")
    rels = _rels([("slide", f"slides/slide{number}.xml") for number in range(1, len(slides) + 1)])
    own = {"ppt/_rels/presentation.xml.rels": rels}
    return _package("ppt/presentation.xml", parts, own, title=title, author=author)


def _presentation(slides: int) -> str:
    ids = "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in range(1, slides + 1))
    return (
        f'{_XML}<p:presentation xmlns:p="{_OPEN}/presentationml/2006/main" xmlns:r="{_RELATED}">'
        f"<p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    )


def _shape(kind: str, paragraphs: Sequence[str]) -> str:
    lines = "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in paragraphs)
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="2" name="{kind}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
        f"<p:spPr/><p:txBody><a:bodyPr/>{lines}</p:txBody></p:sp>"
    )


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]], *, title: str = "", author: str = "") -> bytes:
    """An XLSX file of inline strings and numbers."""
    named = "".join(f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
    space = f'xmlns="{_OPEN}/spreadsheetml/2006/main"'
    book = f'{_XML}<workbook {space} xmlns:r="{_RELATED}"><sheets>{named}</sheets></workbook>'
    parts = {"xl/workbook.xml": (book, f"{_OFFICE}.spreadsheetml.sheet.main+xml")}
    for number, rows in enumerate(sheets.values(), 1):
        lines = "".join(
            f'<row r="{n}">' + "".join(_cell(column, n, value) for column, value in enumerate(row)) + "</row>"
            for n, row in enumerate(rows, 1)
        )
        sheet = f"{_XML}<worksheet {space}><sheetData>{lines}</sheetData></worksheet>"
        parts[f"xl/worksheets/sheet{number}.xml"] = (sheet, f"{_OFFICE}.spreadsheetml.worksheet+xml")
    rels = _rels([("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)])
    return _package("xl/workbook.xml", parts, {"xl/_rels/workbook.xml.rels": rels}, title=title, author=author)


def _cell(column: int, row: int, value: object) -> str:
    place = f"{chr(65 + column)}{row}"
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def odt(blocks: Sequence[Block]) -> bytes:
    """An ODT file of headings and paragraphs."""
    body = "".join(
        f'<text:h text:outline-level="{kind[1]}">{escape(str(content))}</text:h>'
        if kind.startswith("h")
        else f"<text:p>{escape(str(content))}</text:p>"
        for kind, content in blocks
    )
    name = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'{_XML}<office:document-content xmlns:office="{name}:office:1.0" xmlns:text="{name}:text:1.0"'
        f' office:version="1.2"><office:body><office:text>{body}</office:text></office:body></office:document-content>'
    )
    kind = "application/vnd.oasis.opendocument.text"
    manifest = (
        f'{_XML}<manifest:manifest xmlns:manifest="{name}:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return zipped({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def epub(chapters: Mapping[str, str], *, title: str = "A book") -> bytes:
    """An EPUB file: heading and text of each chapter."""
    names = [f"c{number}.xhtml" for number in range(1, len(chapters) + 1)]
    pages = {
        name: f'{_XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{escape(heading)}</title></head>'
        f"<body><h1>{escape(heading)}</h1><p>{escape(text)}</p></body></html>"
        for name, (heading, text) in zip(names, chapters.items(), strict=True)
    }
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in names)
    spine = "".join(f'<itemref idref="{name}"/>' for name in names)
    opf = (
        f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{escape(title)}</dc:title>'
        '<dc:identifier id="i">x</dc:identifier><dc:language>en</dc:language></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        f'{_XML}<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    inside = {f"OEBPS/{name}": page for name, page in pages.items()}
    return zipped(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": opf, **inside}
    )


def _rels(targets: Sequence[tuple[str, str]], *, kind: str = _RELATED) -> str:
    each = "".join(
        f'<Relationship Id="rId{number}" Type="{kind}/{name}" Target="{target}"/>'
        for number, (name, target) in enumerate(targets, 1)
    )
    return f'{_XML}<Relationships xmlns="{_OPEN}/package/2006/relationships">{each}</Relationships>'


def _package(
    main: str, parts: Mapping[str, tuple[str, str]], own: Mapping[str, str], *, title: str, author: str
) -> bytes:
    """An Office package: its parts with their content types, and other files of it."""
    types = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, (_, kind) in parts.items())
    core = (
        f'{_XML}<cp:coreProperties xmlns:cp="{_OPEN}/package/2006/metadata/core-properties"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(author)}</dc:creator>"
        '<dcterms:created xsi:type="dcterms:W3CDTF">2024-03-05T10:00:00Z</dcterms:created></cp:coreProperties>'
    )
    top = (
        f'<Relationship Id="rId1" Type="{_RELATED}/officeDocument" Target="{main}"/>'
        f'<Relationship Id="rId2" Type="{_OPEN}/package/2006/relationships/metadata/core-properties"'
        ' Target="docProps/core.xml"/>'
    )
    content_types = (
        f'{_XML}<Types xmlns="{_OPEN}/package/2006/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"'
        f' ContentType="application/xml"/>{types}</Types>'
    )
    return zipped(
        {
            "[Content_Types].xml": content_types,
            "_rels/.rels": f'{_XML}<Relationships xmlns="{_OPEN}/package/2006/relationships">{top}</Relationships>',
            "docProps/core.xml": core,
            **{name: text for name, (text, _) in parts.items()},
            **own,
        }
    )
