"""What a text says to whoever decodes it: with invisible characters taken out, entities and escapes resolved. Pure.

Personal data that is spelled ``jane&#64;example.org`` or packed in base 64 is personal data. A view is an excerpt of the
text as it reads once one such layer is taken off, with a map that leads every character back to its place in the text.
Where nothing is hidden there is no view, and finding that out costs next to nothing. Layers are taken off each other up
to ``DEPTH_MAX``; all views together are at most ``CHARACTERS_MAX`` characters. What would be beyond is not looked at,
and ``Views.missed`` says so.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from freehold.policy.recognise.folding import INVISIBLE

VIEWS_VERSION = "2"
"""Of this set of layers; records name it. Raised whenever a finding may come out differently."""
DEPTH_MAX = 3
"""Layers taken off each other."""
CHARACTERS_MAX = 1 << 18
"""Of all views of one text together, beyond ``CHARACTERS_SHARE`` times its length."""
CHARACTERS_SHARE = 4
VIEWS_MAX = 512
"""Of one text."""
CONTEXT_CHARACTERS = 96
"""Shown on both sides of what was decoded: a word beside it says what a number is."""

_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_UNSEEN_ASCII = re.compile("[\x00-\x08\x0e-\x1b\x7f]")
_NOT_PLAIN = re.compile("[\x00-\x7f]?[\x00-\x08\x0e-\x1b\x7f-\U0010ffff]+")
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKED = re.compile(f"([!-~]){_MARKS}+")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_HIDING = re.compile(f"{_INVISIBLE.pattern}|{_MARKED.pattern}|{_OTHER_DIGIT.pattern}")
_ENTITY_OR_TAG = re.compile(
    r"&(?:\#\d{1,32}|\#[xX][0-9a-fA-F]{1,32}|[A-Za-z][A-Za-z0-9]{1,30});?|<!--.{0,300}?-->|</?[A-Za-z][^<>]*>",
    re.DOTALL,
)
_MARK_CATEGORIES = frozenset({"Mn", "Me"})
_ESCAPE = re.compile(
    r"""\\{1,8}u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\{1,8}u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})
    |\\{1,8}(?:u(?P<four>[0-9a-fA-F]{4})|u\{(?P<any>[0-9a-fA-F]{1,6})\}|[xX](?P<two>[0-9a-fA-F]{2})|U(?P<eight>[0-9a-fA-F]{8}))""",
    re.VERBOSE,
)
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{12,}(?:\r?\n[ \t]{0,8}[A-Za-z0-9+/_-]{4,}){0,20000}={0,2}")
_BASE64_TRIED_BYTES = 48
_WORD = re.compile(r"[a-z]*|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An excerpt of a text, decoded.

    Attributes:
        text: How it reads.
        starts: Of each of its characters the place in the original text where what it was made of begins.
        ends: And where that ends.
        has_words: Whether letters or digits came out differently, so that names may be in it that were not seen.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    has_words: bool = True

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where a place of the view is in the original text; ``start`` < ``end``."""
        return min(self.starts[start:end]), max(self.ends[start:end])


@dataclass(frozen=True, slots=True)
class Views:
    """All views of a text.

    Attributes:
        views: Those that differ from it.
        missed: What was not decoded, in a few words; empty where everything was.
    """

    views: tuple[View, ...]
    missed: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    """A place that reads differently.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        text: What it reads as.
        at: Of each character of ``text`` the place, from ``start``, that it was made of; ``None`` for all of it.
        apart: Whether it is shown without what is around it.
    """

    start: int
    end: int
    text: str
    at: Sequence[tuple[int, int]] | None = None
    apart: bool = False


def views_of(text: str) -> Views:
    """What is hidden in a text, one layer after the other."""
    found: list[View] = []
    seen: set[str] = {text}
    left = max(CHARACTERS_MAX, CHARACTERS_SHARE * len(text))
    layer: list[View | str] = [text]
    for depth in range(DEPTH_MAX + 1):
        below: list[View | str] = []
        for above in layer:
            for view in _decoded(above):
                if view.text in seen:
                    continue
                left -= len(view.text)
                if depth == DEPTH_MAX:
                    return Views(tuple(found), "it is encoded more often than is decoded")
                if left < 0 or len(found) >= VIEWS_MAX:
                    return Views(tuple(found), "more of it is encoded than is decoded")
                seen.add(view.text)
                found.append(view)
                below.append(view)
        layer = below
    return Views(tuple(found))


def _decoded(above: View | str) -> Iterator[View]:
    text = above if isinstance(above, str) else above.text
    for layer in _LAYERS:
        for view in _excerpts(text, layer(text)):
            yield view if isinstance(above, str) else _through(view, above)


def _through(view: View, above: View) -> View:
    """A view of a view as one of the text."""
    places = [above.place(start, end) for start, end in zip(view.starts, view.ends, strict=True)]
    return View(view.text, [start for start, _ in places], [end for _, end in places], view.has_words)


def _excerpts(text: str, changes: Iterable[_Change]) -> Iterator[View]:
    """Changes with what is around them; those that are near each other in one view."""
    near: list[_Change] = []
    for change in changes:
        if change.apart:
            yield _view(text, [change], change.start, change.end)
            continue
        if near and change.start - near[-1].end > 2 * CONTEXT_CHARACTERS:
            yield _around(text, near)
            near = []
        near.append(change)
    if near:
        yield _around(text, near)


def _around(text: str, changes: list[_Change]) -> View:
    start = _outward(text, changes[0].start - CONTEXT_CHARACTERS, -1)
    end = _outward(text, changes[-1].end + CONTEXT_CHARACTERS, 1)
    return _view(text, changes, start, end)


