"""How long importing and the help page take, against the interpreter alone.

    python bench/start.py [--runs N]

Prints medians in milliseconds. Bars: `import freehold` below 50 ms, `freehold --help` below 250 ms.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

FREEHOLD = str(Path(sys.executable).parent / "freehold")
COMMANDS = {
    "interpreter alone": [sys.executable, "-c", "pass"],
    "import freehold": [sys.executable, "-c", "import freehold"],
    "freehold --help": [FREEHOLD, "--help"],
    "import openai": [sys.executable, "-c", "import openai"],
}


def wall_ms(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            taken[name].append(wall_ms(command))
    for name, times in taken.items():
        print(
            f"{name:20} {statistics.median(times):7.1f} ms   (min {min(times):.1f}, max {max(times):.1f}, {runs} runs)"
        )


if __name__ == "__main__":
    main()
