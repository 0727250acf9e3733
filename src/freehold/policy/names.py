"""Which of a model's mentions are personal data, and where else in the text they stand. Pure.

The model marks more than is personal: a town, a house number, a word that is rare. It reads everything in small letters;
here capitals count. Towns and numbers count where they make an address, and what it takes for a number of a person
where it looks like one and a word in front says which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from freehold.domain.detect_ports import Mention
from freehold.domain.findings import Finding
from freehold.policy.recognise.languages import languages_of
from freehold.policy.recognise.rules import triggers, words_of
from freehold.policy.recognise.structured import outermost
from freehold.policy.scripts import names_in_other_scripts, other_script

NAMES_VERSION = "2"
"""Of these rules; records name it beside the model's. Raised whenever a finding may come out differently."""
DETECTOR = "names"

PERSON, ADDRESS, NUMBER, PHONE = "PERSON", "ADDRESS", "PERSONAL_NUMBER", "PHONE"

_TYPES = {
    "GIVEN_NAME": PERSON, "SURNAME": PERSON,
    "STREET_NAME": ADDRESS, "BUILDING_NUMBER": ADDRESS, "SECONDARY_ADDRESS": ADDRESS, "CITY": ADDRESS,
    "STATE": ADDRESS, "ZIP_CODE": ADDRESS,
    "TAX_ID": NUMBER, "GOVERNMENT_ID": NUMBER, "PASSPORT": NUMBER, "DRIVERS_LICENSE": NUMBER,
    "BANK_ACCOUNT": NUMBER, "ROUTING_NUMBER": NUMBER,
    "PHONE": PHONE,
}  # fmt: skip
"""What the model's words come to. Addresses of e-mail and the web have a shape and are not its business."""

ENOUGH = {PERSON: 0.25, ADDRESS: 0.25, NUMBER: 0.5, PHONE: 0.25}
"""From which score on a mention counts. A missed name costs more than one too many."""

