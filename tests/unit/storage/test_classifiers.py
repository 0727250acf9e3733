"""Classifiers in the database: each tenant's own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from freehold.domain.classifier import KeptClassifier
from freehold.domain.errors.classify import ClassifierExists, ClassifiersTooMany
from freehold.storage.classifiers import SqliteClassifiers
from freehold.storage.database import Database


def kept(name: str, *, tenant: str = "a", version: str = "1") -> KeptClassifier:
    return KeptClassifier(
        tenant=tenant, name=name, id=version, about='{"x": 1}', numbers=b"\x00\xff", examples='[["t", "l"]]'
    )


def test_a_tenants_classifiers_are_its_own(tmp_path: Path) -> None:
    async def run() -> None:
        database = Database.open(tmp_path / "f.db")
        store = SqliteClassifiers(database)
        try:
            await store.put(kept("mail"), replace=False, most=2)
            await store.put(kept("mail", tenant="b", version="7"), replace=False, most=2)
            assert await store.get("mail", tenant="a") == kept("mail")
            assert await store.id_of("mail", tenant="b") == "7"
            assert await store.id_of("mail", tenant="c") is None
            assert await store.get("mail", tenant="c") is None
            with pytest.raises(ClassifierExists):
                await store.put(kept("mail", version="2"), replace=False, most=2)
            await store.put(kept("mail", version="2"), replace=True, most=2)
            assert await store.id_of("mail", tenant="a") == "2"
            await store.put(kept("bills"), replace=True, most=2)
            with pytest.raises(ClassifiersTooMany):
                await store.put(kept("more"), replace=False, most=2)
            await store.put(kept("mail", version="3"), replace=True, most=2)  # replacing adds none
            listed = await store.all(tenant="a")
            assert [(each.name, each.id, each.numbers, each.examples) for each in listed] == [
                ("bills", "1", b"", ""),
                ("mail", "3", b"", ""),
            ]
            assert await store.remove("mail", tenant="a")
            assert not await store.remove("mail", tenant="a")
            assert await store.get("mail", tenant="b") is not None
        finally:
            database.close()

    asyncio.run(run())
