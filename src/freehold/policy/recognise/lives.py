"""Dates of birth, records of health, and vehicles."""

from __future__ import annotations

import re

from freehold.policy.recognise.national import after
from freehold.policy.recognise.rules import Rule, compiled, near, triggers

_MONTH = (
    r"(?:jan|feb|m[aä]r|a[pvb][rv]|ma[iy]|jun|jul|juin|juil|aug|ago|ao[uû]|sep|o[ck]t|nov|d[eiéc][czc]|ene|fév|fev|déc)"
    r"[a-zé]{0,8}\.?"
)
_DATE = (
    rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/. ]{{1,2}}\d{{1,2}}[-/. ]{{1,2}}(?:\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}(?:\.|st|nd|rd|th|er)?[ -](?:de[ ])?{_MONTH}[ ,-]{{1,2}}(?:de[l]?[ ])?\d{{4}}|{_MONTH}[ ]\d{{1,2}}(?:st|nd|rd|th)?,?[ ]\d{{4}})"
)
_PLATE_NEAR = near(
    r"vehicles?|cars?\b|vans?\b|trucks?|plates?|registration|registered|reg\b|kennzeichen|kfz|pkw|lkw|auto\b(?!\")|fahrzeug|wagen"
    r"|matr[ií]cula|coche|veh[ií]cul|furgoneta|immatricul|plaque|voiture|véhicule"
)
_PLATE_WORDS = triggers(
    "vehicle vehicles car cars van vans truck plate plates registration registered reg kennzeichen kfz pkw lkw auto"
    " fahrzeug wagen matrícula matricula coche vehículo vehiculo furgoneta immatriculé immatriculée immatriculation"
    " plaque voiture véhicule"
)
_NO_PLATE = re.compile(
    r"(?:SHA|MD|ISO|UTF|RFC|CVE|AES|DES|RSA|RTX|GTX|GPT|CPU|GPU|USB|HTTP|TCP|UDP|EU|US|DIN|EN|IEC|API)[ -]?\d"
)


def _has_digit(value: str) -> bool:
    return sum(each.isdigit() for each in value) >= 2 and _NO_PLATE.match(value) is None


LIVES = (
    Rule(
        type="DATE_OF_BIRTH",
        words=triggers(
            "born birth birthday birthdate dob geboren geb geburtsdatum geburtstag nacido nacida nacimiento né née"
            " naissance nacio nació"
        ),
        pattern=after(
            r"born(?:\son)?|(?:date\sof\s)?birth(?:\s?da(?:te|y))?|DOB|geb(?:oren|urtsdatum|urtstag)?\.?(?:\sam)?"
            r"|nacid[oa](?:\sel)?|(?:fecha\sde\s)?nacimiento|nació(?:\sel)?|née?(?:\sle)?|(?:date\sde\s)?naissance",
            _DATE,
        ),
    ),
    Rule(
        type="HEALTH_ID",
        kind="phi",
        words=triggers(
            "mrn medical patient patients record chart nhc cipa historia clínica episodio col colegiado patientennummer"
            " patienten fallnummer fall versichertennummer patientenid dossier medicare medicaid beneficiary ipp"
            " krankenversichertennummer healthplan member"
        ),
        pattern=after(
            r"MRN|medical\s(?:record|chart)|patient[\s_-]?(?:id|number|no\.?|record)|health\splan|member\sid|medicare"
            r"|medicaid|beneficiary(?:\sid)?|NHC|CIPA|(?:n[º°]\s?(?:de\s)?)?historia(?:\sclínica)?|episodio|n[º°]\s?col(?:egiado)?"
            r"|colegiado|Patienten(?:nummer|-?Nr\.?|-?ID)|Fall(?:nummer|-?Nr\.?)|Versicherten(?:nummer|-?Nr\.?)"
            r"|IPP|num[ée]ro\sde\s(?:dossier|patient)|dossier\s(?:médical\s)?n[°º]",
            r"(?:[A-Z]{1,4}[-/]?)?\d(?:[ -]?\d){3,14}(?:/\d{2})?",
        ),
    ),
    Rule(
        type="VEHICLE_PLATE",
        words=_PLATE_WORDS,
        context=_PLATE_NEAR,
        reach=40,
        check=_has_digit,
        pattern=compiled(
            r"(?<![\w.-])(?:[A-Z]{2}\d{2}[ ]?[A-Z]{3}|[A-Z]\d{1,3}[ ]?[A-Z]{3}|[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,3}[- ]?\d{1,4}[EH]?"
            r"|\d{4}[ -]?[A-Z]{3}|[A-Z]{2}[- ]?\d{3,4}[- ]?[A-Z]{2}|[A-Z]{1,2}-\d{4}-[A-Z]{1,2}"
            r"|[A-Z]{3}[- ]?\d{3,4}|\d{1,3}[- ]?[A-Z]{3}[- ]?\d{0,3}|[A-Z]{2}[ -]?\d{1,2}[ -]?[A-Z]{1,3}[ -]?\d{4}"
            r"|[A-Z]{1,3}[- ]\d{2,5}[A-Z]{0,2})(?![\w-])"
        ),
    ),
    Rule(
        type="VEHICLE_PLATE",
        languages=frozenset({"fr"}),
        context=_PLATE_NEAR,
        check=_has_digit,
        pattern=compiled(r"(?<![\w.-])[A-HJ-NP-TV-Z]{2}-\d{3}-[A-HJ-NP-TV-Z]{2}(?![\w-])"),
    ),
    Rule(
        type="VEHICLE_ID",
        words=triggers("vin fahrgestellnummer fin chassis bastidor châssis"),
        check=_has_digit,
        pattern=after(
            r"VIN|FIN|Fahrgestell(?:nummer|-?Nr\.?)|chassis|bastidor|châssis",
            r"[A-HJ-NPR-Z0-9]{17}",
        ),
    ),
)
"""Rules for births, health records and vehicles."""
