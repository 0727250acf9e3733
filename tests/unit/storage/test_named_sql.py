"""Named statements, and that the schema knows each of them."""

from __future__ import annotations

import pytest

from freehold.storage.database import Database
from freehold.storage.named_sql import load, parse


def test_statements_are_found_by_name():
    assert parse("-- about this file\n-- name: one\nSELECT 1\n\n-- name: two\nSELECT\n2\n") == {
        "one": "SELECT 1",
        "two": "SELECT\n2",
    }


def test_a_name_given_twice_is_a_mistake():
    with pytest.raises(ValueError, match="one is given twice"):
        parse("-- name: one\nSELECT 1\n-- name: one\nSELECT 2")


@pytest.mark.parametrize("file", ["receipts", "ledger", "keys"])
def test_every_statement_compiles_against_the_schema(file, tmp_path):
    database = Database.open(tmp_path / "f.db")
    try:
        for statement in load(file).values():
            names = {
                word.strip(",()").removeprefix(":") for word in statement.split() if word.strip("(").startswith(":")
            }
            values = dict.fromkeys(names) or (None,) * statement.count("?")
            program = database.query(lambda c, s=statement, v=values: c.execute(f"EXPLAIN {s}", v).fetchall())
            assert program, statement
    finally:
        database.close()


def test_look_ups_of_a_tenants_receipts_use_its_index(tmp_path):
    database = Database.open(tmp_path / "f.db")
    try:
        statement = load("receipts")["recent_receipts_before"]
        values = {"tenant": "t", "before": "x", "limit": 1}
        plan = database.query(lambda c: c.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall())
        assert plan[0]["detail"].startswith("SEARCH receipts USING PRIMARY KEY")
        assert len(plan) == 1, "no sorting step"
    finally:
        database.close()
