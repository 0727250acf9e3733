"""The first start, and starts that were cut short."""

from __future__ import annotations

import stat

import pytest

from freehold.domain.errors.auth import KeyRequestInvalid, KeyUnknown
from freehold.domain.errors.server import DataFolderUnusable, KeyFileUnusable
from freehold.identity.first_key import ensure_first_key, write_secret
from freehold.identity.keys import KeyRing, new_secret
from freehold.storage.keys import KeyRecord
from tests.unit.identity.test_keys import ACME, BOTTOM, FixedClock, Ids, parse_label


class MemoryKeys:
    def __init__(self):
        self.records: list[KeyRecord] = []
        self.fails = False

    def all(self):
        return list(self.records)

    def add(self, record, event=None):
        if self.fails:
            raise DataFolderUnusable(path="x", reason="test")
        self.records.append(record)

    def revoke(self, key_id, *, unix_ms, event=None):
        raise NotImplementedError


@pytest.fixture
def store():
    return MemoryKeys()


@pytest.fixture
def ring(store):
    return KeyRing(store, {"acme": ACME}, parse_label=parse_label, bottom=BOTTOM, clock=FixedClock(), ids=Ids())


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(ring, tmp_path):
    first = ensure_first_key(ring, tmp_path / "key", tenant="acme")
    assert first is not None
    assert first.is_new
    assert (tmp_path / "key").read_text() == first.secret + "\n"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert ring.authenticate(first.secret).scopes == {"infer", "admin"}
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
    assert first.secret not in repr(first)


def test_later_starts_read_it(ring, tmp_path):
    first = ensure_first_key(ring, tmp_path / "key", tenant="acme")
    again = ensure_first_key(ring, tmp_path / "key", tenant="acme")
    assert first and again
    assert (again.secret, again.is_new) == (first.secret, False)
    assert len(ring.list()) == 1


def test_a_start_that_was_cut_short_is_finished_by_the_next(ring, store, tmp_path):
    store.fails = True
    with pytest.raises(DataFolderUnusable):
        ensure_first_key(ring, tmp_path / "key", tenant="acme")
    secret = (tmp_path / "key").read_text().strip()
    with pytest.raises(KeyUnknown):
        ring.authenticate(secret)
    store.fails = False
    first = ensure_first_key(ring, tmp_path / "key", tenant="acme")
    assert first and first.secret == secret
    ring.authenticate(secret)


def test_a_removed_file_is_not_made_again(ring, tmp_path):
    ensure_first_key(ring, tmp_path / "key", tenant="acme")
    (tmp_path / "key").unlink()
    assert ensure_first_key(ring, tmp_path / "key", tenant="acme") is None
    assert len(ring.list()) == 1


def test_a_file_that_others_can_read_is_refused(ring, tmp_path):
    ensure_first_key(ring, tmp_path / "key", tenant="acme")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeyFileUnusable, match="0640; want 0600") as refused:
        ensure_first_key(ring, tmp_path / "key", tenant="acme")
    assert "The key file" in refused.value.message and "chmod 600" in refused.value.message


@pytest.mark.parametrize("content", ["", "two words", "fh-short", "a\nb", "x" * 5_000])
def test_a_file_with_something_else_is_refused(ring, tmp_path, content):
    (tmp_path / "key").write_text(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(KeyRequestInvalid):
        ensure_first_key(ring, tmp_path / "key", tenant="acme")
    assert ring.list() == ()


def test_writing_never_replaces_a_key(tmp_path):
    write_secret(tmp_path / "key", "old")
    with pytest.raises(DataFolderUnusable, match="exists"):
        write_secret(tmp_path / "key", new_secret())
    assert (tmp_path / "key").read_text() == "old\n"
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(DataFolderUnusable, match="No such file"):
        write_secret(tmp_path / "none" / "key", "x")
