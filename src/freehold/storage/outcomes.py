"""Outcomes in SQLite: ``domain.judging_ports.OutcomeStore``. Written behind; several processes may use it at once."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.errors.server import StorageBusy, StorageFailed
from freehold.domain.outcomes import AnswerOutcome, Feedback
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, note_event
from freehold.storage.named_sql import load
from freehold.storage.scorings import scoring_id, tries_of
from freehold.storage.vectors import pack, unpack

_LOG = logging.getLogger(__name__)

KEPT_MAX = 20_000
"""Of a tenant and a workload, where nobody says otherwise."""

WAITING_MAX = 10_000
"""Outcomes in memory that are not written yet; beyond that the oldest are dropped, and counted."""

_TRIMMED_EVERY = 256
_RANK = {None: 0, LabelKind.AGREEMENT.value: 1, LabelKind.FEEDBACK.value: 2, LabelKind.GOLD.value: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many outcomes there are of a tenant, a workload and a deployment.

    Attributes:
        tenant: Whose.
        workload: Kind of task.
        deployment: Who answered.
        outcomes: All.
        labelled: Those of which it is known whether they were right.
        accepted: Those that were accepted.
        first_unix_ms: When the oldest one was answered.
        last_unix_ms: When the newest one was.
    """

    tenant: str
    workload: str
    deployment: str
    outcomes: int
    labelled: int
    accepted: int
    first_unix_ms: int
    last_unix_ms: int


