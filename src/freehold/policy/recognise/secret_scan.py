"""Secrets in a text: keys, tokens and passwords, found by what they look like and by the word they are assigned to.

A value by itself is never judged by how random it looks: hashes and identifiers look just so. Beside a key word it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.domain.findings import Finding
from freehold.policy.recognise.keys import private_keys
from freehold.policy.recognise.secret_rules import FORMATS, PROVIDERS, SecretRule
from freehold.policy.recognise.secret_values import entropy, is_code, is_mixed, is_placeholder, is_words
from freehold.policy.recognise.structured import outermost

SECRETS_VERSION = "1"
"""Of this set of rules; records name it. Raised whenever a finding may come out differently."""

_DETECTOR = "secrets"
_LOGIN_WORDS = r"pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contrase[nñ]a|clave|mot_?de_?passe|mdp"
_KEY_WORDS = (
    r"token|secret|api_?-?key|apikey|access_?-?key|auth_?-?key|key_?-?auth|private_?-?key|secret_?-?key|consumer_?-?key"
    r"|encryption_?-?key|signing_?-?key|master_?-?key|shared_?-?key|account_?-?key|application_?-?key|app_?-?key|client_?-?key"
    r"|license_?-?key|credentials?|session_?-?id|sid|oauth_[a-z_]{1,24}|auth|authorization|cookie|verifier|hmac|signature|key"
)
_NAME = re.compile(
    rf"(?<![\w])(?P<name>[\w.-]{{0,48}}?(?:(?P<pass>{_LOGIN_WORDS})|(?P<tok>{_KEY_WORDS}))(?:_?-?[A-Za-z0-9]{{0,12}}))(?![\w])"
    r"(?P<op>(?:\\?[\"'`])?\]?\)?\s{0,4}(?::=|=>|===?|=|:|,)\s{0,4})"
    r"(?P<quote>\\?[\"'`])?",
    re.IGNORECASE,
)
_QUOTED = {quote: re.compile(rf"[^\n{quote}]{{0,2048}}(?={quote})") for quote in "\"'`"}
_ESCAPED = re.compile(r"[^\n\\]{0,2048}(?=\\[\"'])")
_BARE = re.compile(r"[^\s\"'`,;<>(){}\[\]|]{1,2048}")
_JWK_CONTEXT = re.compile(r"\bjwk|\bkty\b|\"crv\"|\bcrv:|\bJWK", re.IGNORECASE)
_JWK_MEMBER = re.compile(
    r"(?<![\w$.])[\"']?(?:d|p|q|dp|dq|qi|k)[\"']?\s{0,4}:\s{0,4}[\"'](?P<v>[A-Za-z0-9_-]{20,2048})[\"']"
)


def secrets(text: str) -> tuple[Finding, ...]:
    """Secrets in a text, by place, none within another. The time taken grows with its length and no faster.

    Placeholders, names of variables, calls and references to an environment are none. ``type`` is the rule's name.
    """
    found = [*private_keys(text, detector=_DETECTOR), *_jwk(text), *_assigned(text)]
    for rule in (*PROVIDERS, *FORMATS):
        found.extend(_shaped(rule, text))
    return outermost(found)


def _finding(start: int, end: int, name: str, score: float) -> Finding:
    return Finding(start=start, end=end, kind="secret", type=name, score=score, detector=_DETECTOR)


def _shaped(rule: SecretRule, text: str) -> Iterator[Finding]:
    if not any(piece in text for piece in rule.needs):
        return
    for match in rule.pattern.finditer(text):
        start, end = match.span("v") if "v" in rule.pattern.groupindex else match.span()
        value = text[start:end]
        if (rule.check is None or rule.check(value)) and (not rule.entropy or entropy(value) >= rule.entropy):
            yield _finding(start, end, rule.id, 0.9)


def _jwk(text: str) -> Iterator[Finding]:
    """Private members of keys in JSON (RFC 7517, 7518): ``d`` and the primes of RSA, ``k`` of symmetric ones."""
    if _JWK_CONTEXT.search(text) is None:
        return
    for match in _JWK_MEMBER.finditer(text):
        if is_mixed(match.group("v")) and not is_placeholder(match.group("v")):
            yield _finding(*match.span("v"), "JWK", 0.95)


def _assigned(text: str) -> Iterator[Finding]:
    """Values given to a name that holds a key word."""
    for match in _NAME.finditer(text):
        start = match.end()
        quote = match.group("quote")
        shape = _BARE if quote is None else _ESCAPED if quote.startswith("\\") else _QUOTED[quote]
        value = shape.match(text, start)
        if value is None or not value.group():
            continue
        is_password = match.group("pass") is not None
        if _is_secret(value.group(), match, is_password=is_password, quoted=quote is not None):
            yield _finding(start, value.end(), "PASSWORD" if is_password else "TOKEN", 0.8)


def _is_secret(value: str, match: re.Match[str], *, is_password: bool, quoted: bool) -> bool:
    if is_placeholder(value) or is_words(value) or (" " in value.strip() and not is_mixed(value)):
        return False
    if not quoted and (is_code(value) or not {"=", ":"} & set(match.group("op"))):
        return False
    if is_password:
        return _is_password(value, quoted=quoted, shell=match.group("op") == "=")
    return len(value) >= 12 and is_mixed(value) and " " not in value and entropy(value) >= 3.0


def _is_password(value: str, *, quoted: bool, shell: bool) -> bool:
    if len(value) < 4 or " " in value:
        return False
    return quoted or shell or is_mixed(value)
