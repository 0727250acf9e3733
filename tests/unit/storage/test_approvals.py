"""Held calls: one decision, one use, one hour."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Generator
from pathlib import Path

import pytest

from freehold.domain.errors.untrusted import ApprovalOver, ApprovalOwn, ApprovalUnknown
from freehold.domain.trust import Asker, HeldCall, HeldState
from freehold.identity.approval_book import ApprovalBook
from freehold.policy.trust import call_of
from freehold.storage.approvals import OPEN_MS, WAITING_MAX, SqliteApprovals
from freehold.storage.database import Database
from tests.support.gateway import ManualClock

MAIL = call_of("mail", '{"to": "a"}')


class Store:
    def __init__(self, database: Database) -> None:
        numbers = itertools.count(1)
        self.clock = ManualClock()
        self.kept = SqliteApprovals(database, new_id=lambda: f"call-{next(numbers):05}")
        self.book = ApprovalBook(self.kept, clock=self.clock)

    def ask(self, *calls: object, tenant: str = "ours", key: str = "key-1") -> tuple[HeldCall, ...]:
        asker = Asker(
            tenant=tenant, key_id=key, request_id="r", because="messages[1]:tool", unix_ms=self.clock.unix_ms()
        )
        return asyncio.run(self.kept.settle(calls or (MAIL,), asker))  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    database = Database.open(tmp_path / "f.db")
    yield Store(database)
    database.close()


def test_the_same_call_waits_once(store: Store) -> None:
    (first,), (again,) = store.ask(), store.ask(call_of("mail", '{ "to":"a" }'))
    assert (first.state, again.id) == (HeldState.WAITING, first.id)
    (other,) = store.ask(call_of("mail", '{"to": "b"}'))
    (of_another_key,) = store.ask(key="key-2")
    (of_another_tenant,) = store.ask(tenant="theirs")
    assert len({first.id, other.id, of_another_key.id, of_another_tenant.id}) == 4


def test_what_is_allowed_is_used_once_by_the_same_key(store: Store) -> None:
    (held,) = store.ask()
    assert store.book.decide(held.id, allow=True, by="key-9")["state"] == "allowed"
    assert store.ask(key="key-2")[0].state is HeldState.WAITING
    one, two = store.ask(MAIL, MAIL)
    assert (one.state, one.id, one.decided_by) == (HeldState.USED, held.id, "key-9")
    assert two.state is HeldState.WAITING
    assert store.book.get(held.id)["state"] == "used"


def test_what_is_allowed_too_long_ago_is_not(store: Store) -> None:
    (held,) = store.ask()
    store.book.decide(held.id, allow=True, by="key-9")
    store.clock.now_s += OPEN_MS / 1000
    assert store.book.get(held.id)["state"] == "expired"
    (again,) = store.ask()
    assert (again.state, again.id != held.id) == (HeldState.WAITING, True)


def test_what_waited_too_long_cannot_be_allowed(store: Store) -> None:
    (held,) = store.ask()
    store.clock.now_s += OPEN_MS / 1000
    with pytest.raises(ApprovalOver) as caught:
        store.book.decide(held.id, allow=True, by="key-9")
    assert "it is expired" in caught.value.message


def test_a_decision_is_made_once(store: Store) -> None:
    (held,) = store.ask()
    store.book.decide(held.id, allow=False, by="key-9")
    for allow in (True, False):
        with pytest.raises(ApprovalOver):
            store.book.decide(held.id, allow=allow, by="key-9")
    assert store.ask()[0].state is HeldState.DENIED


def test_nobody_allows_a_call_of_its_own_but_anybody_may_deny_it(store: Store) -> None:
    (held,) = store.ask()
    with pytest.raises(ApprovalOwn):
        store.book.decide(held.id, allow=True, by="key-1")
    assert store.book.decide(held.id, allow=False, by="key-1")["state"] == "denied"


def test_another_tenants_call_is_not_there(store: Store) -> None:
    (held,) = store.ask()
    for act in (
        lambda: store.book.get(held.id, "theirs"),
        lambda: store.book.decide(held.id, allow=True, by="key-9", tenant="theirs"),
        lambda: store.book.get("never"),
    ):
        with pytest.raises(ApprovalUnknown):
            act()
    assert store.book.all("theirs") == []


def test_old_ones_go_and_a_tenant_has_no_more_than_so_many(store: Store) -> None:
    calls = [call_of("mail", f"{number}") for number in range(WAITING_MAX + 5)]
    held = store.ask(*calls)
    kept = {str(each["id"]) for each in store.book.all("ours")}
    assert len(kept) == WAITING_MAX
    assert {each.id for each in held[:5]}.isdisjoint(kept)
    store.clock.now_s += 2 * 24 * 3600
    store.ask()
    assert len(store.book.all()) == 1