class SqliteOutcomes:
    """The store of outcomes.

    Args:
        database: Where they are.
        most: Kept for each tenant and workload, the newest; up to 256 more until they are next counted.
    """

    def __init__(self, database: Database, *, most: int = KEPT_MAX) -> None:
        self._database = database
        self._most = most
        self._sql = load("outcomes")
        self._lock = threading.Lock()
        self._waiting: deque[AnswerOutcome] = deque()
        self._is_posted = False
        self._dropped = 0
        self._since_trimmed: Counter[tuple[str, str]] = Counter()

    @property
    def dropped(self) -> int:
        """Outcomes lost since the start: more came than could be written, or the disk failed."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Outcomes that are not written yet."""
        return len(self._waiting)

    def keep(self, *outcomes: AnswerOutcome) -> None:
        """Keep outcomes; returns at once. One with the same request and deployment replaces the one before.

        A label that is there stays, unless the new one is of a kind that is worth as much: gold, then feedback, then
        agreement.
        """
        with self._lock:
            self._waiting.extend(outcomes)
            while len(self._waiting) > WAITING_MAX:
                self._waiting.popleft()
                self._dropped += 1
            if self._is_posted or not self._waiting:
                return
            self._is_posted = True
        try:
            self._database.post(self._write_waiting)
        except (StorageBusy, StorageFailed) as error:
            with self._lock:
                self._is_posted = False
            _LOG.warning("outcomes wait: %s", error.message)

    async def label(self, feedback: Feedback) -> bool:
        """Note what somebody said of a request's answer; whether there is such an answer of that tenant.

        Raises:
            StorageFailed: It could not be written.
        """
        values = {
            "tenant": feedback.tenant,
            "request_id": feedback.request_id,
            "is_right": feedback.right,
            "label_kind": feedback.label_kind.value,
        }
        answered, label = self._sql["answered_outcome"], self._sql["label_outcome"]

        def work(connection: sqlite3.Connection) -> bool:
            self._write_waiting(connection)
            row = connection.execute(answered, values).fetchone()
            if row is None:
                return False
            labelled = self._next_label(connection) if row[1] is None else row[1]
            connection.execute(label, {**values, "seq": row[0], "labelled": labelled})
            return True

        return await self._database.submit(work)

    async def request_of(self, response_id: str, *, tenant: str) -> str:
        """Id of the request whose answer a client knows by ``response_id``; empty where there is none of that tenant.

        Raises:
            StorageFailed: It cannot be read.
        """
        await self._flushed()
        sql, values = self._sql["request_of_response"], {"tenant": tenant, "response_id": response_id}

        def query(connection: sqlite3.Connection) -> str:
            row = connection.execute(sql, values).fetchone()
            return "" if row is None else row["request_id"]

        return await self._database.read(query)

    async def read(
        self,
        *,
        tenant: str = "",
        workload: str = "",
        deployment: str = "",
        since_unix_ms: int = 0,
        labelled: bool = False,
        most: int = 10_000,
    ) -> Sequence[AnswerOutcome]:
        """The newest outcomes that are of all this, oldest first; empty text stands for any.

        Raises:
            StorageFailed: They cannot be read.
        """
        await self._flushed()
        sql = self._sql["read_outcomes"]
        values = {
            "tenant": tenant,
            "workload": workload,
            "deployment": deployment,
            "since_unix_ms": since_unix_ms,
            "labelled": labelled,
            "most": most,
        }

        def query(connection: sqlite3.Connection) -> list[AnswerOutcome]:
            return [outcome_of(row) for row in connection.execute(sql, values)]

        return (await self._database.read(query))[::-1]

    async def counted(self, *, tenant: str = "") -> Sequence[Counted]:
        """How many there are, by tenant, workload and deployment; empty text stands for any tenant.

        Raises:
            StorageFailed: They cannot be read.
        """
        await self._flushed()
        sql = self._sql["count_outcomes"]

        def query(connection: sqlite3.Connection) -> list[Counted]:
            return [Counted(**dict(row)) for row in connection.execute(sql, {"tenant": tenant})]

        return await self._database.read(query)

    async def labels_after(self, seen: int, *, most: int) -> tuple[Sequence[AnswerOutcome], int]:
        """Outcomes that were labelled after the label number ``seen``, in that order, and the number of the last one.

        Raises:
            StorageFailed: They cannot be read.
        """
        return await self._after(self._sql["labels_since"], seen, most, "labelled")

    async def after(self, number: int, *, most: int) -> tuple[Sequence[AnswerOutcome], int]:
        """Outcomes that came after the one of that number, in their order, and the number of the last one.

        Raises:
            StorageFailed: They cannot be read.
        """
        return await self._after(self._sql["outcomes_after"], number, most, "seq")

    async def _after(self, sql: str, after: int, most: int, number: str) -> tuple[Sequence[AnswerOutcome], int]:
        await self._flushed()

        def query(connection: sqlite3.Connection) -> tuple[Sequence[AnswerOutcome], int]:
            rows = connection.execute(sql, {"after": after, "most": most}).fetchall()
            return [outcome_of(row) for row in rows], rows[-1][number] if rows else after

        return await self._database.read(query)

    async def erase(self, *, tenant: str, by: str = "freehold", unix_ms: int = 0) -> int:
        """Erase all of a tenant's: outcomes with their vectors, certificates made from them, watches, gold questions.

        And what is remembered of its restricted texts.

        What was written is overwritten, in the write-ahead log too. That it was done goes into the audit log.

        Args:
            tenant: Whose.
            by: Who wants it, for the audit log.
            unix_ms: When, for the same.

        Returns:
            How many outcomes there were.

        Raises:
            StorageFailed: It could not be done.
        """
        sql, values = self._sql, {"tenant": tenant}

        def work(connection: sqlite3.Connection) -> int:
            self._write_waiting(connection)
            connection.execute("PRAGMA secure_delete = ON")
            void = [row[0] for row in connection.execute(sql["erase_certificates"], values).fetchall()]
            erased = connection.execute(sql["erase_outcomes"], values).rowcount
            connection.execute(sql["erase_watches"], values)
            connection.execute(sql["erase_gold"], values)
            passages = connection.execute(load("memory")["erase_passages"], values).rowcount
            connection.execute(sql["erase_tries"], {"start": tries_of(tenant)})
            connection.execute(sql["unused_scorings"])
            connection.execute(sql["note_erased"])
            detail: dict[str, object] = {"outcomes": erased, "certificates": void, "passages": passages}
            event = KeyEvent(unix_ms=unix_ms, event="outcomes.erased", key_id="", tenant=tenant, by=by, detail=detail)
            note_event(connection, event)
            return erased

        erased = await self._database.submit(work)
        await asyncio.to_thread(self._database.forget_deleted)
        return erased

    async def _flushed(self) -> None:
        """What was kept before is written: also what the writer holds and has not committed yet."""
        await self._database.submit(self._write_waiting)

    # --- the writer's thread --------------------------------------------------------------------------

    def _write_waiting(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            self._is_posted = False
            outcomes = [*self._waiting]
            self._waiting.clear()
        if not outcomes:
            return
        # What is erased or trimmed later must not stay readable in pages that are free.
        connection.execute("PRAGMA secure_delete = ON")
        try:
            for outcome in outcomes:
                self._put(connection, outcome)
        except sqlite3.Error:
            self._dropped += len(outcomes)
            raise
        self._trim(connection, outcomes)

    def _put(self, connection: sqlite3.Connection, outcome: AnswerOutcome) -> None:
        sql, values = self._sql, _values(outcome)
        values["scoring"] = scoring_id(connection, outcome.scored_on)
        row = connection.execute(sql["is_labelled"], values).fetchone()
        before, kind = None if row is None else row[0], values["label_kind"]
        values["keeps_label"] = before is not None and _RANK[before] > _RANK[kind]
        values["labelled"] = None
        if kind is not None and row is None:
            values["labelled"] = self._next_label(connection)
        connection.execute(sql["put_outcome"], values)

    def _next_label(self, connection: sqlite3.Connection) -> int:
        return connection.execute(self._sql["next_label"]).fetchone()[0]

    def _trim(self, connection: sqlite3.Connection, outcomes: Sequence[AnswerOutcome]) -> None:
        self._since_trimmed.update((each.tenant, each.scored_on.workload) for each in outcomes)
        every = min(_TRIMMED_EVERY, self._most)
        for place, count in [*self._since_trimmed.items()]:
            if count >= every:
                tenant, workload = place
                values = {"tenant": tenant, "workload": workload, "most": self._most}
                connection.execute(self._sql["trim_outcomes"], values)
                del self._since_trimmed[place]


def outcome_of(row: sqlite3.Row) -> AnswerOutcome:
    """The outcome of a row with the document of its scoring."""
    kind = row["label_kind"]
    return AnswerOutcome(
        request_id=row["request_id"],
        tenant=row["tenant"],
        label=row["label"],
        unix_ms=row["unix_ms"],
        route=row["route"],
        deployment=row["deployment"],
        scored_on=ScoredOn(**json.loads(row["document"])),
        signals=json.loads(row["signals"]),
        probability=row["probability"],
        threshold=row["threshold"],
        accepted=bool(row["accepted"]),
        answered=bool(row["answered"]),
        response_id=row["response_id"],
        right=None if row["is_right"] is None else bool(row["is_right"]),
        label_kind=None if kind is None else LabelKind(kind),
        judged_by=row["judged_by"],
        sought=row["sought"],
        question=unpack(row["question"]),
        question_model=row["question_model"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_micros=row["cost_micros"],
        latency_ms=row["latency_ms"],
    )


def _values(outcome: AnswerOutcome) -> dict[str, Any]:
    signals = {name: float(f"{number:.6g}") for name, number in outcome.signals.items()}
    return {
        "tenant": outcome.tenant,
        "request_id": outcome.request_id,
        "deployment": outcome.deployment,
        "workload": outcome.scored_on.workload,
        "unix_ms": outcome.unix_ms,
        "route": outcome.route,
        "label": outcome.label,
        "signals": json.dumps(signals, separators=(",", ":")),
        "probability": outcome.probability,
        "threshold": outcome.threshold,
        "accepted": outcome.accepted,
        "answered": outcome.answered,
        "response_id": outcome.response_id,
        "is_right": outcome.right,
        "label_kind": None if outcome.label_kind is None else outcome.label_kind.value,
        "judged_by": outcome.judged_by,
        "sought": outcome.sought,
        "question": pack(outcome.question),
        "question_model": outcome.question_model,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "cost_micros": outcome.cost_micros,
        "latency_ms": outcome.latency_ms,
    }
