"""One heap for all threads, and what is free in it given back."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import pytest

from freehold.hostinfo import heap
from tests.support.virtual_time import run_virtual

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


HOLES = """
import ctypes
from pathlib import Path
from freehold.hostinfo.heap import give_back_free
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

held = [libc.malloc(50_000) for _ in range(400)]
for place in held:
    ctypes.memset(place, 1, 50_000)
for place in held[:-1]:  # the last one keeps glibc from returning anything by itself
    libc.free(ctypes.c_void_p(place))
before = resident()
give_back_free()
print(before - resident())
"""


@pytest.mark.skipif(not heap._is_glibc(), reason="another C library decides itself")
def test_what_is_free_inside_of_the_heap_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 15_000_000


def test_it_is_given_back_once_after_each_burst_and_never_while_requests_run() -> None:
    async def scenario() -> list[float]:
        served, active = 0, 0
        given: list[float] = []
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        keeping = asyncio.ensure_future(
            heap.keep_heap_small(
                served=lambda: served, active=lambda: active, give_back=lambda: given.append(loop.time() - began_s)
            )
        )
        await asyncio.sleep(10.5)  # nothing was ever asked
        served, active = 5, 1
        await asyncio.sleep(10)  # one is still being answered
        active = 0
        await asyncio.sleep(0.6)
        served = 6  # a further one came and went
        await asyncio.sleep(20)
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        return given

    assert run_virtual(scenario) == pytest.approx([21.0, 23.0])


def test_freed_tuples_that_the_interpreter_keeps_are_given_back() -> None:
    held = [tuple(range(length)) for length in range(5, 15) for _ in range(1_000)]
    held.clear()
    before = sys.getallocatedblocks()
    heap.give_back_free()
    assert before - sys.getallocatedblocks() > 9_000
