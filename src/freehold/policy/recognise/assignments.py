"""Names that are given a value: in code, configuration, JSON, shells, headers and prose; and what the name says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from freehold.policy.recognise.rules import triggers


class Promise(IntEnum):
    """What a name says of its value."""

    NOTHING = 0
    WEAK = 1
    """``key``, ``auth``, ``sid``: names of secrets and of much else."""
    TOKEN = 2
    LOGIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One value and how it was given.

    Attributes:
        start: Where the value starts in the text.
        value: As it is written, escapes too.
        promise: What its name says.
        quoted: Whether it stands in quotes.
        tight: Whether it follows a bare ``=`` directly, as shells, forms and ``.env`` files write it.
        alone: Whether it follows a colon and nothing follows it on its line, as in YAML.
        argument: Whether it is an argument behind another, and not assigned.
    """

    start: int
    value: str
    promise: Promise
    quoted: bool
    tight: bool = False
    alone: bool = False
    argument: bool = False


_HINT = re.compile(
    r"pass|pwd|kennwort|contrase|clave|mdp|token|secret|key|credential|auth|sid|session|cookie|bearer", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"(?<![\w$.-])(?P<name>[A-Za-z_$][\w.$-]{1,63})(?P<after>\\?[\"'`])?[\])]{0,2}[^\S\n]{0,32}"
    r"(?P<op>:=|=>|={1,3}|:|,|\((?=[\"']))[^\S\n]{0,32}(?:\[\s{0,8}(?=[\"']))?(?:(?:(?:new[ ])?[A-Za-z_][\w.\[\]]{0,39}\(){1,2}(?=[\"'`]))?"
    r"(?P<quote>\\?[\"'`])?"
)
_SPOKEN = re.compile(
    r"(?<![\w-])(?P<name>pass(?:word|phrase|code)|passwort|kennwort|contraseña|mot[ ]de[ ]passe|clave|token|api[ ]key)"
    r"[^\S\n]{0,2}(?:is|was|ist|lautet|es|est)?[^\S\n]{0,2}:?[^\S\n]{1,3}(?P<v>[^\s\"'`,;<>(){}\[\]]{6,256})",
    re.IGNORECASE,
)
_QUOTED = {quote: re.compile(rf"(?:[^\n{quote}\\]|\\[^\n]){{0,1024}}(?={quote})") for quote in "\"'`"}
_ESCAPED = re.compile(r"[^\n\\\"']{0,1024}(?=\\[\"'`])")
_BARE = re.compile(r"[^\s\"'`,;<>(){}\[\]|&\\]{1,1024}")
_NEXT = re.compile(r"\s{0,8},\s{0,8}(?P<quote>[\"'])")
_LIST_MAX = 32
_PARTS = re.compile(r"[A-Z]+(?![a-zà-ÿ])|[A-Z]?[a-zà-ÿ]+|[0-9]+")

_LOGINS = triggers("password passwords passwd passphrase passcode pwd passwort kennwort contraseña contrasena mdp")
_LOGINS_AT_END = triggers("pass pw clave userpass dbpass")
_TOKENS = triggers(
    "token tokens secret secrets apikey apikeys accesskey secretkey credential credentials authkey authtoken"
)
_WEAK = triggers("key keys auth authorization sid cookie bearer")
_KEY_OF = triggers(
    "api access auth secret private consumer client encryption encrypt signing sign master shared account application app"
    " license licence service deploy session storage ssh aes tsig webhook admin root oauth subscription integration write"
    " read ingest server fn function"
)
_ENDINGS = ("password", "passwd", "passwort", "token", "secret", "apikey", "passphrase", "secretkey", "accesskey")
_HARMLESS_ENDS = triggers(
    "id ids name names type types path paths file files filename url uri endpoint length len size format method methods"
    " fingerprint fingerprints expires expiry expiration expired field fields header headers prefix suffix count ttl age"
    " algorithm alg algorithms hash hashes digest error errors message messages label title hint policy provider providers"
    " param params regex pattern valid validator validation class column columns index mode scope scopes state status"
    " storage store manager service factory generator handler helper usage version date time timeout location code codes"
    " required min max"
)
_HARMLESS = triggers(
    "public pub encrypted crypted hashed hash fingerprint primary foreign sort partition cache row column object map"
    " keyboard author signature verifier forgot reset next page pagination continuation csrf"
)


