"""Every file of a log's folder: a changed byte is noticed, or is shown to change nothing that anybody relies on.

Entries, tiles and the checkpoint are in ``test_audit_tamper.py``; here is the rest: the write-ahead log, keys, the short
cut of open intents, and what witnesses cosigned (``test_audit_witness.py``). A crash is told apart from tampering: a torn
tail costs only bytes after the last whole frame, and the log says how many.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.audit.entry import decode_record
from freehold.audit.log import TransparencyLog
from freehold.audit.verify import VerifyReport, verify_folder
from freehold.domain.errors.audit import AuditBroken
from tests.support.audit import append_all, crashed_copy, entries, open_log, record

SEALED, PENDING = 300, 7
SHARED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a log that died with entries no checkpoint covers, an open intent among them."""
    folder = tmp_path_factory.mktemp("files")

    async def run() -> str:
        log = open_log(folder / "log")
        await append_all(log, [record(0, "egress.intent"), *map(record, range(1, SEALED))])
        await log.checkpoint()
        for number in range(PENDING):
            await append_all(log, [record(SEALED + number)])
        crashed_copy(folder / "log", folder / "copy")
        log.close()
        return log.vkey

    vkey = asyncio.run(run())
    report = verify_folder(folder / "copy", vkey)
    assert (report.entries, report.pending) == (SEALED, PENDING)
    return folder / "copy", vkey


def segment(folder: Path) -> Path:
    return max((folder / "wal").iterdir(), key=lambda path: path.stat().st_size)


def copy_of(crashed: tuple[Path, str], tmp_path: Path) -> Path:
    target = tmp_path / "log"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(crashed[0], target)
    return target


def opened_again(folder: Path, vkey: str) -> VerifyReport:
    open_log(folder).close()
    return verify_folder(folder, vkey)


@SHARED
@given(data=st.data())
def test_a_tail_torn_at_any_byte_is_a_crash_and_only_the_cut_frame_is_gone(
    crashed: tuple[Path, str], tmp_path: Path, data: st.DataObject
) -> None:
    folder = copy_of(crashed, tmp_path)
    path = segment(folder)
    whole = path.read_bytes()
    last = whole.rindex(b"\xffFHW")
    cut = data.draw(st.integers(last + 1, len(whole) - 1))
    path.write_bytes(whole[:cut])
    assert verify_folder(folder, crashed[1]).pending == PENDING - 1
    report = opened_again(folder, crashed[1])
    assert report.truncations == (SEALED + PENDING - 1,)
    told = decode_record(entries(folder, report.size)[report.truncations[0]], report.truncations[0])
    assert told.detail == {"dropped_bytes": cut - last, "entries_before": SEALED + PENDING - 1}


@SHARED
@given(data=st.data(), mask=st.integers(1, 255))
def test_any_changed_byte_before_the_last_frame_is_tampering(
    crashed: tuple[Path, str], tmp_path: Path, data: st.DataObject, mask: int
) -> None:
    folder = copy_of(crashed, tmp_path)
    path = segment(folder)
    changed = bytearray(path.read_bytes())
    place = data.draw(st.integers(first_pending(bytes(changed)), bytes(changed).rindex(b"\xffFHW") - 1))
    changed[place] ^= mask
    path.write_bytes(changed)
    with pytest.raises(AuditBroken):
        verify_folder(folder, crashed[1])
    with pytest.raises(AuditBroken):
        open_log(folder)


def first_pending(whole: bytes) -> int:
    """Where the frames begin that no checkpoint covers."""
    places = [place for place in range(len(whole)) if whole.startswith(b"\xffFHW", place)]
    return places[-PENDING]


@SHARED
@given(data=st.data(), mask=st.integers(1, 255))
def test_a_changed_byte_in_the_last_frame_costs_that_entry_and_is_told_of(
    crashed: tuple[Path, str], tmp_path: Path, data: st.DataObject, mask: int
) -> None:
    """It looks like a torn tail, and is treated as one: the entry is gone, and the log says so for ever."""
    folder = copy_of(crashed, tmp_path)
    path = segment(folder)
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(bytes(changed).rindex(b"\xffFHW"), len(changed) - 1))] ^= mask
    path.write_bytes(changed)
    report = opened_again(folder, crashed[1])
    assert report.truncations == (SEALED + PENDING - 1,)


@SHARED
@given(content=st.binary(max_size=24))
def test_the_short_cut_of_open_intents_changes_nothing_that_is_proved(
    crashed: tuple[Path, str], tmp_path: Path, content: bytes
) -> None:
    folder = copy_of(crashed, tmp_path)
    (folder / "open-intents").write_bytes(content)
    before = verify_folder(folder, crashed[1])
    assert (before.entries, before.orphans) == (SEALED, (0,))
    report = opened_again(folder, crashed[1])
    assert set(report.orphans) <= {0}  # one that is not ended now is still told of


@SHARED
@given(data=st.data(), mask=st.integers(1, 255))
def test_a_changed_private_key_opens_nothing_and_never_passes_for_the_logs(
    crashed: tuple[Path, str], tmp_path: Path, data: st.DataObject, mask: int
) -> None:
    folder = copy_of(crashed, tmp_path)
    path = folder / "log.key"
    changed = bytearray(path.read_bytes().rstrip())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= mask
    path.write_bytes(changed)
    with pytest.raises(AuditBroken):
        open_log(folder)
    assert verify_folder(folder, crashed[1]).entries == SEALED


@SHARED
@given(data=st.data(), mask=st.integers(1, 255))
def test_the_public_key_in_the_folder_is_not_what_an_auditor_goes_by(
    crashed: tuple[Path, str], tmp_path: Path, data: st.DataObject, mask: int
) -> None:
    folder = copy_of(crashed, tmp_path)
    path = folder / "log.vkey"
    changed = bytearray(path.read_bytes().rstrip())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= mask
    path.write_bytes(changed)
    assert verify_folder(folder, crashed[1]).entries == SEALED
    with pytest.raises(AuditBroken):
        verify_folder(folder)


def test_no_file_of_the_folder_is_left_out(crashed: tuple[Path, str]) -> None:
    """Whoever adds one says here, or in the tests of tampering, what a changed byte of it does."""
    named = {"checkpoint", "log.key", "log.vkey", "commitment.key", "open-intents", "lock", "cosigned", "tile", "wal"}
    assert {path.name for path in crashed[0].iterdir()} <= named


def test_the_commitment_key_is_in_no_proof(crashed: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_of(crashed, tmp_path)
    (folder / "commitment.key").write_text("00" * 32)
    (folder / "commitment.key").chmod(0o600)
    assert verify_folder(folder, crashed[1]).entries == SEALED
    log = open_log(folder)
    assert isinstance(log, TransparencyLog)
    log.close()
