"""What a recogniser is: a shape, a check, and what must be near; and how one is run over a text.

Every pattern here and in the modules of rules is bounded: no repetition without an upper limit stands where another
match could start inside it, so that the time taken grows with the length of the text and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from freehold.domain.findings import Finding

_UNLESS_REACH = 24
_WORD = re.compile(r"[A-ZÀ-ÖØ-Þ]{1,40}(?![a-zß-öø-ÿ])|[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One recogniser.

    Attributes:
        type: Of its findings.
        pattern: The shape. A group named ``v`` is the finding; without one the whole match is.
        kind: The label's kind that a finding asks for.
        score: How sure a finding is where its check or its context holds.
        needs: Characters one of which a text must hold for the pattern to be tried at all.
        words: Words one of which the text must hold, in small letters; none: no matter.
        check: Whether a value is one, by its checksum or its parts.
        context: What must stand within ``reach`` characters in front, unless one of ``languages`` is the text's.
        unless: What may not end directly in front of a finding: words that make it a number of something else.
        reach: How far in front, in characters.
        languages: Those in which the shape alone is enough, if ``check`` holds.
        trusts_context: Whether with the context in front a failed ``check`` does not matter: numbers are mistyped.
    """

    type: str
    pattern: re.Pattern[str]
    kind: str = "pii"
    score: float = 0.85
    needs: str = ""
    words: frozenset[str] = frozenset()
    check: Callable[[str], bool] | None = None
    context: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    reach: int = 48
    languages: frozenset[str] = frozenset()
    trusts_context: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A text, and what is known of it before any rule is tried.

    Attributes:
        text: As it was given.
        words: Its words in small letters, camel case taken apart.
        languages: Those that it seems to be in, as two letters.
    """

    text: str
    words: frozenset[str]
    languages: frozenset[str]


def words_of(text: str) -> frozenset[str]:
    """The words of a text in small letters; ``passportNumber`` is two. Latin letters only: triggers are Latin."""
    return frozenset(each.lower() for each in _WORD.findall(text))


def found_by(rule: Rule, given: Given) -> Iterator[Finding]:
    """What one rule finds, in the order of the text."""
    if rule.words and rule.words.isdisjoint(given.words):
        return
    if rule.needs and not any(each in given.text for each in rule.needs):
        return
    at_home = not rule.languages.isdisjoint(given.languages)
    for match in rule.pattern.finditer(given.text):
        start, end = match.span("v") if "v" in rule.pattern.groupindex else match.span()
        if end > start and _holds(rule, given.text, start, end, at_home=at_home):
            yield Finding(start=start, end=end, kind=rule.kind, type=rule.type, score=rule.score)


def _holds(rule: Rule, text: str, start: int, end: int, *, at_home: bool) -> bool:
    checked = rule.check is None or rule.check(text[start:end])
    if rule.unless is not None and rule.unless.search(text, max(0, start - _UNLESS_REACH), start) is not None:
        return False
    if rule.context is None or (checked and at_home):
        return checked
    if not (checked or rule.trusts_context):
        return False
    return rule.context.search(text, max(0, start - rule.reach), start) is not None


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A pattern over the text as it is, spaces and comments in it ignored."""
    return re.compile(pattern, re.VERBOSE | flags)


def near(words: str) -> re.Pattern[str]:
    """A pattern of context: one of ``words`` (separated by ``|``), in capitals or small, from a word's start on."""
    return re.compile(rf"(?<![^\W_])(?:{words})", re.IGNORECASE)


def directly_after(words: str) -> re.Pattern[str]:
    """A pattern for ``unless``: one of ``words``, and at most a few signs between it and the finding."""
    return re.compile(rf"(?<![^\W_])(?:{words})[\s\#:=№.\"'(-]{{0,4}}\Z", re.IGNORECASE)


def triggers(text: str) -> frozenset[str]:
    """Words, separated by spaces, as a rule's ``words``."""
    return frozenset(text.split())


def everything(rules: Iterable[Rule], given: Given) -> list[Finding]:
    """What all rules find, in no order."""
    return [finding for rule in rules for finding in found_by(rule, given)]
