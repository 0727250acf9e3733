"""Outcomes in the database: kept behind, bounded, labelled, erased."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.domain.certificates import LabelKind
from freehold.domain.memory import KeptPassage
from freehold.domain.outcomes import Feedback
from freehold.storage.certificates import Looked, SqliteCertificates
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys
from freehold.storage.memory import SqliteMemory
from freehold.storage.outcomes import SqliteOutcomes
from freehold.storage.vectors import pack, unpack
from tests.support.histories import a_certificate, an_outcome, scored


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


def run(work: Any) -> Any:
    return asyncio.run(work)


def said(
    request_id: str = "r-1", *, right: bool, tenant: str = "ours", kind: LabelKind = LabelKind.FEEDBACK
) -> Feedback:
    return Feedback(request_id=request_id, tenant=tenant, right=right, label_kind=kind, unix_ms=5)


def test_what_is_kept_is_read_as_it_was(database: Database) -> None:
    store = SqliteOutcomes(database)
    whole = an_outcome(
        probability=0.7316254, threshold=0.7, accepted=True, answered=True, right=False, label_kind=LabelKind.GOLD,
        cost_micros=12, latency_ms=3.5, signals={"logprob_mean": -0.25, "empty": 0.0}, question=(1.0, -0.5, 0.0),
        question_model="sha256:q", judged_by="large", sought=0.2,
    )  # fmt: skip
    store.keep(whole, an_outcome("r-2"))
    first, second = run(store.read())
    assert second == an_outcome("r-2")
    assert first.question == pytest.approx(whole.question, abs=1 / 254)
    assert first == an_outcome(**{
        **{name: getattr(whole, name) for name in (
            "probability", "threshold", "accepted", "answered", "right", "label_kind", "cost_micros", "latency_ms",
            "signals", "question_model", "judged_by", "sought",
        )},
        "question": first.question,
    })  # fmt: skip


def test_reading_looks_for_all_that_is_said(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(
        an_outcome("r-1", unix_ms=1),
        an_outcome("r-2", tenant="theirs", unix_ms=2),
        an_outcome("r-3", deployment="large", unix_ms=3, right=True, label_kind=LabelKind.AGREEMENT),
        an_outcome("r-4", scored_on=scored(workload="legal"), unix_ms=4),
    )

    def ids(**how: Any) -> list[str]:
        return [each.request_id for each in run(store.read(**how))]

    assert ids() == ["r-1", "r-2", "r-3", "r-4"]
    assert ids(tenant="ours") == ["r-1", "r-3", "r-4"]
    assert ids(workload="legal") == ["r-4"]
    assert ids(deployment="large") == ["r-3"]
    assert ids(since_unix_ms=3) == ["r-3", "r-4"]
    assert ids(labelled=True) == ["r-3"]
    assert ids(most=2) == ["r-3", "r-4"]


def test_only_the_newest_of_a_tenant_and_workload_are_kept(database: Database) -> None:
    store = SqliteOutcomes(database, most=4)
    for number in range(40):
        store.keep(an_outcome(f"r-{number:02}"), an_outcome(f"s-{number:02}", tenant="theirs"))
        run(store.read(most=1))
    ours = [each.request_id for each in run(store.read(tenant="ours"))]
    assert ours == [f"r-{number:02}" for number in range(40 - len(ours), 40)]
    assert 4 <= len(ours) <= 8
    assert len(run(store.read(tenant="theirs"))) <= 8


def test_what_cannot_be_written_is_dropped_in_the_end_and_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.storage.outcomes.WAITING_MAX", 3)
    store = SqliteOutcomes(database)

    def never(work: object) -> None:
        del work

    monkeypatch.setattr(database, "post", never)
    store.keep(*(an_outcome(f"r-{number}") for number in range(5)))
    assert (store.waiting, store.dropped) == (3, 2)
    assert [each.request_id for each in run(store.read())] == ["r-2", "r-3", "r-4"]


def test_feedback_labels_the_answer_that_the_client_got(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(an_outcome(deployment="small"), an_outcome(deployment="large", answered=True))
    assert run(store.label(said(right=True))) is True
    labels = {each.deployment: (each.right, each.label_kind) for each in run(store.read())}
    assert labels == {"small": (None, None), "large": (True, LabelKind.FEEDBACK)}
    assert run(store.label(said(right=False))) is True
    assert run(store.read(deployment="large"))[0].right is False


@pytest.mark.parametrize("feedback", [said("r-9", right=True), said(right=True, tenant="theirs")])
def test_there_is_no_feedback_for_what_left_no_outcome(database: Database, feedback: Feedback) -> None:
    store = SqliteOutcomes(database)
    store.keep(an_outcome(answered=True))
    assert run(store.label(feedback)) is False


def test_a_shadow_that_comes_later_labels_but_does_not_overrule_people(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(an_outcome(answered=True))
    agreed = an_outcome(answered=True, right=True, label_kind=LabelKind.AGREEMENT, judged_by="large")
    store.keep(agreed)
    assert run(store.read()) == [agreed]
    run(store.label(said(right=False)))
    store.keep(agreed)
    (found,) = run(store.read())
    assert (found.right, found.label_kind) == (False, LabelKind.FEEDBACK)


def test_labels_are_seen_once_in_the_order_of_their_coming(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(*(an_outcome(f"r-{number}", answered=True) for number in range(4)))
    for name, right in (("r-2", True), ("r-0", False), ("r-2", False)):
        run(store.label(said(name, right=right)))
    found, seen = run(store.labels_after(0, most=1))
    assert [each.request_id for each in found] == ["r-2"]
    found, seen = run(store.labels_after(seen, most=10))
    assert [each.request_id for each in found] == ["r-0"]
    assert run(store.labels_after(seen, most=10)) == ([], seen)


def test_numbers_of_labels_are_not_given_twice_after_an_erasure(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(an_outcome(right=True, label_kind=LabelKind.GOLD))
    _, seen = run(store.labels_after(0, most=10))
    run(store.erase(tenant="ours"))
    store.keep(an_outcome("r-2", right=True, label_kind=LabelKind.GOLD))
    found, _ = run(store.labels_after(seen, most=10))
    assert [each.request_id for each in found] == ["r-2"]


def test_erasing_leaves_no_byte_and_no_promise(database: Database, tmp_path: Path) -> None:
    store, kept = SqliteOutcomes(database, most=2), SqliteCertificates(database)
    vector = tuple(0.9 if n % 3 else 0.11 for n in range(64))
    for number in range(9):  # most of them are trimmed long before they are to be erased
        store.keep(an_outcome(f"r-{number}", question=vector, signals={"odd": 0.731625}))
        run(store.read())
    store.keep(an_outcome("r-x", tenant="theirs", scored_on=scored(workload="legal")))
    run(kept.put(a_certificate("c-ours", tenant="ours")))
    run(kept.put(a_certificate("c-all")))
    run(kept.put(a_certificate("c-theirs", tenant="theirs")))
    run(kept.put_gold({"q": '{"prompt":"What is peculiar?"}'}, tenant="ours", workload="general"))
    run(kept.keep_looked(Looked(watches={("ours", "general", "small"): "{}"}, void={}), by="x", unix_ms=1))
    passage = KeptPassage(
        tenant="ours", id="r-9", part=1, label="restricted", expires_unix_ms=1 << 60, prints=b"prints that stand out"
    )
    SqliteMemory(database, bytes_max=1_000).keep([passage, replace(passage, tenant="theirs", prints=b"")], unix_ms=1)
    marks = [pack(vector), b"0.731625", b"What is peculiar?", passage.prints]
    run(store.read())
    assert all(any(mark in data for data in _bytes(tmp_path)) for mark in marks)
    assert run(store.erase(tenant="ours", by="key-1", unix_ms=7)) == 3
    assert [each.id for each in run(kept.all())] == ["c-theirs"]
    assert (run(kept.watches()), run(kept.gold())) == ({}, [])
    assert [each.tenant for each in run(store.read())] == ["theirs"]
    assert [mark for mark in marks for data in _bytes(tmp_path) if mark in data] == []
    event = SqliteKeys(database).events()[-1]
    assert (event.event, event.tenant, event.by) == ("outcomes.erased", "ours", "key-1")
    assert event.detail == {"outcomes": 3, "certificates": ["c-ours", "c-all"], "passages": 1}
    assert [each.tenant for each in run(SqliteMemory(database, bytes_max=1_000).after(0))] == ["theirs"]


def _bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


def test_counts_are_by_tenant_workload_and_deployment(database: Database) -> None:
    store = SqliteOutcomes(database)
    store.keep(
        an_outcome("r-1", unix_ms=1, accepted=True),
        an_outcome("r-2", unix_ms=2, right=True, label_kind=LabelKind.GOLD),
        an_outcome("r-3", tenant="theirs"),
    )
    counted = run(store.counted())
    assert [(each.tenant, each.outcomes, each.labelled, each.accepted) for each in counted] == [
        ("ours", 2, 1, 1),
        ("theirs", 1, 0, 0),
    ]
    assert (counted[0].first_unix_ms, counted[0].last_unix_ms) == (1, 2)
    assert [each.tenant for each in run(store.counted(tenant="theirs"))] == ["theirs"]


@given(st.lists(st.floats(-1, 1, width=32), max_size=64))
def test_a_packed_vector_is_near_what_it_was(vector: list[float]) -> None:
    largest = max(map(abs, vector), default=0.0)
    assert unpack(pack(vector)) == pytest.approx(vector, abs=largest / 254 + 1e-6)


@pytest.mark.parametrize("data", [b"\x00", struct.pack("<f", 1.0)])
def test_other_bytes_are_no_vector(data: bytes) -> None:
    with pytest.raises(ValueError, match="no vector"):
        unpack(data)
