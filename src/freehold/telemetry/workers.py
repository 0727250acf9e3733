"""One page of metrics for several processes that listen on one port: who scrapes meets any of them, and sees all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

PUBLISH_EVERY_S = 2.0

_NAME = re.compile(r"[A-Za-z0-9_]+")
_PAGE = "metrics-{worker}.prom"
_PAGES = "metrics-*.prom"
_PAGE_BYTES_MAX = 16 * 1024 * 1024


class WorkerPages:
    """The pages of all workers, each in a file of its own that its worker replaces whole.

    Args:
        folder: A folder that all workers share and nobody else can write.
        worker: This one's name, the same after it was started again: its counters begin anew then, as counters may.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self._file = folder / _PAGE.format(worker=worker)

    def publish(self, page: str) -> None:
        """Leave this worker's page for the others; what cannot be written is left out, since it is told again soon."""
        draft = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            draft.write_text(page, encoding="utf-8")
            draft.replace(self._file)

    def whole(self, page: str) -> str:
        """This worker's page as it is now with those that the others left, each sample with a label ``worker``."""
        pages = {self._worker: page}
        for file in sorted(self._folder.glob(_PAGES)):
            worker = file.stem.removeprefix("metrics-")
            if worker != self._worker:
                with contextlib.suppress(OSError, UnicodeDecodeError):
                    if file.stat().st_size <= _PAGE_BYTES_MAX:
                        pages[worker] = file.read_text(encoding="utf-8")
        return merged(pages)


def forget_pages(folder: Path) -> None:
    """Remove the pages of an earlier start, which may have had more workers. Before any worker starts."""
    for file in folder.glob(_PAGES):
        file.unlink(missing_ok=True)


def merged(pages: Mapping[str, str]) -> str:
    """Pages as ``Metrics.render`` writes them as one: each metric's samples together, with a label ``worker``."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, page in pages.items():
        family = ""
        for line in page.split("\n"):
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                heads.setdefault(family, [])
                samples.setdefault(family, [])
            if line.startswith("#"):
                if line not in heads[family]:
                    heads[family].append(line)
            elif line:
                samples[family].append(_labelled(line, worker))
    return "".join(f"{line}\n" for family in heads for line in (*heads[family], *samples[family]))


def _labelled(line: str, worker: str) -> str:
    match = _NAME.match(line)
    if match is None:
        return line
    name, rest = match.group(), line[match.end() :]
    others = f",{rest[1:]}" if rest.startswith("{") else f"}}{rest}"
    return f'{name}{{worker="{worker}"{others}'
