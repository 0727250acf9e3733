"""Where in an answer the next character stands: in plain words, or in something that a program follows or fetches.

It reads what a client has been sent so far, piece by piece, as Markdown and HTML at once, since nobody knows which of
them the client takes it for. However the text is cut into pieces, it says the same.
"""

from __future__ import annotations

import re
from enum import StrEnum

from freehold.policy.constructs import SPACES, Construct, Definition, ImageWords, LinkTarget, Tag

_ADDRESS = re.compile(r"//|www\.|mailto:|xmpp:|&#|&(?:sol|colon|period|bsol)|u00(?:2f|3a|5c)", re.IGNORECASE)
_LAST_WORD = re.compile(rf"[{SPACES}][^{SPACES}]*\Z")
"""Only these end an address for every program that looks for one; other white space ends it for some."""

_TOOL_CALL = re.compile(
    r"""["'](?:arguments|parameters|tool|tool_name|tool_calls|tool_input|action_input|function|function_call|recipient)["']
    |\\u00(?:[4-7][0-9a-f]|2f|3a) | <[|｜]?[ ]?/?(?:tool|function|invoke|parameter|python_tag|antml)
    |\[/?TOOL_(?:CALL|REQUEST) | \b(?:action|tool|function)[ _]?(?:input|call)s?[ ]?[:=({\[] | ✿""",
    re.IGNORECASE | re.VERBOSE,
)
"""What agents look for in a text that they take calls of tools from; escaped letters too, which nobody else writes."""

_RUN = re.compile(r"</?(?:script|style|svg|math|iframe|object|template|noscript)", re.IGNORECASE)
"""Elements whose content a program follows, not only their attributes."""

_TAIL = 40
"""More than the longest of what is looked for."""

_QUOTE = re.compile(r'(?<!\\)"')
_TRIGGER = re.compile(r"[<\[\]!\n\r]")
_LEAD = re.compile(r"[ \t>*+\-0-9.)]*")
_OPEN_MAX = 32


class Surrounding(StrEnum):
    """What the next character would be a part of, where nothing may be restored."""

    ADDRESS = "address"
    LINK = "link target"
    IMAGE = "image"
    MARKUP = "markup"
    TOOL = "tool call"
    SCRIPT = "script"


_NAMES: dict[type[Construct], Surrounding] = {
    LinkTarget: Surrounding.LINK,
    Definition: Surrounding.LINK,
    ImageWords: Surrounding.IMAGE,
    Tag: Surrounding.MARKUP,
}


class Surroundings:
    """Follows one text as it is sent.

    Where a call of a tool or a script ends is for the program to say that follows it: nothing behind one is plain words.

    Args:
        json: The text is JSON, where a quotation mark ends an address too.
        tools_cleared: What looks like the call of a tool is plain words.

    Attributes:
        begun: How many constructs have begun until now.
    """

    def __init__(self, *, json: bool = False, tools_cleared: bool = False) -> None:
        self._json, self._tools_cleared = json, tools_cleared
        self._word, self._is_address = "", False
        self._tail = ""
        self._for_good: Surrounding | None = None
        self._open: list[Construct] = []
        self._last = ""
        self._is_lead, self._name = True, ""
        self.begun = 0

    def copy(self) -> Surroundings:
        """The same, to go another way."""
        other = Surroundings(json=self._json, tools_cleared=self._tools_cleared)
        other._word, other._is_address = self._word, self._is_address
        other._tail, other._for_good = self._tail, self._for_good
        other._open = [each.copy() for each in self._open]
        other._last, other._is_lead, other._name = self._last, self._is_lead, self._name
        other.begun = self.begun
        return other

    def now(self) -> Surrounding | None:
        """What the next character would be a part of; ``None`` for plain words."""
        if self._for_good is not None:
            return self._for_good
        if self._open:
            return _NAMES[type(self._open[0])]
        return Surrounding.ADDRESS if self._is_address else None

    def feed(self, text: str) -> None:
        """Go on by what was sent."""
        if not text or self._for_good is not None:
            return
        self._look_for_programs(text)
        self._look_for_address(text)
        place = 0
        while place < len(text):
            if not self._open and self._last not in {"<", "!", "]"}:
                found = _TRIGGER.search(text, place)
                stop = len(text) if found is None else found.start()
                self._pass_over(text[place:stop])
                place = stop
                if found is None:
                    break
            self._step(text[place])
            place += 1

    def _look_for_programs(self, text: str) -> None:
        seen = self._tail + text
        # From the second character on where something was cut off, so that a word's middle is not taken for its begin.
        first = int(len(self._tail) == _TAIL)
        if _RUN.search(seen, first) is not None:
            self._for_good = Surrounding.SCRIPT
        elif not self._tools_cleared and _TOOL_CALL.search(seen, first) is not None:
            self._for_good = Surrounding.TOOL
        self._tail = seen[-_TAIL:]

    def _look_for_address(self, text: str) -> None:
        if self._json:
            text = _QUOTE.sub(" ", self._last[-1:] + text)[len(self._last[-1:]) :]
        if (space := _LAST_WORD.search(text)) is not None:
            self._word, self._is_address, text = "", False, text[space.start() + 1 :]
        if not self._is_address:
            # A backslash before a sign of punctuation is not seen by who reads the text.
            word = self._word + text.replace("\\", "")
            self._is_address = _ADDRESS.search(word) is not None
            self._word = word[-_TAIL:]

    def _pass_over(self, text: str) -> None:
        """Characters that begin nothing."""
        if text:
            self._is_lead = self._is_lead and _LEAD.fullmatch(text) is not None
            self._last = text[-1]

    def _step(self, char: str) -> None:
        last = self._last
        self._open = [each for each in self._open if each.goes_on(char)]
        open_before = len(self._open)
        if last == "<" and (char.isalpha() or char in "/!?"):
            self._open.append(Tag())
        elif char == "(" and last == "]":
            self._open.append(LinkTarget())
        elif char == "[" and last == "!":
            self._open.append(ImageWords())
        elif char == ":" and last == "]" and self._name == "closed":
            self._open.append(Definition())
        self.begun += len(self._open) - open_before
        self._follow_name(char)
        self._last = char
        if len(self._open) > _OPEN_MAX:
            self._for_good = _NAMES[type(self._open[0])]

    def _follow_name(self, char: str) -> None:
        """Whether ``[name]`` stands at the begin of a line; a name may go over several lines."""
        if char in "\n\r":
            is_blank = self._last in {"\n", ""}
            self._name = "" if is_blank or self._name == "closed" else self._name
            self._is_lead = True
            return
        if char == "[" and self._is_lead:
            self._name = "open"
        elif char == "]" and self._name:
            self._name = "closed"
        self._is_lead = self._is_lead and _LEAD.fullmatch(char) is not None
