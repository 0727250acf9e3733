"""Taking files in with the real command: pages a second of one core, and what kill -9 leaves.

    python -m bench.vault.ingest [--kills 10]

Pages are counted against the processor time of the command and all its children, so that what else runs here counts for
nothing; the wall clock is said beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.vault_folder import mixed_folder, prose
from tests.support.vault_pdf import text_pdf

PAGES_PER_S_AT_LEAST = 20.0
PDFS, PAGES, LINES = 20, 30, 40
FILES = 60


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the command."""

    lines: list[dict[str, object]]
    cpu_s: float
    wall_s: float


def run(home: Path, *arguments: str) -> Run:
    """Run a command to its end."""
    before, began_s = _children_s(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "freehold", *arguments, "--json"],
        env=_environment(home),
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    if done.returncode:
        sys.exit("\n".join(each.read_text() for each in home.glob("error-*.txt")) or done.stdout)
    took_s = time.monotonic() - began_s
    if arguments[0] == "add":
        return Run([json.loads(line) for line in done.stdout.splitlines()], _children_s() - before, took_s)
    return Run(json.loads(done.stdout), _children_s() - before, took_s)


def pages_per_s() -> tuple[float, float, float]:
    """Pages a second of processor time, the same without starting and ending, and by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        home, files = Path(folder, "home"), Path(folder, "files")
        files.mkdir()
        for number in range(PDFS):
            pages = [
                [f"Page {page}", *(prose(number * 1_000 + page * 40 + line, 1)[:90] for line in range(LINES))]
                for page in range(PAGES)
            ]
            (files / f"{number}.pdf").write_bytes(text_pdf(pages))
        one = run(home, "add", str(files / "0.pdf"), "--later")
        all_of_them = run(home, "add", str(files), "--later")
        read = all_of_them.lines[-1]["pages"]
        assert read == (PDFS - 1) * PAGES, read
        more_s = all_of_them.cpu_s - one.cpu_s
        return read / all_of_them.cpu_s, (read - PAGES) / more_s, read / all_of_them.wall_s


def killed(kills: int) -> tuple[int, int, int]:
    """Documents said to be done, of which are missing, and how many are there twice in the end."""
    chance, said, missing = random.Random(7), set[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        home, files = Path(folder, "home"), Path(folder, "files")
        paths = mixed_folder(files, FILES)
        for number in range(kills):
            if number % 3 == 2:  # and some of them change meanwhile
                for path in chance.sample(paths, 3):
                    path.write_bytes(path.read_bytes() + b"\n" if path.suffix != ".pdf" else path.read_bytes())
            said |= _added_and_killed(home, files, chance)
            held = {each["id"] for each in run(home, "vault", "list").lines}
            missing += len(said - held)
        run(home, "add", str(files), "--later")
        sources = [each["source"] for each in run(home, "vault", "list").lines]
        wholes = [each for each in sources if "#" not in str(each)]
        missing += len({path.as_uri() for path in paths} - set(wholes))
        return len(said), missing, len(sources) - len(set(sources))


def _added_and_killed(home: Path, files: Path, chance: random.Random) -> set[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "freehold", "add", str(files), "--json", "--later"],
        env=_environment(home),
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        lines = [line for _, line in zip(range(chance.randint(1, FILES // 2)), child.stdout, strict=False)]
        time.sleep(chance.random() * 0.2)
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    done = [json.loads(line) for line in lines if line.endswith("\n")]
    return {document["id"] for each in done if "documents" in each for document in each["documents"]}


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    return {**kept, "FREEHOLD_HOME": str(home)}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    kills = parser.parse_args().kills
    whole, steady, clock = pages_per_s()
    said, missing, twice = killed(kills)
    rows = [
        ("ingest, pages/s of text PDF on one core", f">= {PAGES_PER_S_AT_LEAST:g}", f"{whole:.1f}", whole >= PAGES_PER_S_AT_LEAST),
        ("  without starting and ending", "", f"{steady:.1f}", None),
        ("  by the clock, whatever else ran", "", f"{clock:.1f}", None),
        (f"kill -9 {kills} times, {said} said to be done: missing", "0", str(missing), missing == 0),
        ("  there twice", "0", str(twice), twice == 0),
    ]  # fmt: skip
    for name, bar, figure, holds in rows:
        print(f"{name:60}  {bar:>8}  {figure:>8}  {'' if holds is None else 'yes' if holds else 'NO'}")


if __name__ == "__main__":
    main()
