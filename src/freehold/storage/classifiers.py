"""Classifiers in SQLite: ``domain.ports.ClassifierStore``."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict

from freehold.domain.classifier import KeptClassifier
from freehold.domain.errors.classify import ClassifierExists, ClassifiersTooMany
from freehold.storage.database import Database
from freehold.storage.named_sql import load


class SqliteClassifiers:
    """The store of classifiers; several processes may use it at the same time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load("classifiers")

    async def put(self, classifier: KeptClassifier, *, replace: bool, most: int) -> None:
        """Keep one; it is durable at return.

        Raises:
            ClassifierExists: There is one of that name, and it is not to be replaced.
            ClassifiersTooMany: The tenant has ``most`` already.
            StorageFailed: It could not be written.
        """
        sql, values = self._sql, asdict(classifier)

        def work(connection: sqlite3.Connection) -> int:
            if connection.execute(sql["classifier_id"], values).fetchone() is not None:
                if not replace:
                    return -1
            elif (count := connection.execute(sql["count_classifiers"], values).fetchone()[0]) >= most:
                return count
            connection.execute(sql["put_classifier"], values)
            return 0

        refused = await self._database.submit(work)
        if refused < 0:
            raise ClassifierExists(name=classifier.name, param="name")
        if refused:
            raise ClassifiersTooMany(tenant=classifier.tenant, count=refused)

    async def id_of(self, name: str, *, tenant: str) -> str | None:
        """Which one the name stands for now."""
        sql = self._sql["classifier_id"]

        def query(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(sql, {"tenant": tenant, "name": name}).fetchone()
            return None if row is None else row["id"]

        return await self._database.read(query)

    async def get(self, name: str, *, tenant: str) -> KeptClassifier | None:
        """One with all that is in it."""
        sql = self._sql["get_classifier"]

        def query(connection: sqlite3.Connection) -> KeptClassifier | None:
            row = connection.execute(sql, {"tenant": tenant, "name": name}).fetchone()
            return None if row is None else KeptClassifier(**dict(row))

        return await self._database.read(query)

    async def all(self, *, tenant: str) -> list[KeptClassifier]:
        """The tenant's, by name, without numbers and examples."""
        sql = self._sql["all_classifiers"]

        def query(connection: sqlite3.Connection) -> list[KeptClassifier]:
            return [KeptClassifier(**dict(row)) for row in connection.execute(sql, {"tenant": tenant})]

        return await self._database.read(query)

    async def remove(self, name: str, *, tenant: str) -> bool:
        """Forget one with all that is in it."""
        sql = self._sql["remove_classifier"]

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute(sql, {"tenant": tenant, "name": name}).rowcount == 1

        return await self._database.submit(work)
