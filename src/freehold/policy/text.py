"""Labels as one line of text: ``confidential;zones=lan,eu;kinds=pii,phi;readers=a,b``.

The line is what administrators write in ``freehold.toml``, what clients send as ``freehold-label``, and what receipts
and the audit log show. The level is required; everything else has a default:

| level        | zones if none are named | why                                                                  |
|--------------|-------------------------|----------------------------------------------------------------------|
| public       | world                   | it may be everywhere                                                 |
| internal     | world                   | each deployment's clearance decides; nothing is cleared by default   |
| confidential | lan                     | it stays inside the house until somebody names a zone                |
| restricted   | device                  | it stays on this machine until somebody names a zone                 |

Kinds default to none, readers to everybody, trust to yes; ``readers=nobody`` and ``trusted=no`` say otherwise. What
cannot be read is refused, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn

from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone, ZoneTree

DEVICE_ONLY_KIND = "secret"
"""The kind of credentials and keys, which no rule lets off this machine."""

WELL_KNOWN_KINDS = frozenset({"pii", "phi", "pci", DEVICE_ONLY_KIND})
"""Personal, health and card data, and credentials: kinds with rules of their own. Others may be used too."""

DEFAULT_ZONES = {
    Level.PUBLIC: frozenset({WORLD}),
    Level.INTERNAL: frozenset({WORLD}),
    Level.CONFIDENTIAL: frozenset({LAN}),
    Level.RESTRICTED: frozenset({DEVICE}),
}
"""Zones of a label that names none; see the table above."""

_CHARACTERS_MAX = 1024
_READER_CHARACTERS_MAX = 128
_LEVELS = {level.word: level for level in Level}
_MEMBERS = ("zones", "kinds", "readers", "trusted")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SIMILAR_RATIO = 0.6
_MISSPELT_RATIO = 0.8
_NOBODY = "nobody"


def parse_label(text: str, tree: ZoneTree, *, param: str | None = None) -> Label:
    """Read a label.

    Args:
        text: ``LEVEL`` or ``LEVEL;MEMBER=VALUE,VALUE;…``, at most 1,024 characters. Levels and kinds may be written
            in capitals; zone names and readers are taken as they are.
        tree: The site's zones. The label's zones are closed downwards on it.
        param: Where the text comes from, for the error: a header's or an option's name.

    Raises:
        LabelUnreadable: Unknown level, zone or member, a kind that looks misspelt, a member named twice, or zones
            that leave out this site's own device, where every request starts.
    """
    parser = _Parser(text, tree, param)
    return parser.label()


def format_label(label: Label) -> str:
    """The label as one line, which ``parse_label`` reads back to the same label.

    Zones inside a named zone are left out where that is sure without the site's tree: ``device`` beside ``lan``, and
    everything beside ``world``.
    """
    members = [label.level.word, "zones=" + ",".join(sorted(_outermost(label.zones)))]
    if label.kinds:
        members.append("kinds=" + ",".join(sorted(label.kinds)))
    if label.readers is not None:
        members.append("readers=" + (",".join(sorted(label.readers)) or _NOBODY))
    if not label.trusted:
        members.append("trusted=no")
    return ";".join(members)


def _outermost(zones: frozenset[Zone]) -> frozenset[Zone]:
    if WORLD in zones:
        return frozenset({WORLD})
    return zones - {DEVICE} if LAN in zones else zones


class _Parser:
    """One text on its way to a label."""

    def __init__(self, text: str, tree: ZoneTree, param: str | None) -> None:
        self._text = text
        self._tree = tree
        self._param = param

    def label(self) -> Label:
        if len(self._text) > _CHARACTERS_MAX:
            self._refuse(f"it has {len(self._text)} characters, at most {_CHARACTERS_MAX} are read")
        word, *members = (part.strip() for part in self._text.split(";"))
        level = _LEVELS.get(word.lower())
        if level is None:
            self._refuse(f"{word!r} is not a level{nearest(word.lower(), _LEVELS)}" if word else "it has no level")
        values = self._members(members)
        return Label(
            level=level,
            zones=self._zones(values.get("zones"), level),
            kinds=self._kinds(values.get("kinds", [])),
            readers=self._readers(values.get("readers")),
            trusted=self._trusted(values.get("trusted")),
        )

    def _members(self, members: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for member in members:
            name, equals, value = member.partition("=")
            name = name.strip()
            if name not in _MEMBERS:
                self._refuse(f"{name!r} is not one of {', '.join(_MEMBERS)}{nearest(name, _MEMBERS)}")
            if name in found:
                self._refuse(f"{name!r} is given twice")
            items = [item.strip() for item in value.split(",")]
            if not equals or not all(items):
                self._refuse(f"{name!r} needs values, separated by commas")
            found[name] = items
        return found

    def _zones(self, names: list[str] | None, level: Level) -> frozenset[Zone]:
        for name in names or ():
            if not self._tree.is_known(Zone(name)):
                self._refuse(f"{name!r} is not one of this site's zones{nearest(name, self._tree.zones)}")
        zones = self._tree.closure(DEFAULT_ZONES[level] if names is None else map(Zone, names))
        if DEVICE not in zones:
            self._refuse(
                f"its zones leave out this site's own {DEVICE!r}, where every request starts; "
                f"this site is in {self._tree.site_region!r}; add {DEVICE!r} to name both"
            )
        return zones

    def _kinds(self, names: list[str]) -> frozenset[str]:
        kinds = frozenset(name.lower() for name in names)
        for kind in sorted(kinds - WELL_KNOWN_KINDS):
            if not _KIND.fullmatch(kind):
                self._refuse(f"the kind {kind!r} is not lower-case letters, digits and hyphens, at most 32")
            # A misspelt kind would silently miss the rules that were written for the right one.
            if near := nearest(kind, WELL_KNOWN_KINDS, ratio=_MISSPELT_RATIO):
                self._refuse(f"the kind {kind!r} looks misspelt{near}")
        return kinds

    def _readers(self, names: list[str] | None) -> frozenset[str] | None:
        if names is None:
            return None
        if names == [_NOBODY]:
            return frozenset()
        for name in names:
            if name == _NOBODY or len(name) > _READER_CHARACTERS_MAX or not name.isprintable():
                self._refuse(f"{name!r} cannot be a reader")
        return frozenset(names)

    def _trusted(self, values: list[str] | None) -> bool:
        if values is None or values == ["yes"]:
            return True
        if values != ["no"]:
            self._refuse("'trusted' is yes or no")
        return False

    def _refuse(self, reason: str) -> NoReturn:
        raise LabelUnreadable(param=self._param, value=self._text, reason=reason)


def nearest(word: str, known: Iterable[str], *, ratio: float = _SIMILAR_RATIO) -> str:
    """``; did you mean 'x'?`` for the known word that is most like one; empty where none is."""
    near = get_close_matches(word[:_READER_CHARACTERS_MAX], sorted(known), n=1, cutoff=ratio)
    return f"; did you mean {near[0]!r}?" if near else ""
