"""Every bar of the vault, one after the other: ``python -m bench.vault``, or some of them by name."""

from __future__ import annotations

import subprocess
import sys

BARS = (
    "ranking", "chunks", "access", "store", "ingest_speed", "ingest", "hostile", "embedding", "abstain", "citations",
    "answering", "own_questions",
)  # fmt: skip
"""Each in a process of its own, so that none is measured with another's memory."""


def main() -> None:
    """Run them; the exit code is the first one that is not 0."""
    wrong = [each for each in sys.argv[1:] if each not in BARS]
    if wrong:
        sys.exit(f"{', '.join(wrong)}: no such bar; there is {', '.join(BARS)}")
    codes: list[int] = []
    for name in sys.argv[1:] or BARS:
        print(f"== {name}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", f"bench.vault.{name}"], check=False).returncode)
    sys.exit(next((code for code in codes if code), 0))


if __name__ == "__main__":
    main()
