"""Who asks: good keys, all others, and what a key may be made of."""

from __future__ import annotations

import hashlib
import re
import threading

import pytest

from freehold.domain.errors.auth import (
    AuthError,
    KeyMissing,
    KeyNotRotated,
    KeyRequestInvalid,
    KeyUnknown,
    LastAdminKey,
)
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.identity import Tenant
from freehold.domain.labels import Label, Level
from freehold.domain.ports import Authenticator
from freehold.domain.zones import DEVICE, WORLD
from freehold.identity.keys import THIS_MACHINE, KeyRing
from freehold.storage.database import Database
from freehold.storage.keys import SqliteKeys

BOTTOM = Label(level=Level.PUBLIC, zones=frozenset({DEVICE, WORLD}))
ACME = Tenant(name="acme", label=BOTTOM)


class FixedClock:
    def unix_ms(self):
        return 1_790_000_000_000

    def monotonic_s(self):
        return 0.0


class Ids:
    def __init__(self):
        self.count = 0

    def new_id(self):
        self.count += 1
        return f"id-{self.count}"


def parse_label(text):
    try:
        return Label(level=Level[text.upper()], zones=frozenset({DEVICE}))
    except KeyError:
        raise LabelUnreadable(value=text, reason="test") from None


def make_ring(database, tenants=None):
    return KeyRing(
        SqliteKeys(database),
        tenants or {"acme": ACME},
        parse_label=parse_label,
        bottom=BOTTOM,
        clock=FixedClock(),
        ids=Ids(),
    )


@pytest.fixture
def database(tmp_path):
    database = Database.open(tmp_path / "freehold.db")
    yield database
    database.close()


@pytest.fixture
def ring(database):
    return make_ring(database)


def new(ring, **changes):
    return ring.new(**{"name": "laptop", "tenant": "acme", "scopes": {"infer"}} | changes)


def test_a_new_key_opens(ring: KeyRing):
    authenticator: Authenticator = ring
    secret, record = new(ring, label="restricted")
    principal = authenticator.authenticate(secret)
    assert (principal.key_id, principal.key_name, principal.tenant) == (record.id, "laptop", ACME)
    assert principal.scopes == {"infer"}
    assert principal.label.level is Level.RESTRICTED
    assert record.id in ring.good_ids


def test_a_key_without_a_label_adds_nothing(ring):
    secret, _ = new(ring)
    assert ring.authenticate(secret).label == BOTTOM


def test_secrets_have_one_form_and_are_stored_nowhere(ring, tmp_path):
    secret, record = new(ring)
    assert re.fullmatch(r"fh-[A-Za-z0-9_-]{43}", secret)
    assert record.sha256 == hashlib.sha256(secret.encode()).digest()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret.encode() not in stored
    assert secret[3:].encode() not in stored
    assert record.sha256 in stored


@pytest.mark.parametrize("credential", [None, ""])
def test_no_credential_is_its_own_error(ring, credential):
    with pytest.raises(KeyMissing):
        ring.authenticate(credential)


@pytest.mark.parametrize("credential", ["x", "fh-", "sk-123", "\x00", "\ud800", "' OR 1=1 --", "é" * 70_000])
def test_whatever_is_sent_an_unknown_key_is_unknown(ring, credential):
    new(ring)
    with pytest.raises(KeyUnknown):
        ring.authenticate(credential)


def test_68_the_whole_key_counts(ring):
    secret, _ = new(ring)
    for near in (secret[:-1], secret + "x", secret.upper(), " " + secret, secret[:20]):
        with pytest.raises(KeyUnknown):
            ring.authenticate(near)


def test_revoked_and_unknown_keys_get_the_same_answer(ring):
    secret, record = new(ring)
    ring.revoke(record.id)

    def answer(credential):
        with pytest.raises(AuthError) as caught:
            ring.authenticate(credential)
        return type(caught.value), caught.value.message, caught.value.http_status

    assert answer(secret) == answer("fh-" + "x" * 43)
    assert record.id not in ring.good_ids
    assert ring.knows(secret)
    assert not ring.knows("fh-" + "x" * 43)


