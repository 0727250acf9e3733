"""What somebody took out of a vault, so that it does not come back by itself: two numbers each, made under the vault's secret.

Neither a path nor a text can be had of them; who holds the key can try whether a certain file with certain bytes is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from freehold.domain.vault import Document
from freehold.vault.store_database import Database
from freehold.vault.store_documents import content_number, place_number


def remember(connection: Database, pepper: bytes, tenant: int, documents: Iterable[Document]) -> None:
    """Have these not come back: each of its place, with its bytes as they are."""
    connection.executemany(
        "INSERT INTO removed VALUES (?, ?) ON CONFLICT DO NOTHING",
        [
            (place_number(pepper, tenant, each.source), content_number(pepper, tenant, each.sha256))
            for each in documents
        ],
    )


def kept_away(connection: Database, pepper: bytes, tenant: int, source: str, digests: Sequence[str]) -> frozenset[str]:
    """Those of some digests that were taken out of a place."""
    place = place_number(pepper, tenant, source)
    away = {
        content for (content,) in connection.execute("SELECT content FROM removed WHERE place = ?", (place,)).fetchall()
    }
    return frozenset(each for each in digests if content_number(pepper, tenant, each) in away) if away else frozenset()


def is_any(connection: Database, pepper: bytes, tenant: int, source: str) -> bool:
    """Whether anything of a place was taken out."""
    query = "SELECT 1 FROM removed WHERE place = ? LIMIT 1"
    return bool(connection.execute(query, (place_number(pepper, tenant, source),)).fetchall())


def forget(connection: Database, pepper: bytes, tenant: int, source: str) -> bool:
    """Let everything of a place come back; whether anything was kept away."""
    is_away = is_any(connection, pepper, tenant, source)
    connection.execute("DELETE FROM removed WHERE place = ?", (place_number(pepper, tenant, source),))
    return is_away
