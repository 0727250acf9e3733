"""The parser's child process: ``python -m freehold.gateway.parse_worker``, started by ``engines.parser`` only.

It begins as ``process.worker`` says, loads what it reads with, and has every file read by a copy of itself that ends
with the file (``process.copies``). It reads no byte of a file itself: what a file does to its reader, the next file's
never sees. It holds no secret and has no socket.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from freehold.domain.errors.vault import FileDamaged, FileUnread
from freehold.engines.parser.child import ANSWER_BYTES_MAX, Read, problem, said
from freehold.engines.process.copies import CopyLimits, Done, in_a_copy
from freehold.engines.process.frames import frame, messages, write_whole
from freehold.engines.process.worker import begin
from freehold.vault.parsing.limits import ParseLimits
from freehold.vault.parsing.read import FileReader

_ONE_THREAD = ("RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> None:
    """Run one order."""
    # Before any library is loaded: a copy of a process has one thread, whatever the original had.
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    order, descriptor = begin()
    reader = FileReader(ParseLimits(**order["limits"]))
    limits = CopyLimits(
        seconds_max=reader.limits.seconds_max,
        memory_bytes_max=int(reader.limits.memory_bytes_max),
        answer_bytes_max=ANSWER_BYTES_MAX,
    )
    reader.load()
    with os.fdopen(descriptor, "wb", buffering=0) as answers:
        for asked in messages(sys.stdin.buffer):
            if asked.get("sees"):
                reader.sight.load()
            done = Done() if "file" not in asked else in_a_copy(lambda: read(reader, asked), limits, gone=0)  # noqa: B023
            head = {"id": asked["id"], "how": done.how, "seconds": done.seconds, "peak_bytes": done.peak_bytes}
            write_whole(answers, frame(head, done.answer))
    os._exit(0)


def read(reader: FileReader, asked: Mapping[str, Any]) -> bytes:
    """What a copy says of one file."""
    try:
        return said(Read(parsed=reader.read(Path(asked["file"]), name=asked["name"])))
    except FileUnread as error:
        return said(problem(error))
    except RecursionError:
        return said(problem(FileDamaged(name=asked["name"], reason="it is nested too deeply")))


if __name__ == "__main__":
    main()
