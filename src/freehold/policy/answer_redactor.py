"""Takes personal data and secrets out of an answer while it streams. Pure.

A text is judged at places of its own, never where a piece of it happens to end: so the result is the same however it is
cut, and nothing of a value that is taken out was given before. Words that no value can hold pass as soon as they are
whole. From the first word on that may be part of one everything is held, until ``QUIET_WORDS`` words behind it may not;
what is held is then looked through, with what stood before it. More than a bound is never held: the older part of it is
given, and what may still become a value of ``STRADDLE_CHARACTERS`` is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from freehold.domain.findings import Finding
from freehold.policy.look import look
from freehold.policy.pseudonyms import OPENING, TOKEN, TOKEN_CHARACTERS_MAX
from freehold.policy.recognise import names_numbers
from freehold.policy.spans import Span, spans_of, word_of
from freehold.policy.suspicion import (
    BREAKS,
    WORD,
    capitals_begin,
    has_short_numbers_only,
    is_given,
    is_suspicious,
    may_be_suspicious,
    words_end,
)

QUIET_WORDS = 4
"""Words in a row that no value can hold, behind which what is held is looked through: a date of birth has three in it."""
HELD_CHARACTERS_MAX = 512
"""Of several words: not much more than this is held."""
STRADDLE_CHARACTERS = 128
"""Of a value that is found wherever it stands, however much there is of what has to be held."""
WORD_CHARACTERS_MAX = 4_096
"""Of one word that does not end, as signed tokens are, and data in base 64."""
CONTEXT_CHARACTERS = 240
"""Of what was given before, looked at again for the words that say what a number is."""

_APART_CHARACTERS = 8
_KEY_CHARACTERS_MAX = 20_000
_KEY = word_of("PRIVATE_KEY")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: ?[0-9a-f]{0,64}")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\"'`\\,.:;|>*#()-]*")
_GOES_ON = re.compile(r"[\w+/=.~%-]*")
_BREAK = re.compile(rf"[{BREAKS}]")
_ALNUM = re.compile(r"[^\W_]")


def keeps_nothing(value: str) -> bool:
    """No value stays."""
    del value
    return False


def values_in(text: str, keeps: Callable[[str], bool], *, lead: str = "", trail: str = "") -> tuple[Span, ...]:
    """What is to be taken out of a text.

    Args:
        text: Where it is looked for.
        keeps: Whether a value stays. What lies within one that does stays with it.
        lead: What stands before the text; of a value that begins there the rest is taken out.
        trail: What stands behind it.

    Returns:
        By place, none over another. Tokens that stand for a value (``policy.pseudonyms``) are left as they are.
    """
    whole = f"{lead}{text}{trail}"
    start, end = len(lead), len(lead) + len(text)
    found = [each for each in look(whole).findings if each.start < end and each.end > start]
    if not found:
        return ()
    kept = [(each.start, each.end) for each in found if keeps(whole[each.start : each.end])]
    taken = [each for each in found if not any(first <= each.start and each.end <= last for first, last in kept)]
    moved = [replace(each, start=max(each.start, start) - start, end=min(each.end, end) - start) for each in taken]
    return spans_of(text, [part for each in moved for part in _beside_tokens(text, each)])


def _beside_tokens(text: str, found: Finding) -> Iterator[Finding]:
    """A finding without the tokens in it."""
    place = found.start
    if OPENING in text:
        around = max(0, found.start - TOKEN_CHARACTERS_MAX), found.end + TOKEN_CHARACTERS_MAX
        for token in TOKEN.finditer(text, *around):
            if token.end() <= place or token.start() >= found.end:
                continue
            if _ALNUM.search(text, place, token.start()) is not None:
                yield replace(found, start=place, end=token.start())
            place = token.end()
        if place >= found.end or _ALNUM.search(text, place, found.end) is None:
            return
    yield replace(found, start=place)


def without(text: str, spans: Sequence[Span], removed: Counter[str]) -> str:
    """A text with ``[KIND]`` in the place of each span; what was taken out is counted in ``removed``."""
    pieces: list[str] = []
    place = 0
    for span in spans:
        pieces += (text[place : span.start], f"[{span.word}]")
        removed[span.word] += 1
        place = span.end
    return "".join((*pieces, text[place:]))


class AnswerRedactor:
    """Cleans one text as it comes; ``[KIND]`` stands for each value that is taken out.

    Args:
        keeps: Whether a value stays: what the client said itself is no news to it.

    Attributes:
        removed: What was taken out so far, by its word.
    """

    __slots__ = ("_at", "_before", "_dropped", "_drops", "_held", "_keeps", "_quiet", "_start", "removed")

    def __init__(self, keeps: Callable[[str], bool] = keeps_nothing) -> None:
        self._keeps = keeps
        self._before = ""
        self._held = ""
        self._start = 0
        self._at = 0
        self._quiet: int | None = None
        self._drops: Callable[[], bool] | None = None
        self._dropped = 0
        self.removed: Counter[str] = Counter()

    def feed(self, piece: str) -> str:
        """The next piece; returns what may be given now."""
        held = self._held = self._held + piece
        is_calm = self._quiet is None and self._drops is None and len(held) < HELD_CHARACTERS_MAX
        if is_calm and not may_be_suspicious(held):
            return self._plain(held)
        given = "".join(self._walk())
        self._held = self._held[self._start :]
        self._at -= self._start
        self._start = 0
        return given

    def close(self) -> str:
        """The rest. Of a value that was being left out nothing is."""
        given = "".join(self._walk())
        if self._drops is None:
            rest = self._held[self._start :]
            is_plain = self._quiet is None and not may_be_suspicious(rest)
            given += rest if is_plain else without(rest, self._found(rest), self.removed)
        self._held, self._start, self._at, self._quiet, self._drops = "", 0, 0, None, None
        return given

    def _plain(self, held: str) -> str:
        """The quick way for words that hold nothing: given are all that are whole, but for those a street may begin with."""
        end = words_end(held)
        cut = capitals_begin(held, 0, end)
        self._at = end - cut
        given, self._held = held[:cut], held[cut:]
        self._before = (self._before + given)[-CONTEXT_CHARACTERS:]
        return given

    def _walk(self) -> Iterator[str]:
        """Judge word after word, as far as they are whole; gives what may be given."""
        while self._goes_on():
            word = WORD.match(self._held, self._at)
            if word is None or word.end() - self._at > WORD_CHARACTERS_MAX:
                if len(self._held) - self._at < WORD_CHARACTERS_MAX:
                    return
                yield self._cut_in_word()
                continue
            self._at = word.end()
            if self._is_suspicious(word):
                self._quiet = 0
            elif self._quiet is None:
                yield self._passed(capitals_begin(self._held, self._start, self._at))
                continue
            elif word.end() - word.start() > 1:
                self._quiet += 1
                if self._quiet >= QUIET_WORDS:
                    yield self._judged(word.start())
            if self._at - self._start > HELD_CHARACTERS_MAX:
                yield self._cut_between_words()

    def _is_suspicious(self, word: re.Match[str]) -> bool:
        if is_suspicious(said := word.group()):
            return True
        return said[0] in ":=" and is_given(said, self._before + self._held[self._start : word.start()])

    def _judged(self, last: int) -> str:
        """What is held, looked through; nothing where a value reaches into its last words and so may go on."""
        cut = capitals_begin(self._held, self._start, self._at)
        spans = self._found(self._held[self._start : self._at])
        if spans and spans[-1].end > min(cut, last) - self._start:
            return ""
        self._quiet = None
        return self._passed(cut, spans)

    def _cut_between_words(self) -> str:
        """The older words of what is held."""
        window = self._held[self._start : self._at]
        ends = [word.end() for word in WORD.finditer(window) if word.end() <= len(window) - STRADDLE_CHARACTERS]
        return self._cut(window, ends[-1]) if ends else ""

    def _cut_in_word(self) -> str:
        """What is held and the older part of a word that does not end."""
        window = self._held[self._start : self._at + WORD_CHARACTERS_MAX]
        return self._cut(window, len(window) - STRADDLE_CHARACTERS)

    def _cut(self, window: str, cut: int) -> str:
        """A window up to a place, or to the end of the value that stands there; one that may go on is left out on."""
        spans = self._found(window)
        across = next((each for each in spans if each.start < cut < each.end), None)
        if across is not None:
            cut = across.end
            if across.word == _KEY and not window[cut:].strip() and not _ends_key(window, across):
                self._drops, self._dropped = self._drop_key, 0
            elif cut == len(window):
                self._drops = self._drop_word
        given = self._passed(self._start + cut, [each for each in spans if each.end <= cut])
        self._at, self._quiet = self._start, None
        return given

    def _passed(self, cut: int, spans: Sequence[Span] = ()) -> str:
        """What is held up to a place, without some spans of it."""
        passed = self._held[self._start : cut]
        self._before = (self._before + passed)[-CONTEXT_CHARACTERS:]
        self._start = cut
        return without(passed, spans, self.removed) if spans else passed

    def _found(self, window: str) -> tuple[Span, ...]:
        lead = self._before
        if len(lead) == CONTEXT_CHARACTERS and (broken := _BREAK.search(lead)) is not None:
            lead = lead[broken.end() :]
        is_apart = not any(map(str.isdigit, lead[-_APART_CHARACTERS:]))
        if is_apart and has_short_numbers_only(window) and not names_numbers(lead + window):
            return ()  # most numbers in most answers
        return values_in(window, self._keeps, lead=lead)

    def _goes_on(self) -> bool:
        """Whether there is something to judge: not while the rest of a value is being left out."""
        if self._drops is not None and self._drops():
            self._drops = None
        return self._drops is None

    def _drop_word(self) -> bool:
        """Leave out what goes on of a value; whether it is over."""
        found = _GOES_ON.match(self._held, self._start)
        self._start = self._at = self._start if found is None else found.end()
        return self._at < len(self._held)

    def _drop_key(self) -> bool:
        """Leave out what goes on of a private key, up to the line that ends it; whether it is over."""
        limit = self._start + _KEY_CHARACTERS_MAX - self._dropped
        body = _KEY_BODY.match(self._held, self._start, limit)
        stop = self._start if body is None else body.end()
        ending = _KEY_END.search(self._held, self._start, stop)
        if ending is not None and (ending.end() < len(self._held) or ending.group().endswith("-")):
            self._start = self._at = ending.end()
            return True
        if ending is None and (stop < len(self._held) or stop == limit):
            self._start = self._at = stop
            return True
        kept = max(self._start, stop - STRADDLE_CHARACTERS)  # it may hold the beginning of the line that ends it
        self._dropped += kept - self._start
        self._start = self._at = kept
        return False


def _ends_key(window: str, key: Span) -> bool:
    return _KEY_END.search(window, key.start, key.end) is not None
