"""An answer in an untrusted context, block by block: what could fetch, lead away or hide is taken out. Pure.

A block in which there is nothing of the kind passes as it came. Any other is written again (``policy.markdown``) and
parsed once more: should anything be left in it, it is given as plain text. A block is whole when the next one begins;
references have no meaning beyond their own block, so that nothing that comes later can change what was sent.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from freehold.policy.hidden import HiddenFilter, without_hidden
from freehold.policy.links import Hosts, spots, spots_in_code
from freehold.policy.markdown import LANGUAGES, Rewriter, is_small_image, made_inert
from freehold.policy.text_calls import TextCalls, is_argument, is_call

BLOCK_CHARACTERS_MAX = 32 * 1024
"""Longest block that is waited for; what is longer is cut here and closed."""

_FIRST_LOOK = 1
_GROWTH = 1.25
_NESTING_MAX = 60
_NESTING_READ = 50
"""What is nested deeper than this is not read by the parser, so it may not pass as it came."""

_MARKS = re.compile(r"[<\[\]&\\~|{}$]|```")
"""Without any of these a block holds words, emphasis, spans of code, lists and the like: nothing but its words can lead
anywhere, and they stand in the source as they will be read."""

_NEVER = frozenset({"html_block", "html_inline", "code_block"})
"""What never passes as it came. Of indented code it depends on what stands before it whether it is any."""

_APART = "\n\n"

TOOL_CALL = "tool-call"
"""What is counted where a program would have found the call of a tool."""


def _reader() -> MarkdownIt:
    """A parser that shows every address as it was written, so that none is left standing as text."""
    reader = MarkdownIt("commonmark", {"html": True, "linkify": False, "maxNesting": _NESTING_MAX}).enable(
        ["table", "strikethrough"]
    )
    vars(reader).update(validateLink=bool, normalizeLink=str, normalizeLinkText=str)
    return reader


_PARSER = _reader()
_OUTLINE = _reader().disable("inline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A text without what could harm.

    Attributes:
        text: What is left.
        removed: What was taken out: kind and how often.
    """

    text: str
    removed: tuple[tuple[str, int], ...] = ()


class Sanitiser:
    """Cleans one text as it comes. The result is the same however the text is cut.

    Args:
        hosts: Where links may lead.
        calls: Calls of tools that stand in the words are made inert too.

    Attributes:
        removed: What was taken out so far, by kind.
    """

    __slots__ = ("_before", "_calls", "_filter", "_hosts", "_look_at", "_pending", "removed")

    def __init__(self, hosts: Hosts, *, calls: bool = False) -> None:
        self._hosts = hosts
        self._calls = TextCalls() if calls else None
        self._filter = HiddenFilter()
        self._pending = ""
        self._look_at = _FIRST_LOOK
        self._before = _APART
        self.removed: Counter[str] = Counter()

    def feed(self, piece: str) -> str:
        """The next piece; returns what is whole now and clean."""
        self._pending += self._filter.feed(piece)
        if "\n" not in piece and len(self._pending) < BLOCK_CHARACTERS_MAX:
            return ""
        if len(self._pending) < self._look_at:
            return ""
        written = self._drain(is_end=False)
        self._look_at = max(_FIRST_LOOK, int(len(self._pending) * _GROWTH))
        return written

    def close(self) -> str:
        """The rest."""
        self._pending += self._filter.close()
        return self._drain(is_end=True)

    def _drain(self, *, is_end: bool) -> str:
        written: list[str] = []
        while self._pending:
            window = self._pending[:BLOCK_CHARACTERS_MAX]
            is_last = is_end and len(window) == len(self._pending)
            whole = window if is_last else window[: window.rfind("\n") + 1]
            ends = _ends(whole)
            if is_last:
                ends.append(len(whole))
            if ends:
                start = 0
                for end in ends:
                    written.append(self._region(window[start:end], is_last=is_last and end == len(whole)))
                    start = end
                self._pending = self._pending[start:]
            elif len(self._pending) >= BLOCK_CHARACTERS_MAX:
                written.append(self._region(whole or window, is_cut=True))
                self._pending = self._pending[len(whole or window) :]
            else:
                break
        return "".join(written)

    def _region(self, source: str, *, is_last: bool = False, is_cut: bool = False) -> str:
        """One block with what stands around it."""
        if not is_cut and _MARKS.search(source) is None and not spots(source, self._hosts):
            return self._said(source)
        env: dict[str, Any] = {}
        tokens = _PARSER.parse(source, env)
        if not is_cut and _is_clean(tokens, env, self._hosts):
            return self._said(source)
        text = self._rewritten(source, tokens, env)
        if not text:
            return ""
        # What is written anew never shares a block with what stands before or behind it: each was read alone.
        lead = _APART[: 2 - len(self._before) + len(self._before.rstrip("\n"))]
        return self._said(lead + text + ("" if is_last else _APART))

    def _said(self, text: str) -> str:
        if self._calls is not None:
            text, found = self._calls.inert(text)
            if found:
                self.removed[TOOL_CALL] += found
        self._before = (self._before + text)[-2:]
        return text

    def _rewritten(self, source: str, tokens: list[Token], env: dict[str, Any]) -> str:
        if not any(token.level >= _NESTING_READ for token in _all(tokens)):
            rewriter = Rewriter(self._hosts)
            lines = rewriter.blocks(SyntaxTreeNode(tokens).children)
            references: dict[str, dict[str, str]] = env.get("references", {})
            for label, found in references.items():
                lines += ["", rewriter.definition(without_hidden(label).lower(), found.get("href", ""))]
            text = "\n".join(lines).strip("\n")
            again: dict[str, Any] = {}
            if _is_clean(_PARSER.parse(text, again), again, self._hosts):
                self.removed.update(rewriter.removed)
                return text
        return self._plainly(source)

    def _plainly(self, source: str) -> str:
        """A block that could not be written cleanly, as code in which no address is whole."""
        self.removed["plain"] += 1
        text = without_hidden(source)
        body = made_inert(text, spots(text, Hosts())).strip("\n")
        fence = "`" * (3 + body.count("`"))
        return f"{fence}\n{body}\n{fence}"


