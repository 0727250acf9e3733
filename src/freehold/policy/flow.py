"""What the text of a request adds to its label: markings, where its parts come from, what nobody looked into."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.zones import ZoneTree
from freehold.policy.labelling import UNLABELLED
from freehold.policy.lattice import join
from freehold.policy.markings import Markings
from freehold.policy.sources import SourceRules, is_source, names_of_file
from freehold.policy.text import parse_label

UNKNOWN_FILE = "file:unknown"
"""The rule of a file that is named and not kept here. Its id is whatever somebody wrote, and not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRules:
    """What is in force.

    Attributes:
        markings: Finds what texts say of themselves.
        sources: What sources ask for.
        unread: Of parts that nobody looks into.
    """

    markings: Markings
    sources: SourceRules
    unread: Label

    @classmethod
    def plain(cls, tree: ZoneTree) -> FlowRules:
        """Where nobody configured anything."""
        return cls(markings=Markings(tree), sources=SourceRules(), unread=parse_label(Level.CONFIDENTIAL.word, tree))

    def of_parts(
        self,
        *,
        texts: Iterable[str],
        names: Iterable[str] = (),
        tools: Iterable[str] = (),
        filenames: Iterable[str] = (),
        unread: Collection[str] = (),
        floor: Level = Level.PUBLIC,
    ) -> tuple[LabelSource, ...]:
        """What the parts of a request ask for.

        Args:
            texts: All of them.
            names: Of sources that parts say that they are from; what has not the form of one is none.
            tools: Whose results they hold.
            filenames: Of files in it.
            unread: Kinds of parts that nobody looks into.
            floor: What the request is at least.
        """
        found = [*self.markings.of(texts, floor=floor)]
        if self.sources:
            named = [name for name in names if is_source(name)]
            named += [f"tool:{name}" for name in tools]
            named += [each for name in filenames for each in names_of_file(name)]
            found += self.sources.of(named)
        found += (LabelSource(origin="unread", rule=f"unread:{kind}", label=self.unread) for kind in sorted(unread))
        return tuple(found)

    def of_file(self, *, filename: str, purpose: str) -> tuple[LabelSource, ...]:
        """What the name and the purpose of a file that is sent ask for."""
        return self.sources.of(names_of_file(filename, purpose)) if self.sources else ()


def of_stored(labels: Mapping[str, Label | None]) -> tuple[LabelSource, ...]:
    """What stored files that a request names ask for, by their ids; one that is not here may be anything."""
    found = {f"file:{file_id}": label for file_id, label in labels.items() if label is not None}
    if len(found) < len(labels):
        found[UNKNOWN_FILE] = UNLABELLED
    return tuple(LabelSource(origin="file", rule=rule, label=label) for rule, label in found.items())


def of_memory(labels: Mapping[str, Label]) -> tuple[LabelSource, ...]:
    """What remembered texts that were found again ask for, by the ids of what they are from."""
    return tuple(LabelSource(origin="memory", rule=f"memory:{each}", label=labels[each]) for each in sorted(labels))


def raising(sources: Sequence[LabelSource], label: Label) -> tuple[LabelSource, ...]:
    """Those of ``sources`` that raise ``label``."""
    return tuple(each for each in sources if join(label, each.label) != label)
