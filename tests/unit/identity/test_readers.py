"""Whose eyes a key reads private documents with: kept, rotated, changed, and given by nobody who has less."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.auth import GrantRefused, KeyRequestInvalid
from freehold.domain.identity import UNNAMED, Principal, Reads, Scope, Tenant, reader_of
from freehold.domain.labels import Label, Level
from freehold.domain.vault import Reader, Readers
from freehold.domain.zones import DEVICE
from freehold.identity.keys import KeyRing
from freehold.identity.readers import GROUPS_MAX, check_reads, check_reads_grant
from freehold.storage.database import Database
from tests.unit.identity.test_keys import make_ring

LABEL = Label(level=Level.PUBLIC, zones=frozenset({DEVICE}))
ANA = Reads(user="ana", groups=frozenset({"legal", "hr"}), clearance=Level.CONFIDENTIAL)


@pytest.fixture
def database(tmp_path: Path) -> Generator[Database]:
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


@pytest.fixture
def ring(database: Database) -> KeyRing:
    return make_ring(database)


def make(ring: KeyRing, reads: Reads = UNNAMED) -> tuple[str, str]:
    secret, record = ring.new(name="laptop", tenant="acme", scopes={"infer"}, reads=reads)
    return secret, record.id


def caller(*scopes: Scope, reads: Reads = UNNAMED) -> Principal:
    return Principal(
        key_id="k",
        key_name="n",
        tenant=Tenant(name="acme", label=LABEL),
        label=LABEL,
        scopes=frozenset(scopes),
        user=reads.user,
        groups=reads.groups,
        clearance=reads.clearance,
    )


def test_a_key_reads_as_it_was_made_to_and_as_nobody_where_nothing_was_said(ring: KeyRing) -> None:
    secret, _ = make(ring, ANA)
    assert reader_of(ring.authenticate(secret)) == Reader(
        tenant="acme", names=frozenset({"user:ana", "group:legal", "group:hr"}), clearance=Level.CONFIDENTIAL
    )
    plain, _ = make(ring)
    assert reader_of(ring.authenticate(plain)) == Reader(tenant="acme", clearance=Level.RESTRICTED)


def test_no_scope_reads_more(ring: KeyRing) -> None:
    secret, _ = ring.new(name="boss", tenant="acme", scopes={*Scope})
    reader = reader_of(ring.authenticate(secret))
    assert not reader.may_read("acme", Readers(level=Level.PUBLIC, names=frozenset({"user:ana"})))


def test_a_user_and_a_group_of_one_name_are_two(ring: KeyRing) -> None:
    secret, _ = make(ring, Reads(user="legal"))
    reader = reader_of(ring.authenticate(secret))
    assert not reader.may_read("acme", Readers(level=Level.PUBLIC, names=frozenset({"group:legal"})))


def test_eyes_outlive_a_restart_and_a_rotation(ring: KeyRing, database: Database) -> None:
    _, key_id = make(ring, ANA)
    secret, record = ring.rotate(key_id)
    assert record.reads == ANA
    assert make_ring(database).authenticate(secret).reads == ANA


def test_a_change_is_seen_by_whoever_reads_the_keys_next_and_makes_another_caller(database: Database) -> None:
    ring, other = make_ring(database), make_ring(database)
    secret, key_id = make(ring, ANA)
    other.reload()
    before = other.authenticate(secret)
    ring.change_reads(key_id, UNNAMED, by="k")
    assert ring.authenticate(secret).reads == UNNAMED
    other.reload()
    after = other.authenticate(secret)
    assert (after.reads, after is before) == (UNNAMED, False)
    event = ring.events()[-1]
    assert (event.event, event.key_id, event.by) == ("key.changed", key_id, "k")
    assert "user" not in event.detail
    assert ring.events()[0].detail["user"] == "ana"


def test_what_has_ended_cannot_be_changed(ring: KeyRing) -> None:
    _, key_id = make(ring)
    ring.revoke(key_id)
    for each in (key_id, "nobody"):
        with pytest.raises(KeyRequestInvalid):
            ring.change_reads(each, ANA)


@pytest.mark.parametrize("name", ["a b", "a:b", "user:ana", "é".join("x" * 40), "e\u0301", "ﬁ", "a\n", "a/b", "x" * 65])
def test_names_have_one_form(name: str) -> None:
    with pytest.raises(KeyRequestInvalid):
        check_reads(Reads(user=name))
    with pytest.raises(KeyRequestInvalid):
        check_reads(Reads(groups=frozenset({name})))


@pytest.mark.parametrize("name", ["ana", "Ana.Li@acme.example", "geschäftsführung", "法務", "a-b_c+d"])
def test_names_may_be_in_any_script(name: str) -> None:
    check_reads(Reads(user=name, groups=frozenset({name})))


def test_groups_are_bounded() -> None:
    check_reads(Reads(groups=frozenset(f"g{n}" for n in range(GROUPS_MAX))))
    with pytest.raises(KeyRequestInvalid):
        check_reads(Reads(groups=frozenset(f"g{n}" for n in range(GROUPS_MAX + 1))))


@pytest.mark.parametrize(
    "asked",
    [
        ANA,
        UNNAMED,
        Reads(user="ana", clearance=Level.PUBLIC),
        Reads(groups=frozenset({"hr"}), clearance=Level.CONFIDENTIAL),
    ],
)
def test_who_has_it_gives_it(asked: Reads) -> None:
    giver = ANA if asked is not UNNAMED else replace(ANA, clearance=Level.RESTRICTED)
    check_reads_grant(caller(Scope.MANAGE, reads=giver), asked)


@pytest.mark.parametrize(
    "asked",
    [UNNAMED, Reads(user="bo", clearance=Level.PUBLIC), Reads(groups=frozenset({"it"}), clearance=Level.PUBLIC)],
)
def test_nobody_gives_what_it_does_not_have(asked: Reads) -> None:
    with pytest.raises(GrantRefused):
        check_reads_grant(caller(Scope.MANAGE, reads=ANA), asked)


def test_an_admin_names_anybody_and_clears_nobody_above_itself() -> None:
    admin = caller(Scope.ADMIN, reads=Reads(clearance=Level.INTERNAL))
    check_reads_grant(admin, Reads(user="bo", groups=frozenset({"it"}), clearance=Level.INTERNAL))
    with pytest.raises(GrantRefused):
        check_reads_grant(admin, Reads(clearance=Level.CONFIDENTIAL))
