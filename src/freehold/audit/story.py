"""What the entries of a log tell, in order; a story that cannot have happened is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from freehold.audit.entry import DONE, INTENT, PRUNED, TRUNCATED
from freehold.audit.records import REQUEST
from freehold.audit.rotation import ROTATE, Rotation, read_rotation, rotation_of
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import AuditRecord


@dataclass(slots=True)
class Story:
    """What was told so far.

    Attributes:
        origin: The log's name.
        first: The first entry that is there; those before were pruned.
        events: Entries by event.
        begun: Egress intents, by index.
        ended: Whether each of them has an end.
        truncations: Entries that tell of a torn tail.
        rotations: Changes of keys in entries that are there.
        pruned_before: Up to where the log itself says that it was pruned.
        pruned_rotations: Changes of keys in entries that are not there any more, as the log kept them.
    """

    origin: str
    first: int = 0
    events: Counter[str] = field(default_factory=Counter[str])
    begun: dict[int, AuditRecord] = field(default_factory=dict[int, AuditRecord])
    ended: dict[int, bool] = field(default_factory=dict[int, bool])
    truncations: list[int] = field(default_factory=list[int])
    rotations: list[Rotation] = field(default_factory=list[Rotation])
    pruned_before: int = 0
    pruned_rotations: list[Rotation] = field(default_factory=list[Rotation])

    def note(self, index: int, record: AuditRecord) -> None:
        """Take the entry at ``index`` into account.

        Raises:
            AuditBroken: It cannot have happened after what was told before.
        """
        event = record.event
        self.events[event] += 1
        if event == REQUEST:
            self._request(index, record)
        elif event == INTENT:
            self.begun[index] = record
            self.ended[index] = False
        elif event == DONE:
            self._end(index, record)
        elif event == TRUNCATED:
            self.truncations.append(index)
        elif event == ROTATE:
            self.rotations.append(rotation_of(index, record, origin=self.origin))
        elif event == PRUNED:
            self._pruned(index, record)

    @property
    def key_changes(self) -> list[Rotation]:
        """All changes of keys that are known, those in pruned entries among them."""
        return [*(each for each in self.pruned_rotations if each.index < self.first), *self.rotations]

    @property
    def orphans(self) -> tuple[int, ...]:
        """Intents without an end."""
        return tuple(index for index, ended in self.ended.items() if not ended)

    def _end(self, index: int, record: AuditRecord) -> None:
        intent = record.detail.get("intent")
        if isinstance(intent, int) and 0 <= intent < self.first:
            return
        begun = self.begun.get(intent) if isinstance(intent, int) else None
        if begun is None or not isinstance(intent, int):
            raise AuditBroken(reason=f"entry {index} ends the egress {intent!r}, which nothing before it announced")
        if self.ended[intent]:
            raise AuditBroken(reason=f"entry {index} ends the egress {intent}, which had ended before")
        if (begun.request_id, begun.tenant) != (record.request_id, record.tenant):
            raise AuditBroken(reason=f"entry {index} ends the egress {intent} of another request")
        self.ended[intent] = True

    def _request(self, index: int, record: AuditRecord) -> None:
        for egress in _egresses(record):
            if 0 <= egress < self.first:
                continue
            begun = self.begun.get(egress)
            if begun is None or begun.request_id != record.request_id:
                raise AuditBroken(reason=f"entry {index} names the egress {egress}, which its request never announced")

    def _pruned(self, index: int, record: AuditRecord) -> None:
        before, kept = record.detail.get("before"), record.detail.get("rotations")
        if not isinstance(before, int) or not 0 <= before <= index or not isinstance(kept, list):
            raise AuditBroken(reason=f"entry {index} tells of a pruning that cannot have been")
        self.pruned_before = max(self.pruned_before, before)
        self.pruned_rotations = [
            read_rotation(each.get("note"), index=_place(each), origin=self.origin)
            for each in cast("list[dict[str, object]]", kept)
        ]


def _place(kept: dict[str, object]) -> int:
    index = kept.get("index")
    if not isinstance(index, int):
        raise AuditBroken(reason="a change of keys that was kept at a pruning has no place")
    return index


def _egresses(record: AuditRecord) -> Iterator[int]:
    attempts = record.detail.get("attempts")
    if isinstance(attempts, list):
        for attempt in attempts:  # pyright: ignore[reportUnknownVariableType]: JSON of an entry
            egress = attempt.get("egress") if isinstance(attempt, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]: as above
            if isinstance(egress, int):
                yield egress
