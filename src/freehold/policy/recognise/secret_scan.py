"""Secrets in a text: keys, tokens and passwords, found by what they look like and by the name they are given to.

A value by itself is never judged by how random it looks: hashes and identifiers look just so. Beside a key word it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freehold.domain.findings import Finding
from freehold.policy.recognise.assignments import Assignment, Promise, assignments
from freehold.policy.recognise.folding import folded, unfolded
from freehold.policy.recognise.keys import private_keys
from freehold.policy.recognise.secret_rules import FORMATS, PROVIDERS, SecretRule
from freehold.policy.recognise.secret_values import (
    digits_of,
    entropy,
    is_code,
    is_drawn,
    is_mixed,
    is_placeholder,
    is_prose,
    names_a_secret,
)
from freehold.policy.recognise.structured import outermost

SECRETS_VERSION = "2"
"""Of this set of rules; records name it. Raised whenever a finding may come out differently."""

_DETECTOR = "secrets"
_TOKEN_CHARACTERS_MIN, _LETTERS_MIN, _DIGITS_MIN, _WEAK_MIN, _LOGIN_MIN = 10, 16, 12, 20, 4
_DRAWN_DIGITS_MIN = 3
_SHORT_ENTROPY_MIN, _ENTROPY_MIN, _WEAK_ENTROPY_MIN = 2.6, 3.0, 3.5
_JWK_CONTEXT = re.compile(r"jwk|\bkty\b|\bcrv\b", re.IGNORECASE)
_JWK_MEMBER = re.compile(
    r"(?<![\w$.])\\?[\"']?(?:d|p|q|dp|dq|qi|k)\\?[\"']?\s{0,4}:\s{0,4}\\?[\"'](?P<v>[A-Za-z0-9_-]{20,2048})(?![A-Za-z0-9_-])"
)
_KEY_MEMBER = re.compile(
    r"(?<![\w$.])\\?[\"']?[a-z]{1,2}\\?[\"']?\s{0,4}:\s{0,4}\\?[\"'](?P<v>[A-Za-z0-9_-]{40,2048})(?![A-Za-z0-9_-])"
)
_BETWEEN_MEMBERS_MAX, _ROW_MIN = 40, 3


def secrets(text: str) -> tuple[Finding, ...]:
    """Secrets in a text, by place, none within another. The time taken grows with its length and no faster.

    Placeholders, names of variables, calls and references to an environment are none. ``type`` is the rule's name.
    """
    text, places = folded(text)
    found = [*private_keys(text, detector=_DETECTOR), *_jwk(text)]
    found.extend(
        _finding(each.start, each.start + len(each.value), each.promise.name, 0.8)
        for each in assignments(text)
        if _is_secret(each)
    )
    for rule in (*PROVIDERS, *FORMATS):
        found.extend(_shaped(rule, text))
    return unfolded(outermost(found), places)


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
    if _JWK_CONTEXT.search(text) is not None:
        for match in _JWK_MEMBER.finditer(text):
            if is_mixed(match.group("v")) and not is_placeholder(match.group("v")):
                yield _finding(*match.span("v"), "JWK", 0.95)
    row: list[re.Match[str]] = []
    for match in _KEY_MEMBER.finditer(text):
        if row and match.start() - row[-1].end() > _BETWEEN_MEMBERS_MAX:
            yield from _row_of_members(row)
            row = []
        row.append(match)
    yield from _row_of_members(row)


def _row_of_members(row: list[re.Match[str]]) -> Iterator[Finding]:
    """Long members in a row, named by a letter or two: a private key of which the part that says so was cut off."""
    if len(row) >= _ROW_MIN and all(is_mixed(match.group("v")) for match in row):
        for match in row:
            yield _finding(*match.span("v"), "JWK", 0.8)


def _is_secret(given: Assignment) -> bool:
    value = given.value
    if is_placeholder(value) or names_a_secret(value) or is_prose(value):
        return False
    if not given.quoted and is_code(value):
        return False
    if given.promise is Promise.LOGIN and not given.argument:
        return _is_password(given)
    if given.promise is Promise.WEAK or given.argument:
        looks_drawn = digits_of(value) >= _DRAWN_DIGITS_MIN or is_drawn(value)
        return looks_drawn and len(value) >= _WEAK_MIN and " " not in value and entropy(value) >= _WEAK_ENTROPY_MIN
    return _is_token(given)


def _is_token(given: Assignment) -> bool:
    value = given.value
    if value.startswith("{"):  # an object in JSON as a token, in one string
        value = value.replace(" ", "")
    if " " in value or len(value) < _TOKEN_CHARACTERS_MIN:
        return False
    firm = given.quoted or given.tight
    entropy_min = _ENTROPY_MIN if len(value) >= _WEAK_MIN else _SHORT_ENTROPY_MIN
    if value.isdigit():
        return firm and len(value) >= _DIGITS_MIN and entropy(value) >= _SHORT_ENTROPY_MIN
    if digits := digits_of(value):
        return (firm or digits >= _DRAWN_DIGITS_MIN) and is_mixed(value) and entropy(value) >= entropy_min
    return firm and len(value) >= _LETTERS_MIN and is_drawn(value) and entropy(value) >= _ENTROPY_MIN


def _is_password(given: Assignment) -> bool:
    value = given.value
    if len(value) < _LOGIN_MIN or " " in value:
        return False
    if given.quoted or given.tight:
        return True
    return (is_mixed(value) and digits_of(value) > 0) or (given.alone and value.islower() and len(value) > _LOGIN_MIN)