_WORD = re.compile(r"[^\W\d_][\w'’.-]*")
_SENTENCE_START = re.compile(r"(?:^|[.!?]\s+|\n\s*)[\"'“„«(*#>-]{0,3}\s?([^\W\d_])")
_CASED_SHARE = 0.6
_NO_NAMES = triggers(
    "mr mrs ms miss mx dr prof sir madam herr frau fräulein mme mlle monsieur madame m. sr sra srta don doña señor señora"
    " dear hi hello hallo hola bonjour cher chère liebe lieber sehr patient paciente patientin rt fw fwd re cc bcc amp"
    " quot mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch"
    " donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves"
    " viernes sábado january february march july september october november december"
)
_NOT_WIDENED = triggers(
    "I The A An He She It We They You If In On At For And But Or Die Der Das Ein Eine Le La Les El Los"
    " Richterin Rechtsanwalt Rechtsanwältin Patentanwalt Notarin Klägerin Kläger Beklagte Doctor Doctora Docteur Judge"
)
ENOUGH_SMALL = 0.9
"""The same for a word in small letters where capitals mean something and nothing in front announces a name."""
ENOUGH_CAPITALS = 0.15
"""The same for two capitalised words within a sentence."""
ENOUGH_NOUN = 0.5
"""The same in languages that write every noun with a capital."""
_CUE = re.compile(
    r"(?<![^\W_])(?:from|to|cc|names?|nombre|apellidos?|nom|prénom|vorname|nachname|patient(?:in)?|paciente|kund(?:e|in)"
    r"|customer|cliente?|signed|by|contact|kontakt|contacto|médico|doctora?|docteur|dra?|mr|mrs|ms|mx|herr|frau|mme|m|sra?"
    r"|don|doña|employee|mitarbeiter(?:in)?|emplead[oa]|salariée?|registered to|personalakte|holder|titular|titulaire"
    r"|inhaber(?:in)?)[.:]?[\"'*]{0,3}[ \t]{1,3}$",
    re.IGNORECASE,
)
_CAPITAL_NOUNS = frozenset({"de"})
_CUE_REACH = 24
_CAPITAL = r"[A-ZÀ-ÖØ-ÞŁŚŻČŠŽ](?:[\w'’-]*[\w]|\.)?"
_SMALL = (
    r"(?:de la|de los|de las|de l['’]|del|de|du|des|von der|von dem|von|van der|van den|van|vom|zu|zur|ten|ter|y|e|da|dos"
    r"|di|al|el|bin|ibn|le|la)"
)
_TITLED = re.compile(
    r"(?<![^\W_])(?:Herrn?|Frau|Mr|Mrs|Ms|Mx|Mme|Mlle|Monsieur|Madame|Mademoiselle|Sra?|Srta|Don|Doña|Señora?|Dra?|Prof"
    r"|Richter(?:in)?|Rechtsanw[aä]lt(?:in)?|Patentanwalt|Notar(?:in)?|Ma[iî]tre|Doctora?|Docteur)\.?(?:[ ](?:Dr|Prof|med|jur|h\.c)\.)*[ ]"
    rf"(?P<v>{_CAPITAL}(?:[ ](?:{_SMALL}[ ])?{_CAPITAL}){{0,3}})"
)
_NAME_GAP = re.compile(rf"[ ,]{{0,2}}(?:{_SMALL}[ ]|[A-Z]\.[ ]?|-)?[ ]?")
_WIDENED_WORDS = 3
_NEXT_NAME = re.compile(rf"(?:[ ](?:{_SMALL}[ ])?|-)(?P<v>{_CAPITAL})(?![\w@/]|[.:]\w)")
_LAST_NAME = re.compile(rf"(?<![\w.@:/])(?P<v>{_CAPITAL})(?:,?[ ](?:{_SMALL}[ ])?|-)$")
_CAMEL = re.compile(r"[a-z]+[A-Z]\w*")
_UNIT = (
    r"(?:suite|ste|apt|apartment|unit|flat|studio|room|floor|fl|box|p\.?o\.? box|postbox|piso|puerta|planta|esc|escalera"
    r"|casa|edificio|portal|n[ºo°]|num|número|apto|stiege|top|tür|étage|appt|bât|wohnung|hausnr|nr)"
)
_ADDRESS_GAP = re.compile(rf"[\s,.;:/()º°#-]{{0,5}}(?:{_UNIT}\.?[\s#]{{0,3}})?", re.IGNORECASE)
_NUMBER_WORD = re.compile(
    r"(?<![^\W_])(?:passport|pass\b|passeport|pasaporte|reisepass|ausweis|licen[cs]|driv|führerschein|permis|permiso|carnet"
    r"|identity|identit|identid|national|social|insurance|sozialversicherung|sécurité|seguridad|ssn|tax|steuer|fiscal|nif"
    r"|nie\b|dni|nir\b|tin\b|itin|account|konto|compte|cuenta|bank|routing|sort code|patient|paciente|medical|health|mrn"
    r"|versicher|mutuelle|member|mitglied|employee|personal)",
    re.IGNORECASE,
)
_NUMBER_REACH = 48
_NO_NUMBER = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12,}|\d{1,6}[.,]\d{1,6}|97[89][\d -]{10,14}"
    r"|(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}.*|(?:CVE|ISBN|RFC|ISO|SKU)\b.*",
    re.IGNORECASE,
)
_NUMBER_DIGITS_MIN, _PHONE_DIGITS_MIN = 5, 7
_TOKEN = re.compile(r"[^\W_]+")
_REPEATED_MIN = 4
_OTHER_SCRIPT_SCORE = 0.5