def test_a_revoked_key_stays_revoked_after_a_restart(ring, database):
    secret, record = new(ring)
    kept, _ = new(ring)
    ring.revoke(record.id)
    again = make_ring(database)
    again.authenticate(kept)
    with pytest.raises(KeyUnknown):
        again.authenticate(secret)


def test_a_key_of_another_process_is_seen_after_reload(ring, database):
    secret, record = new(make_ring(database))
    with pytest.raises(KeyUnknown):
        ring.authenticate(secret)
    ring.reload()
    assert ring.authenticate(secret).key_id == record.id
    assert [key.id for key in ring.list()] == [record.id]


@pytest.mark.parametrize("key_id", ["nobody", "' OR 1=1 --", ""])
def test_revoking_nothing_is_an_error(ring, key_id):
    secret, _ = new(ring)
    with pytest.raises(KeyRequestInvalid, match="no key with this id"):
        ring.revoke(key_id)
    ring.authenticate(secret)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ""}, "1 to 64 printable"),
        ({"name": "  "}, "1 to 64 printable"),
        ({"name": "a\nb"}, "1 to 64 printable"),
        ({"name": "a" * 65}, "1 to 64 printable"),
        ({"tenant": "nobody"}, "the configuration has: acme"),
        ({"scopes": set()}, "infer, manage, admin"),
        ({"scopes": {"infer", "root"}}, "infer, manage, admin"),
    ],
)
def test_what_a_key_cannot_be(ring, changes, reason):
    with pytest.raises(KeyRequestInvalid, match=reason):
        new(ring, **changes)
    assert ring.list() == ()


def test_a_label_that_cannot_be_read_makes_no_key(ring):
    with pytest.raises(LabelUnreadable):
        new(ring, label="top secret")
    assert ring.list() == ()


def test_a_given_secret_must_have_the_form_and_is_never_shown(ring):
    with pytest.raises(KeyRequestInvalid) as caught:
        ring.register("fh-almost-a-secret", name="n", tenant="acme", scopes={"infer"})
    assert "almost" not in caught.value.message


def test_a_key_whose_tenant_is_gone_opens_nothing_until_it_is_back(ring):
    secret, record = new(ring)
    ring.reload({"other": ACME})
    with pytest.raises(KeyUnknown):
        ring.authenticate(secret)
    assert len(ring.problems) == 1
    assert record.id in ring.problems[0]
    assert secret not in ring.problems[0]
    ring.reload({"acme": ACME})
    assert ring.authenticate(secret).tenant == ACME
    assert ring.problems == ()


def test_a_key_whose_stored_label_cannot_be_read_fails_closed(ring, database):
    secret, _ = new(ring, label="restricted")
    database.run(lambda c: c.execute("UPDATE keys SET label = 'gibberish'") and None)
    ring.reload()
    with pytest.raises(KeyUnknown):
        ring.authenticate(secret)
    assert "gibberish" in ring.problems[0]


def test_a_caller_of_whom_nothing_changed_stays_the_same_object(database):
    ring = make_ring(database)
    secret, _ = ring.new(name="laptop", tenant="acme", scopes=["infer"])
    before = ring.authenticate(secret)
    ring.reload()
    assert ring.authenticate(secret) is before
    ring.reload({"acme": Tenant(name="acme", label=Label(level=Level.INTERNAL, zones=BOTTOM.zones))})
    assert ring.authenticate(secret) is not before
    assert ring.authenticate(secret).tenant.label.level is Level.INTERNAL


class MovingClock(FixedClock):
    def __init__(self):
        self.ms = 1_790_000_000_000

    def unix_ms(self):
        return self.ms


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def moving(database, clock):
    return KeyRing(SqliteKeys(database), {"acme": ACME}, parse_label=parse_label, bottom=BOTTOM, clock=clock, ids=Ids())


