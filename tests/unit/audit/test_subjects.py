"""Data keys of subjects, sealed bodies, and that nothing is left of either once they were erased."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from freehold.audit import subjects as subjects_module
from freehold.audit.bodies import BODIES_FOLDER, SealedBodies, delete_bodies
from freehold.audit.journal import Journal
from freehold.audit.log import TransparencyLog
from freehold.audit.subjects import SUBJECTS_FOLDER, TENANT_KEY, SubjectKeys, decoded, destroy, month_of
from freehold.audit.verify import verify_folder
from freehold.domain.egress import EgressIntent
from freehold.domain.errors.audit import AuditBroken, AuditUnwritable
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.zones import Zone
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.storage import disk
from tests.support.audit import ORIGIN, CountingIds, StillClock

BODY = b'{"messages": [{"role": "user", "content": "Frau Beispiel hat Diabetes"}]}'
SECRET = b"Diabetes"
MONTH_MS = 31 * 24 * 3600 * 1000


def keys_in(folder: Path, clock: StillClock | None = None) -> SubjectKeys:
    return SubjectKeys(folder / SUBJECTS_FOLDER, clock or StillClock())


def commit(keys: SubjectKeys, *, tenant: str = "acme", subject: str = "key-1", record: str = "r-1") -> str:
    return keys.commit(BODY, tenant=tenant, subject=subject, record=record)


def test_a_commitment_depends_on_who_sent_it_and_in_which_request_and_is_the_same_in_every_process(
    tmp_path: Path,
) -> None:
    keys = keys_in(tmp_path)
    first = commit(keys)
    assert first == commit(keys) == commit(keys_in(tmp_path))
    others = {commit(keys, record="r-2"), commit(keys, subject="key-2"), commit(keys, tenant="else")}
    assert len({first, *others}) == 4
    assert commit(keys_in(tmp_path / "elsewhere")) != first


def test_a_key_is_of_one_month_and_that_is_the_records_own(tmp_path: Path) -> None:
    clock = StillClock()
    keys = keys_in(tmp_path, clock)
    record = SystemIds(SystemClock()).new_id()
    before, of_uuid = commit(keys), commit(keys, record=record)
    clock.now_s += MONTH_MS / 1000
    assert commit(keys) != before
    assert commit(keys, record=record) == of_uuid
    assert keys.period(record) == month_of(SystemClock().unix_ms())
    for odd in ("x" * 14 + "7" + "x" * 21, "f" * 8 + "-" + "f" * 4 + "-7" + "f" * 21):
        assert keys.period(odd) == month_of(clock.unix_ms())


def test_no_data_key_lies_on_disk_in_clear_and_files_are_private(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    data_key = keys.data_key("acme", "key-1", keys.period(""))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert not any(data_key in path.read_bytes() for path in files)


@pytest.mark.parametrize("subject", ["../../escape", ".", "..", "a/b", "%", "ä ö", "x\0y"])
def test_names_stay_in_their_folder(tmp_path: Path, subject: str) -> None:
    keys = keys_in(tmp_path)
    commit(keys, subject=subject)
    (data_key,) = tmp_path.rglob("*-*.key")
    assert (data_key.parents[2], decoded(data_key.parent.name)) == (keys.folder, subject)


def test_a_key_moved_to_another_subject_does_not_open(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    commit(keys)
    (path,) = (keys.folder / "acme" / "key-1").iterdir()
    other = keys.folder / "acme" / "key-2"
    other.mkdir()
    (other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(AuditBroken, match="damaged"):
        commit(keys, subject="key-2")


def test_a_key_that_another_program_erased_is_not_used_again(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    first = commit(keys)
    destroy(keys.folder, tenant="acme", subject="key-1")
    keys.forget_erased()
    assert commit(keys) != first
    again = commit(keys)
    destroy(keys.folder, tenant="acme")
    assert commit(keys) != again  # noticed at the next use, without anybody saying so


def test_erased_keys_are_forgotten_also_while_a_thread_seals_the_first_body_of_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = StillClock()
    keys, look = keys_in(tmp_path, clock), subjects_module._identity
    commit(keys)
    destroy(keys.folder, tenant="acme", subject="key-1")

    def while_it_is_looked_at(path: Path) -> tuple[int, int] | None:
        monkeypatch.undo()
        clock.now_s += MONTH_MS / 1000
        commit(keys, subject="key-2")
        return look(path)

    monkeypatch.setattr(subjects_module, "_identity", while_it_is_looked_at)
    keys.forget_erased()
    assert commit(keys, subject="key-2") == commit(keys_in(tmp_path, clock), subject="key-2")


def test_a_key_that_is_replaced_while_it_is_read_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, other, unwrap = keys_in(tmp_path), keys_in(tmp_path), subjects_module._unwrap
    commit(other)

    def before_it_is_erased(*of_what: Any) -> bytes:
        found = unwrap(*of_what)
        monkeypatch.undo()
        destroy(keys.folder, tenant="acme")
        commit(other)
        return found

    monkeypatch.setattr(subjects_module, "_unwrap", before_it_is_erased)
    commit(keys)
    assert commit(keys) == commit(other)


def test_a_key_that_is_just_being_erased_is_none_and_not_a_damaged_one(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    commit(keys)
    file = next(keys.folder.rglob("*-*.key"))
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(AuditUnwritable):
        commit(keys_in(tmp_path))
    with pytest.raises(AuditBroken, match="it was erased"):
        keys.find("acme", "key-1", keys.period("r-1"))


def test_a_key_that_is_made_while_its_tenant_is_erased_keeps_nobody_from_sending_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, append, flock = keys_in(tmp_path), disk.append, fcntl.flock
    commit(keys, subject="key-2")  # the tenant has its key
    met = threading.Event()

    def erase() -> None:
        destroy(keys.folder, tenant="acme")
        met.set()

    def wait(descriptor: int, how: int) -> None:
        if threading.current_thread() is eraser:
            met.set()
        flock(descriptor, how)

    def while_it_is_written(descriptor: int, data: bytes) -> None:
        if not eraser.ident:
            eraser.start()
            assert met.wait(30)
        append(descriptor, data)

    eraser = threading.Thread(target=erase)
    monkeypatch.setattr(fcntl, "flock", wait)
    monkeypatch.setattr(disk, "append", while_it_is_written)
    with contextlib.suppress(AuditUnwritable):  # it was erased before it was used
        commit(keys)
    eraser.join()
    assert commit(keys) == commit(keys_in(tmp_path))


def test_where_no_key_can_be_made_nothing_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(subjects_module, "_put", fail)
    with pytest.raises(AuditUnwritable, match="no key for key-1"):
        commit(keys_in(tmp_path))


def intent_for(log: TransparencyLog, record: str, *, tenant: str = "acme", subject: str = "key-1") -> EgressIntent:
    return EgressIntent(
        request_id=record,
        tenant=tenant,
        deployment="cloud",
        origin="https://api.example:443",
        zone=Zone("us"),
        label="internal;zones=world",
        rules=("zone",),
        body_bytes=len(BODY),
        body_commitment=log.commit(BODY, tenant=tenant, subject=subject, record=record),
        subject=subject,
    )


def house(folder: Path) -> tuple[SubjectKeys, SealedBodies, TransparencyLog, Journal]:
    keys = keys_in(folder)
    bodies = SealedBodies(folder / BODIES_FOLDER, keys)
    log = TransparencyLog.open(folder / "audit", origin=ORIGIN, clock=StillClock(), subjects=keys)
    return keys, bodies, log, Journal(log, StillClock(), CountingIds(), b"k" * 32, bodies=bodies)


def send(folder: Path, *sent: tuple[str, str, str]) -> None:
    """Have bodies leave: (record, tenant, subject)."""

    async def run() -> None:
        _, _, log, journal = house(folder)
        for record, tenant, subject in sent:
            permit = await journal.permit(intent_for(log, record, tenant=tenant, subject=subject), body=BODY)
            journal.done(permit, request_id=record, tenant=tenant, outcome="complete", bytes_sent=len(BODY))
        log.close()

    asyncio.run(run())


def test_what_left_can_be_opened_and_is_what_the_log_says(tmp_path: Path) -> None:
    send(tmp_path, ("r-1", "acme", "key-1"), ("r-2", "acme", "key-1"), ("r-1", "acme", "key-1"))
    bodies = SealedBodies(tmp_path / BODIES_FOLDER, keys_in(tmp_path))
    opened = bodies.open("r-1")
    assert [each.body for each in opened] == [BODY, BODY]
    assert (opened[0].tenant, opened[0].subject) == ("acme", "key-1")
    kept = next((tmp_path / "audit" / "tile" / "entries").rglob("*.p/*")).read_bytes()
    assert opened[0].commitment.encode() in kept
    assert bodies.open("r-3") == []
    assert SECRET not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_permit_is_for_the_committed_body_of_that_subject_only(tmp_path: Path) -> None:
    async def run() -> None:
        _, _, log, journal = house(tmp_path)
        intent = intent_for(log, "r-1")
        for wrong in ({"subject": "key-2"}, {"request_id": "r-2"}, {"tenant": "else"}):
            fields = {name: getattr(intent, name) for name in EgressIntent.__slots__}
            with pytest.raises(EgressDenied):
                await journal.permit(EgressIntent(**{**fields, **wrong}), body=BODY)
        log.close()

    asyncio.run(run())


def test_a_changed_or_exchanged_body_does_not_open_and_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    send(tmp_path, ("r-1", "acme", "key-1"))
    (path,) = (tmp_path / BODIES_FOLDER).rglob("*.sealed")
    path.write_bytes(path.read_bytes() + path.read_bytes()[:60])
    send(tmp_path, ("r-2", "acme", "key-1"))
    bodies = SealedBodies(tmp_path / BODIES_FOLDER, keys_in(tmp_path))
    assert len(bodies.open("r-1")) == len(bodies.open("r-2")) == 1
    good = path.read_bytes()
    line = json.loads(good.split(b"\n")[1])
    for member, value in (("record", "r-9"), ("commit", "00"), ("nonce", "AAAAAAAAAAAAAAAA"), ("body", "AAAA")):
        path.write_bytes(b"\n" + json.dumps({**line, member: value}).encode())
        with pytest.raises(AuditBroken, match="was changed"):
            bodies.open("r-9" if member == "record" else "r-1")


def test_a_body_that_cannot_be_sealed_does_not_leave(tmp_path: Path) -> None:
    async def run() -> int:
        _, _, log, journal = house(tmp_path)
        (tmp_path / BODIES_FOLDER).write_text("in the way")
        intent = intent_for(log, "r-1")
        with pytest.raises(AuditUnwritable, match="could not be sealed"):
            await journal.permit(intent, body=BODY)
        log.close()
        return log.size

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize("whole", [True, False])
def test_after_an_erasure_no_key_and_no_text_is_left_and_the_log_verifies(tmp_path: Path, *, whole: bool) -> None:
    send(tmp_path, ("r-1", "acme", "key-1"), ("r-2", "acme", "key-2"), ("r-3", "else", "key-3"))
    keys, bodies = keys_in(tmp_path), SealedBodies(tmp_path / BODIES_FOLDER, keys_in(tmp_path))
    period = keys.period("r-1")
    mine = tmp_path / SUBJECTS_FOLDER / "acme"
    wrapped = (mine / "key-1" / f"{period}.key").read_bytes()
    traces = [keys.find("acme", "key-1", period), wrapped, wrapped[12:], BODY, SECRET]
    traces += [(tmp_path / BODIES_FOLDER / "acme" / "key-1" / f"{period}.sealed").read_bytes()[60:160]]
    if whole:
        traces += [(mine / TENANT_KEY).read_bytes(), keys.find("acme", "key-2", period)]

    subject = None if whole else "key-1"
    assert destroy(tmp_path / SUBJECTS_FOLDER, tenant="acme", subject=subject) == (2 if whole else 1)
    assert delete_bodies(tmp_path / BODIES_FOLDER, tenant="acme", subject=subject) == (2 if whole else 1)

    content = b"\0".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(trace in content for trace in traces)
    assert verify_folder(tmp_path / "audit").entries == 6
    assert bodies.open("r-1") == []
    assert bool(bodies.open("r-2")) is not whole
    assert [each.body for each in bodies.open("r-3")] == [BODY]


def test_a_key_alone_destroyed_makes_what_is_left_unreadable(tmp_path: Path) -> None:
    """As where a backup of the bodies, not of the keys, outlives the erasure."""
    send(tmp_path, ("r-1", "acme", "key-1"))
    destroy(tmp_path / SUBJECTS_FOLDER, tenant="acme", subject="key-1")
    with pytest.raises(AuditBroken, match="it was erased"):
        SealedBodies(tmp_path / BODIES_FOLDER, keys_in(tmp_path)).open("r-1")


def test_only_months_before_one_are_destroyed_where_that_is_asked(tmp_path: Path) -> None:
    clock = StillClock()
    keys = keys_in(tmp_path, clock)
    old = keys.period("")
    commit(keys)
    clock.now_s += MONTH_MS / 1000
    commit(keys)
    assert destroy(keys.folder, tenant="acme", before=keys.period("")) == 1
    keys.find("acme", "key-1", keys.period(""))
    with pytest.raises(AuditBroken, match="erased"):
        keys.find("acme", "key-1", old)
