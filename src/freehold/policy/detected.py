"""What detectors change: which label their findings ask for, and whether they could close a way that is open. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from freehold.domain.findings import Finding, Look, Scan
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.zones import ZoneTree
from freehold.policy.lattice import bottom, join
from freehold.policy.text import WELL_KNOWN_KINDS

NAMED_KINDS = frozenset({"pii"})
"""The kinds of what is found only where names are looked for."""

SCAN = "scan"
"""The rule by which what could not be looked through stays."""

UNREAD_FILE = "unread:file"
"""The rule of a file that nobody looked into. Of images and sound a label can be said beforehand; a file may be anything."""


def sources_of(kinds: Iterable[str], tree: ZoneTree) -> tuple[LabelSource, ...]:
    """What findings of some kinds ask for: the kind, and that the text is not public."""
    nothing = bottom(tree)
    return tuple(
        LabelSource(
            origin="detector",
            rule=f"detector:{kind}",
            label=replace(nothing, level=Level.INTERNAL, kinds=frozenset({kind})),
        )
        for kind in sorted(kinds)
    )


def look_needed(label: Label, *, allows: Callable[[Label], bool], tree: ZoneTree, names: bool) -> Look:
    """How far a text must be looked through before it goes where its label lets it go.

    Raising a label closes ways and opens none, so that nothing less than all kinds need be asked about.

    Args:
        label: The text's, without what detectors find in it.
        allows: Whether a text with a label may go there.
        tree: The site's zones.
        names: Whether names are ever looked for.
    """

    def closes(kinds: frozenset[str]) -> bool:
        raised = label
        for source in sources_of(kinds, tree):
            raised = join(raised, source.label)
        return not allows(raised)

    if not allows(label) or not closes(WELL_KNOWN_KINDS):
        return Look.NONE
    return Look.NAMES if names and closes(NAMED_KINDS) else Look.SHAPES


def heeded(texts: Sequence[str], scan: Scan, ignore: Sequence[str]) -> Scan:
    """A scan without what its site says is nobody's data.

    Args:
        texts: What was looked through.
        scan: What was found.
        ignore: Patterns of such data, in small letters.
    """
    if not ignore:
        return scan

    def counts(text: str, finding: Finding) -> bool:
        found = text[finding.start : finding.end].lower()
        return not any(fnmatch.fnmatchcase(found, pattern) for pattern in ignore)

    kept = tuple(
        tuple(each for each in found if counts(text, each)) for text, found in zip(texts, scan.findings, strict=True)
    )
    return replace(scan, findings=kept)