def named(text: str, mentions: Sequence[Mention], *, addresses: Iterable[tuple[int, int]] = ()) -> tuple[Finding, ...]:
    """The personal data among a model's mentions, and further places of the same names.

    Args:
        text: What the model read.
        mentions: What it marked, by place.
        addresses: Where other detectors saw addresses: a town beside one belongs to it.

    Returns:
        By place, none within another.
    """
    cased = is_cased(text)
    nouns = languages_of(words_of(text)) == _CAPITAL_NOUNS
    found: list[Finding] = []
    parts: list[Mention] = []
    for each in mentions:
        kind = _TYPES.get(each.type)
        if kind is None or each.score < _enough(text, each, kind, cased=cased, nouns=nouns):
            continue
        if kind == PERSON:
            place = _name(text, each, cased=cased)
            if place is not None:
                found.append(_finding(*place, PERSON, each.score))
        elif kind == ADDRESS:
            parts.append(each)
        elif _is_number(text, each, kind):
            found.append(_finding(each.start, each.end, kind, each.score))
    found = [*_people(text, found, cased=cased), *_addresses(text, parts, addresses)]
    found += repeated(text, names_in(text, found))
    return outermost(found)


def of_other_scripts(text: str) -> list[Finding]:
    """What may be a name in letters that the model was never measured on; nothing where a longer part is in them."""
    if other_script(text):
        return []
    return [_finding(start, end, PERSON, _OTHER_SCRIPT_SCORE) for start, end in names_in_other_scripts(text)]


def _enough(text: str, mention: Mention, kind: str, *, cased: bool, nouns: bool) -> float:
    """From which score on a mention counts: less for two capitalised words where capitals mean something."""
    if kind != PERSON or not cased:
        return ENOUGH[kind]
    if nouns and not _CUE.search(text, max(0, mention.start - _CUE_REACH), mention.start):
        return ENOUGH_NOUN
    place = _widened(text, mention.start, mention.end) if text[mention.start].isupper() else (0, 0)
    whole = text[place[0] : place[1]]
    return ENOUGH_CAPITALS if " " in whole and not _starts_sentence(text, place[0]) else ENOUGH[kind]


def _people(text: str, found: Sequence[Finding], *, cased: bool) -> Iterator[Finding]:
    """Names whole: those of titles too, and with the words between and beside their parts."""
    people = [each for each in found if each.type == PERSON]
    people += [
        _finding(*match.span("v"), PERSON, 0.9) for match in _TITLED.finditer(text) if _is_capital(match.group("v"))
    ]
    people.sort(key=lambda each: (each.start, -each.end))
    current: Finding | None = None
    for each in people:
        if current is not None and (each.start <= current.end or _NAME_GAP.fullmatch(text, current.end, each.start)):
            end, score = max(current.end, each.end), max(current.score, each.score)
            current = _finding(current.start, end, PERSON, score)
            continue
        if current is not None:
            yield current if not cased else _finding(*_widened(text, current.start, current.end), PERSON, current.score)
        current = each
    if current is not None:
        yield current if not cased else _finding(*_widened(text, current.start, current.end), PERSON, current.score)
    yield from (each for each in found if each.type != PERSON)


def is_cased(text: str) -> bool:
    """Whether a text writes capitals where they belong, so that a word without one is no name."""
    starts = _SENTENCE_START.findall(text)
    letters = [each for each in starts if each.isupper() or each.islower()]
    return bool(letters) and sum(map(str.isupper, letters)) >= _CASED_SHARE * len(letters)


def _finding(start: int, end: int, kind: str, score: float) -> Finding:
    return Finding(start=start, end=end, kind="pii", type=kind, score=min(1.0, score), detector=DETECTOR)


def _name(text: str, mention: Mention, *, cased: bool) -> tuple[int, int] | None:
    """The words of a mention from the first to the last that may be of a name; ``None`` if there is none."""
    if text[max(0, mention.start - 1) : mention.start] in ("@", "#", "_", "/"):
        return None  # of an account, a tag or a path
    cued = _CUE.search(text, max(0, mention.start - _CUE_REACH), mention.start) is not None
    strict = cased and not cued and mention.score < ENOUGH_SMALL
    words = [
        match
        for match in _WORD.finditer(text, mention.start, mention.end)
        if _may_be_name(match.group(), strict=strict)
    ]
    return (words[0].start(), words[-1].end()) if words else None


