"""Redacting, and what redacting and pseudonymising do to a label. Pure: whoever calls looks through the result again.

What a detector does not know it does not find. So a label is lowered only as far as was shown: kinds that were found,
taken out and not found again, and one level at best. Level ``restricted``, the kind ``secret``, zones, readers and trust
are not a detector's to give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.declassified import Act, Declassified
from freehold.domain.findings import Finding, Scan
from freehold.domain.labels import Label, Level
from freehold.policy.spans import spans_of
from freehold.policy.text import DEVICE_ONLY_KIND, WELL_KNOWN_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """Texts that say less, for good.

    Attributes:
        texts: In the order given.
        counts: By its word, how often something was taken out.
        kinds: The label's kinds of what was.
    """

    texts: tuple[str, ...]
    counts: Mapping[str, int]
    kinds: frozenset[str]


def redact(texts: Sequence[str], findings: Sequence[Sequence[Finding]]) -> Redacted:
    """Put ``[KIND]`` in the place of each finding; of those that overlap, of all together.

    Args:
        texts: What is to say less.
        findings: Of each text; places are those of the text as it is given here.

    Raises:
        ValueError: There are not as many lists of findings as texts, or a finding lies outside its text.
    """
    if len(texts) != len(findings):
        raise ValueError(f"{len(texts)} texts have findings of {len(findings)}")
    counts: Counter[str] = Counter()
    kinds: set[str] = set()
    replaced: list[str] = []
    for text, found in zip(texts, findings, strict=True):
        pieces: list[str] = []
        place = 0
        for span in spans_of(text, found):
            pieces += (text[place : span.start], f"[{span.word}]")
            counts[span.word] += 1
            kinds |= span.kinds
            place = span.end
        replaced.append("".join((*pieces, text[place:])))
    return Redacted(texts=tuple(replaced), counts=dict(counts), kinds=frozenset(kinds))


def lowest(label: Label) -> Label:
    """The lowest that a text with this label may ever be lowered to: where even that may not go nothing need be tried."""
    if label.level is Level.RESTRICTED or DEVICE_ONLY_KIND in label.kinds:
        return label
    left = label.kinds - WELL_KNOWN_KINDS
    level = Level.INTERNAL if label.level is Level.CONFIDENTIAL and not left else label.level
    return replace(label, level=level, kinds=left)


def lowered(
    label: Label, *, act: Act, kinds: frozenset[str], counts: Mapping[str, int], again: Scan, unread: int = 0
) -> Declassified:
    """The label of a text that something was taken out of.

    Args:
        label: Its label before.
        act: ``REDACT`` or ``PSEUDONYMISE``.
        kinds: The label's kinds of what was taken out.
        counts: How much, by its word.
        again: What detectors say of the text as it is now, all of them again.
        unread: Parts beside the text that nobody looked into.

    Returns:
        The label, lowered by the kinds that are gone; and from ``confidential`` to ``internal`` where that leaves none
        of its kinds. Where anything was found again, or not all was seen, it is the same as before.
    """
    against = _against(label, kinds, again, unread)
    if against:
        return Declassified(act=act, before=label, label=label, reason=against, counts=counts)
    left = label.kinds - kinds
    level = Level.INTERNAL if label.level is Level.CONFIDENTIAL and not left else label.level
    gone = ", ".join(sorted(label.kinds & kinds))
    reason = f"{gone} was taken out, and nothing was found again"
    return Declassified(
        act=act, before=label, label=replace(label, level=level, kinds=left), reason=reason, counts=counts
    )


def _against(label: Label, kinds: frozenset[str], again: Scan, unread: int) -> str:
    """Why nothing is lowered; empty where nothing is against it."""
    found = sum(map(len, again.findings))
    if label.level is Level.RESTRICTED:
        return f"a label of level {label.level.word} is not lowered so"
    if DEVICE_ONLY_KIND in label.kinds | kinds:
        return f"a text with the kind {DEVICE_ONLY_KIND} stays where it is"
    if unread:
        return f"{unread} parts are no text, and were not looked into"
    if not again.complete:
        return f"looking through it again was not finished: {again.why or 'no reason given'}"
    if found:
        return f"looking through it again found {found} more"
    return "" if label.kinds & kinds else "none of the label's kinds was taken out"
