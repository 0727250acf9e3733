"""Recognising texts again without keeping them: winnowed fingerprints, keyed.

A text is brought to a normal form (NFKC, case folded, without what is invisible), cut into words, and each run of
``GRAM_WORDS`` words is a gram. Of every ``WINDOW`` grams in a row the one with the least hash is chosen (winnowing:
Schleimer, Wilkerson and Aiken, SIGMOD 2003; of equal ones the last), so that what two texts have in common is chosen in
both. What is kept of a gram is 64 bits of BLAKE2b under a key of the tenant's: who has the table and not the key cannot
even try a guessed sentence.

A remembered text counts as found where either

- ``RUN_WORDS_MIN`` words or more in a row are its words (any ``RUN_WORDS_SURE`` in a row are always found, whatever
  stands around them, but for sentences that everybody writes), or
- ``SHARE_MIN`` of its fingerprints are there, ``SHARE_HITS_MIN`` at least, wherever they are.

Both can only be gained by writing more around it, never lost: choosing looks at ``WINDOW`` grams, all inside.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple
from zlib import crc32

from freehold.domain.labels import Label
from freehold.policy.boilerplate import SENTENCES
from freehold.policy.lattice import join, leq

GRAM_WORDS = 5
"""Words of a gram."""

WINDOW = 3
"""Grams in a row of which one is chosen."""

RUN_WORDS_MIN = 9
"""Words in a row that must be a remembered text's: fewer never raise a label by themselves."""

RUN_WORDS_SURE = RUN_WORDS_MIN + 2 * (WINDOW - 1)
"""Words in a row that are found for sure."""

SHARE_MIN = 0.3
"""Share of a remembered passage's fingerprints that must be found."""

SHARE_HITS_MIN = 5
"""And so many of them at least."""

PASSAGE_PRINTS_MAX = 256
"""Fingerprints of one passage; longer texts are several. About 500 words."""

DIFFERENT_WORDS_MIN = 3
"""Different words of a gram: tables of zeros are all alike."""

COVERED_SHARE = 0.9
"""Share of a text's fingerprints in a remembered passage from which on the text need not be remembered again."""

_BITS_BYTES = 8
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_UNSEEN = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")


class Print(NamedTuple):
    """A chosen gram: the place of its first word, and 64 keyed bits of it."""

    place: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A passage that was remembered.

    Attributes:
        id: Of the answer's receipt or of the file that it is from.
        label: What it is labelled.
        expires_unix_ms: From when on it is forgotten.
        prints: Its fingerprints, as 64-bit numbers.
    """

    id: str
    label: Label
    expires_unix_ms: int
    prints: array[int]


class Printer:
    """Takes fingerprints under one key.

    Args:
        key: 16 to 64 bytes that nobody else has.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(digest_size=_BITS_BYTES, key=key)

    def prints(self, text: str) -> list[Print]:
        """The fingerprints of a text, in order; none of one that is shorter than a gram, or that everybody writes."""
        joined, starts = _words(text)
        hashes = _gram_hashes(joined, starts)
        known, keyed, found = _everybodys(), self._keyed, list[Print]()
        for place in _chosen(hashes):
            gram = joined[starts[place] : starts[place + GRAM_WORDS] - 1]
            if hashes[place] in known or len(set(gram.split(b" "))) < DIFFERENT_WORDS_MIN:
                continue
            bits = keyed.copy()
            bits.update(gram)
            found.append(Print(place, int.from_bytes(bits.digest(), "big")))
        return found


def passages(prints: Sequence[Print]) -> list[array[int]]:
    """Fingerprints as they are remembered, a passage each; texts that could never be found again have none."""
    if not prints or prints[-1].place + GRAM_WORDS - prints[0].place < RUN_WORDS_MIN:
        return []
    return [
        array("Q", [each.value for each in prints[first : first + PASSAGE_PRINTS_MAX]])
        for first in range(0, len(prints), PASSAGE_PRINTS_MAX)
    ]


