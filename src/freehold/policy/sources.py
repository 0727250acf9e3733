"""Where a text comes from says how sensitive it is: files by their names, tool results by the tool, what connectors give.

A source is named ``SCHEME:PATH``: ``file:/legal/draft.pdf`` (the file's name, with a slash before it), ``purpose:batch``
(what a file was sent for), ``tool:lookup`` (whose result it is), ``connector:sharepoint/hr`` and whatever else a part of a
message says that it is from. A rule's pattern may hold ``*`` (anything but a slash) and ``**`` (anything).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.labels import Label, LabelSource

ORIGIN = "source"
"""Of what source rules ask for."""

DEFAULT = "default"
"""The rule for a source that no other rule knows."""

_GLOB = re.compile(r"\*\*|\*")
_NAMED = re.compile(r"[a-z][a-z0-9-]{1,31}:\S.{0,1023}")
_PIECES = {"*": "[^/]*", "**": ".*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """What texts of some sources are labelled.

    Attributes:
        name: As receipts show it.
        match: Pattern of the sources' names.
        label: What it asks for.
    """

    name: str
    match: str
    label: Label


class SourceRules:
    """Looks up what sources ask for.

    Args:
        rules: All but the default one.
        default: What a source asks for that none of them knows; ``None`` for nothing.
    """

    def __init__(self, rules: Sequence[SourceRule] = (), default: Label | None = None) -> None:
        self._rules = tuple((pattern_of(rule.match), rule) for rule in rules)
        self._default = default

    def __bool__(self) -> bool:
        return bool(self._rules) or self._default is not None

    def of(self, names: Iterable[str]) -> tuple[LabelSource, ...]:
        """What the sources of these names ask for, each rule once; all rules that know a name count."""
        found: dict[str, Label] = {}
        for name in names:
            known = {rule.name: rule.label for pattern, rule in self._rules if pattern.fullmatch(name)}
            if not known and self._default is not None:
                known = {DEFAULT: self._default}
            found.update(known)
        return tuple(LabelSource(origin=ORIGIN, rule=f"source:{name}", label=found[name]) for name in sorted(found))


def pattern_of(match: str) -> re.Pattern[str]:
    """The pattern as a regular expression of whole names; names of files do not tell capitals."""
    pieces, place = list[str](), 0
    for glob in _GLOB.finditer(match):
        pieces += re.escape(match[place : glob.start()]), _PIECES[glob.group()]
        place = glob.end()
    return re.compile("".join((*pieces, re.escape(match[place:]))), re.IGNORECASE | re.DOTALL)


def is_source(name: str) -> bool:
    """Whether a text has the form of a source's name or pattern."""
    return _NAMED.fullmatch(name) is not None


def names_of_file(filename: str, purpose: str = "") -> tuple[str, ...]:
    """The names of a file as a source: it has two where somebody said what it is for. A name of none is no source."""
    path = "/" + filename.replace("\\", "/").removeprefix("./").lstrip("/")
    named = (f"file:{path}",) if filename else ()
    return (*named, f"purpose:{purpose}") if purpose else named


def in_force(labels: Mapping[str, tuple[str, Label]]) -> SourceRules:
    """Rules by name, each with its pattern and label; the one called ``default`` is for all other sources."""
    return SourceRules(
        [SourceRule(name=name, match=match, label=label) for name, (match, label) in labels.items() if name != DEFAULT],
        labels[DEFAULT][1] if DEFAULT in labels else None,
    )
