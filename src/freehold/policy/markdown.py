"""Markdown that was parsed, written again without what could fetch, lead away or hide. Pure.

What is written holds no HTML at all, no image but a small one that it carries itself, and no link but to hosts that are
allowed; every character of text that could begin something else is escaped.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from markdown_it.tree import SyntaxTreeNode

from freehold.policy.hidden import without_hidden
from freehold.policy.html_text import HtmlText
from freehold.policy.links import Hosts, Spot, host_of, inert, shown, spots, spots_in_code


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGES = _words(
    "text txt plain plaintext console output log diff patch python py python3 pycon ipython bash sh shell zsh fish powershell "
    "ps1 bat json json5 jsonl jsonc yaml yml toml ini cfg conf properties env sql sqlite postgresql mysql rust rs go golang "
    "java kotlin kt scala swift c h cpp c++ cc hpp cs csharp fsharp ruby rb perl php lua r julia jl haskell hs ocaml ml elixir "
    "erlang clojure lisp scheme dart zig nim makefile make cmake dockerfile docker nginx apache hcl terraform proto protobuf "
    "graphql csv tsv typescript ts asm nasm vhdl verilog matlab fortran pascal ada cobol groovy gradle vim regex"
)
"""Of code: what viewers colour and never draw, run or render. All others lose their name, so that nobody draws them."""

_DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8", "webp": b"RIFF"}
_IMAGE_CHARACTERS_MAX = 32 * 1024
_ESCAPED = re.compile(r"[\\`*_\[\]<>&~|$^{}@#]")
_AT_START = re.compile(r"(?:[+\-=:!%]|\d{1,9}[.)])")
_FENCE = re.compile(r"`+")


class Rewriter:
    """Writes one block again, and counts what it took out.

    Args:
        hosts: Where links may lead.

    Attributes:
        removed: Kinds of what was taken out, in order: ``image``, ``link``, ``html``, ``hidden``, ``code``.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self.removed: list[str] = []

    def blocks(self, nodes: Iterable[SyntaxTreeNode], *, apart: bool = True) -> list[str]:
        """Lines of blocks, one after the other, with an empty line between them."""
        lines: list[str] = []
        for node in nodes:
            found = self._block(node)
            if found and lines and apart:
                lines.append("")
            lines += found
        return lines

    def definition(self, label: str, url: str) -> str:
        """What stands for the definition of a link: nothing may refer to one."""
        if self._hosts.allows(url):
            return f"{self._escaped(label)}: <{url}>"
        self.removed.append("link")
        return f"{self._escaped(label)}: {_gone(host_of(url))}"

    def _block(self, node: SyntaxTreeNode) -> list[str]:
        match node.type:
            case "heading":
                return ["#" * int(node.tag[1:]) + " " + " ".join(self._lines(node.children))]
            case "blockquote":
                return [f"> {line}".rstrip() for line in self.blocks(node.children)]
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "fence" | "code_block":
                return self._code(node)
            case "html_block":
                return self._html(node.content)
            case "table":
                return self._table(node)
            case _:
                return ["---"] if node.type == "hr" else self._lines(node.children)

    def _list(self, node: SyntaxTreeNode) -> list[str]:
        lines: list[str] = []
        start = int(str(node.attrs.get("start", 1)))
        is_tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
        for place, item in enumerate(node.children):
            marker = f"{start + place}. " if node.type == "ordered_list" else "- "
            inner = self.blocks(item.children, apart=not is_tight) or [""]
            if lines and not is_tight:
                lines.append("")
            lines.append((marker + inner[0]).rstrip())
            lines += [(" " * len(marker) + line).rstrip() for line in inner[1:]]
        return lines

    def _code(self, node: SyntaxTreeNode) -> list[str]:
        content, word = without_hidden(node.content), node.info.strip().lower() if node.type == "fence" else ""
        if content != node.content:
            self.removed.append("hidden")
        if word and word not in LANGUAGES:
            self.removed.append("code")
            word = ""
            content = self._inert(content, [each for each in spots(content, self._hosts) if not each.bare])
        else:
            content = self._inert(content, spots_in_code(content, self._hosts))
        longest = max((len(found) for found in _FENCE.findall(content)), default=0)
        fence = "`" * max(3, longest + 1)
        body = content.split("\n")
        return [fence + word, *(body[:-1] if body[-1] == "" else body), fence]

    def _html(self, content: str) -> list[str]:
        seen = self._seen_of(content)
        lines = [self._text(" ".join(line.split())) for line in without_hidden(seen).split("\n")]
        return _at_starts([line for line in lines if line])

    def _seen_of(self, content: str) -> str:
        parser = HtmlText(self._hosts)
        parser.feed(content)
        parser.close()
        self.removed += parser.removed or ["html"]
        return parser.take()

    def _table(self, node: SyntaxTreeNode) -> list[str]:
        rows: list[list[str]] = []
        aligned: Sequence[str] = ()
        for part in node.children:
            for row in part.children:
                rows.append([" ".join(self._lines(cell.children)).replace("\n", " ") for cell in row.children])
                if part.type == "thead":
                    aligned = [str(cell.attrs.get("style", "")).rpartition(":")[2] for cell in row.children]
        rules = {"left": ":--", "right": "--:", "center": ":-:"}
        head, *rest = rows
        return [_row(head), _row([rules.get(each, "---") for each in aligned]), *map(_row, rest)]

    def _lines(self, nodes: Iterable[SyntaxTreeNode]) -> list[str]:
        """Inline content, as lines."""
        text = "".join(self._inline(node.children if node.type == "inline" else [node]) for node in nodes)
        return _at_starts(text.split("\n")) if text else []

    def _inline(self, nodes: Iterable[SyntaxTreeNode]) -> str:
        """Inline nodes; of HTML between them, what would be seen."""
        html = HtmlText(self._hosts)
        written: list[str] = []
        for node in nodes:
            if node.type == "html_inline":
                html.feed(node.content)
                written.append(self._text(html.take()))
            elif not html.is_unseen:
                written.append(self._piece(node))
        html.close()
        written.append(self._text(html.take()))
        self.removed += html.removed
        return "".join(written)

    def _piece(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text" | "text_special":
                return self._text(node.content)
            case "softbreak":
                return "\n"
            case "hardbreak":
                return "\\\n"
            case "code_inline":
                return self._code_span(node.content)
            case "em" | "strong" | "s":
                marks = {"em": "*", "strong": "**", "s": "~~"}[node.type]
                inner = self._inline(node.children)
                return f"{marks}{inner}{marks}" if inner.strip() == inner and inner else inner
            case "link":
                return self._link(node)
            case "image":
                return self._image(node)
            case _:
                return self._text(node.content)

    def _link(self, node: SyntaxTreeNode) -> str:
        url, inner = str(node.attrs.get("href", "")), self._inline(node.children)
        if node.info == "auto":
            return f"<{url}>" if self._hosts.allows(url) else self._counted_gone(url)
        if self._hosts.allows(url):
            if "title" in node.attrs:
                self.removed.append("hidden")
            return f"[{inner}](<{url}>)"
        return f"{inner} ({self._counted_gone(url)})".lstrip()

    def _counted_gone(self, url: str) -> str:
        self.removed.append("link")
        return _gone(host_of(url))

    def _image(self, node: SyntaxTreeNode) -> str:
        url = str(node.attrs.get("src", ""))
        alt = self._text(_alt(node).replace("\n", " "))
        if is_small_image(url):
            return f"![{alt}](<{url}>)"
        self.removed.append("image")
        host = host_of(url)
        where = f" from `{shown(host)}`" if host else ""
        return f"{alt} (image{where} removed)".lstrip()

    def _code_span(self, content: str) -> str:
        text = without_hidden(content)
        if text != content:
            self.removed.append("hidden")
        return _span(self._inert(text, [each for each in spots(text, self._hosts) if not each.bare]))

    def _text(self, content: str) -> str:
        """Text, escaped, with what could become a link made inert."""
        text = without_hidden(content)
        if text != content:
            self.removed.append("hidden")
        written: list[str] = []
        place = 0
        for spot in spots(text, self._hosts):
            self.removed.append("link")
            written += (self._escaped(text[place : spot.start]), _instead(text, spot))
            place = spot.end
        written.append(self._escaped(text[place:]))
        return "".join(written)

    def _inert(self, text: str, found: Sequence[Spot]) -> str:
        """Code in which no address is whole."""
        self.removed += ["link"] * len(found)
        return made_inert(text, found)

    def _escaped(self, text: str) -> str:
        return _ESCAPED.sub(lambda found: "\\" + found.group(), text)


def is_small_image(url: str) -> bool:
    """Whether an image is carried by its own address, is of dots, and is small."""
    found = _DATA_IMAGE.fullmatch(url) if len(url) <= _IMAGE_CHARACTERS_MAX else None
    if found is None:
        return False
    try:
        raw = base64.b64decode(found.group(2), validate=True)
    except (binascii.Error, ValueError):
        return False
    return raw.startswith(_MAGIC[found.group(1)])


def made_inert(text: str, found: Sequence[Spot]) -> str:
    """A text in which nothing follows the addresses that were found in it."""
    written: list[str] = []
    place = 0
    for spot in found:
        written += (text[place : spot.start], inert(text[spot.start : spot.end]))
        place = spot.end
    return "".join((*written, text[place:]))


def _alt(node: SyntaxTreeNode) -> str:
    return "".join(_alt(child) if child.children else child.content for child in node.children) or ""


def _gone(host: str) -> str:
    return f"link to `{shown(host)}` removed" if host else "link removed"


def _instead(text: str, spot: Spot) -> str:
    """What stands where a link could have been: a bare name keeps its letters, in a span of code that nobody links."""
    if spot.bare:
        return _span(text[spot.start : spot.end])
    return f"({_gone(spot.host)})"


def _span(text: str) -> str:
    longest = max((len(found) for found in _FENCE.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def _at_starts(lines: Sequence[str]) -> list[str]:
    """Lines none of which begins a block of another kind."""
    return [_at_start(line.strip(" \t")) for line in lines]


def _at_start(line: str) -> str:
    found = _AT_START.match(line)
    if found is None:
        return line
    place = found.end() - 1
    return line[:place] + "\\" + line[place:]
