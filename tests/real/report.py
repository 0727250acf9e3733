"""What a run found, kept in docs/benchmarks.md where the whole suite ran."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- real servers: written by just test-real -->\n", "<!-- end of real servers -->\n"
_FOLDER = "tests/real/"


class Report:
    """Collects outcomes and measurements of one run."""

    def __init__(self) -> None:
        self.versions: list[str] = []
        self.commit = ""
        self._outcomes: Counter[str] = Counter()
        self._files = set[str]()
        self._failed: list[str] = []
        self._measured: dict[str, list[float]] = {}
        self._began_s = time.monotonic()

    def begin(self, versions: list[str]) -> None:
        """What is asked: the servers' versions and the commit of this tree."""
        self.versions = versions
        command = ["git", "describe", "--always", "--dirty"]
        self.commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    def note(self, what: str, value: float) -> None:
        """One measurement; of several with the same name the median is reported."""
        self._measured.setdefault(what, []).append(value)

    def count(self, report: pytest.TestReport) -> None:
        """Take a test's outcome; a test fails too where its set-up fails."""
        if report.nodeid.startswith(_FOLDER) and (report.when == "call" or report.outcome != "passed"):
            self._outcomes[report.outcome] += 1
            self._files.add(report.nodeid.partition("::")[0])
            if report.outcome == "failed":
                self._failed.append(report.nodeid.rpartition("/")[2])

    def keep(self) -> None:
        """Write the page's section, if every file of the suite ran: what failed is named."""
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / _FOLDER).glob("test_*.py")}
        if self._files != files or self._outcomes["skipped"]:
            return
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
        after = rest.partition(_END)[2]
        PAGE.write_text(f"{before}{_BEGIN}\n" + "\n".join(self.lines()) + f"\n\n{_END}{after}", encoding="utf-8")

    def lines(self) -> list[str]:
        """The result as Markdown."""
        outcomes = ", ".join(f"{count} {word}" for word, count in sorted(self._outcomes.items()))
        took_s = time.monotonic() - self._began_s
        openai = importlib.metadata.version("openai")
        return [
            f"{time.strftime('%Y-%m-%d', time.gmtime())}, Freehold at `{self.commit}`: **{outcomes}** in {took_s:.0f} s.",
            f"{', '.join(self.versions)}, `openai` {openai}, CPython {platform.python_version()},",
            f"{len(os.sched_getaffinity(0))} cores shared with all else that ran ({_processor()}).",
            "",
            *(f"- failed: `{name}`" for name in self._failed),
            *([""] if self._failed else []),
            "| measured | n | median |",
            "|---|---|---|",
            *(
                f"| {what} | {len(values)} | {_shown(_median(values))} |"
                for what, values in sorted(self._measured.items())
            ),
        ]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _shown(value: float) -> str:
    """Three digits say all that such a measurement knows."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
