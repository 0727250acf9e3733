"""The order of labels. Joining only ever makes a text more sensitive.

``join`` takes the higher level, all kinds, the zones and readers that both allow, and trust only where both are
trusted: a bounded join-semilattice (associative, commutative, idempotent, ``bottom`` neutral), which the property
tests hold it to. Zones are stored closed downwards (``ZoneTree.closure``), since only then is plain intersection
their meet: ``{lan} ∩ {eu}`` would be empty, where ``{device, lan} ∩ {device, lan, eu}`` is ``{device, lan}``.
"""

from __future__ import annotations

from collections.abc import Iterable

from freehold.domain.labels import Label, Level
from freehold.domain.zones import ZoneTree


def bottom(tree: ZoneTree) -> Label:
    """The label that demands nothing: public, everywhere on ``tree``, for everybody, trusted."""
    return Label(level=Level.PUBLIC, zones=tree.zones)


def join(left: Label, right: Label) -> Label:
    """The label of a text made of two: in every component at least as strict as either."""
    return Label(
        level=max(left.level, right.level),
        kinds=left.kinds | right.kinds,
        zones=left.zones & right.zones,
        readers=_both(left.readers, right.readers),
        trusted=left.trusted and right.trusted,
    )


def join_all(labels: Iterable[Label], *, tree: ZoneTree) -> Label:
    """The join of ``labels``; ``bottom(tree)`` for none."""
    joined = bottom(tree)
    for label in labels:
        joined = join(joined, label)
    return joined


def leq(left: Label, right: Label) -> bool:
    """Whether ``right`` is at least as strict as ``left`` in every component."""
    return join(left, right) == right


def _both(left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    """Readers that both allow; ``None`` stands for everybody."""
    if left is None:
        return right
    return left if right is None else left & right
