"""How people are reached: e-mail, telephone, handles, and addresses on the web that name a person."""

from __future__ import annotations

import re

from freehold.policy.recognise.rules import Rule, compiled, directly_after, near, triggers

_NO_HANDLES = triggers(
    # Annotations and tags of programming languages, at-rules of style sheets.
    "param params return returns throws throw see since author deprecated override todo media import charset keyframes"
    " supports namespace page layer property container include extend mixin function if else for each while use forward"
    " test beforeeach aftereach before after component autowired service repository controller entity table column id"
    " getmapping postmapping requestmapping pathvariable requestbody inject module injectable input output staticmethod"
    " classmethod dataclass pytest app router decorator abstractmethod cached_property nullable notnull type typedef"
    " example internal private public protected interface implements class constructor constant default brief details"
    " note warning code link inheritdoc bean value data getter setter builder all channel here everyone latest main"
    " master types babel angular vue"
)
_PHONE_WORDS = triggers(
    "phone phones telephone tel telefon telefonnummer rufnummer handy mobil mobile mobilfunk cell cellphone fax call"
    " teléfono telefono teléfonos móvil movil llamar llame llámame tfno tlf téléphone telephone portable"
    " joignable appeler appelez tél contact contacto kontakt whatsapp sms reachable reach dial erreichbar"
    " anrufen rückruf durchwahl telefax mobilnummer phonenumber callback hotline voicemail"
)
_PHONE_NEAR = near(
    r"(?:tele)?phon|tel\b|tél|tlf|tfno|telef|teléf|rufnummer|handy|m[oó]vil|mobil|cell|fax|call\s(?!ed|s)|llam|joignable|portable"
    r"|appel|whatsapp|sms\b|reach|dial|erreich|anruf|r[üu]ckruf|durchwahl|contact|kontakt|hotline|phone\s+number"
    r"|text(?:ing|ed)?\s|messages?\sto\b"
)
_OTHER_NUMBER = directly_after(
    r"order|orders|invoice|ticket|case|ref|reference|build|version|item|sku|part|serial|tracking|n|id|x|y|rechnung|bestellung"
    r"|auftrag|vorgang|artikel|commande|facture|dossier|pedido|factura|expediente|artículo|isbn|issn|ean"
)
_PLACE_BEHIND = r"(?=[ ]?[-(/][ ]?(?:Office|Fax|Mobile|Home|Cell|Work|Phone|Tel)(?![^\W_]))"
_ADDRESSED = re.compile(
    r"(?<!\w)(?:ping|asks?|dm|message|msg|contact|cc|handle|user\s?name|user|account|slack|telegram|insta(?:gram)?|twitter"
    r"|discord|signal|follow|mention|tag|reach|assign(?:ed\sto)?|reviewer|thanks|von|frage?|schreib|kontakt|pregunta|escribe"
    r"|avisa|demande|écris|contacte|talk|tell|write\sto)(?![^\W_])[^\n]{0,16}\Z",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"://[^\s/@]{0,40}\Z")
_EXTENSION = r"(?:[ ]?(?:x|ext\.?|poste|Durchwahl)[ ]?\d{1,6})?"
_DOMAIN = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}"


def _digits(value: str) -> int:
    return sum(each.isdigit() for each in value)


def _is_long_enough(value: str) -> bool:
    return 8 <= _digits(value) <= 19


def _is_national(value: str) -> bool:
    return 9 <= _digits(value) <= 13 and len(set(value)) > 3


def _is_handle(value: str) -> bool:
    return value[1:].lower().partition(".")[0] not in _NO_HANDLES


