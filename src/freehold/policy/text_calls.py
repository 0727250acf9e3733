"""Calls of tools that stand in an answer's words, where agent programs read them out: found, and made inert. Pure.

Such a program looks for a mark: a label (``Action Input:``), a tag (``<tool_call>``), a word in brackets (``[TOOL_CALLS]``)
or a member of JSON (``"arguments":``). One character of each mark is put in brackets, so that people read on and the
program finds nothing. It is done to the characters as they are sent, in code too, since that is what programs read.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import NamedTuple

BACK_CHARACTERS_MAX = 32 * 1024
"""How much of what was sent is remembered: a member and its sibling may stand in different blocks."""

_PIECES_MAX = 512
"""Quotes and brackets of one object that are looked at; of one with more the worst is assumed."""

_WORDS = (
    "argument", "param", "args", "input", "tool", "function", "action", "command", "name", "recipient", "invoke", "execute_",
    "write_to_", "replace_in_", "apply_diff", "mcp_", "attempt_", "<|", "<\uff5c", "\u273f", "\\u", "\\x",
    "\\1", "\\n{",
)  # fmt: skip
"""Without any of these there is no mark."""

_BROKEN = (":", "<", "[", "\u273f")
"""The characters of which every mark has one that is broken."""

_PLAIN = re.compile(
    r"""(?P<special><)[|\uff5c][^\s|\uff5c<>]{1,64}[|\uff5c]>
    |(?P<tag><)(?:\w{1,16}:)?(?:tool[_-]?(?:calls?|use|code|input|request)\b|tool>|function[_-]?calls?\b|function=|invoke[\s>]
        |execute_\w|write_to_file|replace_in_file|apply_diff|use_mcp_tool|access_mcp_resource|browser_action|attempt_completion)
    |(?P<bracket>\[)(?:tool_(?:calls?|request|use)|function_calls?)\b
    |(?P<star>\u273f)(?=\w{2,20}\u273f)
    |(?:(?-i:Action)|(?<![^\W_])action)[\s_]*+\d*+[\s_]*+input[\s_]*+\d*+[\s*_`"']*+(?P<label>:)
    |(?<![\w"'])(?:arguments|tool_input)\s*(?P<bare>:)\s*\{
    |^[ \t>*_\#+-]*(?:tool|function)[ _](?:input|args)[ \t*_`]*(?P<other>:)
    |^[ \t>*_\#+-]*action[ \t]*+\d*+[ \t*_`]*+(?P<act>:)[ \t*_`]*[a-z_\\][\w.\\-]*
        (?:[\[(]|[ \t]*\\?\{|[ \t]+\\?\[[^\n]*\][ \t]*$)
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""Marks of which one character is enough; a group is that character. ``<|…|>`` are tokens of chat templates. Within the name
of an action there are backslashes where the block was written anew."""

_QUOTES = "\"'\u201c\u201d"
_BLANK = rf"(?:\s++|\\\n|(?:\#|//)(?:[^\n{_QUOTES}]*+|[^\n]{{0,256}}+)\n|/\*[^*{_QUOTES}]*+\*/)*+"
"""What programs pass over between two words: Python's that read its own values, and those that read JSON with comments."""

_NAME = rf"(?:[^{_QUOTES}\n]|\\\n){{1,400}}"
_VALUE = rf"(?P<value>[urUR](?=[{_QUOTES}])|[^\s]?)"
_MEMBER = re.compile(rf"[{_QUOTES}](?P<name>{_NAME})[{_QUOTES}]{_BLANK}(?P<colon>:){_BLANK}{_VALUE}")
_SPELLED = re.compile(
    rf"""[{_QUOTES}]{_BLANK}[uUrR]?+(?P<quote>["'])[^"'\n]{{0,400}}(?P=quote)(?:{_BLANK}\))*+{_BLANK}(?P<joined>:)
    |[{{,]{_BLANK}(?:\({_BLANK})++[uUrR]?+(?P<mark>["'])(?P<name>{_NAME})(?P=mark){_BLANK}(?:\){_BLANK})++(?P<inner>:)""",
    re.VERBOSE,
)
"""Names of members as Python alone may write them: in pieces or three quotes, whatever they say, and in brackets."""

_ESCAPE = re.compile(
    r"\\[uU]([0-9a-f]{8}|[0-9a-f]{4})|\\u\{([0-9a-f]{1,6})\}|\\x([0-9a-f]{2})|\\([0-7]{1,3})|\\N\{([^}]{1,64})\}",
    re.IGNORECASE,
)
_PIECE = re.compile(rf"[{_QUOTES}{{}}\[\]]")

_ALONE = frozenset({
    "arguments", "toolinput", "actioninput", "toolcalls", "functioncall", "toolargs", "toolarguments", "functionargs",
    "functionarguments", "recipientname", "tooluses",
})  # fmt: skip
"""Members that hardly anything has but a call."""

_OBJECT, _TEXT = ("{", "", "("), (*_QUOTES, "", "(", *"uUrR")
"""How a value begins, as far as it is known by now; in brackets it may be either."""

_ALIKE = {quote: "\u201c\u201d" if quote in "\u201c\u201d" else quote for quote in _QUOTES}
_BEHIND = re.compile(rf"{_BLANK}:{_BLANK}{_VALUE}")
_WIDE = re.compile(r"(\s{16})\s+")
"""White space of which less is remembered: programs pass over any length of it."""

_WITHIN = (":", "'", '"', "(", ")")
"""What a block begins with that goes on with a member of the one before."""

_WORDS_BACK, _TAIL = 3, 4 * 1024
"""How far before a block a mark may begin: words, and characters."""

_TOOLS = frozenset({"tool", "toolname", "action", "function", "functionname"})
_NAMES = _TOOLS | {"name", "command", "commandname", "recipient"}
_ARGUMENTS = frozenset({"parameters", "args", "input", "params", "kwargs"})
"""Members that much has; beside a name in the same object they are a call."""


class TextCalls:
    """Makes calls inert in a text that comes in whole blocks. The result depends on the blocks alone."""

    __slots__ = ("_fresh", "_length", "_pieces", "_scanned", "_sent", "_tail")

    def __init__(self) -> None:
        self._sent = ""
        self._fresh: list[str] = []
        self._length = 0
        self._tail = ""
        self._pieces: list[int] = []
        self._scanned = 0

    def inert(self, block: str) -> tuple[str, int]:
        """The next block without a mark that a program would find, and how many there were."""
        places = self._places(block) if any(each in block for each in _BROKEN) else []
        written: list[str] = []
        done = 0
        for place in places:
            # With a blank where brackets would make a link of it.
            apart = " " if block[place + 1 : place + 2] in ("(", "[", ":") else ""
            written += (block[done:place], "[", block[place], "]", apart)
            done = place + 1
        text = "".join((*written, block[done:]))
        kept = _WIDE.sub(r"\1", text)
        self._fresh.append(kept)
        self._length += len(kept)
        self._tail = (self._tail + kept)[-_TAIL:]
        if self._length > 2 * BACK_CHARACTERS_MAX:
            self._forget()
        return text, len(places)

    def _places(self, block: str) -> list[int]:
        """Places in a block, in order, of the characters that are to be broken."""
        # A mark may begin in what was sent: with up to three words of it, and any white space between them.
        words = self._tail.rsplit(None, _WORDS_BACK)
        is_within = block.lstrip()[:1] in _WITHIN  # a remark of any length may stand between
        first = len(words[0]) if len(words) > _WORDS_BACK and not is_within else 0
        seen = self._tail[first:] + block
        spelled = _SPELLED.search(seen) if any(quote in seen for quote in "'\"") else None
        if spelled is None and not any(word in seen.lower() for word in _WORDS):
            return []
        sent = self._joined()
        text, begun = sent + block, len(sent)
        first += begun - len(self._tail)
        found = {match.start(match.lastgroup or 0) for match in _PLAIN.finditer(text, first)}
        if spelled is not None:
            found.update(_spelled(text, first))
        members = list(_MEMBER.finditer(text, first))
        if members:
            self._pieces += [each.start() for each in _PIECE.finditer(sent, self._scanned)]
            self._scanned = begun
            found.update(_calling(members, text, [*self._pieces, *(e.start() for e in _PIECE.finditer(text, begun))]))
        return [place - begun for place in sorted(found) if place >= begun]

    def _joined(self) -> str:
        """What was sent, as far as it is remembered."""
        if self._fresh:
            self._sent = "".join((self._sent, *self._fresh))
            self._fresh = []
        return self._sent

    def _forget(self) -> None:
        over = len(self._joined()) - BACK_CHARACTERS_MAX
        self._sent = self._sent[over:]
        self._length = BACK_CHARACTERS_MAX
        self._pieces = [place - over for place in self._pieces if place >= over]
        self._scanned = max(0, self._scanned - over)


def is_call(members: Mapping[str, object]) -> bool:
    """Whether an object of JSON is the call of a tool: it names one, and says with what."""
    names = {_bare(name): value for name, value in members.items()}
    is_tool = any(isinstance(names.get(name), str) for name in _TOOLS)
    if not is_tool and not any(isinstance(names.get(name), str) for name in _NAMES):
        return False
    return not _ALONE.isdisjoint(names) or any(
        name in names and (is_tool or isinstance(names[name], dict)) for name in _ARGUMENTS
    )


def is_argument(name: str) -> bool:
    """Whether a member of such an object says with what the tool is called."""
    return _bare(name) in _ALONE | _ARGUMENTS


class _Before(NamedTuple):
    """What an object holds before a member of it: what names a tool, and what it would be called with."""

    has_name: bool = False
    has_tool: bool = False
    has_arguments: bool = False
    has_object: bool = False

    def and_(self, name: str, begins: str) -> _Before:
        """With one member more, whose value begins so."""
        is_argument = name in _ARGUMENTS
        return _Before(
            has_name=self.has_name or name in _NAMES,
            has_tool=self.has_tool or name in _TOOLS,
            has_arguments=self.has_arguments or is_argument,
            has_object=self.has_object or (is_argument and begins in _OBJECT),
        )


_ANYTHING = _Before(has_name=True, has_tool=True, has_arguments=True, has_object=True)


def _spelled(text: str, first: int) -> Iterator[int]:
    """Places of the colons behind names that are written as Python alone may write them."""
    for match in _SPELLED.finditer(text, first):
        if match["joined"] is not None:
            yield match.start("joined")
        elif (name := _bare(match["name"])) in _ALONE or name in _ARGUMENTS or name in _NAMES:
            yield match.start("inner")


def _calling(members: list[re.Match[str]], text: str, pieces: list[int]) -> Iterator[int]:
    """Places of the colons of those members that make an object a call."""
    known: dict[int, _Before] = {}
    for match in members:
        name, value, place = _bare(match["name"]), match["value"], match.start()
        if name in _ALONE:
            yield match.start("colon")
        elif name in _ARGUMENTS or name in _NAMES:
            known[place] = before = _before(text, place, pieces, known)
            if name in _ARGUMENTS:
                is_call = before.has_name if value in _OBJECT else before.has_tool
            else:
                is_call = value in _TEXT and (before.has_arguments if name in _TOOLS else before.has_object)
            if is_call:
                yield match.start("colon")


def _before(text: str, place: int, pieces: list[int], known: dict[int, _Before]) -> _Before:
    """What an object holds before the member that begins at ``place``; the worst where that is too long to be read.

    It is read backwards, from where it is known what is within quotes and what is not, as far as one that is ``known``.
    """
    found, depth, last = _Before(), 0, bisect_left(pieces, place) - 1
    for _ in range(_PIECES_MAX):
        if last < 0:
            return found
        piece = text[pieces[last]]
        if piece in _ALIKE[text[place]]:
            end = pieces[last]
            if (begun := _opening(text, end)) < 0:
                return found
            last = bisect_left(pieces, begun)
            if depth == 0 and (member := _BEHIND.match(text, end + 1)) is not None:
                found = found.and_(_bare(text[begun + 1 : end]), member["value"])
                if begun in known:
                    return _Before(*(one or other for one, other in zip(found, known[begun], strict=True)))
        elif piece in "}]":
            depth += 1
        elif piece in "{[":
            if depth == 0:
                return found
            depth -= 1
        last -= 1
    return _ANYTHING


def _opening(text: str, closing: int) -> int:
    """The place of the quote that opens the text which one closes; -1 for none."""
    alike, place = _ALIKE[text[closing]], closing
    while (place := max(text.rfind(quote, 0, place) for quote in alike)) >= 0 and _is_escaped(text, place):
        pass
    return place


def _is_escaped(text: str, place: int) -> bool:
    before = place
    while before and text[before - 1] == "\\":
        before -= 1
    return (place - before) % 2 == 1


def _bare(name: str) -> str:
    """A member's name as programs compare it, whatever way it is written."""
    plain = _ESCAPE.sub(_letter, name) if "\\" in name else name
    return "".join(filter(str.isalnum, plain)).lower()


def _letter(escape: re.Match[str]) -> str:
    code, braced, two, octal, named = escape.groups()
    try:
        if named is not None:
            return unicodedata.lookup(named)
        return chr(int(octal, 8) if octal is not None else int(code or braced or two, 16))
    except (KeyError, ValueError, OverflowError):
        return ""  # no program reads that
