"""What the engine itself says that a model file would take, asked in its jail."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from freehold.cli.jailed_child import asked_in_jail
from freehold.planner.memory import Launch

ENGINE = "llama.cpp"
_TIMEOUT_S = 30.0
_MIB = 1 << 20


def engines_own(path: Path, launch: Launch) -> tuple[int, int] | None:
    """Cache and buffers in bytes, as llama.cpp says without allocating them; ``None`` where it does not say.

    Weights are taken from the header: those that it packs anew for the processor it does not count.
    """
    ask = {
        "tokens": launch.context_tokens * launch.slots,
        "slots": launch.slots,
        "batch_tokens": launch.batch_tokens,
        "cache_type": launch.cache_type,
        "flash_attention": launch.flash_attention,
        "unified": launch.unified,
    }
    try:
        lines = asked_in_jail(
            "freehold.engines.llama.size_worker",
            timeout_s=_TIMEOUT_S,
            readable=[str(path), str(path.parent)],
            path=str(path),
            asks=[ask],
        )
        (rows,) = json.loads(lines[1])
        cache_mib, compute_mib = (sum(row[name] for row in rows) for name in ("context_mib", "compute_mib"))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError, TypeError):
        return None
    return (cache_mib * _MIB, compute_mib * _MIB) if rows else None
