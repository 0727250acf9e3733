"""Personal data that has a shape: found by patterns, checksums and the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from freehold.domain.findings import Finding
from freehold.policy.recognise.addresses import ADDRESSES
from freehold.policy.recognise.contacts import CONTACTS
from freehold.policy.recognise.folding import folded, unfolded
from freehold.policy.recognise.keys import private_keys
from freehold.policy.recognise.languages import languages_of
from freehold.policy.recognise.lives import LIVES
from freehold.policy.recognise.money import MONEY, ibans
from freehold.policy.recognise.national import NATIONAL
from freehold.policy.recognise.networks import NETWORKS
from freehold.policy.recognise.rules import Given, everything, found_by, words_of

RECOGNISERS_VERSION = "2"
"""Of this set of recognisers; records name it. Raised whenever a finding may come out differently."""

_RULES = (*CONTACTS, *NETWORKS, *MONEY, *NATIONAL, *LIVES, *ADDRESSES)
_NAMING = frozenset[str]().union(*(rule.words for rule in (*MONEY, *NATIONAL, *LIVES, *ADDRESSES)))
_TOKEN = re.compile(r"[^\W_]+")
_REPEATED_CHARACTERS_MIN = 6
_NOT_REPEATED = frozenset({"DATE_OF_BIRTH", "CARD_CODE", "POSTCODE", "PRIVATE_KEY", "URL_USER"})


def recognise(text: str, *, languages: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """Personal data with a shape, and private keys, in a text.

    The time taken grows with the length of the text and no faster. A value that was found once, by the words around
    it, is found everywhere in the text. Characters that do not show hide nothing.

    Args:
        text: Any text.
        languages: Its languages, as two letters (``de``, ``en``, ``es``, ``fr``; others are ignored); ``None`` to go
            by its function words. They say which countries' numbers are looked for without a word that names them.

    Returns:
        By place, none within another of its kind. Kinds are ``pii``, ``phi``, ``pci`` and ``secret``.
    """
    text, places = folded(text)
    words = words_of(text)
    known = languages_of(words) if languages is None else frozenset(languages)
    given = Given(text=text, words=words, languages=known)
    found = [*everything(_RULES, given), *ibans(given), *private_keys(text, detector="structured")]
    return unfolded(outermost([*found, *_again(text, found)]), places) if found else ()


def names_numbers(text: str) -> bool:
    """Whether a text has a word that may make somebody's of a short number, as ``cvv`` and ``born`` do, or a street.

    Without one, no number of up to four digits is found that has a word of letters behind it.
    """
    plain, _ = folded(text)
    given = Given(text=plain, words=words_of(plain), languages=frozenset())
    if not _NAMING.isdisjoint(given.words):
        return True
    return any(next(found_by(rule, given), None) is not None for rule in ADDRESSES)


def outermost(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by place, without those that lie within another of the same kind; of equals the surest."""
    kept: list[Finding] = []
    reached: dict[str, int] = {}
    for each in sorted(found, key=lambda each: (each.start, -each.end, -each.score)):
        if each.end > reached.get(each.kind, 0):
            kept.append(each)
            reached[each.kind] = each.end
    return tuple(kept)


def _again(text: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """Further places of values that were found: one walk over the text's words, whatever the number of values."""
    values: dict[str, dict[str, Finding]] = {}
    lengths: dict[str, set[int]] = {}
    for each in found:
        value = text[each.start : each.end]
        first = _TOKEN.search(value)
        if each.type in _NOT_REPEATED or len(value) < _REPEATED_CHARACTERS_MIN or first is None or first.start() > 2:
            continue
        values.setdefault(first.group(), {})[value] = each
        lengths.setdefault(first.group(), set()).add(len(value) * 4 + first.start())
    for match in _TOKEN.finditer(text):
        for coded in lengths.get(match.group(), ()):
            length, lead = divmod(coded, 4)
            start, end = match.start() - lead, match.start() - lead + length
            known = values[match.group()].get(text[start:end]) if start >= 0 and end <= len(text) else None
            if known is not None and not (text[end : end + 1].isalnum() or text[end : end + 1] in {"_", "("}):
                yield Finding(start=start, end=end, kind=known.kind, type=known.type, score=known.score)