def sanitise(text: str, hosts: Hosts, *, calls: bool = False) -> Cleaned:
    """Clean a whole text.

    Args:
        text: What a model wrote.
        hosts: Where links may lead.
        calls: As for ``Sanitiser``.
    """
    sanitiser = Sanitiser(hosts, calls=calls)
    cleaned = sanitiser.feed(text) + sanitiser.close()
    return Cleaned(text=cleaned, removed=tuple(sorted(sanitiser.removed.items())))


def sanitise_json(text: str, hosts: Hosts, *, calls: bool = False) -> Cleaned:
    """Clean every text in an answer that is JSON; one that is not is cleaned as Markdown.

    Args:
        text: What a model wrote, whole.
        hosts: Where links may lead.
        calls: As for ``Sanitiser``: of an object that is a call, what holds the arguments is named otherwise.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return sanitise(text, hosts, calls=calls)
    removed: Counter[str] = Counter()
    cleaned = _json_cleaned(value, hosts, removed, calls=calls)
    if not removed and cleaned == value and text == without_hidden(text):
        return Cleaned(text=text)
    return Cleaned(text=json.dumps(cleaned, ensure_ascii=False), removed=tuple(sorted(removed.items())))


def _json_cleaned(value: object, hosts: Hosts, removed: Counter[str], *, calls: bool) -> object:
    if isinstance(value, str):
        found = sanitise(value, hosts, calls=calls)
        removed.update(dict(found.removed))
        return found.text
    if isinstance(value, list):
        return [_json_cleaned(each, hosts, removed, calls=calls) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        is_inert = calls and is_call(members)
        cleaned: dict[str, object] = {}
        for name, each in members.items():
            told = str(_json_cleaned(name, hosts, removed, calls=False))
            if is_inert and is_argument(name):
                removed[TOOL_CALL] += 1
                told += "[:]"
            cleaned[told] = _json_cleaned(each, hosts, removed, calls=calls)
        return cleaned
    return value


def _ends(source: str) -> list[int]:
    """Where the blocks of a text end, but for the last one: each where the next one begins."""
    starts = [
        token.map[0]
        for token in _OUTLINE.parse(source, {})
        if token.level == 0 and token.map is not None and token.nesting >= 0
    ]
    if len(starts) < 2:
        return []
    places = [0]
    for line in source.split("\n"):
        places.append(places[-1] + len(line) + 1)
    return [places[start] for start in starts[1:]]


def _all(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _is_clean(tokens: list[Token], env: dict[str, Any], hosts: Hosts) -> bool:
    """Whether there is nothing in a block that could fetch, lead away or hide."""
    return not env.get("references") and all(_is_clean_token(token, hosts) for token in tokens)


def _is_clean_token(token: Token, hosts: Hosts) -> bool:
    if token.level >= _NESTING_READ or token.type in _NEVER:
        return False
    match token.type:
        case "inline":
            return all(_is_clean_token(child, hosts) for child in token.children or ())
        case "text" | "text_special":
            return token.content == without_hidden(token.content) and not spots(token.content, hosts)
        case "image":
            is_kept = is_small_image(str(token.attrs.get("src", ""))) and "title" not in token.attrs
            return is_kept and all(_is_clean_token(child, hosts) for child in token.children or ())
        case "link_open":
            return hosts.allows(str(token.attrs.get("href", ""))) and "title" not in token.attrs
        case "code_inline":
            return all(spot.bare for spot in spots(token.content, hosts))
        case "fence":
            word = token.info.strip().lower()
            return (not word or word in LANGUAGES) and not spots_in_code(token.content, hosts)
        case _:
            return True
