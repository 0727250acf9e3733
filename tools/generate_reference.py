"""Writes everything that is generated and checked in: ``docs/reference``, ``dashboards``, ``freehold.example.toml``.

python tools/generate_reference.py            writes them
python tools/generate_reference.py --check    exit code 1 and the names of those that are out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # run as a program, this folder is on the path and its parent is not
    sys.path.insert(0, str(ROOT))

from tools import dashboard, example_config, reference_pages  # noqa: E402 - after the path


def generated() -> dict[str, str]:
    """Text of every generated file by its path in the repository."""
    return {
        "dashboards/grafana.json": dashboard.dashboard(),
        "docs/reference/cli.md": reference_pages.cli(),
        "docs/reference/configuration.md": reference_pages.configuration(),
        "docs/reference/errors.md": reference_pages.errors(),
        "docs/reference/metrics.md": reference_pages.metrics(),
        "freehold.example.toml": example_config.example(),
    }


def outdated() -> list[str]:
    """Paths of the files that are not what they should be."""
    return [path for path, text in generated().items() if not _is(ROOT / path, text)]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main() -> int:
    """Write or check; see above."""
    if "--check" in sys.argv[1:]:
        found = outdated()
        sys.stdout.write("".join(f"{path} is out of date; run tools/generate_reference.py\n" for path in found))
        return 1 if found else 0
    for path, text in generated().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
