"""Reads files that were made to do harm through the jailed parser: what came of each, how long, how much memory."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from freehold.domain.errors.vault import VaultError
from freehold.engines.parser.engine import ParserEngine
from freehold.hostinfo.clock import SystemClock
from freehold.vault.parsing.limits import ParseLimits
from tests.support.hostile_files import HOSTILE, PASSWD, READ, Hostile

_GOOD = "a good file, read behind each of them\n"
_MIB = 1 << 20
_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one file."""

    name: str
    came: str
    said: str
    holds: bool
    seconds: float
    peak_mib: int


async def rows(files: tuple[Hostile, ...], folder: Path) -> list[Row]:
    """Read all of ``files``, and a good one behind each."""
    limits = asdict(ParseLimits())
    engine = ParserEngine(module="freehold.gateway.parse_worker", limits=limits, clock=SystemClock())
    good = folder / "good.txt"
    good.write_text(_GOOD)
    try:
        await engine.start()
        return [await _row(engine, each, folder, good) for each in files]
    finally:
        await engine.close()


async def _row(engine: ParserEngine, hostile: Hostile, folder: Path, good: Path) -> Row:
    path = hostile.write(folder)
    engine.cost = None
    try:
        parsed = await engine.parse(str(path), name=hostile.name)
    except VaultError as error:
        came, said = error.code, error.message
    else:
        came, said = READ, f"{len(parsed.text):,} characters, {len(parsed.members):,} members; {parsed.warnings[:3]}"
        if PASSWD in parsed.text:
            came = "LEAKED"
    finally:
        path.unlink()
    cost = engine.cost
    after = await engine.parse(str(good), name="good.txt")
    holds = came in hostile.may and after.text == _GOOD.strip()
    return Row(
        name=hostile.name, came=came, said=said, holds=holds, seconds=cost.seconds if cost else 0.0,
        peak_mib=cost.peak_bytes // _MIB if cost else 0,
    )  # fmt: skip


def main() -> int:
    """Print the table; 0 where the bar holds."""
    wanted = tuple(each for each in HOSTILE if not sys.argv[1:] or each.name in sys.argv[1:])
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(rows(wanted, Path(folder)))
    for row in found:
        print(
            f"{'ok ' if row.holds else 'BAD'} {row.name:22} {row.came:13} {row.seconds:6.2f} s {row.peak_mib:5} MiB  {row.said[:110]}"
        )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = max(row.peak_mib for row in found)
    bound = ParseLimits().memory_bytes_max // _MIB + 256
    print(f"\n{'bar':58} {'figure':>12}  holds")
    bars = (
        ("hostile files with a clear reason or a bounded result", f"{sum(row.holds for row in found)}/{len(found)}",
         all(row.holds for row in found) and len(found) >= 40),
        ("most memory of a reading process", f"{peak} MiB", peak <= bound),
        ("processor time of all", f"{used.ru_utime + used.ru_stime:.1f} s", used.ru_utime + used.ru_stime < _SECONDS_MAX),
        ("longest single file", f"{max(row.seconds for row in found):.1f} s", True),
    )  # fmt: skip
    for name, figure, holds in bars:
        print(f"{name:58} {figure:>12}  {'yes' if holds else 'NO'}")
    print(f"({time.monotonic() - began_s:.0f} s of wall time)")
    return 0 if all(holds for _, _, holds in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
