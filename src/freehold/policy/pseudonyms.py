"""Pseudonyms: names and numbers go out as ``⟦KIND_8hex⟧`` and come back in the answer (``policy.restorer``). Pure.

The hex digits are HMAC-SHA256 under a key of the conversation, so that one value has one token through a whole
conversation, and nobody without the key can test a guess. A map belongs to one conversation and is a value: it is given
and returned, and kept nowhere here.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from freehold.domain.findings import Finding
from freehold.policy.spans import WORD_CHARACTERS_MAX, spans_of

OPENING, CLOSING = "⟦", "⟧"

HEX_DIGITS_MIN, HEX_DIGITS_MAX = 8, 20
"""Of a token; more than the least only where two values would have the same."""

TOKEN_CHARACTERS_MAX = 40
"""Longest that a stream is held back for a token. No token of ours is longer."""

TOKEN = re.compile(rf"⟦[A-Z]{{1,{WORD_CHARACTERS_MAX}}}_[0-9a-f]{{{HEX_DIGITS_MIN},{HEX_DIGITS_MAX}}}⟧")

_LOOKALIKES = {ord(OPENING): "〚", ord(CLOSING): "〛"}
_KNOWN_CHARACTERS_MIN = 4
_DIGITS_STEP = 4
_KEY_BYTES_MIN = 16
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymMap:
    """What the tokens of one conversation stand for.

    Attributes:
        values: By token, exactly what stood in the text.
    """

    values: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    def __repr__(self) -> str:
        # A map that is logged by accident must not say what it hides.
        return f"PseudonymMap({len(self.values)} tokens)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonymised:
    """Texts that say less.

    Attributes:
        texts: In the order given.
        map: Of the conversation, with what these texts added.
        counts: By the word of its token, how often something was replaced.
        kinds: The label's kinds of what detectors found and was replaced.
        neutralised: Brackets in the given texts that could have been taken for a token's.
    """

    texts: tuple[str, ...]
    map: PseudonymMap
    counts: Mapping[str, int]
    kinds: frozenset[str]
    neutralised: int


def pseudonymise(
    texts: Sequence[str],
    findings: Sequence[Sequence[Finding]],
    key: bytes,
    known: PseudonymMap | None = None,
) -> Pseudonymised:
    """Put a token in the place of each finding, and of the same value wherever else it stands as a word.

    Args:
        texts: What is to go out; of messages what ``policy.message_texts`` gives, arguments of tools among them.
        findings: Of each text, in any order; places are those of the text as it is given here.
        key: The conversation's own, at least 16 bytes, never written down beside what it hides.
        known: The map of the conversation's earlier turns.

    Returns:
        The texts and the map to restore the answer with. Brackets ``⟦ ⟧`` of the texts become ``〚 〛``, for good.

    Raises:
        ValueError: There are not as many lists of findings as texts, a finding lies outside its text, or the key is short.
    """
    if len(key) < _KEY_BYTES_MIN:
        raise ValueError(f"the key of a conversation has at least {_KEY_BYTES_MIN} bytes")
    if len(texts) != len(findings):
        raise ValueError(f"{len(texts)} texts have findings of {len(findings)}")
    tokens = _Tokens(key, (known or PseudonymMap()).values)
    counts: Counter[str] = Counter()
    kinds: set[str] = set()
    spans = [spans_of(text, found) for text, found in zip(texts, findings, strict=True)]
    for text, found in zip(texts, spans, strict=True):
        for span in found:
            tokens.of(span.word, text[span.start : span.end])
            kinds |= span.kinds
    everywhere = _Known(tokens.values.values())
    replaced: list[str] = []
    for text, found in zip(texts, spans, strict=True):
        pieces: list[str] = []
        place = 0
        for span in found:
            pieces.append(_where_known(text[place : span.start], everywhere, tokens, counts))
            pieces.append(tokens.of(span.word, text[span.start : span.end]))
            counts[span.word] += 1
            place = span.end
        pieces.append(_where_known(text[place:], everywhere, tokens, counts))
        replaced.append("".join(pieces))
    return Pseudonymised(
        texts=tuple(replaced),
        map=PseudonymMap(values=MappingProxyType(dict(tokens.values))),
        counts=dict(counts),
        kinds=frozenset(kinds),
        neutralised=sum(text.count(OPENING) + text.count(CLOSING) for text in texts),
    )


def neutralise(text: str) -> str:
    """The text with brackets that look like a token's, and are none: a user's text cannot name a token."""
    return text.translate(_LOOKALIKES)


class _Tokens:
    """Tokens of one conversation while they are given out."""

    def __init__(self, key: bytes, known: Mapping[str, str]) -> None:
        self._key = key
        self.values = dict(known)
        self._tokens: dict[str, str] = {}
        for token, value in self.values.items():
            self._tokens.setdefault(value, token)

    def of(self, word: str, value: str) -> str:
        """The token of a value: the one that it has, by whatever name, or a new one."""
        if (token := self._tokens.get(value)) is not None:
            return token
        digest = hmac.digest(self._key, f"{word}|{value}".encode("utf-8", "surrogatepass"), "sha256").hex()
        for digits in range(HEX_DIGITS_MIN, HEX_DIGITS_MAX + 1, _DIGITS_STEP):
            token = f"{OPENING}{word}_{digest[:digits]}{CLOSING}"
            if token not in self.values:
                self.values[token], self._tokens[value] = value, token
                return token
        raise ValueError("two values cannot be told apart")

    def known(self, value: str) -> str:
        """The token of a value that has one."""
        return self._tokens[value]


class _Known:
    """Finds known values where no detector has, in one pass however many there are.

    Args:
        values: Them; the shortest ones are not looked for, which stand in many words' places.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values = frozenset(each for each in values if len(each) >= _KNOWN_CHARACTERS_MIN)
        lengths: dict[str, set[int]] = {}
        for each in self._values:
            lengths.setdefault(_first(each), set()).add(len(each))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        marks = "".join(sorted(first for first in lengths if not _is_word(first[0])))
        self._begin = re.compile(rf"\w+|[{re.escape(marks)}]" if marks else r"\w+")

    def found_in(self, text: str) -> Iterator[tuple[int, str]]:
        """Where one stands as a word, and which; of those that begin at one place the longest."""
        if not self._values:
            return
        place = 0
        for begin in self._begin.finditer(text):
            start = begin.start()
            lengths = self._lengths.get(begin[0])
            if lengths is None or start < place or (start and _is_word(text[start - 1])):
                continue
            for length in lengths:
                end = start + length
                if text[start:end] in self._values and not (end < len(text) and _is_word(text[end])):
                    yield start, text[start:end]
                    place = end
                    break


def _first(value: str) -> str:
    """A value's first word, or the mark that it begins with."""
    end = 0
    while end < len(value) and _is_word(value[end]):
        end += 1
    return value[: end or 1]


def _is_word(letter: str) -> bool:
    return letter == "_" or letter.isalnum()


def _where_known(text: str, known: _Known, tokens: _Tokens, counts: Counter[str]) -> str:
    """A stretch without findings, with known values replaced and brackets neutralised."""
    pieces: list[str] = []
    place = 0
    for start, value in known.found_in(text):
        token = tokens.known(value)
        counts[token[1:].partition("_")[0]] += 1
        pieces += (neutralise(text[place:start]), token)
        place = start + len(value)
    return "".join((*pieces, neutralise(text[place:])))