def promise_of(name: str) -> Promise:
    """What a name says of its value, by its parts: ``db.userPassword``, ``X-Api-Key``, ``AWS_SECRET_ACCESS_KEY``."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    while parts and parts[-1].isdigit():
        parts.pop()
    if not parts or not _HARMLESS.isdisjoint(parts):
        return Promise.NOTHING
    if parts[-2:] in (["session", "id"], ["session", "key"], ["key", "auth"]):
        return Promise.TOKEN
    if parts[-1] in _HARMLESS_ENDS:
        return Promise.NOTHING
    if parts[-1] in _LOGINS_AT_END or any(part in _LOGINS or part.endswith(_ENDINGS[:3]) for part in parts):
        return Promise.LOGIN
    if any(part in _TOKENS or part.endswith(_ENDINGS) for part in parts):
        return Promise.TOKEN
    if any(second in {"key", "keys"} and first in _KEY_OF for first, second in pairwise(parts)):
        return Promise.TOKEN
    return Promise.NOTHING if _WEAK.isdisjoint(parts) else Promise.WEAK


def assignments(text: str) -> Iterator[Assignment]:
    """Every value whose name promises something, in the order of the text; of lists each value."""
    if _HINT.search(text) is None:
        return
    behind = 0
    for match in _ASSIGNED.finditer(text):
        name = match.group("name")
        if match.start() < behind or _HINT.search(name) is None or not (promise := promise_of(name)):
            continue
        for given in _values(text, match, promise):
            yield given
            if not given.quoted:  # what looks like an assignment within a bare value is a part of it
                behind = given.start + len(given.value)
    for match in _SPOKEN.finditer(text):
        promise = Promise.LOGIN if promise_of(match.group("name")) is Promise.LOGIN else Promise.TOKEN
        value = match.group("v").rstrip(".!?:")
        yield Assignment(start=match.start("v"), value=value, promise=promise, quoted=False)


def _is_tight(text: str, match: re.Match[str], value: re.Match[str]) -> bool:
    """Whether ``name=value`` is a shell's or a form's, and no argument by keyword of a call in code."""
    if match.group("op") != "=" or text[match.end("name") : match.end()].strip("\"'`") != "=":
        return False
    return match.group("name").isupper() or text[value.end() : value.end() + 1] not in {",", ")", "[", "(", "]", "}"}


def _values(text: str, match: re.Match[str], promise: Promise) -> Iterator[Assignment]:
    quote, operator, start = match.group("quote"), match.group("op"), match.end()
    shape = _BARE if quote is None else _ESCAPED if quote.startswith("\\") else _QUOTED[quote]
    value = shape.match(text, start)
    if value is None or not value.group():
        return
    if operator == "," and (quote is None or match.group("after") is None):
        return
    yield Assignment(
        start=start,
        value=value.group(),
        promise=promise,
        quoted=quote is not None,
        tight=_is_tight(text, match, value),
        alone=operator == ":" and text[value.end() : value.end() + 1] in {"", "\n", "\r"},
        argument=operator == ",",
    )
    if quote is None or "[" not in text[match.end("op") : start]:
        return
    end = value.end() + 1
    for _ in range(_LIST_MAX):
        following = _NEXT.match(text, end)
        value = _QUOTED[following.group("quote")].match(text, following.end()) if following else None
        if following is None or value is None:
            return
        yield Assignment(start=following.end(), value=value.group(), promise=promise, quoted=True)
        end = value.end() + 1
