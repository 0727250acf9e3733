"""Numbers by which the database knows what a score means: outcomes have few different ones, of two hundred bytes each."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import asdict

from freehold.domain.certificates import ScoredOn
from freehold.storage.named_sql import load


def scoring_id(connection: sqlite3.Connection, scored_on: ScoredOn) -> int:
    """The number of ``scored_on``, which is given one where it has none."""
    sql, values = load("outcomes"), {"document": json.dumps(asdict(scored_on), sort_keys=True)}
    found = connection.execute(sql["scoring_id"], values).fetchone()
    if found is None:
        connection.execute(sql["put_scoring"], values)
        found = connection.execute(sql["scoring_id"], values).fetchone()
    return found[0]


def tries_of(tenant: str, scored_on: ScoredOn | None = None) -> str:
    """The mark that counts how often a score of a tenant's answers was tried to certify; without one how all begin."""
    start = f"tries {json.dumps(tenant)} "
    if scored_on is None:
        return start
    document = json.dumps(asdict(scored_on), sort_keys=True)
    return start + hashlib.sha256(document.encode()).hexdigest()