def _may_be_name(word: str, *, strict: bool) -> bool:
    bare = word.rstrip(".-'’")
    if bare.lower() in _NO_NAMES or _CAMEL.fullmatch(bare):
        return False
    return not (strict and bare[:1].islower())


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """A name with the capitalised words beside it: ``Torres`` in ``Daniel Torres Lagares``."""
    for _ in range(_WIDENED_WORDS):
        behind = _NEXT_NAME.match(text, end)
        if behind is None or not _is_capital(behind.group("v")):
            break
        end = behind.end("v")
    for _ in range(_WIDENED_WORDS):
        before = _LAST_NAME.search(text, max(0, start - 40), start)
        if before is None or not _is_capital(before.group("v")) or _starts_sentence(text, before.start("v")):
            break
        start = before.start("v")
    return start, end


def _is_capital(word: str) -> bool:
    return word.rstrip(".-'’").lower() not in _NO_NAMES and word not in _NOT_WIDENED


def _starts_sentence(text: str, place: int) -> bool:
    before = text[max(0, place - 3) : place].rstrip(" \"'“(>*")
    return not before or before[-1] in ".!?\n"


def _is_number(text: str, mention: Mention, kind: str) -> bool:
    value = text[mention.start : mention.end]
    digits = sum(map(str.isdigit, value))
    if kind == PHONE:
        return digits >= _PHONE_DIGITS_MIN and not _NO_NUMBER.fullmatch(value)
    if digits < _NUMBER_DIGITS_MIN or _NO_NUMBER.fullmatch(value) or _is_within_hex(text, mention):
        return False
    return _NUMBER_WORD.search(text, max(0, mention.start - _NUMBER_REACH), mention.start) is not None


def _is_within_hex(text: str, mention: Mention) -> bool:
    """Whether it is a part of a longer identifier that machines make."""
    before = text[max(0, mention.start - 1) : mention.start]
    after = text[mention.end : mention.end + 1]
    return before in ("-", "_", "/") or after in ("-", "_")


def _addresses(text: str, parts: Sequence[Mention], known: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """Parts of addresses that stand together, with one that says where in a town somebody lives."""
    spans = [(start, end, "STREET_NAME", 1.0) for start, end in known]
    spans += [(each.start, each.end, each.type, each.score) for each in parts]
    spans.sort()
    group: list[tuple[int, int, str, float]] = []
    for span in spans:
        if group and not _ADDRESS_GAP.fullmatch(text, max(each[1] for each in group), max(span[0], group[-1][1])):
            yield from _address(group)
            group = []
        group.append(span)
    yield from _address(group)


def _address(group: Sequence[tuple[int, int, str, float]]) -> Iterator[Finding]:
    kinds = {kind for _, _, kind, _ in group}
    if len(kinds) >= 2 and kinds & {"STREET_NAME", "ZIP_CODE", "SECONDARY_ADDRESS"}:
        start, end = group[0][0], max(each[1] for each in group)
        yield _finding(start, end, ADDRESS, max(each[3] for each in group))


def names_in(text: str, found: Iterable[Finding]) -> dict[str, float]:
    """Names that were found in ``text`` by this detector, with their scores."""
    people = (each for each in found if each.type == PERSON and each.detector == DETECTOR)
    return {text[each.start : each.end]: each.score for each in people if each.end - each.start >= _REPEATED_MIN}


def repeated(text: str, names: Mapping[str, float]) -> Iterator[Finding]:
    """Every place of known names, whatever their number in one walk over the words of ``text``."""
    by_word: dict[str, list[str]] = {}
    for name in names:
        if (first := _TOKEN.match(name)) is not None:
            by_word.setdefault(first.group(), []).append(name)
    if not by_word:
        return
    for word in _TOKEN.finditer(text):
        for name in by_word.get(word.group(), ()):
            end = word.start() + len(name)
            if text.startswith(name, word.start()) and not text[end : end + 1].isalnum():
                yield _finding(word.start(), end, PERSON, names[name])