def _outward(text: str, place: int, step: int) -> int:
    """A place moved off the middle of a word, as far as is sensible."""
    place = max(0, min(len(text), place))
    for _ in range(CONTEXT_CHARACTERS):
        if not 0 < place < len(text) or text[place - 1].isspace() or text[place].isspace():
            break
        place += step
    return place


def _view(text: str, changes: list[_Change], start: int, end: int) -> View:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place, has_words = start, False

    def copy(until: int) -> None:
        parts.append(text[place:until])
        starts.extend(range(place, until))
        ends.extend(range(place + 1, until + 1))

    for change in changes:
        copy(change.start)
        parts.append(change.text)
        at = change.at if change.at is not None else [(0, change.end - change.start)] * len(change.text)
        starts.extend(change.start + first for first, _ in at)
        ends.extend(change.start + last for _, last in at)
        place = change.end
        has_words = has_words or any(map(str.isalnum, change.text)) or _splits(text, change)
    copy(end)
    return View("".join(parts), starts, ends, has_words)


def _splits(text: str, change: _Change) -> bool:
    """Whether it stands within a word, and leaves the word whole."""
    return not change.text and change.start > 0 and change.end < len(text) and text[change.start - 1].isalnum()


def _visible(text: str) -> Iterator[_Change]:
    """Without characters that show nothing, and letters and digits in their plain form (NFKC)."""
    if text.isascii() and _UNSEEN_ASCII.search(text) is None:
        return
    for run in _NOT_PLAIN.finditer(text):
        was = run.group()
        if not unicodedata.is_normalized("NFKC", was) or _HIDING.search(was):
            yield from _plain(was, run.start())


def _plain(run: str, at: int) -> Iterator[_Change]:
    place = 0
    while place < len(run):
        end = place + 1
        while end < len(run) and unicodedata.category(run[end]) in _MARK_CATEGORIES:
            end += 1
        was = run[place:end]
        now = _MARKED.sub(r"\1", unicodedata.normalize("NFKC", _INVISIBLE.sub("", was)))
        now = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), now)
        if now != was:
            yield _Change(at + place, at + end, now)
        place = end


def _unmarked(text: str) -> Iterator[_Change]:
    """Without the marks of HTML, its entities resolved. A tag becomes nothing: it may stand within a word."""
    if "&" not in text and "<" not in text:
        return
    for match in _ENTITY_OR_TAG.finditer(text):
        was = match.group()
        now = "" if was.startswith("<") else html.unescape(was)
        if now != was:
            yield _Change(match.start(), match.end(), now)


def _unescaped(text: str) -> Iterator[_Change]:
    """With the escapes of programs' texts resolved, as JSON writes letters: it stands in logs, code and quoted answers."""
    if "\\" not in text:
        return
    for match in _ESCAPE.finditer(text):
        if match["high"]:
            code = 0x10000 + ((int(match["high"], 16) & 0x3FF) << 10 | int(match["low"], 16) & 0x3FF)
        else:
            code = int(match[match.lastgroup or 0], 16)
        if code <= sys.maxunicode and not 0xD800 <= code <= 0xDFFF:
            yield _Change(match.start(), match.end(), chr(code))


def _unquoted(text: str) -> Iterator[_Change]:
    """With the escapes of addresses resolved, where they are of UTF-8."""
    if "%" not in text:
        return
    for match in _PERCENT.finditer(text):
        try:
            letters = bytes.fromhex(match.group().replace("%", "")).decode()
        except UnicodeDecodeError:
            continue
        at: list[tuple[int, int]] = []
        place = 0
        for letter in letters:
            size = 3 * len(letter.encode())
            at.append((place, place + size))
            place += size
        yield _Change(match.start(), match.end(), letters, at)


def _unpacked(text: str) -> Iterator[_Change]:
    """What stands in base 64, where it is text. Binary data are not: pictures hide no text from a reader of text."""
    for match in _BASE64.finditer(text):
        run = match.group()
        if _WORD.fullmatch(run) and len(run) < _BASE64_TRIED_BYTES:
            continue
        at = [place for place, letter in enumerate(run) if letter not in "\r\n\t ="]
        letters = "".join(run[place] for place in at) if len(at) < len(run) else run
        letters = letters.translate(_URL_SAFE)
        if _bytes_as_text(letters[:_BASE64_TRIED_BYTES]) is None:
            continue
        decoded = _bytes_as_text(letters)
        if decoded is not None:
            places = _quanta(decoded, at)
            if at[-1] - places[-1][1] < 3:
                places[-1] = places[-1][0], len(run)  # with what pads it
            yield _Change(match.start(), match.end(), decoded, places, apart=True)


def _bytes_as_text(letters: str) -> str | None:
    """The text that is packed in letters of base 64; of one that is cut off the whole characters."""
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    try:
        data = base64.b64decode(letters + "=" * (-len(letters) % 4))
    except (binascii.Error, ValueError):
        return None
    try:
        decoded = data.decode()
    except UnicodeDecodeError as error:
        if len(data) - error.start > 3:
            return None
        decoded = data[: error.start].decode()
    return decoded if decoded and not _CONTROL.search(decoded) else None


def _quanta(decoded: str, at: Sequence[int]) -> list[tuple[int, int]]:
    """Of each character the letters of base 64 that hold it; ``at`` are the letters' places."""
    places: list[tuple[int, int]] = []
    byte = 0
    for letter in decoded:
        end = byte + (1 if letter.isascii() else len(letter.encode()))
        places.append((at[byte * 4 // 3], at[min(len(at) - 1, (end * 4 - 1) // 3)] + 1))
        byte = end
    return places


_LAYERS: tuple[Callable[[str], Iterator[_Change]], ...] = (_visible, _unmarked, _unescaped, _unquoted, _unpacked)
