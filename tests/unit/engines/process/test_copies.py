"""Work in a copy of a process: what it may do, what ends it, and that it is gone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.engines.process.copies import CopyLimits, Done, in_a_copy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and filters are those of Linux")

MIB = 1 << 20


def done(work: Callable[[], bytes], *, seconds: float = 20.0, memory: int = 512 * MIB, answer: int = MIB) -> Done:
    reads, writes = os.pipe()
    try:
        return in_a_copy(
            work, CopyLimits(seconds_max=seconds, memory_bytes_max=memory, answer_bytes_max=answer), gone=reads
        )
    finally:
        os.close(reads)
        os.close(writes)


def test_an_answer_comes_over_whole_and_nothing_else_changes() -> None:
    changed: list[int] = []

    def work() -> bytes:
        changed.append(1)
        return b"x" * 300_000

    found = done(work)
    assert (found.answer, found.how, changed) == (b"x" * 300_000, "", [])
    assert found.peak_bytes > MIB


def test_whatever_it_raises_it_ends() -> None:
    def work() -> bytes:
        raise KeyError("what only it knows")

    assert done(work).how == "exit code 1"


def test_time_memory_and_length_are_limited() -> None:
    def endless() -> bytes:
        while True:
            pass

    assert done(endless, seconds=0.1).how == "time"
    assert done(lambda: bytes(1 << 30) + b"x", memory=64 * MIB).how == "memory"
    assert done(lambda: b"x" * (3 * MIB)).how == "answer"


def test_a_signal_that_ends_it_is_named() -> None:
    def work() -> bytes:
        os.abort()

    assert done(work).how == "SIGABRT"


def test_it_starts_no_process_and_no_program_but_threads() -> None:
    def work() -> bytes:
        import threading

        said: list[bytes] = []
        thread = threading.Thread(target=lambda: said.append(b"thread"))
        thread.start()
        thread.join()
        for start in (
            os.fork,
            lambda: os.execv("/bin/true", ["true"]),
            lambda: os.posix_spawn("/bin/true", ["true"], {}),
        ):
            try:
                start()
            except PermissionError:
                said.append(b"refused")
        return b" ".join(said)

    assert done(work).answer == b"thread refused refused refused"


def test_it_has_no_descriptor_of_ours_and_writes_no_file(tmp_path: Path) -> None:
    secret = (tmp_path / "secret").open("w+")

    def work() -> bytes:
        said = []
        try:
            os.fstat(secret.fileno())
        except OSError:
            said.append(b"closed")
        with (tmp_path / "made").open("wb") as made:
            try:
                made.write(b"x")
                made.flush()
            except OSError:
                said.append(b"unwritten")
                os._exit(7)
        return b" ".join(said)

    with secret:
        found = done(work)
    assert (found.answer == b"closed") or found.how in ("exit code 7", "SIGXFSZ")
    assert (tmp_path / "made").stat().st_size == 0


def test_it_is_gone_whatever_came_of_it() -> None:
    before = set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
    began_s = time.monotonic()
    done(lambda: bytes(time.sleep(60) is None), seconds=0.05)
    assert time.monotonic() - began_s < 30
    assert set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()) == before
