"""Certificates, watches, gold questions and what shadows cost, in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import Fault, LabelKind
from freehold.storage.certificates import Looked, SqliteCertificates, certificate_from, certificate_json
from freehold.storage.database import Database
from freehold.storage.keys import KeyEvent, SqliteKeys
from tests.support.histories import a_certificate, scored


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_a_certificate_replaces_one_for_the_same(database: Database) -> None:
    store = SqliteCertificates(database)
    first, other = a_certificate("c-1", tenant="ours"), a_certificate("c-2", tenant="ours", label_kind=LabelKind.GOLD)
    again, legal = a_certificate("c-3", tenant="ours"), a_certificate("c-4", scored_on=scored(workload="legal"))
    for each in (first, other, again, legal):
        run(store.put(each, by="somebody"))
    assert run(store.all()) == [again, other, legal]
    events = SqliteKeys(database).events()
    assert [(each.event, each.by, each.detail["certificate"]) for each in events] == [
        ("certificate.made", "somebody", name) for name in ("c-1", "c-2", "c-3", "c-4")
    ]
    assert {type(fact) for fact in events[0].detail.values()} == {str, int}


def test_voiding_is_told_once(database: Database) -> None:
    store = SqliteCertificates(database)
    run(store.put(a_certificate("c-1")))
    assert run(store.void("c-1", why="drift", unix_ms=9)) is True
    assert run(store.void("c-1", why="drift", unix_ms=9)) is False
    assert run(store.all()) == []
    event = SqliteKeys(database).events()[-1]
    assert (event.event, event.unix_ms, event.detail["why"]) == ("certificate.void", 9, "drift")


def test_what_a_watch_decides_is_kept_in_one_piece(database: Database) -> None:
    store = SqliteCertificates(database)
    run(store.put(a_certificate("c-1")))
    place, other = ("ours", "general", "small"), ("ours", "general", "large")
    event = KeyEvent(unix_ms=1, event="certificate.alarm", key_id="", tenant="ours", by="watch")
    first = Looked(watches={place: "{1}", other: "{2}"}, seen=7, void={"c-1": "drift"}, events=[event])
    run(store.keep_looked(first, by="watch", unix_ms=1))
    assert run(store.watches()) == {place: "{1}", other: "{2}"}
    assert (run(store.seen()), run(store.all())) == (7, [])
    again = Looked(watches={place: "{3}", other: None}, void={}, put=[a_certificate("c-2")])
    run(store.keep_looked(again, by="watch", unix_ms=1))
    assert run(store.watches()) == {place: "{3}"}
    assert (run(store.seen()), [each.id for each in run(store.all())]) == (7, ["c-2"])
    assert [each.event for each in SqliteKeys(database).events()] == [
        "certificate.made", "certificate.void", "certificate.alarm", "certificate.made",
    ]  # fmt: skip


def test_what_shadows_cost_is_summed_by_month_and_currency(database: Database) -> None:
    store = SqliteCertificates(database)
    assert run(store.shadow_spend(month="2026-11", currency="USD")) == 0
    for month, currency, micros in (
        ("2026-11", "USD", 5),
        ("2026-11", "USD", 7),
        ("2026-11", "EUR", 1),
        ("2026-12", "USD", 2),
    ):
        run(store.add_shadow_spend(micros, month=month, currency=currency))
    assert run(store.shadow_spend(month="2026-11", currency="USD")) == 12


def test_gold_questions_are_a_tenants_own(database: Database) -> None:
    store = SqliteCertificates(database)
    run(store.put_gold({"a": "{1}", "b": "{2}"}, tenant="ours", workload="general"))
    run(store.put_gold({"a": "{3}"}, tenant="theirs", workload="general"))
    run(store.put_gold({"a": "{4}"}, tenant="ours", workload="general"))
    assert run(store.gold(tenant="ours")) == [("ours", "general", "a", "{4}"), ("ours", "general", "b", "{2}")]
    assert run(store.remove_gold(tenant="ours", workload="general", question_id="b")) == 1
    assert run(store.remove_gold(tenant="ours", workload="general")) == 1
    assert run(store.gold()) == [("theirs", "general", "a", "{3}")]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"scored_on": {}, "label_kind": "gold"}'])
def test_other_text_is_no_certificate(text: str) -> None:
    with pytest.raises(ValueError):
        certificate_from(text)


def test_a_certificate_survives_being_text() -> None:
    certificate = a_certificate("c-1", tenant="ours", label_kind=LabelKind.AGREEMENT)
    found = certificate_from(certificate_json(certificate))
    assert found == certificate
    assert (type(found.label_kind), type(found.fault)) == (LabelKind, Fault)  # who asks which asks by identity
