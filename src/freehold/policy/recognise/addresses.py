"""Where people live: streets with house numbers, and the postcode and town behind them."""

from __future__ import annotations

import re

from freehold.policy.recognise.rules import Rule, compiled, triggers

_NAME = r"[^\W\d_][\w.'’-]{0,24}"
_NAMES = rf"{_NAME}(?:[ ]{_NAME}){{0,4}}"
_CAP = r"[A-ZÀ-ÖØ-Þ][\w.'’-]{0,24}"
_TOWN = rf"{_CAP}(?:[ -]{_CAP}|[ ](?:am|an|der|im|bei|ob|sur|sous|la|le|les|de|del|en|in)(?![\w])){{0,5}}"
_TO_NEXT = r"(?:,?[ ]?\n[ ]{0,12}|,[ ]{0,3}|[ ]{1,3}|[ ]-[ ])"
_UNIT = (
    r"(?:apt|apartment|suite|ste|unit|flat|room|floor|fl|box|piso|puerta|esc(?:alera)?|planta|stiege|top|tür|étage|appt"
    r"|bât(?:iment)?|wohnung|p\.?\s?o\.?\sbox)"
)
_US_STATE = (
    r"(?:A[LKZREPA]|C[AOT]|D[EC]|F[LM]|G[AU]|HI|I[DLNA]|K[SY]|LA|M[EDAINSOTPH]|N[EVHJMYCD]|O[HKR]|P[AWR]|RI|S[CD]|T[NX]"
    r"|UT|V[TIA]|W[AVIY])"
)
_UK_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}"
_EIRCODE = r"[A-Z]\d[\dW][ ]?[A-Z0-9]{4}(?![^\W_])"

_EN_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Av|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Way"
    r"|Close|Crescent|Cres|Highway|Hwy|Parkway|Pkwy|Circle|Cir|Trail|Trl|Row|Walk|Mews|Gardens|Grove|Hill|Park|Plaza"
    r"|Alley|Bypass|Causeway|Cliffs?|Common|Corners?|Course|Cove|Creek|Crossing|Crossroad|Curve|Dale|Dam|Divide|Estates?"
    r"|Expressway|Extensions?|Falls|Ferry|Fields?|Flats?|Fords?|Forest|Forges?|Forks?|Fort|Freeway|Gateway|Glens?|Greens?"
    r"|Groves|Harbors?|Haven|Heights|Hills|Hollow|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Landing|Light|Loaf"
    r"|Locks?|Lodge|Loop|Mall|Manors?|Meadows?|Mills?|Mission|Motorway|Mountains?|Neck|Orchard|Oval|Overpass|Parks"
    r"|Parkways|Pass|Passage|Path|Pike|Pines?|Plains?|Points?|Ports?|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|Ridges?|River"
    r"|Roads|Route|Run|Shoals?|Shores?|Skyway|Springs?|Spurs?|Squares|Station|Stravenue|Stream|Streets|Summit|Throughway"
    r"|Trace|Track|Trafficway|Tunnel|Turnpike|Underpass|Unions?|Valleys?|Via|Viaduct|Views?|Villages?|Ville|Vista|Walks"
    r"|Wall|Ways|Wells?|Marg|Nagar|Ganj|Chowk|Circle|Zila|Sarani)"
)
_DE_STREET = (
    r"(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm|hof|steig|stieg|markt|chaussee|promenade|zeile|berg"
    r"|graben|kai|pfad|park|garten|gürtel|straße)"
)
_FR_STREET = (
    r"(?:rue|avenue|av\.|boulevard|bd\.?|blvd|chemin|place|impasse|allée|allee|quai|route|cours|square|passage|faubourg"
    r"|sentier|esplanade|promenade|cité|résidence)"
)
_ES_STREET = (
    r"(?i:(?:C[/.]|Cl/|Av/|C/\.?)[ ]?|(?:Calle|Avda\.?|Avd\.?|Av\.|Avenida|Plaza|Plza\.?|Pza\.?|Paseo|Pso\.?|Pº\.?|Camino|Cno\.?|Carretera|Ctra\.?"
    r"|Ronda|Rda\.?|Travesía|Urbanización|Urb\.?|Cuesta|Glorieta|Pasaje|Pje\.?|Vial|(?-i:Vía)|Cañada|Callejón|Alameda|Acceso"
    r"|Rambla|Rbla\.?|Carrer|Plaça|Sector|Polígono|Barrio|Colonia|Costanilla|(?-i:Av)),?[ ])"
)

