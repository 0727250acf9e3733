"""Whether a part of a document says what a sentence says, as far as words can tell. Pure, for any language, no model.

A sentence is aligned with a span word by word. Most of its words must be there, and all of what a small change makes
wrong: numbers with their units, names, and whether something is denied. What this does not see: who did what to whom,
where both sides have the same words in another order, and opposites that are not in its short list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from freehold.vault.quotes import is_unspaced
from freehold.vault.sentences import sentences

COVERED_MIN = 0.8
"""Share of a sentence's words, by weight, that must be in the span."""
_SHORT_WORDS = 3
"""A sentence of no more words that count must be there whole."""
_SMALL_WEIGHT = 0.25
_NUMBER_WEIGHT = 2.0
_OTHERWISE_MIN = 0.6
"""Share of a sentence's words in one of a text that says the same of another number: what follows there cannot lend it."""
_FURTHER_GAIN = 0.1
"""Least that a further sentence must add to a span."""
_SENTENCES_MAX = 3
_LIKELY_MAX = 16


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOKEN = re.compile(r"\d+(?:[.,'\u2019\u00a0\u202f ]\d{3})*(?:[.,]\d+)?|[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*|[%‰°€$£¥₹]")
_THOUSANDS = re.compile(r"(?<=\d)[,'\u2019\u00a0\u202f ](?=\d{3}(?!\d))")
_UNITS = {
    "%": "%", "percent": "%", "per cent": "%", "prozent": "%", "pct": "%", "pourcent": "%", "процентов": "%", "процента": "%",
    "‰": "‰", "million": "10^6", "millions": "10^6", "millionen": "10^6", "mio": "10^6", "mn": "10^6", "millones": "10^6",
    "миллионов": "10^6", "миллиона": "10^6", "billion": "10^9", "billions": "10^9", "milliarden": "10^9", "mrd": "10^9",
    "bn": "10^9", "миллиардов": "10^9", "trillion": "10^12", "billionen": "10^12", "thousand": "10^3", "tausend": "10^3",
    "mil": "10^3", "тысяч": "10^3", "hundred": "10^2", "lakh": "10^5", "crore": "10^7",
}  # fmt: skip
"""Words behind a number that make it another; the others are words like any."""
_SPACED_UNITS = _listed("mg g kg t mm cm m km ms s min h l ml hz khz mhz ghz kw mw gw kwh v a w nm μm µm mol mmol k °")
_LONG = 4
_OPENINGS = _listed(
    "however according therefore these those there although because when while after before during since both some many"
    " most other another each every such also thus then here based answer overall additionally furthermore moreover finally"
    " this that with from they their what which where into under over between among about through once only even like"
    " document documents passage passages source sources text yes despite unlike instead first second third today later"
    " diese dieser dieses nach während seit sowohl einige viele laut dort hier dann aber oder denn weil wenn obwohl daher"
    " eine einer einem einen según este esta estos estas cuando después antes desde donde selon cette dans pour avec après"
    " avant depuis lorsque"
)
"""Words at the beginning of a sentence that are no names."""
_SIGNS = frozenset("%‰°€$£¥₹")
_COUNTS = _listed(
    "two three four five six seven eight nine ten eleven twelve zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"
    " dos tres cuatro cinco seis siete ocho nueve diez deux trois quatre cinq sept huit neuf dix"
)
_DENIALS = _listed(
    "not no never neither nor none nobody nothing without cannot nicht kein keine keinen keinem keiner keines nie niemals"
    " niemand nichts ohne weder ne pas jamais aucun aucune sans rien ni nunca jamás sin ningún ninguna ninguno tampoco nada"
    " nu nici niciodată fără не ни нет никогда без нельзя değil yok hiç δεν μη μην όχι ποτέ χωρίς لا لم لن ليس ليست غير بدون"
    " không chưa chẳng नहीं न मत बिना ไม่ 不 没 沒 未 無 无 非"
)
_DENIES_INSIDE = re.compile(r"n['\u2019]t$|^(?:cannot)$")
_OPPOSITES = {
    a: b
    for pair in (
        "increase decrease", "increased decreased", "increases decreases", "higher lower", "more less", "more fewer",
        "before after", "first last", "above below", "positive negative", "rise fall", "rose fell", "gain loss", "win lose",
        "won lost", "largest smallest", "oldest youngest", "activate inhibit", "activates inhibits", "promotes inhibits",
        "promote prevent", "up down", "maximum minimum", "allowed forbidden", "accept reject", "accepted rejected", "north south",
        "east west", "cause prevent", "causes prevents", "enhances reduces", "true false", "safe unsafe",
    )
    for a, b in (tuple(pair.split()), tuple(reversed(pair.split())))
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """What counts in a text.

    Attributes:
        weights: Its words, folded, and what each weighs.
        numbers: Its numbers, each with the unit that makes it another, or an empty one.
        names: Words with a capital that does not come from where they stand.
        denials: How many words deny something.
        denied: The words that come next after those.
        beside: Numbers with the word ``before`` and ``behind`` them.
    """

    weights: dict[str, float]
    numbers: frozenset[tuple[str, str]]
    names: frozenset[str]
    denials: int
    denied: frozenset[str]
    beside: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Support:
    """How well a span supports a sentence.

    Attributes:
        text: Number of the text, from 0.
        start: Where the span begins in it, in code points.
        end: Where it ends.
        covered: Share of the sentence's words that are in it, by weight.
        is_enough: All that must be there is there.
    """

    text: int
    start: int
    end: int
    covered: float
    is_enough: bool


def words_of(text: str) -> Words:
    """What counts in a text."""
    found = _Reading()
    for raw, is_first in _tokens(text):
        found.take(raw, is_first=is_first)
    return Words(
        weights=found.weights,
        numbers=frozenset(found.numbers),
        names=frozenset(found.names),
        denials=found.denials,
        denied=frozenset(found.denied),
        beside=frozenset(found.beside),
    )


class _Reading:
    """Reads a text word by word."""

    __slots__ = ("_before", "_denies", "_number", "beside", "denials", "denied", "names", "numbers", "weights")

    def __init__(self) -> None:
        self.weights: dict[str, float] = {}
        self.numbers: set[tuple[str, str]] = set()
        self.names: set[str] = set()
        self.denied: set[str] = set()
        self.beside: set[tuple[str, str, str]] = set()
        self.denials = 0
        self._number = ""
        self._before = ""
        self._denies = False

    def take(self, raw: str, *, is_first: bool) -> None:
        """The next word, number or sign."""
        said = unicodedata.normalize("NFKC", raw).casefold()
        if raw[0].isdigit():
            self._number = _number(said)
            self.numbers.add((self._number, ""))
            self.weights[self._number] = _NUMBER_WEIGHT
            if self._before:
                self.beside.add(("before", self._before, self._number))
            return
        number, self._number = self._number, ""
        if number and ((unit := _UNITS.get(said)) or said in _SPACED_UNITS):
            self.numbers.discard((number, ""))
            self.numbers.add((number, unit or said))
        if said in _DENIALS or _DENIES_INSIDE.search(said):
            self.denials += 1
            self._denies = True
        elif said not in _SIGNS:
            self._word(raw, said, number, is_first=is_first)

    def _word(self, raw: str, said: str, number: str, *, is_first: bool) -> None:
        is_capital = raw[0].isupper() and not (is_first and (len(said) < _LONG or said in _OPENINGS))
        if is_capital and len(said) > 1:
            self.names.add(said)
        is_heavy = len(said) >= _LONG or is_capital or is_unspaced(said[0]) or said in _COUNTS
        self.weights[said] = 1.0 if is_heavy else _SMALL_WEIGHT
        if number:
            self.beside.add(("behind", said, number))
        self._before = said
        if is_heavy and self._denies:
            self.denied.add(said)
            self._denies = False


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words, numbers and signs; of scripts without blanks, pairs of characters. And whether it is the first one."""
    is_first = True
    for token in _TOKEN.finditer(text):
        said = token.group()
        if is_unspaced(said[0]):
            if len(said) == 1:
                yield said, False
            yield from ((said[at : at + 2], False) for at in range(len(said) - 1))
        else:
            yield said, is_first
        is_first = False


def _number(said: str) -> str:
    plain = _THOUSANDS.sub("", said)
    return plain.replace(",", ".") if plain.count(",") == 1 else plain


def has_word(words: Words, word: str) -> bool:
    """Whether a word is there, in this or in another ending (folded, as in ``Words.weights``)."""
    return word in words.weights or _is_among(words.weights, word)


def _is_among(words: Collection[str], word: str) -> bool:
    if word in words:
        return True
    if len(word) < _LONG or is_unspaced(word[0]):
        return False
    return any(_is_akin(word, each) for each in words if each[:3] == word[:3])


def _is_akin(one: str, other: str) -> bool:
    """Whether two words may be forms of one: the same but for an ending of up to three letters."""
    if min(len(one), len(other)) < 4 or abs(len(one) - len(other)) > 3 or one[0].isdigit():
        return False
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same >= max(4, max(len(one), len(other)) - 3)


def covered(asked: Words, given: Words) -> float:
    """Share of the words of ``asked`` that ``given`` has, by weight; 1.0 where it has none."""
    whole = sum(asked.weights.values())
    found = sum(weight for word, weight in asked.weights.items() if has_word(given, word))
    return found / whole if whole else 1.0


def is_consistent(said: Words, given: Words) -> bool:
    """Whether all is there that a small change makes wrong: numbers, units, names, denials, and no opposite."""
    if not _numbers_agree(said, given):
        return False
    if not all(has_word(given, name) for name in said.names):
        return False
    if any(word in said.weights and word not in given.weights for word in _COUNTS):
        return False
    if not _denials_agree(said, given):
        return False
    return not any(
        word in _OPPOSITES and word not in given.weights and _OPPOSITES[word] in given.weights for word in said.weights
    )


def names_all(said: Words, given: Words) -> bool:
    """Whether all numbers and names of ``said`` are in ``given``, wherever; the least that is asked of what frames a quote."""
    numbers = {number for number, _ in given.numbers}
    return all(number in numbers for number, _ in said.numbers) and all(has_word(given, name) for name in said.names)


def _numbers_agree(said: Words, given: Words) -> bool:
    for number, unit in said.numbers:
        units = {each for value, each in given.numbers if value == number}
        if unit not in units and not (not unit and units and units <= _SPACED_UNITS):
            return False
    return not _is_of_another(said, given)


def _is_of_another(said: Words, given: Words) -> bool:
    """Whether beside a word where ``said`` has one number ``given`` has another: the year of an act, say."""
    return any(
        place not in given.beside and any(each[:2] == place[:2] for each in given.beside) for place in said.beside
    )


def _denials_agree(said: Words, given: Words) -> bool:
    """Whether the same is denied, as far as that shows: the next word after a "not" is denied on both sides, or on none."""
    if len(_counting(said)) <= _SHORT_WORDS:
        return True
    if bool(said.denials) and not given.denials:
        return False
    if not all(_is_among(given.denied, word) for word in said.denied):
        return False
    return not any(has_word(said, word) and not _is_among(said.denied, word) for word in given.denied)


def _counting(said: Words) -> list[str]:
    return [word for word, weight in said.weights.items() if weight >= 1.0]


def is_claim(said: Words) -> bool:
    """Whether a sentence says anything that a document could support."""
    return bool(said.numbers) or len(_counting(said)) > 0


@dataclass(slots=True)
class _Sentence:
    start: int
    end: int
    words: Words
    near: float = 0.0
    beginnings: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.beginnings = frozenset(word[:4] for word, weight in self.words.weights.items() if weight >= 1.0)


class Alignment:
    """Texts in which support is looked for.

    Args:
        texts: In the order of their numbers.
        question: What was asked: of spans that support alike, the one nearer to it is taken.
    """

    __slots__ = ("_texts",)

    def __init__(self, texts: Sequence[str], *, question: str = "") -> None:
        asked = words_of(question)
        self._texts: list[list[_Sentence]] = []
        for text in texts:
            parts = [_Sentence(start, end, words_of(text[start:end])) for start, end in sentences(text)]
            for each in parts:
                each.near = covered(asked, each.words) if asked.weights else 0.0
            self._texts.append(parts)

    def best(self, sentence: str, *, cited: Sequence[int] = ()) -> Support | None:
        """The span that supports a sentence best; ``None`` where no text has anything of it, or it says nothing.

        Args:
            sentence: One.
            cited: Numbers of the texts that it is said to be from: of spans that support alike, theirs are taken.
        """
        said = words_of(sentence)
        if not is_claim(said):
            return None
        best: tuple[tuple[bool, float, bool, float], Support] | None = None
        for number, place in self._likely(said):
            parts = self._texts[number]
            for found in _spans(said, number, parts, place):
                rank = (found.is_enough, round(found.covered, 2), number in cited, parts[place].near)
                if found.covered > 0 and (best is None or rank > best[0]):
                    best = rank, found
        return None if best is None else best[1]

    def _likely(self, said: Words) -> list[tuple[int, int]]:
        """Where the most of a sentence is found word for word; the rest is not looked at."""
        beginnings = {word[:4] for word, weight in said.weights.items() if weight >= 1.0}
        shared = [
            (len(beginnings & part.beginnings), part.near, -number, -place)
            for number, parts in enumerate(self._texts)
            for place, part in enumerate(parts)
        ]
        likely = sorted((each for each in shared if each[0] > 0), reverse=True)[:_LIKELY_MAX]
        return [(-number, -place) for _, _, number, place in likely]


def _spans(said: Words, number: int, parts: Sequence[_Sentence], place: int) -> Iterator[Support]:
    """A sentence of a text, and what follows where that says clearly more of it: "He was born in 1912" needs who."""
    first = parts[place]
    last = _support(said, number, first, first, first.words)
    yield last
    given = first.words
    if _says_otherwise(said, given):
        return
    for part in parts[place + 1 : place + _SENTENCES_MAX]:
        if last.is_enough or _says_otherwise(said, part.words):
            return
        given = _together(given, part.words)
        wider = _support(said, number, first, part, given)
        if wider.covered < last.covered + _FURTHER_GAIN:
            return
        last = wider
        yield last


def _says_otherwise(said: Words, given: Words) -> bool:
    """Whether one sentence says nearly the same, but of another number."""
    return _is_of_another(said, given) and covered(said, given) >= _OTHERWISE_MIN


def _support(said: Words, number: int, first: _Sentence, last: _Sentence, given: Words) -> Support:
    share = covered(said, given)
    least = 0.999 if len(_counting(said)) <= _SHORT_WORDS else COVERED_MIN
    if least > COVERED_MIN:
        counting = _counting(said)
        share = sum(has_word(given, word) for word in counting) / len(counting) if counting else share
    return Support(number, first.start, last.end, share, share >= least and is_consistent(said, given))


def _together(one: Words, other: Words) -> Words:
    return Words(
        weights=one.weights | other.weights,
        numbers=one.numbers | other.numbers,
        names=one.names | other.names,
        denials=one.denials + other.denials,
        denied=one.denied | other.denied,
        beside=one.beside | other.beside,
    )
