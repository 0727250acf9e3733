"""The copy of a file that the parser's child reads: nothing is left of it, however soon nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.engines.parser.engine import ParserEngine
from freehold.hostinfo.clock import SystemClock

LIMITS = {"seconds_max": 300.0, "memory_bytes_max": 1 << 30, "bytes_max": 1 << 20}


def test_a_copy_that_is_given_up_before_it_is_there_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, opened = threading.Event(), threading.Event(), os.open
    path = tmp_path / "a.txt"
    path.write_text("private", encoding="utf-8")
    made: list[Path] = []

    def slowly(asked: Any, flags: int, *mode: int, **where: Any) -> int:
        if flags & os.O_CREAT and Path(asked).parent == folder:
            begun.set()
            assert go.wait(20)
            made.append(Path(asked))
        return opened(asked, flags, *mode, **where)

    async def ask(read: Any, **_: object) -> None:
        await read(None)

    async def scene() -> None:
        engine._child = SimpleNamespace(ask=ask)  # pyright: ignore[reportAttributeAccessIssue] - as much as is used
        reading = asyncio.ensure_future(engine.parse(str(path), name="a.txt"))
        await asyncio.to_thread(begun.wait, 20)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go.set()
        await asyncio.get_running_loop().shutdown_default_executor()

    engine = ParserEngine(module="none", limits=LIMITS, clock=SystemClock())
    folder = Path(engine._folder)
    folder.mkdir(mode=0o700)
    try:
        monkeypatch.setattr(os, "open", slowly)
        asyncio.run(scene())
        assert made
        assert list(folder.iterdir()) == []
    finally:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
