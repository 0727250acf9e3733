"""Certificates and watches in SQLite, and what else learning keeps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from freehold.domain.certificates import Certificate, Fault, LabelKind, ScoredOn, Tries
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, note_event
from freehold.storage.named_sql import load
from freehold.storage.scorings import scoring_id, tries_of

Place = tuple[str, str, str]
"""Tenant, workload and deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a watch has seen and decided, to be kept in one piece.

    Attributes:
        watches: Documents by place; ``None`` removes one.
        seen: The how manyeth label it has seen last; ``None`` where it saw none.
        looked_at: The number of the outcome it has looked at last, labelled or not; ``None`` where it looked at none.
        void: Ids of certificates to take out of force, with the reason.
        put: Certificates to put in force.
        events: For the audit log.
        tries: How often it was tried to certify, by tenant and score, where that has changed.
    """

    watches: Mapping[Place, str | None]
    seen: int | None = None
    looked_at: int | None = None
    void: Mapping[str, str]
    put: Sequence[Certificate] = ()
    events: Sequence[KeyEvent] = ()
    tries: Mapping[tuple[str, ScoredOn], Tries] = field(default_factory=dict[tuple[str, ScoredOn], Tries])


class SqliteCertificates:
    """The store of certificates, watches, gold questions and what shadows cost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("certificates")

    async def put(self, certificate: Certificate, *, by: str = "freehold") -> None:
        """Keep a certificate; one for the same tenant, ``scored_on`` and label kind is replaced.

        Raises:
            StorageFailed: It could not be written.
        """
        await self._database.submit(lambda connection: self._put(connection, certificate, by))

    async def all(self) -> Sequence[Certificate]:
        """All of them, oldest first.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql = self._sql["all_certificates"]

        def query(connection: sqlite3.Connection) -> list[Certificate]:
            return [certificate_from(row["document"]) for row in connection.execute(sql)]

        return await self._database.read(query)

    async def void(self, certificate_id: str, *, why: str, by: str = "freehold", unix_ms: int = 0) -> bool:
        """Take one out of force; whether it was there.

        Raises:
            StorageFailed: It could not be written.
        """
        return await self._database.submit(
            lambda connection: self._void(connection, certificate_id, why=why, by=by, unix_ms=unix_ms)
        )

    async def watches(self) -> Mapping[Place, str]:
        """Documents of all watches.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql = self._sql["all_watches"]

        def query(connection: sqlite3.Connection) -> dict[Place, str]:
            rows = connection.execute(sql)
            return {(row["tenant"], row["workload"], row["deployment"]): row["document"] for row in rows}

        return await self._database.read(query)

    async def seen(self, mark: Literal["watched", "looked_at", "erased"] = "watched") -> int:
        """The how manyeth label the watches have seen last, or the number of the outcome they looked at last.

        Or how often something was erased.

        Raises:
            StorageFailed: It cannot be read.
        """
        sql = self._sql["mark"]

        def query(connection: sqlite3.Connection) -> int:
            row = connection.execute(sql, {"name": mark}).fetchone()
            return 0 if row is None else row["value"]

        return await self._database.read(query)

    async def tries(self, tenant: str, scored_on: ScoredOn) -> Tries:
        """How often it was tried to certify that score of a tenant's answers.

        Raises:
            StorageFailed: It cannot be read.
        """
        sql, name = self._sql["mark"], tries_of(tenant, scored_on)

        def query(connection: sqlite3.Connection) -> Tries:
            rows = [connection.execute(sql, {"name": each}).fetchone() for each in (name, f"{name} last")]
            return Tries(**{field: row["value"] for field, row in zip(("count", "last"), rows, strict=True) if row})

        return await self._database.read(query)

    async def keep_looked(self, looked: Looked, *, by: str, unix_ms: int) -> None:
        """Keep all that a watch has seen and decided: all of it, or nothing.

        Raises:
            StorageFailed: It could not be written.
        """

        def work(connection: sqlite3.Connection) -> None:
            for (tenant, workload, deployment), document in looked.watches.items():
                values = {"tenant": tenant, "workload": workload, "deployment": deployment, "document": document}
                connection.execute(self._sql["remove_watch" if document is None else "put_watch"], values)
            for certificate_id, why in looked.void.items():
                self._void(connection, certificate_id, why=why, by=by, unix_ms=unix_ms)
            for certificate in looked.put:
                self._put(connection, certificate, by)
            for event in looked.events:
                note_event(connection, event)
            for mark, value in (("watched", looked.seen), ("looked_at", looked.looked_at)):
                if value is not None:
                    connection.execute(self._sql["set_mark"], {"name": mark, "value": value})
            for whose, tries in looked.tries.items():
                name = tries_of(*whose)
                connection.execute(self._sql["set_mark"], {"name": name, "value": tries.count})
                connection.execute(self._sql["set_mark"], {"name": f"{name} last", "value": tries.last})

        await self._database.submit(work)

    async def shadow_spend(self, *, month: str, currency: str) -> int:
        """What shadows have cost in a month, in micro-units.

        Raises:
            StorageFailed: It cannot be read.
        """
        sql, values = self._sql["shadow_spend"], {"month": month, "currency": currency}

        def query(connection: sqlite3.Connection) -> int:
            row = connection.execute(sql, values).fetchone()
            return 0 if row is None else row[0]

        return await self._database.read(query)

    async def add_shadow_spend(self, micros: int, *, month: str, currency: str) -> None:
        """Add what a shadow has cost.

        Raises:
            StorageFailed: It could not be written.
        """
        values = {"month": month, "currency": currency, "micros": micros}
        await self._database.submit(lambda connection: connection.execute(self._sql["add_shadow_spend"], values))

    async def put_gold(self, questions: Mapping[str, str], *, tenant: str, workload: str) -> None:
        """Keep questions with known answers, JSON by id; one of the same id is replaced.

        Raises:
            StorageFailed: They could not be written.
        """
        rows = [
            {"tenant": tenant, "workload": workload, "id": name, "document": document}
            for name, document in questions.items()
        ]
        await self._database.submit(lambda connection: connection.executemany(self._sql["put_gold"], rows).rowcount)

    async def gold(self, *, tenant: str = "", workload: str = "") -> Sequence[tuple[str, str, str, str]]:
        """Tenant, workload, id and JSON of questions with known answers; empty text stands for any.

        Raises:
            StorageFailed: They cannot be read.
        """
        sql, values = self._sql["all_gold"], {"tenant": tenant, "workload": workload}

        def query(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
            rows = connection.execute(sql, values)
            return [(row["tenant"], row["workload"], row["id"], row["document"]) for row in rows]

        return await self._database.read(query)

    async def remove_gold(self, *, tenant: str, workload: str, question_id: str = "") -> int:
        """Remove one question, or all of a workload; how many there were.

        Raises:
            StorageFailed: It could not be written.
        """
        values = {"tenant": tenant, "workload": workload, "id": question_id}
        return await self._database.submit(
            lambda connection: connection.execute(self._sql["remove_gold"], values).rowcount
        )

    # --- the writer's thread --------------------------------------------------------------------------

    def _put(self, connection: sqlite3.Connection, certificate: Certificate, by: str) -> None:
        values = {
            "id": certificate.id,
            "tenant": certificate.tenant,
            "scoring": scoring_id(connection, certificate.scored_on),
            "label_kind": certificate.label_kind.value,
            "document": certificate_json(certificate),
        }
        connection.execute(self._sql["put_certificate"], values)
        note_event(connection, _event("certificate.made", certificate, by=by, unix_ms=certificate.created_unix_ms))

    def _void(self, connection: sqlite3.Connection, certificate_id: str, *, why: str, by: str, unix_ms: int) -> bool:
        row = connection.execute(self._sql["get_certificate"], {"id": certificate_id}).fetchone()
        if row is None:
            return False
        connection.execute(self._sql["remove_certificate"], {"id": certificate_id})
        certificate = certificate_from(row[1])
        note_event(connection, _event("certificate.void", certificate, by=by, unix_ms=unix_ms, why=why))
        return True


def certificate_document(certificate: Certificate) -> dict[str, Any]:
    """A certificate as JSON-ready values."""
    return asdict(certificate)


def certificate_json(certificate: Certificate) -> str:
    """A certificate as one line of JSON."""
    return json.dumps(certificate_document(certificate), separators=(",", ":"))


def certificate_from(text: str) -> Certificate:
    """The certificate that ``certificate_json`` wrote.

    Raises:
        ValueError: It is none.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        scored_on, fault = ScoredOn(**values.pop("scored_on")), Fault(values.pop("fault"))
        return Certificate(scored_on=scored_on, label_kind=LabelKind(values.pop("label_kind")), fault=fault, **values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no certificate: {error}") from error


def _event(event: str, certificate: Certificate, *, by: str, unix_ms: int, why: str = "") -> KeyEvent:
    scored_on = certificate.scored_on
    detail: dict[str, object] = {
        "certificate": certificate.id,
        "workload": scored_on.workload,
        "model": scored_on.model_digest,
        "calibration": scored_on.calibration,
        "scope": scored_on.scope,
        "labels": certificate.label_kind.value,
        "risk_max": repr(certificate.risk_max),
        "delta": repr(certificate.delta),
        "threshold": repr(certificate.threshold),
        "n": certificate.n,
        "accepted": certificate.accepted,
        "errors": certificate.errors,
    }
    if why:
        detail["why"] = why
    return KeyEvent(unix_ms=unix_ms, event=event, key_id="", tenant=certificate.tenant, by=by, detail=detail)
