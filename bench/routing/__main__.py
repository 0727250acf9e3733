"""Everything that judging must hold, on recorded outcomes with fixed seeds: one table.

    python -m bench.routing [--quick] [--only NAME[,NAME…]] [--write]

Each part is a module beside this one with ``bars(*, quick)``, and runs alone as ``python -m bench.routing.NAME``. A part
that is not there, or cannot run, is said and counts as not held.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from bench.bars import Bar, bar_table, markdown, summary, with_section
from bench.house import PAGE

PARTS = {
    "question_only": "routers that look at the question alone",
    "answer_aware": "routers that look at the local answer",
    "prerouter": "what a look at the question costs",
    "error_cost": "chains against pairs, per price",
    "certificates": "whether certificates keep their promise",
    "drift": "whether the alarm notices that they do not any more",
    "ladder": "the three embedded models on questions with known answers",
    "overhead": "what deciding costs a request",
}
HEADING = "Routing"
_BROKEN = (
    ImportError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""One part that fails must not hide what the others measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One part: its bars and how long it took, or why there are none."""

    name: str
    bars: Sequence[Bar] = ()
    took_s: float = 0.0
    why_not: str = ""


def run(name: str, *, quick: bool, package: str = "bench.routing") -> Ran:
    """One part."""
    module = f"{package}.{name}"
    if find_spec(module) is None:
        return Ran(name=name, why_not=f"{module.replace('.', '/')}.py is not there")
    begun_s = time.perf_counter()
    try:
        bars = import_module(module).bars(quick=quick)
    except SystemExit as left:  # how a part says that its data are missing
        return Ran(name=name, why_not=str(left))
    except _BROKEN as error:
        traceback.print_exc()
        return Ran(name=name, why_not=f"it failed: {type(error).__name__}: {error}")
    return Ran(name=name, bars=bars, took_s=time.perf_counter() - begun_s)


def shown(found: Sequence[Ran]) -> str:
    """The table, what each part took, and what was not measured."""
    bars = [bar for each in found for bar in each.bars]
    parts = [bar_table(bars)] if bars else []
    ran = [each for each in found if not each.why_not]
    if ran:
        rows = [[f"`{each.name}`", PARTS.get(each.name, ""), f"{each.took_s:.0f} s"] for each in ran]
        parts.append(markdown(["part", "asks", "took"], rows))
    if missing := [each for each in found if each.why_not]:
        parts.append("\n".join(f"- **not measured**: `{each.name}`: {each.why_not}" for each in missing))
    return "\n\n".join(parts)


def told(found: Sequence[Ran], *, quick: bool) -> str:
    """When and on what, and how many bars hold."""
    bars = [bar for each in found for bar in each.bars]
    missing = [each.name for each in found if each.why_not]
    lacking = f"; not measured: {', '.join(missing)}" if missing else ""
    size = ", smaller (`--quick`)" if quick else ""
    return (
        f"{time.strftime('%Y-%m-%d')}, CPython {platform.python_version()}, {os.cpu_count()} cores, load of the machine "
        f"{os.getloadavg()[0]:.0f}{size}: {summary(bars)}{lacking}."
    )


def chosen(only: str) -> list[str]:
    """The parts that are asked for.

    Raises:
        SystemExit: One of them is none.
    """
    names = [each.strip().replace("-", "_") for each in only.split(",") if each.strip()] or list(PARTS)
    if unknown := [each for each in names if each not in PARTS]:
        raise SystemExit(f"no part is called {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller versions: not what a bar is held against")
    parser.add_argument("--only", default="", help="parts, separated by commas")
    parser.add_argument("--write", action="store_true", help="put the result into docs/benchmarks.md")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write takes the whole table at full size")
    found: list[Ran] = []
    for name in chosen(options.only):
        print(f"{name}: {PARTS[name]} …", file=sys.stderr, flush=True)
        found.append(run(name, quick=options.quick))
        print("\n".join(f"  {' | '.join(bar.row())}" for bar in found[-1].bars), file=sys.stderr, flush=True)
    text = f"{told(found, quick=options.quick)}\n\n{shown(found)}"
    print(text)
    if options.write:
        section = f"`just bench-routing` measured this, on outcomes that others recorded and on the embedded models.\n\n{text}"
        PAGE.write_text(with_section(PAGE.read_text(encoding="utf-8"), HEADING, section), encoding="utf-8")
    return 0 if all(bar.holds for each in found for bar in each.bars) and not any(each.why_not for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