def opens(ring, secret):
    try:
        ring.authenticate(secret)
    except KeyUnknown:
        return False
    return True


def test_a_key_opens_until_it_expires(moving, clock):
    secret, record = new(moving, life_s=60)
    assert record.expires_unix_ms == clock.ms + 60_000
    clock.ms += 59_999
    moving.reload()
    assert (opens(moving, secret), moving.state(record)) == (True, "good")
    clock.ms += 1
    moving.reload()
    assert (opens(moving, secret), moving.state(record)) == (False, "expired")
    assert record.id not in moving.good_ids
    assert moving.problems == ()


def test_a_key_expires_also_while_the_store_cannot_be_read(moving, clock, monkeypatch):
    secret, _ = new(moving, life_s=60)
    kept, _ = new(moving)
    clock.ms += 60_000

    def fails():
        raise LabelUnreadable(value="x", reason="stands for any failure")

    monkeypatch.setattr(moving._store, "all", fails)
    with pytest.raises(LabelUnreadable):
        moving.reload()
    assert not opens(moving, secret)
    assert opens(moving, kept)


def test_a_rotated_key_is_followed_by_one_that_is_the_same_but_for_its_secret(moving, clock):
    secret, old = new(moving, scopes={"infer", "manage"}, label="restricted")
    clock.ms += 1_000
    later, record = moving.rotate(old.id, overlap_s=100)
    assert later != secret
    assert (record.name, record.tenant, record.scopes, record.label) == (old.name, old.tenant, old.scopes, old.label)
    assert (record.follows, record.line, record.expires_unix_ms) == (old.id, old.id, None)
    assert opens(moving, secret)
    assert opens(moving, later)
    clock.ms += 100_000
    moving.reload()
    assert not opens(moving, secret)
    assert opens(moving, later)
    newest, third = moving.rotate(record.id)
    assert (third.follows, third.line) == (record.id, old.id)
    # Limits and counts that are to outlive a rotation are kept by this.
    assert moving.authenticate(newest).line == moving.authenticate(later).line == old.id
    assert [moving.line_of(key_id) for key_id in (old.id, third.id, "never")] == [old.id, old.id, "never"]


def test_a_leaked_key_opens_nothing_from_its_rotation_on(moving):
    secret, old = new(moving)
    later, _ = moving.rotate(old.id, overlap_s=0)
    assert not opens(moving, secret)
    assert opens(moving, later)
    assert old.id not in moving.good_ids


def test_a_key_that_lasts_90_days_is_followed_by_one_that_lasts_90_days(moving, clock):
    day_ms = 24 * 3600 * 1000
    _, old = new(moving, life_s=90 * 24 * 3600)
    clock.ms += 80 * day_ms
    _, record = moving.rotate(old.id)
    assert record.expires_unix_ms == clock.ms + 90 * day_ms
    assert moving.find(old.id).expires_unix_ms == clock.ms + day_ms
    _, third = moving.rotate(record.id, life_s=5)
    assert third.expires_unix_ms == clock.ms + 5_000


def test_the_last_key_that_manages_is_not_followed_by_one_that_ends_before_it(moving):
    secret, admin = new(moving, scopes={"admin"})
    with pytest.raises(KeyRequestInvalid, match="the last key of the scope admin that lasts"):
        moving.rotate(admin.id, life_s=60)
    assert opens(moving, secret)
    assert moving.find(admin.id).expires_unix_ms is None, "nothing was changed"
    _, later = moving.rotate(admin.id)
    new(moving, scopes={"admin"}, life_s=60)
    with pytest.raises(KeyRequestInvalid, match="would end before it"):
        moving.rotate(later.id, life_s=3_600)
    new(moving, scopes={"admin"})
    _, short = moving.rotate(later.id, life_s=60)
    moving.rotate(short.id, life_s=600)


