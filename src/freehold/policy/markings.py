"""What documents say of themselves: ``Classification: Confidential``, ``STRENG VERTRAULICH``, ``TLP:AMBER``, MIP labels.

A marking only raises. Nobody can tell here whether a line is the document's own, quoted, code, or a question about
markings; all of them count, and the worst of a wrong guess is that a text stays nearer. What cannot be read is taken for
``UNLABELLED``, never refused.

Words are those of English, German, Spanish and French house rules and of the Traffic Light Protocol 2.0 (FIRST, 2022).
MIP is Microsoft Purview Information Protection: a label is a GUID, in file and mail properties as
``MSIP_Label_<guid>_<attribute>``; what a GUID means only its tenant knows, so that it comes from the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.zones import ZoneTree
from freehold.policy.labelling import UNLABELLED
from freehold.policy.lattice import join
from freehold.policy.pieces import any_of
from freehold.policy.text import parse_label

ORIGIN = "marking"
"""Of sources that a text's own markings are."""

UNKNOWN_MIP = "mip:unknown"
"""The rule of a MIP label that the configuration does not name. Its GUID is whatever somebody wrote, and not recorded."""

_RESTRICTED, _CONFIDENTIAL, _INTERNAL = Level.RESTRICTED, Level.CONFIDENTIAL, Level.INTERNAL

WORDS: Mapping[str, Level] = {
    # English
    "top secret": _RESTRICTED,
    "strictly confidential": _RESTRICTED,
    "highly confidential": _RESTRICTED,
    "restricted": _RESTRICTED,
    "secret": _RESTRICTED,
    "company confidential": _CONFIDENTIAL,
    "company-confidential": _CONFIDENTIAL,
    "commercial in confidence": _CONFIDENTIAL,
    "private and confidential": _CONFIDENTIAL,
    "confidential": _CONFIDENTIAL,
    "internal use only": _INTERNAL,
    "for internal use only": _INTERNAL,
    "internal": _INTERNAL,
    # German
    "streng vertraulich": _RESTRICTED,
    "streng geheim": _RESTRICTED,
    "geheim": _RESTRICTED,
    "vs-vertraulich": _RESTRICTED,
    "vs-nfd": _CONFIDENTIAL,
    "vs-nur für den dienstgebrauch": _CONFIDENTIAL,
    "nur für den dienstgebrauch": _CONFIDENTIAL,
    "vertraulich": _CONFIDENTIAL,
    "nur für den internen gebrauch": _INTERNAL,
    "intern": _INTERNAL,
    # Spanish
    "estrictamente confidencial": _RESTRICTED,
    "altamente confidencial": _RESTRICTED,
    "alto secreto": _RESTRICTED,
    "secreto": _RESTRICTED,
    "reservado": _RESTRICTED,
    "confidencial": _CONFIDENTIAL,
    "uso interno": _INTERNAL,
    "interno": _INTERNAL,
    # French
    "strictement confidentiel": _RESTRICTED,
    "hautement confidentiel": _RESTRICTED,
    "très secret": _RESTRICTED,
    "tres secret": _RESTRICTED,
    "secret défense": _RESTRICTED,
    "diffusion restreinte": _RESTRICTED,
    "confidentiel": _CONFIDENTIAL,
    "usage interne": _INTERNAL,
    "interne": _INTERNAL,
}
"""What the words of a marking stand for."""

_TLP = {"red": _RESTRICTED, "amber+strict": _CONFIDENTIAL, "amber": _CONFIDENTIAL, "green": _INTERNAL}

_PLAIN_WORDS = frozenset({"secret", "restricted", "internal", "geheim", "intern", "secreto", "reservado", "interno", "interne"})  # fmt: skip
"""Words of everyday texts too: alone on a line they are a marking only in capitals."""

_NECESSARY = (b"confiden", b"vertraulich", b"restrict", b"restreint", b"secret", b"geheim", b"reservado", b"tlp",
              b"vs-nfd", b"dienstgebrauch", b"msip_label_", b"mip:", b"freehold-label")  # fmt: skip
"""Pieces of which a text with a marking above ``internal`` has one, whatever its encoding leaves of other letters."""

_NECESSARY_INTERNAL = (b"intern",)
"""The same of one that says ``internal``, with ``tlp`` above."""

