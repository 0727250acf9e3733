"""Restores pseudonyms in an answer while it streams. Pure: what comes in goes out, but for what may be a token's begin.

However the answer is cut into pieces, what comes out is the same. It holds back from the last opened ``⟦`` that may
still become a token, at most 40 characters, and sends everything else at once.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

from freehold.domain.labels import Label
from freehold.policy.lattice import leq
from freehold.policy.pseudonyms import (
    CLOSING,
    HEX_DIGITS_MAX,
    OPENING,
    TOKEN_CHARACTERS_MAX,
    PseudonymMap,
)
from freehold.policy.spans import WORD_CHARACTERS_MAX
from freehold.policy.surroundings import Surrounding, Surroundings

_MAY_BE = rf"{OPENING}(?:[A-Za-z]{{0,{WORD_CHARACTERS_MAX}}}|[A-Za-z]{{1,{WORD_CHARACTERS_MAX}}}_[0-9A-Fa-f]{{0,{HEX_DIGITS_MAX}}})"
_BEGUN = re.compile(_MAY_BE)
_LOOKS_LIKE = re.compile(rf"{OPENING}[A-Za-z]{{1,{WORD_CHARACTERS_MAX}}}_[0-9A-Fa-f]{{1,{HEX_DIGITS_MAX}}}{CLOSING}")
_UNSEEN_CHARACTERS_MAX = 1 << 16


class Restorer:
    """Restores one text of one answer; of a call of a tool its arguments are a text of their own.

    Args:
        pseudonyms: The conversation's map.
        original: The label that the text had before it was pseudonymised.
        cleared_for: What whoever gets this text may see; the strictest label that it is cleared for.
        arguments: The text is a tool's arguments, in JSON.
        tools_cleared: The tools that would get arguments are cleared for the original label too.
    """

    def __init__(
        self,
        pseudonyms: PseudonymMap,
        *,
        original: Label,
        cleared_for: Label,
        arguments: bool = False,
        tools_cleared: bool = False,
    ) -> None:
        self._values = pseudonyms.values
        self._may = leq(original, cleared_for) and (tools_cleared or not arguments)
        self._shown: Callable[[str], str] = _in_json if arguments else str
        self._held = ""
        self._unseen: list[str] = []
        self._unseen_characters = 0
        self._around = Surroundings(json=arguments, tools_cleared=tools_cleared)
        self.restored = 0
        self.unknown = 0
        self.kept: Counter[str] = Counter()

    @property
    def held_characters(self) -> int:
        """How much is held back now."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """The next piece of the answer; what of it and of what was held may be sent."""
        if not self._held and OPENING not in piece:
            self._note(piece)
            return piece
        text, self._held = self._held + piece, ""
        sent: list[str] = []
        place = 0
        while (opened := text.find(OPENING, place)) >= 0:
            self._send(text[place:opened], sent)
            if (token := _LOOKS_LIKE.match(text, opened)) is not None:
                self._send(self._for(token[0]), sent)
                place = token.end()
            elif _BEGUN.fullmatch(text, opened) is not None and len(text) - opened < TOKEN_CHARACTERS_MAX:
                self._held = text[opened:]
                return "".join(sent)
            else:
                self._send(OPENING, sent)
                place = opened + 1
        self._send(text[place:], sent)
        return "".join(sent)

    def finish(self) -> str:
        """The end of the answer; what was held and has become no token, as it came."""
        held, self._held = self._held, ""
        self._note(held)
        return held

    def _send(self, text: str, sent: list[str]) -> None:
        if text:
            self._note(text)
            sent.append(text)

    def _note(self, text: str) -> None:
        """Remember what the client has; it is looked at once there is a token to decide on."""
        self._unseen.append(text)
        self._unseen_characters += len(text)
        if self._unseen_characters > _UNSEEN_CHARACTERS_MAX:
            self._look()

    def _look(self) -> None:
        text = "".join(self._unseen)
        self._unseen.clear()
        self._unseen_characters = 0
        self._around.feed(text)

    def _for(self, token: str) -> str:
        """What is sent in the place of a token."""
        value = self._values.get(token)
        if value is None:
            self.unknown += 1
            return token
        if not self._may:
            self.kept["not cleared"] += 1
            return token
        self._look()
        shown = self._shown(value)
        if (where := self._forbids(shown)) is not None:
            self.kept[where.value] += 1
            return token
        self.restored += 1
        return shown

    def _forbids(self, shown: str) -> Surrounding | None:
        """Where the value would stand that it may not; also where it would itself open such a place."""
        where = self._around.now()
        if where is not None:
            return where
        after = self._around.copy()
        after.feed(shown)
        opened = after.now()
        if after.begun > self._around.begun:
            return opened or Surrounding.LINK
        # A value may be an address. One that would begin anything else is not shown.
        return None if opened is Surrounding.ADDRESS else opened


def _in_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]
