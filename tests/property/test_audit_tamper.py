"""Whatever byte is changed, cut or added in entries, tiles or checkpoint: verification notices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.audit.verify import verify_folder
from freehold.domain.errors.audit import AuditBroken
from tests.support.audit import append_all, open_log, record

SIZE = 300
SHARED = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A log with full and partial tiles on two levels, and partial tiles of an older checkpoint beside the newest."""
    folder = tmp_path_factory.mktemp("tamper") / "log"

    async def run() -> str:
        running = open_log(folder)
        await append_all(running, map(record, range(SIZE - 10)))
        await running.checkpoint()
        await append_all(running, map(record, range(SIZE - 10, SIZE)))
        await running.checkpoint()
        older = {path: path.read_bytes() for path in folder.rglob("*.p/*")}
        running.close()
        for path, data in older.items():
            path.write_bytes(data)
        return running.vkey

    vkey = asyncio.run(run())
    assert verify_folder(folder, vkey).entries == SIZE
    assert len(signed_files(folder)) == 8
    return folder, vkey


def signed_files(folder: Path) -> list[Path]:
    return [folder / "checkpoint", *sorted(path for path in (folder / "tile").rglob("*") if path.is_file())]


def assert_noticed(path: Path, changed: bytes, log: tuple[Path, str]) -> None:
    folder, vkey = log
    good = path.read_bytes()
    assert changed != good
    path.write_bytes(changed)
    try:
        with pytest.raises(AuditBroken):
            verify_folder(folder, vkey)
    finally:
        path.write_bytes(good)


@SHARED
@given(data=st.data(), mask=st.integers(1, 255))
def test_any_changed_byte_is_noticed(log: tuple[Path, str], data: st.DataObject, mask: int) -> None:
    path = data.draw(st.sampled_from(signed_files(log[0])))
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= mask
    assert_noticed(path, bytes(changed), log)


@SHARED
@given(data=st.data())
def test_any_cut_or_addition_is_noticed(log: tuple[Path, str], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(signed_files(log[0])))
    good = path.read_bytes()
    cut = data.draw(st.integers(0, len(good) - 1))
    assert_noticed(path, good[:cut], log)
    assert_noticed(path, good[:cut] + data.draw(st.binary(min_size=1, max_size=40)) + good[cut:], log)


def test_every_byte_of_the_checkpoint_counts(log: tuple[Path, str]) -> None:
    path = log[0] / "checkpoint"
    good = path.read_bytes()
    for place in range(len(good)):
        for mask in (0x01, 0x20, 0x80):
            changed = bytearray(good)
            changed[place] ^= mask
            assert_noticed(path, bytes(changed), log)


def test_a_missing_file_is_noticed(log: tuple[Path, str]) -> None:
    folder, vkey = log
    needed = [
        "checkpoint",
        "tile/0/000",
        "tile/entries/000",
        "tile/0/001.p/44",
        "tile/entries/001.p/44",
        "tile/1/000.p/1",
    ]
    for name in needed:
        path = folder / name
        good = path.read_bytes()
        path.unlink()
        with pytest.raises(AuditBroken):
            verify_folder(folder, vkey)
        path.write_bytes(good)
    assert verify_folder(folder, vkey).entries == SIZE