_US_END = rf",?[ ]{{1,3}}{_US_STATE},?[ ]{{1,3}}\d{{5}}(?:-\d{{4}})?"
_CODE_END = rf"(?:,[ ]?|[ -]|\n)(?:{_UK_POSTCODE}|\d{{6}}|\d{{3}}[ ]\d{{3}})"

ADDRESSES = (
    Rule(
        type="ADDRESS",
        score=0.75,
        pattern=compiled(
            rf"(?<![\w.,/-])\d{{1,6}}(?:/\d{{1,4}})?[A-Za-z]?,?[ ](?:(?:[NSEW]\.?|North|South|East|West)[ ])?"
            rf"(?:{_CAP}[ ]){{1,4}}{_EN_STREET}s?(?![^\W_])\.?"
            rf"(?:{_TO_NEXT}(?i:{_UNIT})\.?[ ]?\#?[\w-]{{1,8}})?"
            rf"(?:{_TO_NEXT}{_TOWN}(?:{_US_END}|{_CODE_END})|{_TO_NEXT}{_EIRCODE}(?:[ ]{_TOWN})?)?"
        ),
    ),
    Rule(
        type="ADDRESS",
        score=0.8,
        pattern=compiled(
            rf"(?<![\w-])(?:(?:{_CAP}[- ]){{1,4}}(?:[A-ZÄÖÜ][\w.'-]{{1,30}})?|[A-ZÄÖÜ][\w.'-]{{1,30}})(?i:{_DE_STREET})"
            rf"[ ]\d{{1,3}}[ ]?[a-z]?(?:[-/]\d{{1,4}}){{0,3}}(?!\w)"
            rf"(?:{_TO_NEXT}(?i:{_UNIT})\.?[ ]?[\w-]{{1,8}})?(?:{_TO_NEXT}(?:[DA]-)?\d{{4,5}}[ ]{_TOWN})?"
        ),
    ),
    Rule(
        type="ADDRESS",
        score=0.8,
        pattern=compiled(
            rf"(?<![\w-])(?:Am|An[ ]der|An[ ]den|Im|In[ ]der|Auf[ ]der|Auf[ ]dem|Zum|Zur|Unter[ ]den|Hinter[ ]der)[ ]{_CAP}"
            rf"(?:[ ]{_CAP})?[ ]\d{{1,3}}[ ]?[a-z]?{_TO_NEXT}(?:[DA]-)?\d{{4,5}}[ ]{_TOWN}"
        ),
    ),
    Rule(
        type="ADDRESS",
        score=0.8,
        pattern=compiled(
            rf"(?<![\w-])\d{{1,4}}(?:[ ]?(?:bis|ter|quater|[A-D]))?,?[ ](?i:{_FR_STREET})[ ]{_NAMES}"
            rf"(?:{_TO_NEXT}\d{{5}}[ ]{_TOWN})?"
        ),
    ),
    Rule(
        type="ADDRESS",
        score=0.8,
        pattern=compiled(
            rf"(?<![\w-]){_ES_STREET}{_NAMES}(?:,?[ ](?:n[º°]\.?[ ]?|núm\.?[ ]?)?\d{{1,4}}(?!\d)(?:[ ]?-[ ]?\d{{1,4}})?|,?[ ]s/n)"
            rf"(?:(?:,[ ]?|[ ]|[ ]?-)(?:\d{{1,3}}[ºª°]?(?:[ ]?[A-Z](?!\w)|[ ](?i:izq|dcha|der)\.?)?(?!\d)"
            rf"|[A-Z](?:-\d{{1,3}})?(?!\w)|(?i:{_UNIT}|bajo|local)\.?[ ]?[A-Z0-9]{{0,4}}(?!\w))){{0,4}}"
            rf"(?:[ ]?{_TO_NEXT}(?:\d{{5}}[ ]{_TOWN}|{_TOWN},[ ]?\d{{5}}))?"
        ),
    ),
    Rule(
        type="ADDRESS",
        words=triggers("box apartado postfach postale"),
        pattern=compiled(
            r"(?<![\w])(?:P\.?[ ]?O\.?[ ]?Box|Apartado(?:[ ]de[ ]correos)?|Postfach|Boîte[ ]postale|B\.?P\.)[ ]\d{1,6}(?!\w)",
            re.IGNORECASE,
        ),
    ),
    Rule(
        type="POSTCODE",
        score=0.6,
        pattern=compiled(rf"(?<![\w-]){_UK_POSTCODE}(?![\w-])"),
        words=triggers("postcode address lives road street town shipto"),
    ),
)
"""Rules for postal addresses."""