CONTACTS = (
    Rule(
        type="EMAIL",
        needs="@%",
        score=1.0,
        unless=_IN_URL,
        pattern=compiled(
            rf"(?<![\w.+%-])\w(?:[\w.+%'’~!\#-]{{0,62}}[\w+%-])?(?:@|%40){_DOMAIN}(?![\w-]|:[\w.~-]{{1,64}}/)"
        ),
    ),
    Rule(
        type="EMAIL",
        words=triggers("at arroba arobase"),
        pattern=compiled(
            rf"(?<![\w.+-])[\w.+-]{{1,64}}[ ]?[\[({{][ ]?(?:at|arroba|arobase)[ ]?[\])}}][ ]?"
            rf"(?:{_DOMAIN}|[\w-]{{1,63}}[ ]?[\[({{][ ]?(?:dot|punkt|punto|point)[ ]?[\])}}][ ]?[^\W\d_]{{2,24}})",
            re.IGNORECASE,
        ),
    ),
    Rule(
        type="PHONE",
        needs="+",
        score=0.9,
        check=_is_long_enough,
        pattern=compiled(rf"(?<![\w+])\+\(?\d(?:[ .\-/()\u00a0]{{0,3}}\d){{6,14}}{_EXTENSION}(?!\d)"),
    ),
    Rule(
        type="PHONE",
        score=0.9,
        check=_is_long_enough,
        pattern=compiled(
            rf"(?<![\w.+-])(?:(?:\+|00)?1[-. ]{{0,2}})?(?:\(\d{{3}}\)[ -]{{0,2}}|\d{{3}}[-. ])\d{{3}}[-. ]\d{{4}}"
            rf"{_EXTENSION}(?![\w-])"
        ),
    ),
    Rule(
        type="PHONE",
        score=0.8,
        check=_is_national,
        pattern=compiled(rf"(?<![\w.+-])\(0\d{{1,5}}\)[ ./-]{{0,2}}\d(?:[ ./-]?\d){{4,9}}{_EXTENSION}(?![\w-])"),
    ),
    Rule(
        type="PHONE",
        score=0.8,
        check=_is_national,
        unless=_OTHER_NUMBER,
        words=_PHONE_WORDS,
        pattern=compiled(rf"(?<![\w.+-])0\d(?:[ ./-]{{0,3}}\d){{7,12}}{_EXTENSION}(?![\w-])"),
    ),
    Rule(
        type="PHONE",
        languages=frozenset({"fr"}),
        context=_PHONE_NEAR,
        pattern=compiled(r"(?<![\w.+-])0[1-9](?:[ .\-\u00a0]\d{2}){4}(?![\w-])"),
    ),
    Rule(
        type="PHONE",
        context=_PHONE_NEAR,
        reach=28,
        pattern=compiled(
            rf"(?<![\w.+-])(?:\d{{10}}|[6-9]\d{{2}}[ ]?\d{{3}}[ ]?\d{{3}}|[6-9]\d{{2}}(?:[ ]\d{{2}}){{3}}"
            rf"|\(?\d{{2,5}}\)?(?:[ ./-]{{1,2}}\d{{2,8}}){{1,4}}){_EXTENSION}(?![\w-])"
        ),
        check=lambda value: 7 <= _digits(value) <= 13,
    ),
    Rule(
        type="PHONE",
        score=0.7,
        words=_PHONE_WORDS,
        pattern=compiled(r"(?<=,)\d{10}(?![\w.,-]\w)(?!\w)"),
    ),
    Rule(
        type="PHONE",
        score=0.6,
        check=lambda value: 7 <= _digits(value) <= 13,
        pattern=compiled(
            rf"(?:(?<=[^\W\d_][ ]\()\d{{10,11}}(?=\)))|(?<![\w.+-])\(?\d{{2,4}}\)?(?:[ -]?\d{{2,6}}){{1,3}}{_PLACE_BEHIND}"
        ),
    ),
    Rule(
        type="HANDLE",
        needs="@",
        score=0.6,
        context=_ADDRESSED,
        reach=32,
        check=_is_handle,
        pattern=compiled(r"(?:(?<=[\s(,;:\"'“>])|(?<![\s\S]))@[A-Za-z_](?:[\w.-]{1,38}\w)(?![\w@/(]|\.\w)"),
    ),
    Rule(
        type="URL_USER",
        needs=":",
        score=0.8,
        pattern=compiled(
            r"(?<![\w+.-])[a-z][a-z0-9+.-]{1,20}://(?P<v>[^\s/@:\"'<>]{1,64})(?::[^\s/@\"'<>]{0,128})?@", re.IGNORECASE
        ),
    ),
    Rule(
        type="URL_USER",
        needs=".",
        score=0.7,
        pattern=compiled(
            r"(?<![\w.-])(?:(?:www|m|[a-z]{2})\.)?(?:linkedin\.com/in|github\.com|gitlab\.com|twitter\.com|x\.com"
            r"|facebook\.com|instagram\.com|t\.me|tiktok\.com/@|xing\.com/profile|medium\.com/@|keybase\.io"
            r"|reddit\.com/u(?:ser)?|youtube\.com/@)/?(?P<v>[A-Za-z0-9_.-]{2,60})(?![\w/.-])",
            re.IGNORECASE,
        ),
    ),
)
"""Rules for what reaches a person."""