def test_the_overlap_never_lengthens_a_life(moving, clock):
    _, old = new(moving, life_s=10)
    moving.rotate(old.id, overlap_s=1_000)
    assert moving.find(old.id).expires_unix_ms == clock.ms + 10_000


def test_a_key_is_followed_once_and_only_while_it_is_good(moving, clock, database):
    _, old = new(moving)
    _, later = moving.rotate(old.id)
    with pytest.raises(KeyNotRotated, match=f"it is followed by {later.id} already"):
        moving.rotate(old.id)
    _, revoked = new(moving)
    moving.revoke(revoked.id)
    _, expired = new(moving, life_s=1)
    clock.ms += 1_000
    for record in (revoked, expired):
        with pytest.raises(KeyNotRotated, match="it was revoked, or has expired"):
            moving.rotate(record.id)
    with pytest.raises(KeyRequestInvalid, match="no key with this id"):
        moving.rotate("nobody")
    assert len(moving.list()) == 4
    # Another program that has not heard of it yet does not follow it a second time either.
    late = make_ring(database)
    _, one = new(moving)
    late.reload()
    moving.rotate(one.id)
    with pytest.raises(KeyNotRotated):
        late.rotate(one.id)


@pytest.mark.parametrize("values", [{"overlap_s": -1}, {"overlap_s": 10**9}, {"life_s": 0}, {"life_s": 10**12}])
def test_spans_have_bounds(moving, values):
    _, old = new(moving)
    with pytest.raises(KeyRequestInvalid):
        moving.rotate(old.id, **values)
    with pytest.raises(KeyRequestInvalid):
        new(moving, life_s=10**12)


def test_the_last_admin_key_is_not_revoked_by_accident(moving):
    _, first = new(moving, scopes={"admin"})
    _, second = new(moving, scopes={"admin", "infer"})
    _, short = new(moving, scopes={"admin"}, life_s=60)
    new(moving)
    moving.revoke(second.id)
    with pytest.raises(LastAdminKey):
        moving.revoke(first.id)  # the short one does not last
    assert first.id in moving.good_ids
    moving.revoke(short.id)
    moving.revoke(first.id, force=True)
    assert moving.find(first.id).revoked_unix_ms is not None


def test_what_happened_is_told_until_it_is_forgotten(moving, database):
    _, one = moving.new(name="a", tenant="acme", scopes={"infer"}, life_s=60, by="key-7")
    _, two = moving.rotate(one.id, overlap_s=0, by="key-8")
    moving.revoke(two.id)
    with pytest.raises(KeyRequestInvalid):
        moving.revoke(two.id)
    told = make_ring(database).events()
    assert [(each.event, each.key_id, each.by) for each in told] == [
        ("key.made", one.id, "key-7"),
        ("key.rotated", two.id, "key-8"),
        ("key.revoked", two.id, THIS_MACHINE),
    ]
    assert told[0].detail == {"scopes": ["infer"], "label": "", "expires_unix_ms": one.expires_unix_ms}
    assert told[1].detail["old_key"] == one.id
    moving.forget(told[1].seq)
    assert [each.event for each in moving.events()] == ["key.revoked"]


def test_of_two_reloads_the_one_that_read_earlier_does_not_have_the_last_word(moving, monkeypatch):
    secret, record = new(moving)
    read, go_on = threading.Event(), threading.Event()
    store_all = moving._store.all

    def slow_all():
        found = store_all()
        if threading.current_thread() is slow:
            read.set()
            assert go_on.wait(5)
        return found

    monkeypatch.setattr(moving._store, "all", slow_all)
    slow = threading.Thread(target=moving.reload)
    slow.start()
    assert read.wait(5)
    revoking = threading.Thread(target=moving.revoke, args=(record.id,))
    revoking.start()
    while moving._store.all()[0].revoked_unix_ms is None:
        read.wait(0)
    go_on.set()
    slow.join(5)
    revoking.join(5)
    assert not opens(moving, secret)
