"""The real child that reads files: what it may do, what ends it, and files that were made to do harm."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from freehold.domain.errors.vault import FileBroke, FileGone, FileParserDown, FileTooCostly, FileTooLarge, VaultError
from freehold.engines.parser.engine import ParserEngine
from freehold.hostinfo.clock import SystemClock
from freehold.vault.parsing.limits import ParseLimits
from tests.support.hostile_files import HOSTILE, PASSWD, READ, Hostile
from tests.support.vault_office import zipped
from tests.support.vault_pdf import text_pdf

for _needed in ("magika", "kreuzberg", "pypdfium2"):
    pytest.importorskip(_needed, reason="the extra vault is not installed")

MODULE = "freehold.gateway.parse_worker"
CLOCK = SystemClock()
GOOD = "a good file"
OVER_BYTES = 256 << 20
"""Beyond the limit on memory: what was loaded before, and what is taken between two looks at it."""

QUICK = (
    "flat-bomb.zip", "lying-bomb.zip", "deep.zip", "traversal.zip", "encrypted.zip", "cut.zip", "links.tar", "cut.tar",
    "sparse.tar", "gz-of-gz.gz", "cut.gz", "outside.docx", "laughs.docx", "cut.docx", "encrypted.docx", "outside.xlsx",
    "far-corner.xlsx", "cut.xlsx", "outside.pptx", "laughs.odt", "outside.epub", "old.doc", "deep.rtf", "million.pdf",
    "endless.pdf", "deep.pdf", "cut.pdf", "encrypted.pdf", "acting.pdf", "own-length.pdf", "outside.svg",
    "outside.html", "deep.html", "gigabyte.txt", "empty.txt", "zeros.txt", "random.docx", "program.pdf",
    "page.txt.exe", "nested.eml", "attached.eml", "mailbox.mbox", "huge.png", "bytes.txt", "bomb.docx",
)  # fmt: skip
"""Those that cost less than a second; ``bench/vault/hostile.py`` reads all."""


def run(scenario: Callable[[ParserEngine], Awaitable[None]], **limits: float) -> None:
    async def main() -> None:
        engine = ParserEngine(module=MODULE, limits=asdict(ParseLimits()) | limits, clock=CLOCK)
        try:
            await asyncio.wait_for(scenario(engine), 300)
        finally:
            await engine.close()

    asyncio.run(main())


def written(folder: Path, name: str, data: bytes | str) -> str:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def is_there(pid: str) -> bool:
    """Whether a process runs; one that has ended may not have been taken note of by whoever inherited it."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_files_of_several_kinds_are_read_by_a_jailed_child_that_leaves_nothing(tmp_path: Path) -> None:
    pdf = written(tmp_path, "a", text_pdf([["Heading", "line of text"]] * 3))
    text = written(tmp_path, "b", GOOD)
    folders: list[Path] = []

    async def scenario(engine: ParserEngine) -> None:
        read = await asyncio.gather(*(engine.parse(path, name=path) for path in (pdf, text, pdf)))
        assert [each.pages for each in read] == [3, 0, 3]
        assert read[1].text == GOOD
        assert {measure.name for measure in engine.jail_report() if measure.holds} >= {
            "no network",
            "no files of others",
        }
        folders.append(Path(engine._folder))
        assert list(folders[0].iterdir()) == []

    run(scenario)
    assert not folders[0].exists()


def test_what_cannot_be_opened_is_told_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    large = written(tmp_path, "large", b"x" * 2_000)

    async def scenario(engine: ParserEngine) -> None:
        for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", Path("/dev/zero"), Path("a\0b")):
            with pytest.raises(FileGone):
                await engine.parse(str(path), name="x")
        with pytest.raises(FileTooLarge, match="more than 1,000 bytes"):
            await engine.parse(large, name="x")

    run(scenario, bytes_max=1_000)


def test_a_child_that_is_killed_within_a_file_costs_that_file_only(tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.html", b"<html>" + b"<div>x" * 1_000_000)
    good = written(tmp_path, "good", GOOD)

    async def scenario(engine: ParserEngine) -> None:
        await engine.start()
        reading = asyncio.create_task(engine.parse(slow, name="slow"))
        pid = engine.state().pid
        assert pid is not None
        while not (children := children_of(pid)):
            await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(FileBroke):
            await reading
        assert (await engine.parse(good, name="good")).text == GOOD
        while is_there(children[0]):
            await asyncio.sleep(0)

    run(scenario)


def test_whoever_no_longer_waits_does_not_hold_up_the_next(tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.html", b"<html>" + b"<div>x" * 1_000_000)
    good = written(tmp_path, "good", GOOD)

    async def scenario(engine: ParserEngine) -> None:
        await engine.start()
        reading = asyncio.create_task(engine.parse(slow, name="slow"))
        pid = engine.state().pid
        assert pid is not None
        while not children_of(pid):
            await asyncio.sleep(0)
        reading.cancel()
        assert (await engine.parse(good, name="good")).text == GOOD
        assert reading.cancelled()

    run(scenario)


def test_time_and_memory_are_limited_and_the_reason_says_which(tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.html", b"<html>" + b"<div>x" * 1_000_000)
    large = written(tmp_path, "large.zip", zipped({"a.txt": "a line of text\n" * 900_000}))

    async def scenario(engine: ParserEngine) -> None:
        with pytest.raises(FileTooCostly, match=r"took more than 0\.05 s"):
            await engine.parse(slow, name="slow")

    async def small(engine: ParserEngine) -> None:
        with pytest.raises(FileTooCostly, match="GiB of memory"):
            await engine.parse(large, name="large")

    run(scenario, seconds_max=0.05)
    run(small, memory_bytes_max=16 << 20)


def test_a_closed_parser_reads_nothing(tmp_path: Path) -> None:
    good = written(tmp_path, "good", GOOD)

    async def scenario(engine: ParserEngine) -> None:
        await engine.close()
        with pytest.raises(FileParserDown, match="it was closed"):
            await engine.parse(good, name="good")

    run(scenario)


def test_files_that_were_made_to_do_harm_do_none(tmp_path: Path) -> None:
    good = written(tmp_path, "good", GOOD)
    hostile = [each for each in HOSTILE if each.name in QUICK]
    assert len(hostile) == len(QUICK) >= 40

    async def scenario(engine: ParserEngine) -> None:
        for each in hostile:
            came = await _came(engine, each, tmp_path)
            assert came in each.may, each.name
            assert (await engine.parse(good, name="good")).text == GOOD, each.name
            assert engine.cost is not None
        assert engine.state().restarts == 0

    run(scenario)


async def _came(engine: ParserEngine, hostile: Hostile, folder: Path) -> str:
    path = hostile.write(folder)
    engine.cost = None
    try:
        parsed = await engine.parse(str(path), name=hostile.name)
    except VaultError as error:
        assert PASSWD not in error.message
        came = error.code
    else:
        assert PASSWD not in parsed.text
        assert not any(".." in name or name.startswith("/") for name, _ in parsed.members)
        came = READ
    finally:
        path.unlink()
    most = ParseLimits().memory_bytes_max + OVER_BYTES
    assert engine.cost is None or engine.cost.peak_bytes < most, hostile.name
    return came
