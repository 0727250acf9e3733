"""Rules as they are written: one statement of Cedar each, with a name of its own and a sentence that says why.

A site's own rules add to the shipped ones. They may forbid whatever they like; a permit must be for one tenant, who then
has its own permits instead of the shipped one, which allows whatever nothing forbids. In Cedar a forbid goes before
every permit: whatever a site's file says, it allows nothing that the shipped rules forbid.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from freehold.policy.cedar import DEPLOYMENT, TENANT, ZONE, Schema, Tree, parse
from freehold.policy.reads import CannotEnumerateError, Reads, reads_of
from freehold.policy.text import WELL_KNOWN_KINDS, nearest

RULE_ERROR = "rule-error"
"""Id given where a rule failed instead of answering."""

RULES_CHARACTERS_MAX = 262_144
RULES_MAX = 256
REASON_CHARACTERS_MAX = 200

_ID = re.compile(r"[a-z][a-z0-9-]{0,47}")
_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;|[^\s/";]+|/', re.DOTALL)
_WORDS = {TENANT: "tenant", DEPLOYMENT: "deployment", ZONE: "zone"}
_MISSPELT_RATIO = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        id: What receipts, the audit log and errors call it.
        permits: Whether it allows; else it forbids.
        tree: Cedar's JSON of it.
        reads: What it looks at.
        line: Where its file has it.
        is_own: Whether it is the site's own.
        reason: Why, as the end of a sentence that begins with the deployment's name; empty for a shipped one.
        beyond_device: Whether it only looks at deployments beyond this machine.
    """

    id: str
    permits: bool
    tree: Tree
    reads: Reads
    line: int
    is_own: bool
    reason: str = ""
    beyond_device: bool = False


class Mistake(NamedTuple):
    """Something wrong with a file of rules."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a site's own rules may name, by Cedar's type of it. A name that nothing has would be a rule about nothing."""

    names: Mapping[str, frozenset[str]]


def shipped_rules(text: str) -> tuple[Rule, ...]:
    """The rules that come with this package."""
    return tuple(_rule(parse(statement), line, is_own=False) for line, statement in statements(text))


def own_rules(text: str, *, taken: Collection[str], known: Known, schema: Schema) -> tuple[list[Rule], list[Mistake]]:
    """A site's own rules, and everything that is wrong with them.

    Args:
        text: Of its file.
        taken: Ids that the shipped rules have.
        known: What may be named.
        schema: What may be looked at.
    """
    if len(text) > RULES_CHARACTERS_MAX:
        return [], [Mistake(1, f"it has {len(text):,} characters, at most {RULES_CHARACTERS_MAX:,} are read")]
    found: list[Rule] = []
    mistakes: list[Mistake] = []
    ids = {*taken, RULE_ERROR}
    for line, statement in statements(text):
        try:
            policy = parse(statement)
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake(line, f"this is not Cedar: {error}"))
            continue
        wrong = [*_wrong_annotations(policy, ids), *schema.mistakes(statement), *_wrong_scope(policy)]
        try:
            rule = _rule(policy, line, is_own=True)
        except CannotEnumerateError as error:
            mistakes += [Mistake(line, each) for each in (*wrong, str(error))]
            continue
        wrong += _wrong_names(rule.reads, known)
        mistakes += [Mistake(line, each) for each in wrong]
        ids.add(rule.id)
        found.append(rule)
    if len(found) > RULES_MAX:
        mistakes.append(Mistake(1, f"it has {len(found)} rules, at most {RULES_MAX} are taken"))
    return found, mistakes


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the line on which it begins; comments before it are left out."""
    start: int | None = None
    for token in _TOKEN.finditer(text):
        if token[0].startswith("//"):
            continue
        if start is None:
            start = token.start()
        if token[0] == ";":
            yield text.count("\n", 0, start) + 1, text[start : token.end()]
            start = None
    if start is not None:
        yield text.count("\n", 0, start) + 1, text[start:]


def _rule(policy: Tree, line: int, *, is_own: bool) -> Rule:
    notes = policy.get("annotations", {})
    name = str(notes.get("id", ""))
    permits = policy["effect"] == "permit"
    reason = str(notes.get("reason") or f"is {'allowed' if permits else 'forbidden'} by the site's rule {name}")
    return Rule(
        id=name,
        permits=permits,
        tree=policy,
        reads=reads_of(policy),
        line=line,
        is_own=is_own,
        reason=reason if is_own else "",
        beyond_device=not is_own and notes.get("beyond") == "device",
    )


def _wrong_annotations(policy: Tree, ids: Collection[str]) -> Iterator[str]:
    notes = policy.get("annotations", {})
    for name in sorted(notes.keys() - {"id", "reason"}):
        yield f"@{name} says nothing here; rules have @id and @reason"
    name = notes.get("id")
    if not name:
        yield 'it has no name; write @id("some-name") before it'
    elif not _ID.fullmatch(name):
        yield f"the @id {name!r} is not lower-case letters, digits and hyphens, at most 48"
    elif name in ids:
        yield f"there is a rule {name!r} already; shipped rules can be neither replaced nor named twice"
    reason = notes.get("reason")
    if reason is not None and not (0 < len(reason) <= REASON_CHARACTERS_MAX and reason.isprintable()):
        yield f"its @reason is not a sentence of at most {REASON_CHARACTERS_MAX} printable characters"


def _wrong_scope(policy: Tree) -> Iterator[str]:
    if policy["effect"] == "permit" and policy["principal"]["op"] != "==":
        yield (
            "a permit is for one tenant, which then has this instead of the shipped permit; write"
            ' permit (principal == Freehold::Tenant::"NAME", action, resource)'
        )


def _wrong_names(reads: Reads, known: Known) -> Iterator[str]:
    for kind, names in reads.names.items():
        if kind not in _WORDS:
            continue  # the schema has said so
        for name in sorted(names - known.names[kind]):
            there = known.names[kind]
            yield f"there is no {_WORDS[kind]} {name!r}{nearest(name, there) or _all(there)}"
    for name in sorted(reads.kinds - WELL_KNOWN_KINDS):
        if near := nearest(name, WELL_KNOWN_KINDS, ratio=_MISSPELT_RATIO):
            yield f"the kind {name!r} looks misspelt{near}"


def _all(names: Collection[str]) -> str:
    return f"; there are: {', '.join(sorted(names)) or 'none'}"