_ALL_NECESSARY = (*_NECESSARY, *_NECESSARY_INTERNAL)
_PIECES = tuple(piece.decode() for piece in _ALL_NECESSARY)
_HEADER = "freehold-label"

_WRITTEN_OTHERWISE = (*(b"\\u00%d" % row for row in range(2, 8)), b"\\u0130")
"""How JSON may write any plain letter, and the capital beyond ASCII that is taken for one."""

_LOOKED_FOR, _ALL_LOOKED_FOR = (*_NECESSARY, *_WRITTEN_OTHERWISE), (*_ALL_NECESSARY, *_WRITTEN_OTHERWISE)

_BLOCK_BYTES = 1024
_LONGEST_BYTES = max(map(len, _ALL_NECESSARY))

_INTERN = "intern"
_INTERN_WORD = re.compile(r"(?<!\w)intern(?:al|en|e|o)?(?!\w)")
"""Most words that begin so are others: international, internet."""

_BEFORE, _BEHIND = 80, 320
"""Characters of a line that are looked at around such a piece."""

_LEVEL = "|".join(re.escape(word).replace(r"\ ", r"[ \t_-]+") for word in sorted(WORDS, key=len, reverse=True))

_MARKING = re.compile(
    r"""
    (?P<header>\bfreehold-label["']?\s{0,3}[:=]\s{0,3}["']?(?P<said>[a-z][^\r\n"'\\]{0,300}))
    | (?:\bmsip_label_|\bmip:\s?)(?P<mip>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})
    | \btlp[:\s_-]{1,3}(?P<tlp>red|amber\+strict|amber|green)\b
    | \b(?:classification|sensitivity|security[ ]level|protective[ ]marking|confidentiality(?:[ ]level)?
        |data[ ]class|label|klassifi(?:zierung|kation)|einstufung|vertraulichkeit(?:sstufe)?|schutzklasse|schutzstufe
        |clasificaci[oó]n|confidencialidad|sensibilidad|confidentialit[eé]|sensibilit[eé]|niveau[ ]de[ ]diffusion)
        \b["'*_`)\]\s]{0,6}[:=]["'*_`(\[\s]{0,6}(?P<field>LEVEL)(?!\w)
    | (?<![\w\])])\[[ ]?(?P<tag>LEVEL)[ ]?\](?![(\[])
    | \b(?:document|page|report|memo|memorandum|file|message|e-?mail|dokument|bericht|nachricht|schreiben|documento|informe
        |mensaje|courriel|rapport)[ ](?:is|ist|es|est)[ ](?:\w{1,12}[ ])??(?P<said_so>LEVEL)(?!\w)
    """.replace("LEVEL", _LEVEL),
    re.IGNORECASE | re.VERBOSE,
)
_ALONE = re.compile(
    rf"(?:^|[|·•—–]|\s[-/]\s|\S {{2,}})[\W_]*(?P<alone>{_LEVEL})[\W_]*(?:$|[|·•—–]|\s[-/]\s| {{2,}}\S)", re.IGNORECASE
)
_SPACES = re.compile(r"[ \t_]+")


