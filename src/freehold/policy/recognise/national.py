"""Numbers that states give to people: social security, tax, identity cards, passports, licences.

Numbers of a country are looked for where the text is in its language or a word says so: without that, every table of
figures holds somebody's number.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from freehold.policy.recognise.checksums import (
    compact,
    dni,
    ean13,
    kvnr,
    luhn,
    mod11_nhs,
    nir,
    rvnr,
    steuer_id,
    verhoeff,
)
from freehold.policy.recognise.rules import Rule, compiled, near, triggers

_DE, _EN, _ES, _FR = (frozenset({each}) for each in ("de", "en", "es", "fr"))
_IS = r"(?:\s?(?:is|was|number|no\.?|nr\.?|n[º°o]\.?|nummer|número|numéro|card|lautet|ist|es|est|:|=|\#)){0,4}"
"""What stands between a word and its number."""
_GAP = r"[^\w\n]{0,6}"


def _is_ssn(value: str) -> bool:
    bare = compact(value)
    return len(bare) == 9 and bare[:3] not in {"000", "666"} and bare[3:5] != "00" and bare[5:] != "0000"


def _has_digits(value: str) -> bool:
    return sum(each.isdigit() for each in value) >= 4


def after(words: str, value: str) -> re.Pattern[str]:
    """A value directly behind a word, with nothing but filling words between them."""
    return compiled(rf"(?<![^\W_])(?:{words}){_GAP}{_IS}{_GAP}(?P<v>{value})(?!\w)", re.IGNORECASE)


def _called(kind: str, seen: str, words: str, value: str, *, check: Callable[[str], bool] | None = None) -> Rule:
    """A number directly behind what it is called. Without one of the words ``seen`` in the text it is not looked for."""
    return Rule(type=kind, words=triggers(seen), pattern=after(words, value), check=check)


UNITED_STATES = (
    Rule(
        type="SSN",
        needs="-",
        score=0.95,
        check=_is_ssn,
        pattern=compiled(r"(?<![\w.+-])(?<!\d[ ])\d{3}-\d{2}-\d{4}(?![\w-]|[ ]\d|\.\d)"),
    ),
    Rule(
        type="SSN",
        words=triggers("ssn social itin tin"),
        check=_is_ssn,
        context=near(r"ssn|social\s+security|itin|tax\s+id|tin\b"),
        pattern=compiled(r"(?<![\w.+-])\d{3}[ .-]?\d{2}[ .-]?\d{4}(?![\w-])"),
    ),
)

BRITAIN = (
    Rule(
        type="NATIONAL_ID",
        languages=_EN,
        trusts_context=True,
        check=lambda value: (
            value[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
            and value[0].upper() not in "DFIQUV"
            and value[1].upper() not in "DFIOQUV"
        ),
        context=near(r"national\s+insurance|nino\b|ni\s+n(?:umber|o)|insurance\s+number"),
        pattern=compiled(r"(?<![\w-])[A-Z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D](?![\w-])"),
    ),
    Rule(
        type="HEALTH_ID",
        kind="phi",
        words=triggers("nhs"),
        check=mod11_nhs,
        context=near(r"nhs"),
        pattern=compiled(r"(?<![\w.+-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w-])"),
    ),
)

GERMANY = (
    Rule(
        type="NATIONAL_ID",
        languages=_DE,
        check=rvnr,
        trusts_context=True,
        context=near(r"renten|sozialversicherung|rvnr|sv-?n|versicherungsnummer|versicherungs-?nr"),
        pattern=compiled(r"(?<![\w.-])\d{2}[ ]?\d{6}[ ]?[A-Z][ ]?\d{3}(?![\w-])"),
    ),
    Rule(
        type="NATIONAL_ID",
        languages=_DE,
        check=steuer_id,
        context=near(r"steuer|idnr|tin\b|tax"),
        pattern=compiled(r"(?<![\w.+-])\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}(?![\w-])"),
    ),
    Rule(
        type="HEALTH_ID",
        kind="phi",
        languages=_DE,
        check=kvnr,
        trusts_context=True,
        context=near(r"kvnr|krankenversich|versicherten|krankenkasse|gesundheitskarte"),
        pattern=compiled(r"(?<![\w.-])[A-Z][ ]?\d{9}(?![\w-])"),
    ),
    _called(
        "NATIONAL_ID",
        "personalausweis personalausweisnummer ausweis ausweisnummer perso aufenthaltstitel",
        r"Personalausweis(?:nummer|-?Nr\.?)?|Ausweis(?:nummer|-?Nr\.?)|Aufenthaltstitel",
        r"[A-Z0-9]{9,10}",
        check=_has_digits,
    ),
    _called(
        "NATIONAL_ID",
        "steuernummer finanzamt",
        r"Steuernummer|St\.?-?Nr\.?",
        r"\d{2,3}[/ ]\d{3}[/ ]\d{4,5}",
    ),
    _called(
        "NATIONAL_ID",
        "svnr sozialversicherungsnummer versicherungsnummer",
        r"SVNR|SV-?Nr\.?|(?:Sozial)?versicherungsnummer",
        r"\d{4}[ ]?\d{6}",
    ),
    Rule(
        type="NATIONAL_ID",
        needs="7",
        score=1.0,
        check=ean13,
        pattern=compiled(r"(?<![\w.-])756[.]?\d{4}[.]?\d{4}[.]?\d{2}(?![\w-])"),
    ),
)

SPAIN = (
    Rule(
        type="NATIONAL_ID",
        languages=_ES,
        check=dni,
        trusts_context=True,
        context=near(r"dni|nie\b|nif|documento|identi"),
        pattern=compiled(r"(?<![\w.-])(?:\d{1,2}\.?\d{3}\.?\d{3}|[XYZxyz][ -]?\d{7})[ -]?[A-Za-z](?![\w-])"),
    ),
    Rule(
        type="HEALTH_ID",
        kind="phi",
        words=triggers("nass afiliación afiliacion nuss seguridad"),
        context=near(r"nass|nuss|afiliaci[oó]n|seguridad\s+social"),
        pattern=compiled(r"(?<![\w.+-])\d{2}[ /-]?\d{6,8}[ /-]?\d{2}(?![\w-])"),
    ),
)

FRANCE = (
    Rule(
        type="NATIONAL_ID",
        languages=_FR,
        check=nir,
        trusts_context=True,
        context=near(r"s[ée]curit[ée]\s+sociale|nir\b|insee|immatriculation|n[°º]\s?ss|vitale|assur[ée]"),
        reach=90,
        pattern=compiled(
            r"(?<![\w.+-])[1-478][ .\u00a0]?\d{2}[ .\u00a0]?\d{2}[ .\u00a0]?(?:\d{2}|2[ABab])[ .\u00a0]?\d{3}[ .\u00a0]?\d{3}"
            r"(?:[ .\u00a0/-]{0,3}\d{2})(?![\w-])"
        ),
    ),
    _called(
        "NATIONAL_ID",
        "spi fiscal cni identité",
        r"num[ée]ro\s(?:fiscal|SPI)|SPI|CNI|carte\s(?:nationale\s)?d['’]identit[ée]",
        r"[0-9A-Z](?:[ ]?[0-9A-Z]){8,12}",
        check=_has_digits,
    ),
    _called("TAX_ID", "siren siret", r"SIREN|SIRET", r"\d{3}[ ]?\d{3}[ ]?\d{3}(?:[ ]?\d{5})?", check=luhn),
)

INDIA = (
    Rule(
        type="NATIONAL_ID",
        words=triggers("aadhaar aadhar uidai"),
        check=verhoeff,
        trusts_context=True,
        context=near("aadh?aar|aadhar|uid"),
        pattern=compiled(r"(?<![\w.+-])[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}(?![\w-])"),
    ),
    Rule(
        type="NATIONAL_ID",
        words=triggers("pan"),
        context=near(r"pan\b"),
        pattern=compiled(r"(?<![\w-])[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z](?![\w-])"),
    ),
)

DOCUMENTS = (
    _called(
        "PASSPORT",
        "passport passports reisepass reisepassnummer pass passnummer pasaporte passeport",
        r"passports?|Reisepass(?:nummer|-?Nr\.?)?|Pass(?:nummer|-?Nr\.?)|pasaportes?|passeports?",
        r"[A-Z0-9]{5,12}",
        check=_has_digits,
    ),
    _called(
        "DRIVER_LICENSE",
        "license licence licences führerschein führerscheinnummer conducir carnet carné permis dl",
        r"(?:driv(?:ing|ers?|er['’]s)\s?(?:licen[cs]e|permit)s?|DL|Führerschein(?:nummer|-?Nr\.?)?"
        r"|(?:permiso|carn[eé]t?)\sde\sconducir|permis\sde\sconduire)",
        r"[A-Z0-9][A-Z0-9-]{5,19}",
        check=_has_digits,
    ),
    _called(
        "NATIONAL_ID",
        "id identity identification taxpayer identidad identité identifikationsnummer nationalid",
        r"(?:national|identity|citizen|tax(?:payer)?|government)[\s_-]?(?:card|id(?:entification)?)"
        r"|documento\sde\sidentidad|pièce\sd['’]identité",
        r"[A-Z0-9][A-Z0-9 .-]{5,18}[A-Z0-9]",
        check=_has_digits,
    ),
)

NATIONAL = (*UNITED_STATES, *BRITAIN, *GERMANY, *SPAIN, *FRANCE, *INDIA, *DOCUMENTS)
"""Rules for numbers that states give."""
