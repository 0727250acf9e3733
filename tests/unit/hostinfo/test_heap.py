"""One heap for all threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from freehold.hostinfo import heap

HEAPS = """
import ctypes, threading
from freehold.hostinfo.heap import share_one_heap
if {shared}:
    assert share_one_heap({{}})
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
held = []
threads = [threading.Thread(target=lambda: held.append(libc.malloc(100_000))) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
(line,) = [line for line in open("/proc/self/maps") if line.endswith("[heap]\\n")]
begin, end = (int(place, 16) for place in line.split()[0].split("-"))
print(sum(not begin <= place < end for place in held))
"""


def outside_of_the_first(*, shared: bool) -> int:
    """How many of four threads allocate from another heap than the first one."""
    command = [sys.executable, "-c", HEAPS.format(shared=shared)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not heap._is_glibc(), reason="only glibc has a heap for each thread")
def test_threads_share_one_heap() -> None:
    assert outside_of_the_first(shared=True) == 0
    assert outside_of_the_first(shared=False) > 0


def test_what_the_owner_has_set_stands() -> None:
    assert not heap.share_one_heap({"MALLOC_ARENA_MAX": "4"})


@pytest.mark.parametrize("error", [AttributeError("confstr"), ValueError("unrecognized configuration name")])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def confstr(_: str) -> str:
        raise error

    monkeypatch.setattr("os.confstr", confstr)
    assert not heap.share_one_heap({})
