"""Whether a value beside a key word is a secret, or stands for one: placeholders, code, and how random it looks."""

from __future__ import annotations

import math
import re
from collections import Counter

from freehold.policy.recognise.rules import triggers

_PLACEHOLDERS = triggers(
    "example sample dummy placeholder redacted hidden masked secret secrets"
    " mysecret my_secret my-secret password passwd pass mypassword my_password my-password p@ssw0rd pwd token"
    " mytoken my_token my-token apikey api_key api-key myapikey key mykey my_key my-key user username admin root test"
    " testing tests tester foo bar baz foobar qux quux string text value none null nil true false undefined default"
    " empty optional required invalid valid wrong incorrect correct unknown missing fake mock stub demo temp tmp todo abc"
    " abcd abcdef qwerty welcome 123 1234 12345 123456 1234567 12345678 123456789 1234567890 hello world"
    " insert replace your yours basic bearer digest negotiate auto manual env file prompt stdin plain sha256 sha512 md5"
    " bcrypt hmac rsa ecdsa ed25519 public private read write object number boolean int str bool bytes"
)
_PLACEHOLDER_PART = re.compile(
    r"^change[-_ ]?(?:me|it|this)[!.]?$|x{4,}|(?:^|[-_ .])x{3}(?:$|[-_ .])|\*{3,}|\.{3,}|…|•{2,}|-{4,}|_{4,}|y{4,}|z{4,}|0{8,}"
    r"|(?:^|[-_ .<{])(?:your|my|the|some|any|insert|replace|enter|change|dummy|fake|example|sample|placeholder|redacted|todo"
    r"|test|testing|invalid|wrong|mock|foo|bar)\d{0,4}(?:$|[-_ .>}])|[-_ ]here$|(?:key|token|secret|password|value)here$"
    r"|^<.*>$|^\[.*\]$|^%.*%$|^__.*__$",
    re.IGNORECASE,
)
_EXPANSION = re.compile(r"^\$|\$\{|\$\(|\{\{|<%|#\{|%\(|%[sdvq]$|process\.env|os\.environ|getenv|ENV\[")
_IDENTIFIER_PATH = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)+[?!]?|:{1,2}[A-Za-z][\w:]*")
_CODE = re.compile(r"[^\W\d][\w$.:>-]{0,79}[(\[+*]|[=!<>+*/]|[A-Z][A-Z_]{2,}\Z")
_NUMBERS = re.compile(r"\d+(?:\.\d+)+")
_PATH = re.compile(r"(?:\.{0,2}|~)/[\w.-]+/|https?://[^\s@]*\Z|[A-Za-z]:\\")
_PROSE = re.compile(r"\S+(?:\s\S+)+")
_KEY_WORD = re.compile(r"passw|passphrase|pwd|secret|token|credential|api[-_ ]?key", re.IGNORECASE)
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-z]{5}", re.IGNORECASE)
_SAME = re.compile(r"(.)\1*")


def entropy(value: str) -> float:
    """Shannon's entropy of a value's own characters, in bits a character; 0 for an empty one."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret, or takes it from elsewhere, instead of being one."""
    lowered = value.lower()
    return (
        lowered.strip("-_.!?\"' ") in _PLACEHOLDERS
        or _SAME.fullmatch(value) is not None
        or _PLACEHOLDER_PART.search(value) is not None
        or _EXPANSION.search(value) is not None
        or _PATH.match(value) is not None
        or _NUMBERS.fullmatch(value) is not None
        or lowered in "abcdefghijklmnopqrstuvwxyz0123456789"
    )


def is_code(value: str) -> bool:
    """Whether a bare value is an expression: a call, a path of names, an operation, a name in capitals."""
    return _IDENTIFIER_PATH.fullmatch(value) is not None or _CODE.match(value) is not None


def is_prose(value: str) -> bool:
    """Whether a value is several words, none of which mixes letters and digits."""
    return _PROSE.fullmatch(value) is not None and not any(is_mixed(word) for word in value.split())


def names_a_secret(value: str) -> bool:
    """Whether a value says what it should be (``user_password``), as names and hints do."""
    return _KEY_WORD.search(value) is not None


def is_drawn(value: str) -> bool:
    """Whether letters look drawn by lot: five consonants in a row, which words hardly have."""
    return _CONSONANTS.search(value) is not None


def digits_of(value: str) -> int:
    """How many digits a value has."""
    return sum(map(str.isdigit, value))


def is_mixed(value: str) -> bool:
    """Whether a value has digits beside letters, or capitals within small letters, as drawn ones have."""
    digits = any(each.isdigit() for each in value)
    letters = any(each.isalpha() for each in value)
    inner = value[1:]
    return (digits and letters) or (inner.lower() != inner and value.upper() != value)