class Markings:
    """Finds markings in texts.

    Args:
        tree: The site's zones.
        mip: What MIP labels stand for, by GUID in lower case.
        unknown_mip: What any other one stands for.
    """

    def __init__(
        self, tree: ZoneTree, *, mip: Mapping[str, Label] | None = None, unknown_mip: Label | None = None
    ) -> None:
        self._tree = tree
        self._mip = {guid.lower(): label for guid, label in (mip or {}).items()}
        self._levels = {level: parse_label(level.word, tree) for level in Level}
        self._unknown_mip = unknown_mip or self._levels[_CONFIDENTIAL]

    def may_be_in(self, raw: bytes, *, floor: Level = Level.PUBLIC) -> bool:
        """Whether any marking above ``floor`` may be in ``raw``, texts as JSON or as they are; takes a microsecond.

        Args:
            raw: Encoded as UTF-8 or as JSON.
            floor: What the text is at least, whatever it says.
        """
        return any_of(pieces_above(floor))(raw)

    def of(self, texts: Iterable[str], *, floor: Level = Level.PUBLIC) -> tuple[LabelSource, ...]:
        """What the markings in ``texts`` ask for: one source for each kind of marking, in the order of their rules.

        Args:
            texts: In any order.
            floor: What they are at least, whatever they say. Markings of that level or below may be left out.
        """
        found: dict[str, Label] = {}
        pieces = _PIECES if floor < _INTERNAL else _PIECES[: len(_NECESSARY)]
        for text in texts:
            self._look(text, pieces, found)
        return tuple(LabelSource(origin=ORIGIN, rule=rule, label=label) for rule, label in sorted(found.items()))

    def _look(self, text: str, pieces: tuple[str, ...], found: dict[str, Label]) -> None:
        text = text.replace("\u0130", "I")  # the one letter whose lower case is two: places would not fit
        lowered = text.lower()
        seen: set[int] = set()
        for piece in _present(lowered, pieces):
            place = _next(lowered, piece, 0)
            while place >= 0:
                start = max(text.rfind("\n", 0, place) + 1, place - _BEFORE)
                end = text.find("\n", place)
                end = min(len(text) if end < 0 else end, place + (_BEHIND if piece == _HEADER else _BEFORE))
                if start not in seen:
                    seen.add(start)
                    self._look_at_line(text[start:end], found)
                place = _next(lowered, piece, max(end, place + 1))

    def _look_at_line(self, line: str, found: dict[str, Label]) -> None:
        for match in _MARKING.finditer(line):
            if (said := match["said"]) is not None:
                self._note(found, "marking:freehold-label", _read(said.strip(), self._tree))
            elif (guid := match["mip"]) is not None:
                guid = guid.lower()
                known = self._mip.get(guid)
                self._note(found, UNKNOWN_MIP if known is None else f"mip:{guid}", known or self._unknown_mip)
            elif (colour := match["tlp"]) is not None:
                colour = colour.lower()
                self._note(found, f"marking:tlp-{colour}", self._levels[_TLP[colour]])
            else:
                self._note_word(found, match["field"] or match["tag"] or match["said_so"])
        if (match := _ALONE.search(line)) is not None:
            word = match["alone"]
            if _plain(word) not in _PLAIN_WORDS or word.isupper():
                self._note_word(found, word)

    def _note_word(self, found: dict[str, Label], word: str) -> None:
        level = WORDS[_plain(word)]
        self._note(found, f"marking:{level.word}", self._levels[level])

    def _note(self, found: dict[str, Label], rule: str, label: Label) -> None:
        # Two texts may say two things by the same rule: a header of pasted mail may be any label.
        found[rule] = label if rule not in found else join(found[rule], label)


def pieces_above(floor: Level) -> tuple[bytes, ...]:
    """Of which one is in every text with a marking above ``floor``, encoded as UTF-8 or as JSON; for ``any_of``."""
    return _LOOKED_FOR if floor >= _INTERNAL else _ALL_LOOKED_FOR


def _present(lowered: str, pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``pieces`` that are in a text, in their order.

    A long text is looked at in blocks for all of them at once, and for one after the other only where one is.
    """
    if len(lowered) <= _BLOCK_BYTES:
        return tuple(piece for piece in pieces if piece in lowered)
    wanted = tuple(piece.encode() for piece in pieces)
    raw, is_any = lowered.encode(errors="replace"), any_of(wanted)
    found: set[bytes] = set()
    for start in range(0, len(raw), _BLOCK_BYTES) if is_any(raw) else ():
        block = raw[start : start + _BLOCK_BYTES + _LONGEST_BYTES]
        if is_any(block):
            found.update(piece for piece in wanted if piece not in found and piece in block)
    return tuple(piece.decode() for piece in wanted if piece in found)


def _next(lowered: str, piece: str, start: int) -> int:
    """Where a piece is next; -1 for nowhere."""
    place = lowered.find(piece, start)
    while place >= 0 and piece == _INTERN and _INTERN_WORD.match(lowered, place) is None:
        place = lowered.find(piece, place + 1)
    return place


def _plain(word: str) -> str:
    plain = _SPACES.sub(" ", word.lower())
    return plain if plain in WORDS else plain.replace("-", " ")


@lru_cache(256)
def _read(said: str, tree: ZoneTree) -> Label:
    try:
        return parse_label(said, tree)
    except LabelUnreadable:
        return UNLABELLED
