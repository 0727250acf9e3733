"""What was measured of guessing tokens on this machine: one small file, beside its speed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from freehold.domain.speculation import SpeculationVerdict
from freehold.storage.disk import write_atomically

SPECULATION_FILE: Final = "machine-speculation.json"
"""In the data folder."""

_KEPT: Final = 256


def read_verdicts(data_folder: Path) -> tuple[SpeculationVerdict, ...]:
    """Everything measured; nothing where the file is not there or not ours: then nothing was measured."""
    try:
        return msgspec.json.decode((data_folder / SPECULATION_FILE).read_bytes(), type=tuple[SpeculationVerdict, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def keep_verdict(data_folder: Path, verdict: SpeculationVerdict) -> None:
    """Add a measurement; it takes the place of an older one of the same.

    Raises:
        OSError: It cannot be written.
    """
    others = [each for each in read_verdicts(data_folder) if each.key != verdict.key]
    kept = [*others, verdict][-_KEPT:]
    write_atomically(data_folder / SPECULATION_FILE, msgspec.json.format(msgspec.json.encode(kept)))