class Index:
    """What is remembered of one tenant, by fingerprint.

    Args:
        most: Fingerprints held; beyond that the oldest passages are forgotten.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._passages: dict[int, Remembered] = {}
        self._by_value: dict[int, int | tuple[int, ...]] = {}
        self._next = 0
        self.prints = 0

    def __bool__(self) -> bool:
        return bool(self._passages)

    def add(self, passage: Remembered) -> int:
        """Remember a passage; how many older ones were forgotten for it."""
        number, self._next = self._next, self._next + 1
        self._passages[number] = passage
        self.prints += len(passage.prints)
        by_value = self._by_value
        for value in passage.prints:
            known = by_value.setdefault(value, number)
            if known != number:
                numbers = (known,) if isinstance(known, int) else known
                if number not in numbers:
                    by_value[value] = (*numbers, number)
        forgotten = 0
        while self.prints > self._most and len(self._passages) > 1:
            self._forget(next(iter(self._passages)))
            forgotten += 1
        return forgotten

    def expire(self, unix_ms: int) -> None:
        """Forget what is out of date."""
        for number in [each for each, passage in self._passages.items() if passage.expires_unix_ms <= unix_ms]:
            self._forget(number)

    def found(self, prints: Iterable[Print], *, unix_ms: int) -> list[Remembered]:
        """The passages that are in a text, oldest first."""
        runs: dict[int, tuple[int, int]] = {}
        hits: dict[int, set[int]] = {}
        found: set[int] = set()
        for place, value in prints:
            known = self._by_value.get(value)
            if known is None:
                continue
            for number in (known,) if isinstance(known, int) else known:
                first, last = runs.get(number, (place, place))
                runs[number] = first, last = (first if place - last <= WINDOW else place), place
                hits.setdefault(number, set()).add(value)
                if last + GRAM_WORDS - first >= RUN_WORDS_MIN:
                    found.add(number)
        for number, values in hits.items():
            if len(values) >= max(SHARE_HITS_MIN, SHARE_MIN * len(self._passages[number].prints)):
                found.add(number)
        return [each for number in sorted(found) if (each := self._passages[number]).expires_unix_ms > unix_ms]

    def covers(self, prints: Sequence[Print], label: Label, *, until_unix_ms: int) -> bool:
        """Whether passages as strict as ``label`` hold nearly all of ``prints``, until then at least."""
        held = 0
        for _, value in prints:
            known = self._by_value.get(value)
            numbers = () if known is None else (known,) if isinstance(known, int) else known
            passages_of = (self._passages[number] for number in numbers)
            held += any(leq(label, each.label) and each.expires_unix_ms >= until_unix_ms for each in passages_of)
        return held >= COVERED_SHARE * len(prints)

    def _forget(self, number: int) -> None:
        passage = self._passages.pop(number)
        self.prints -= len(passage.prints)
        for value in passage.prints:
            known = self._by_value.get(value)
            if known == number:
                del self._by_value[value]
            elif isinstance(known, tuple):
                rest = tuple(each for each in known if each != number)
                self._by_value[value] = rest if len(rest) != 1 else rest[0]


def joined_by_id(found: Iterable[Remembered]) -> dict[str, Label]:
    """The label that the found passages of each text demand together, by the text's id."""
    labels: dict[str, Label] = {}
    for each in found:
        labels[each.id] = join(labels[each.id], each.label) if each.id in labels else each.label
    return labels


def _words(text: str) -> tuple[bytes, list[int]]:
    """The words of a text in normal form with a blank behind each, and where each begins, and the end."""
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    words = _WORD.findall(text.casefold())
    joined = " ".join(words).encode("utf-8", "surrogatepass")
    lengths = map(len, words) if joined.isascii() else map(len, joined.split(b" "))
    return joined, [0, *accumulate(length + 1 for length in lengths)] if words else [0]


def _gram_hashes(joined: bytes, starts: Sequence[int]) -> list[int]:
    return [crc32(joined[start : end - 1]) for start, end in zip(starts, starts[GRAM_WORDS:], strict=False)]


def _chosen(hashes: Sequence[int]) -> list[int]:
    """Places of the least hash of every window, the last of equal ones; of fewer than a window the least."""
    if len(hashes) < WINDOW:
        return [_least(hashes, 0, len(hashes))] if hashes else []
    least = _least(hashes, 0, WINDOW)
    chosen = [least]
    for end in range(WINDOW, len(hashes)):
        if hashes[end] <= hashes[least]:
            least = end
        elif least <= end - WINDOW:
            least = _least(hashes, least + 1, end + 1)
        else:
            continue
        chosen.append(least)
    return chosen


def _least(hashes: Sequence[int], first: int, end: int) -> int:
    least = first
    for place in range(first + 1, end):
        if hashes[place] <= hashes[least]:
            least = place
    return least


@functools.cache
def _everybodys() -> frozenset[int]:
    """Hashes of all grams of the sentences that everybody writes."""
    return frozenset(each for sentence in SENTENCES for each in _gram_hashes(*_words(sentence)))
