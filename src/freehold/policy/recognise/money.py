"""Payment cards and bank accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.domain.findings import Finding
from freehold.policy.recognise.checksums import IBAN_LENGTHS, compact, iban, luhn
from freehold.policy.recognise.rules import Given, Rule, compiled, near, triggers

_CARD_NEAR = near(
    r"card|karte|kreditkarte|tarjeta|carte|cc\b|visa|master|amex|maestro|diners|discover|pan\b|billed|charged?"
)
_CARD_START = re.compile(r"4|2131|1800|5[1-5]|2[2-7]|3[47]|3[0689]|35|6011|64[4-9]|65|62|50|5[6-8]|6[0-9]")
_ISSUED_LENGTHS = frozenset({14, 15, 16, 19})
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2})\d{2}(?=[ \u00a0.-]?[A-Z0-9])", re.IGNORECASE)
_IBAN_GROUPS = re.compile(r"(?:[ \u00a0]?[A-Z0-9]{4}){2,7}(?:[ \u00a0]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_IBAN_DIRECTLY = re.compile(r"IBAN[\s:#=\"'-]{0,6}(?:is|ist|es|est|lautet)?[\s:]{0,2}\Z", re.IGNORECASE)
_IBAN_REST = re.compile(r"(?:[ \u00a0.-]?[A-Za-z0-9]){11,30}")
_IBAN_NEAR = near(r"iban|konto|account|cuenta|compte|überweis|transfer|virement|bank")


def _is_card(value: str) -> bool:
    return len(compact(value)) in _ISSUED_LENGTHS and _may_be_card(value)


def _may_be_card(value: str) -> bool:
    return _CARD_START.match(compact(value)) is not None and luhn(value)


def ibans(given: Given) -> Iterator[Finding]:
    """IBANs, in groups or not, in capitals or not, as long as their country says.

    Mistyped ones, whose check digits do not hold, are found beside a word, those of a wrong length directly behind
    "IBAN".
    """
    text = given.text
    for match in _IBAN_START.finditer(text):
        start, length = match.start(), IBAN_LENGTHS.get(match.group(1).upper())
        if length is None:
            continue
        rest = _IBAN_REST.match(text, match.end())
        end = _end_of(text, start, rest.end(), length) if rest else None
        if end is not None and iban(text[start:end]):
            yield Finding(start=start, end=end, kind="pii", type="IBAN", score=1.0)
            continue
        if end is None or not text[start:end].isupper() or _IBAN_NEAR.search(text, max(0, start - 40), start) is None:
            loose = (
                _IBAN_GROUPS.match(text, match.end())
                if _IBAN_DIRECTLY.search(text, max(0, start - 24), start)
                else None
            )
            end = loose.end() if loose else None
        if end is not None:
            yield Finding(start=start, end=end, kind="pii", type="IBAN", score=0.6)


def _end_of(text: str, start: int, limit: int, length: int) -> int | None:
    """Where the ``length``-th letter or digit from ``start`` ends, if none follows it directly."""
    seen = 0
    for place in range(start, limit):
        seen += text[place].isalnum()
        if seen == length:
            end = place + 1
            return end if end == len(text) or not (text[end].isascii() and text[end].isalnum()) else None
    return None


MONEY = (
    Rule(
        type="CARD",
        kind="pci",
        score=1.0,
        check=_is_card,
        pattern=compiled(r"(?<![\w.+-])(?<!\d[ ,])\d(?:[ -]?\d){13,18}(?![\w-]|\.\d|,\d)"),
    ),
    Rule(
        type="CARD",
        kind="pci",
        check=_may_be_card,
        context=_CARD_NEAR,
        pattern=compiled(r"(?<![\w.+-])\d(?:[ -]?\d){11,18}(?![\w-]|\.\d|,\d)"),
    ),
    Rule(
        type="CARD_CODE",
        kind="pci",
        words=triggers("cvv cvc cvn csc kartenprüfnummer prüfziffer"),
        pattern=compiled(
            r"(?<![^\W_])(?:CVV2?|CVC2?|CVN|CSC|Kartenprüfnummer)(?![^\W_])[^\w\n]{0,4}(?:is|ist|es|est)?[^\w\n]{0,4}"
            r"(?P<v>\d{3,4})(?!\w)",
            re.IGNORECASE,
        ),
    ),
    Rule(
        type="BANK_ACCOUNT",
        words=triggers("account konto kontonummer cuenta compte routing sort"),
        pattern=compiled(
            r"(?<![^\W_])(?:(?:bank\s)?account\s(?:number|no\.?)|acct\.?\s(?:number|no\.?)|Kontonummer|Konto-?Nr\.?"
            r"|número\sde\scuenta|numéro\sde\scompte|routing\snumber|sort\scode)[^\w\n]{0,4}(?:is|ist|es|est)?"
            r"[^\w\n]{0,4}(?P<v>\d(?:[ -]?\d){5,17})(?!\w)",
            re.IGNORECASE,
        ),
    ),
)
"""Rules for cards and accounts without an IBAN."""
