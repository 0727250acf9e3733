"""Who asks: good keys, all others, and what a key may be made of."""

from __future__ import annotations

import hashlib
import re

import pytest

from freehold.domain.errors.auth import AuthError, KeyMissing, KeyRequestInvalid, KeyUnknown
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.identity import Tenant
from freehold.domain.labels import Label, Level
from freehold.domain.ports import Authenticator
from freehold.domain.zones import DEVICE, WORLD
from freehold.identity.keys import KeyRing
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
