"""HTML: headings, paragraphs, tables and code, without scripts, styles, and what is marked as hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping

from freehold.domain.vault import BlockKind
from freehold.vault.parsing.draft import Draft, normal, one_line
from freehold.vault.parsing.limits import Spent
from freehold.vault.parsing.tags import tags

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_CHARSET_BYTES = 4_096
_TICK_PIECES = 10_000

_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "head", "select"})
_BREAKING = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "header",
        "footer",
        "aside",
        "nav",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "li",
        "blockquote",
        "figure",
        "figcaption",
        "form",
        "fieldset",
        "address",
        "hr",
        "details",
        "summary",
        "center",
        "body",
        "html",
        "caption",
        "thead",
        "tbody",
        "tfoot",
    ]
)
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_HEADING = re.compile(r"h([1-6])")
_SPACE = re.compile(r"[ \t\n\r\f]+")
_STYLE_CHARACTERS = 1_000
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])", re.IGNORECASE)


def said_charset(data: bytes) -> str:
    """The encoding that a page says it is written in, or empty."""
    found = _CHARSET.search(data[:_CHARSET_BYTES])
    return found[1].decode("ascii") if found else ""


class WebReader:
    """Reads one page; nothing in it is loaded, run or looked up.

    Args:
        draft: Where its text goes.
        spent: What counts the time.

    Attributes:
        title: What it is called, or empty.
        author: Its author, or empty.
        written: The day that it says, or empty.
    """

    def __init__(self, draft: Draft, spent: Spent) -> None:
        self._draft = draft
        self._spent = spent
        self._words: list[str] = []
        self._level = 0
        self._code = 0
        self._tables: list[list[list[str]]] = []
        self._skip = ""
        self._skip_depth = 0
        self._in_title = False
        self.title = self.author = self.written = ""

    def read(self, text: str) -> None:
        """Read all of it."""
        for number, piece in enumerate(tags(text)):
            if not number % _TICK_PIECES:
                self._spent.tick()
            if isinstance(piece, str):
                self._said(piece)
            elif piece.ends:
                self._ended(piece.name)
            else:
                self._begun(piece.name, piece.attributes)
        self._flush()
        while self._tables:
            self._end_table()

    def _begun(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if tag == "title" and self._skip in ("", "head") and not self.title:
            self._in_title = True
        elif tag == "meta":
            self._meta(attributes)
        if self._skip:
            self._skip_depth += tag == self._skip
        elif tag in _SKIPPED or (tag not in _VOID and _is_hidden(attributes)):
            self._flush()
            self._skip, self._skip_depth = tag, 1
        else:
            self._begin(tag)

    def _begin(self, tag: str) -> None:
        if tag == "body":
            self._in_title = False
        if tag == "br":
            self._words.append("\n")
        elif found := _HEADING.fullmatch(tag):
            self._flush()
            self._level = int(found[1])
        elif tag == "pre":
            self._flush()
            self._code += 1
        elif tag == "table":
            self._flush()
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._flush()
            self._tables[-1].append([])
        elif tag in ("td", "th") and self._tables:
            self._flush()
            if not self._tables[-1]:
                self._tables[-1].append([])
            self._tables[-1][-1].append("")
        elif tag in _BREAKING:
            self._flush()

    def _ended(self, tag: str) -> None:
        """An element ends."""
        if tag == "title":
            self._in_title = False
        if self._skip:
            if tag == self._skip:
                self._skip_depth -= 1
                if self._skip_depth <= 0:
                    self._skip = ""
            return
        if _HEADING.fullmatch(tag) or tag in _BREAKING or tag in ("td", "th", "tr"):
            self._flush()
        elif tag == "pre":
            self._flush()
            self._code = max(0, self._code - 1)
        elif tag == "table" and self._tables:
            self._flush()
            self._end_table()

    def _said(self, data: str) -> None:
        """Text."""
        if self._in_title:
            self.title = one_line(self.title + data)
        elif not self._skip:
            self._words.append(data if self._code else _SPACE.sub(" ", data))

    def _meta(self, said: Mapping[str, str]) -> None:
        name, content = (said.get("name") or said.get("property") or "").lower(), said.get("content", "")
        if name in ("author", "article:author", "dc.creator") and not self.author:
            self.author = one_line(content)
        elif name in ("date", "dc.date", "article:published_time", "dcterms.created") and not self.written:
            self.written = content.strip()[:10]

    def _flush(self) -> None:
        """What was said since the last break is a block."""
        text = normal("".join(self._words))
        self._words = []
        level, self._level = self._level, 0
        if not self._code:
            text = "\n".join(_SPACE.sub(" ", line).strip() for line in text.split("\n")).strip()
        if not text.strip():
            self._level = level if not text else 0
            return
        if self._tables and self._tables[-1] and self._tables[-1][-1]:
            row = self._tables[-1][-1]
            row[-1] = f"{row[-1]} {text}".strip()
        elif level:
            self._draft.heading(text, level=level)
        elif self._code:
            self._draft.add(text.strip("\n"), kind=BlockKind.CODE)
        else:
            self._draft.add(text)

    def _end_table(self) -> None:
        rows = self._tables.pop()
        if self._tables:
            self._words.append(" ".join(" ".join(filter(None, row)) for row in rows))
        elif len(rows) == 1 or max((len(row) for row in rows), default=0) <= 1:
            # A table of one row or column sets out a page; it holds no data.
            for row in rows:
                for cell in row:
                    self._draft.add(cell)
        else:
            self._draft.table(rows)


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    """Whether a browser would not show the element: what no reader sees must not answer for the page."""
    return "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style", "")[:_STYLE_CHARACTERS]))
