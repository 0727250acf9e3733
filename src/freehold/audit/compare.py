"""Two logs of one thing: what a server says that it let out, held against what its broker says that it sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from freehold.audit.destinations import egress_records
from freehold.audit.entry import DONE, INTENT
from freehold.audit.shards import further_shards
from freehold.domain.receipt import AuditRecord

_STAYED = frozenset({"not_sent"})
"""Ends of an intent after which nothing was sent."""

_APART_MS = 1_000
"""By how much two records of one egress may be apart: they are written at the same time, on one machine's clock."""

_MEMBERS = ("deployment", "origin", "zone", "label", "body_bytes", "body_commit")


@dataclass(frozen=True, slots=True, order=True)
class Egress:
    """One body on its way out, as a log tells it.

    Attributes:
        request_id: The request that wanted it.
        deployment: Where it went, by name.
        origin: Where that is.
        zone: In which zone.
        label: The text's.
        body_bytes: Its length.
        body_commit: What stands for the exact body.
        asked: What was asked, where that has no body.
    """

    request_id: str
    deployment: str
    origin: str
    zone: str
    label: str
    body_bytes: int
    body_commit: str
    asked: str = ""

    @property
    def is_read(self) -> bool:
        """Whether it is one that a broker makes for the command line."""
        return bool(self.asked) and not self.body_bytes and not self.body_commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What two logs say of the same egresses.

    Attributes:
        same: How many they both tell of, word for word.
        only_broker: What the broker sent without the server's log telling of it: the server hides it, or another one
            uses this broker.
        only_server: What the server let out, and the broker did not send: it found another way, or this is another
            broker's log.
        before: What the server let out before the broker's log begins; not compared.
        reads: What the broker read from a model hub for the command line, which keeps no log: only the broker's tells of
            it, and says what was asked.
    """

    same: int
    only_broker: tuple[Egress, ...]
    only_server: tuple[Egress, ...]
    before: int
    reads: int = 0

    @property
    def agree(self) -> bool:
        """Whether neither tells of something that the other one does not."""
        return not (self.only_broker or self.only_server)


def compare(main: Path, broker: Path) -> Compared:
    """Compare a server's logs with its broker's. It verifies neither: ``verify`` does.

    Held against everything that the other log tells of, sent or not: a call that was given up between two records is
    in both, and ended as not sent in one of them only.

    Args:
        main: Folder of the server's main log; those of further workers lie beside it.
        broker: Folder of the broker's log.

    Raises:
        AuditBroken: A file or an entry cannot be read.
    """
    told = list(_told(broker))
    # A read has no body. One with a body, or without what was asked, is an egress like any other.
    theirs = [each for each in told if not each[1].is_read]
    begin = min((unix_ms for unix_ms, _, _ in told), default=None)
    every = [each for folder in (main, *further_shards(main).values()) for each in _told(folder)]
    ours = [each for each in every if begin is not None and each[0] >= begin - _APART_MS]
    server, other = Counter(each for _, each, _ in ours), Counter(each for _, each, _ in theirs)
    server_sent, broker_sent = (Counter(each for _, each, sent in told if sent) for told in (ours, theirs))
    return Compared(
        same=(server & other).total(),
        only_broker=tuple(sorted((broker_sent - server).elements())),
        only_server=tuple(sorted((server_sent - other).elements())),
        before=len(every) - len(ours),
        reads=len(told) - len(theirs),
    )


def _told(folder: Path) -> Iterator[tuple[int, Egress, bool]]:
    """Every egress that a log tells of, with the moment of its record, and whether something was or may have been sent."""
    begun: dict[int, tuple[int, Egress]] = {}
    stayed: set[int] = set()
    for index, record in egress_records(folder):
        if record.event == INTENT:
            begun[index] = record.unix_ms, _egress(record)
        elif record.event == DONE and record.detail.get("outcome") in _STAYED:
            intent = record.detail.get("intent")
            stayed.add(intent if isinstance(intent, int) else -1)
    yield from ((unix_ms, egress, index not in stayed) for index, (unix_ms, egress) in begun.items())


def _egress(record: AuditRecord) -> Egress:
    deployment, origin, zone, label, body_bytes, commit = (record.detail.get(name) for name in _MEMBERS)
    asked = record.detail.get("asked", "")
    return Egress(
        record.request_id,
        str(deployment),
        str(origin),
        str(zone),
        str(label),
        body_bytes if isinstance(body_bytes, int) else -1,
        str(commit),
        str(asked),
    )
