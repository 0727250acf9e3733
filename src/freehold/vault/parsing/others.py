"""Spreadsheets, ODT, EPUB, RTF and old office files, read by kreuzberg."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from freehold.domain.errors.vault import FileDamaged, FileEncrypted
from freehold.domain.vault import BlockKind
from freehold.vault.parsing.draft import Draft, one_line
from freehold.vault.parsing.limits import Spent

_CODE = frozenset({"code", "formula"})
_TEXTS = frozenset({"paragraph", "list_item", "footnote", "citation", "raw_block", "definition_item", "admonition"})
_SPREADSHEETS = frozenset(
    {
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.ms-excel",
        "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    }
)
_ROWS_A_TABLE = 2_000


def version() -> str:
    """What reads, and its version."""
    return f"kreuzberg {importlib.metadata.version('kreuzberg')}"


def load_office_library() -> Any:
    """kreuzberg, loaded; its stubs lack some of its arguments."""
    import kreuzberg

    return kreuzberg


def add_others(draft: Draft, data: bytes, media_type: str, spent: Spent) -> tuple[Mapping[str, Any], int]:
    """Add a file's text.

    Returns:
        What it says of itself, and its sheets.

    Raises:
        FileUnread: It is damaged, encrypted, or beyond a limit.
    """
    library = load_office_library()

    is_spreadsheet = media_type in _SPREADSHEETS
    config = library.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        disable_ocr=True,
        output_format="markdown",
        include_document_structure=not is_spreadsheet,
        # By default it takes the heading at the top of each page for a running header, and drops it.
        content_filter=library.ContentFilterConfig(
            include_headers=True, include_footers=True, strip_repeating_text=False
        ),
        concurrency=library.ConcurrencyConfig(max_threads=1),
    )
    try:
        found = library.extract_bytes_sync(data, media_type, config)
    except library.KreuzbergError as error:
        said = str(error).lower()
        if "password" in said or "encrypt" in said:
            raise FileEncrypted(name=spent.name, reason="by a password") from error
        raise FileDamaged(name=spent.name, reason="its parser could not make sense of it") from error
    said = dict(found.metadata)
    if is_spreadsheet:
        return said, _add_sheets(draft, found.tables, said, spent)
    if found.document is None:
        draft.add(found.content)
    else:
        _add_nodes(draft, found.document["nodes"], spent)
    return said, 0


def _add_sheets(draft: Draft, tables: Sequence[Any], said: Mapping[str, Any], spent: Spent) -> int:
    names: Sequence[str] = said.get("sheet_names") or ()
    spent.pages(len(names))
    for table in tables:
        spent.tick()
        page = table.page_number or 0
        rows = table.cells
        if 0 < page <= len(names):
            draft.under("", level=1)
            draft.heading(names[page - 1], level=1, page=page)
        header = rows[:1]
        for first in range(1, max(2, len(rows)), _ROWS_A_TABLE):
            draft.table([*header, *rows[first : first + _ROWS_A_TABLE]], page=page)
    return len(names)


def _add_nodes(draft: Draft, nodes: Sequence[Mapping[str, Any]], spent: Spent) -> None:
    for number, node in enumerate(nodes):
        if not number % 1_000:
            spent.tick()
        content: Mapping[str, Any] = node["content"]
        kind, text, page = content.get("node_type"), content.get("text") or "", node.get("page") or 0
        if kind in ("heading", "title"):
            draft.heading(text, level=content.get("level") or 1, page=page)
        elif kind == "table":
            draft.table(_rows(content["grid"]), page=page)
        elif kind in _CODE:
            draft.add(text, kind=BlockKind.CODE, page=page)
        elif kind in _TEXTS:
            draft.add(text, page=page)


def _rows(grid: Mapping[str, Any]) -> list[list[str]]:
    rows: dict[int, dict[int, str]] = {}
    for cell in grid["cells"]:
        rows.setdefault(cell["row"], {})[cell["col"]] = cell["content"]
    return [[row.get(column, "") for column in range(max(row) + 1)] for _, row in sorted(rows.items())]


def about(said: Mapping[str, Any]) -> tuple[str, str, str]:
    """Title, author and day, as the library names them; empty where it does not say."""
    authors: Any = said.get("authors") or []
    author = authors if isinstance(authors, str) else ", ".join(map(str, authors))
    written = str(said.get("modified_at") or said.get("created_at") or "")[:10]
    return one_line(str(said.get("title") or "")), one_line(author or str(said.get("created_by") or "")), written
