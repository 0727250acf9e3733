"""The logs of several workers: each process appends to one of its own, and any of them proves entries of all.

The first worker's log is the main one, and the only one where there is one process. The name of a further one is the
main one's with ``/1``, ``/2``… added, its folder's likewise with ``-1``, ``-2``…. Logs of earlier starts that had more
workers stay, and are proved and verified like the others.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from freehold.audit.keys import VERIFIER_KEY
from freehold.audit.log import TransparencyLog
from freehold.audit.note import VerifierKey, open_checkpoint
from freehold.audit.tile_store import TileStore
from freehold.audit.tiles import inclusion_path
from freehold.domain.errors.audit import AuditBroken
from freehold.domain.receipt import InclusionProof

_SHARD = re.compile(r"-([1-9]\d{0,3})")


def shard_folder(main: Path, worker: int) -> Path:
    """Where the log of a worker lies."""
    return main if worker == 0 else main.with_name(f"{main.name}-{worker}")


def shard_name(origin: str, worker: int) -> str:
    """What the log of a worker is called."""
    return origin if worker == 0 else f"{origin}/{worker}"


def further_shards(main: Path) -> dict[int, Path]:
    """The logs beside the main one, by worker."""
    found: dict[int, Path] = {}
    for path in main.parent.glob(f"{main.name}-*"):
        match = _SHARD.fullmatch(path.name.removeprefix(main.name))
        if match is not None and path.is_dir():
            found[int(match[1])] = path
    return dict(sorted(found.items()))


class Shards:
    """Proves entries of all logs; implements ``domain.ports.Proofs``.

    Args:
        own: The log of this process.
        origin: The main log's name.
        main: The main log's folder.
    """

    def __init__(self, own: TransparencyLog, *, origin: str, main: Path) -> None:
        self._own = own
        self._origin = origin
        self._main = main

    async def prove(self, index: int, *, log: str) -> InclusionProof | None:
        """Proof that an entry of a log is in that log's newest checkpoint; ``None`` where it is not in one yet.

        Args:
            index: Which entry.
            log: Name of the log; empty for the main one.

        Raises:
            AuditBroken: The tiles it needs are missing or damaged.
        """
        log = log or self._origin
        if log == self._own.origin:
            return await self._own.prove(index)
        folder = self._folder(log)
        return None if folder is None else await asyncio.to_thread(prove_from_files, folder, log, index)

    def _folder(self, log: str) -> Path | None:
        if log == self._origin:
            return self._main
        number = log.removeprefix(f"{self._origin}/")
        return further_shards(self._main).get(int(number)) if number.isdecimal() and number.isascii() else None


def prove_from_files(folder: Path, log: str, index: int) -> InclusionProof | None:
    """Proof from the files of a log that another process may write: a checkpoint there is never ahead of its tiles.

    Args:
        folder: The log's folder.
        log: Its name.
        index: Which entry.

    Raises:
        AuditBroken: The tiles it needs are missing or damaged, or the entry was pruned.
    """
    store = TileStore(folder)
    try:
        note = store.checkpoint()
        if note is None:
            return None
        key = VerifierKey.parse((folder / VERIFIER_KEY).read_text(encoding="utf-8"))
        checkpoint = open_checkpoint(note, key)
        if checkpoint.origin != log or not 0 <= index < checkpoint.size:
            return None
        path = inclusion_path(index, checkpoint.size, store.nodes(checkpoint.size))
        leaf = store.entry(index, checkpoint.size)
    except (OSError, UnicodeDecodeError) as error:
        raise AuditBroken(reason=f"{folder.name} cannot be read: {error}") from error
    return InclusionProof(index=index, leaf=leaf, path=path, checkpoint=checkpoint)
