"""How fast files are read through the jailed parser, on one core and without embedding."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from freehold.engines.parser.engine import ParserEngine
from freehold.hostinfo.clock import SystemClock
from freehold.vault.parsing.limits import ParseLimits
from tests.support.vault_files import mailbox, message, picture
from tests.support.vault_office import Block, docx, pptx, xlsx
from tests.support.vault_pdf import drawn_pdf, grid, picture_pdf, placed, text_pdf

_PAGES = 300
_LINES = 45
_LINE = "Line {} of page {}: the revenue of the second quarter rose by twelve percent against the year before."
_PAGES_A_SECOND = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file.

    Attributes:
        name: What it is called.
        make: Its bytes.
        units: How many of what is counted are in it.
        unit: What is counted.
    """

    name: str
    make: Callable[[], bytes]
    units: int
    unit: str


def _pdf() -> bytes:
    return text_pdf([[f"Chapter {p}", *(_LINE.format(n, p) for n in range(_LINES))] for p in range(_PAGES)])


def _tables() -> bytes:
    rows = [["Region", "Revenue", "Cost of goods"], *([f"Region {n}", f"{n},200", f"{n}"] for n in range(_LINES))]
    return drawn_pdf([placed(grid(rows))] * _PAGES)


def _docx() -> bytes:
    pages: list[Block] = []
    for page in range(_PAGES):
        pages.append(("h1", f"Chapter {page}"))
        pages += [("p", " ".join(_LINE.format(n, page) for n in range(5))) for _ in range(9)]
    return docx(pages)


def _html() -> bytes:
    body = "".join(
        f"<h2>Chapter {p}</h2>" + "".join(f"<p>{_LINE.format(n, p)}</p>" for n in range(_LINES)) for p in range(_PAGES)
    )
    return f"<!doctype html><html><body>{body}</body></html>".encode()


SAMPLES = (
    Sample(name="report.pdf", make=_pdf, units=_PAGES, unit="pages"),
    Sample(name="tables.pdf", make=_tables, units=_PAGES, unit="pages of tables"),
    Sample(name="report.docx", make=_docx, units=_PAGES, unit="pages"),
    Sample(name="report.html", make=_html, units=_PAGES, unit="pages"),
    Sample(
        name="talk.pptx",
        make=lambda: pptx([(f"Slide {n}", [_LINE.format(m, n) for m in range(6)]) for n in range(_PAGES)]),
        units=_PAGES,
        unit="slides",
    ),
    Sample(
        name="sheet.xlsx",
        make=lambda: xlsx({"A": [["n", "square", "name"], *([n, n * n, f"name {n}"] for n in range(20_000))]}),
        units=20_000,
        unit="rows",
    ),
    Sample(
        name="mail.mbox",
        make=lambda: mailbox([message(_LINE.format(n, n) * 10, subject=f"Mail {n}") for n in range(2_000)]),
        units=2_000,
        unit="messages",
    ),
    Sample(name="text.txt", make=lambda: "\n\n".join(_LINE.format(n, n) for n in range(20_000)).encode(), units=20_000,
           unit="paragraphs"),
    Sample(name="small.txt", make=lambda: b"a small text", units=1, unit="files"),
    Sample(
        name="scan.pdf",
        make=lambda: picture_pdf([(picture([_LINE.format(n, n)[:48] for n in range(20)], kind="JPEG"), 1_000, 1_240)] * 3),
        units=3,
        unit="scanned pages",
    ),
)  # fmt: skip


async def _measure(sample: Sample, folder: Path) -> tuple[float, float]:
    """Wall and processor seconds of reading a file once by a child that has read one before."""
    path = folder / sample.name
    path.write_bytes(sample.make())
    engine = ParserEngine(module="freehold.gateway.parse_worker", limits=asdict(ParseLimits()), clock=SystemClock())
    before = _used_s()
    try:
        await engine.parse(str(path), name=sample.name)
        began_s = time.monotonic()
        await engine.parse(str(path), name=sample.name)
        wall_s = time.monotonic() - began_s
    finally:
        await engine.close()
    first = _used_s() - before
    engine = ParserEngine(module="freehold.gateway.parse_worker", limits=asdict(ParseLimits()), clock=SystemClock())
    before = _used_s()
    try:
        await engine.parse(str(path), name=sample.name)
    finally:
        await engine.close()
    return wall_s, max(0.001, first - (_used_s() - before))


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print the table; 0 where the bar holds."""
    print(f"{'file':14} {'of what':>15} {'wall s':>8} {'cpu s':>8} {'a second of wall':>18} {'of one core':>13}")
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for sample in SAMPLES:
            wall_s, cpu_s = asyncio.run(_measure(sample, Path(folder)))
            print(
                f"{sample.name:14} {sample.units:>6,} {sample.unit:>13} {wall_s:7.2f} {cpu_s:8.2f}"
                f" {sample.units / wall_s:18,.1f} {sample.units / cpu_s:13,.1f}"
            )
            rates[sample.name] = sample.units / max(wall_s, cpu_s)
    print(f"\n{'bar':58} {'figure':>12}  holds")
    for name, what in (("report.pdf", "text PDF"), ("tables.pdf", "PDF that are a table each")):
        holds, bar = rates[name] >= _PAGES_A_SECOND, f"pages of {what} a second, on one core (>= 20)"
        print(f"{bar:58} {rates[name]:12.1f}  {'yes' if holds else 'NO'}")
    return 0 if min(rates["report.pdf"], rates["tables.pdf"]) >= _PAGES_A_SECOND else 1


if __name__ == "__main__":
    raise SystemExit(main())
