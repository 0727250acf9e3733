"""Whether a part of a text is in a language in which names were never looked for with a known result. Pure.

Recognisers and the model that marks names are measured in four languages (``MEASURED``). What they find in another one may
be anything, so a scan that was asked for names says where there is a part in one. Other scripts are told exactly
(``policy.scripts``). A language in Latin letters is told from forty words at a time, in two steps that must agree: few of
the words are the commonest of one of the four, and what tells languages apart (``domain.detect_ports.Teller``) gives the
four together less than one in ten. Code, tables and lists are no sentences and are not asked about; fewer words than
``WORDS_MIN`` say too little, and there the model looks for names as everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from freehold.domain.detect_ports import Teller
from freehold.policy.recognise.languages import FUNCTION_WORDS
from freehold.policy.recognise.rules import triggers
from freehold.policy.scripts import other_script

TONGUES_VERSION = "1"
"""Of these rules; records name it. Raised whenever a text may be told otherwise."""
MEASURED = ("en", "de", "es", "fr")
"""The languages that ``bench.detect.names`` has labelled texts in."""
WORDS_MIN = 16
"""Fewer are not told apart."""
ENOUGH = 0.9
"""From which probability on, of all languages but the measured ones together, a part is in one of those."""
COMMON_SHARE = 0.3
"""From which share of common words of one measured language on a part is in it, whatever else is in it."""
_WORDS_AT_ONCE = 40
_LETTERS_MIN = 80
_LETTERS_SHARE = 0.7
"""Of what stands in a part but spaces; in code and tables there is less."""
_SMALL_SHARE = 0.6
"""Of words in small letters: in lists of names and titles there are fewer."""
_NO_OTHER = frozenset({*MEASURED, "zxx", "pcm"})
"""With what is no language, and the English of Nigeria."""

_LETTERS = "[A-Za-z\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]{1,30}"
_WORD = re.compile(
    rf"(?<!\S)[\"'“”„‘‚«»(\[*_¿¡–—-]{{0,3}}(?P<v>{_LETTERS}(?:['’-]{_LETTERS}){{0,3}})[\"'”“’»)\]*_.,;:!?…–—-]{{0,4}}(?!\S)"
)
"""A word as it stands in a sentence: between spaces, with the marks of sentences about it and no others."""
_JOINT = re.compile("['’-]")
_MORE_COMMON = {
    "en": (
        "a in as i be not but can if there been would when who more about into no out up so than them only one were its"
        " may all also me do what just your how any some could should"
    ),
    "de": (
        "in an am war sind als es so noch nur man wenn dass daß kann werden wird sein seine einem eines durch bis um unter"
        " gegen keine kein vor zwischen hier mir mich dir"
    ),
    "es": (
        "de la que en a no un lo le sus fueron ser entre desde hasta cuando muy años ha han son era donde me te mi si o"
    ),
    "fr": "de la un en a est sont été ont plus être comme mais ses leur leurs qu d l n s c j dans entre fut si me te",
}
_COMMON = {name: FUNCTION_WORDS[name] | triggers(more) for name, more in _MORE_COMMON.items()}


def unmeasured(text: str, teller: Teller | None) -> str:
    """What a part of a text is in, if that is no measured language, in a word or two; empty where there is no such part.

    Args:
        text: Any text.
        teller: Tells languages apart; ``None`` to go by scripts alone.
    """
    if script := other_script(text):
        return f"{script} script"
    if teller is None:
        return ""
    for words in _parts(text):
        ranked = teller(words)
        others = [(name, chance) for name, chance in ranked if name not in _NO_OTHER]
        if sum(chance for _, chance in others) >= ENOUGH:
            return max(others, key=lambda each: each[1])[0]
    return ""


def missed_in(text: str, teller: Teller | None) -> str:
    """What to say of a text's names, where it has a part in a language that was not measured."""
    what = unmeasured(text, teller)
    known = ", ".join(MEASURED)
    return f"names were not looked for in a language that is not one of {known} ({what})" if what else ""


def _parts(text: str) -> Iterator[str]:
    """The words of every part that is in sentences and not plainly in a measured language."""
    words = list(_WORD.finditer(text))
    count = max(1, round(len(words) / _WORDS_AT_ONCE))
    for place in range(count):
        part = words[len(words) * place // count : len(words) * (place + 1) // count]
        if len(part) < WORDS_MIN:
            continue
        found = [word for match in part for word in _JOINT.split(match.group("v"))]
        if _is_known(small := [word.lower() for word in found]) or not _is_prose(text, part, found):
            continue
        yield " ".join(small)


def _is_known(words: Sequence[str]) -> bool:
    enough = COMMON_SHARE * len(words)
    return any(sum(word in common for word in words) >= enough for common in _COMMON.values())


def _is_prose(text: str, part: Sequence[re.Match[str]], words: Sequence[str]) -> bool:
    letters = sum(map(len, words))
    shown = sum(map(len, text[part[0].start() : part[-1].end()].split()))
    longer = [word for word in words if len(word) > 1]
    small = sum(word[0].islower() for word in longer)
    return letters >= _LETTERS_MIN and letters >= _LETTERS_SHARE * shown and small >= _SMALL_SHARE * len(longer)
