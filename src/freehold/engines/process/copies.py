"""Work in a copy of this process that ends with it: one that is taken over, fills memory or never ends costs no other.

``fork`` leaves a copy everything that was loaded, at the cost of some milliseconds. It must run while this process has
one thread only. The copy inherits the jail, loses our pipes and the right to start processes, and gets limits of its
own; who copied it watches its memory and its time, and ends it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from freehold.engines.process.jail import die_with_parent
from freehold.engines.process.seccomp import forbid_processes

_LOOK_MS = 20
_PIECE_BYTES = 1 << 16
_GRACE_S = 1.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KIBIBYTE = 1_024
_DESCRIPTORS_MAX = 1 << 16
_NO_MEMORY = 97
"""Exit code of a copy that ran out of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLimits:
    """What a copy may use.

    Attributes:
        seconds_max: Wall time, and processor time.
        memory_bytes_max: Memory beyond what it has at its start.
        answer_bytes_max: Of what it says.
    """

    seconds_max: float
    memory_bytes_max: int
    answer_bytes_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of the work.

    Attributes:
        answer: What it said; empty where it was ended or failed.
        how: Why there is no answer: ``time``, ``memory``, ``answer``, or how it ended; empty where there is one.
        seconds: Wall time that it took.
        peak_bytes: Most memory that it had, what was loaded before it began among that.
    """

    answer: bytes = b""
    how: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


def in_a_copy(work: Callable[[], bytes], limits: CopyLimits, *, gone: int) -> Done:
    """Do ``work`` in a copy of this process.

    Args:
        work: What it is to do; whatever it raises, the copy ends.
        limits: What it may use.
        gone: A descriptor that hangs up when nobody waits for the answer any more.

    Returns:
        What came of it. Whatever happens to the copy, this returns, and the copy is no more.
    """
    began_s = time.monotonic()
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        _be_the_copy(work, writes, limits)
    os.close(writes)
    try:
        answer, how = _watch(pid, reads, limits, began_s, gone=gone)
    finally:
        os.close(reads)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
    peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else _KIBIBYTE)
    code = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began_s
    if not how and code != 0 and not (code == -signal.SIGKILL and answer):
        how, answer = _ended(code), b""
    return Done(answer=answer, how=how, seconds=seconds, peak_bytes=peak_bytes)


def _ended(code: int) -> str:
    if code == _NO_MEMORY:
        return "memory"
    if code == -signal.SIGXCPU:
        return "time"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _be_the_copy(work: Callable[[], bytes], writes: int, limits: CopyLimits) -> NoReturn:
    """Everything that the copy does. It never returns into the code that copied it."""
    code = 1
    try:
        die_with_parent()
        null = os.open(os.devnull, os.O_RDWR)
        # Our own pipes: what it could say by them would be taken for ours.
        kept = sorted((2, writes, null))
        for low, high in pairwise((-1, *kept, _DESCRIPTORS_MAX)):
            os.closerange(low + 1, high)
        os.dup2(null, 0)
        os.dup2(null, 1)
        with contextlib.suppress(OSError):
            forbid_processes()
        _limit(limits)
        answer = work()
        view = memoryview(answer)
        while view:
            view = view[os.write(writes, view) :]
        code = 0
    except MemoryError:
        code = _NO_MEMORY
    finally:
        os._exit(code)


def _limit(limits: CopyLimits) -> None:
    seconds = int(limits.seconds_max) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        # Private writable memory: unlike the address space, it does not count files that are mapped and never read.
        now = _status("VmData:")
        if now:
            most = now + limits.memory_bytes_max
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * _KIBIBYTE
    return 0


def _watch(pid: int, reads: int, limits: CopyLimits, began_s: float, *, gone: int) -> tuple[bytes, str]:
    """What it says until it says no more, and why it has to be ended, or nothing."""
    first_bytes = _resident(pid)
    pieces: list[bytes] = []
    total = 0
    poll = select.poll()
    poll.register(reads, select.POLLIN)
    poll.register(gone, 0)
    while True:
        for descriptor, _ in poll.poll(_LOOK_MS):
            if descriptor == gone:
                os._exit(0)  # the gateway is gone, and this process with it; the copy follows
            piece = os.read(reads, _PIECE_BYTES)
            if not piece:
                return b"".join(pieces), ""
            pieces.append(piece)
            total += len(piece)
        if total > limits.answer_bytes_max:
            return b"", "answer"
        if time.monotonic() - began_s > limits.seconds_max + _GRACE_S:
            return b"", "time"
        if _resident(pid) - first_bytes > limits.memory_bytes_max:
            return b"", "memory"


def _resident(pid: int) -> int:
    """Memory that a process has now; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return 0
    return int(fields[1]) * _PAGE_BYTES
