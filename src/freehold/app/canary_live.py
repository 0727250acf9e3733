"""What canaries answered to live requests, kept beside the models: digests and whether two answers agree, no text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from freehold.gateway.shadows import Seen
from freehold.serving.canary_records import LivePair, keep_live

log = logging.getLogger("freehold.app")


def live_canaries(models_folder: Path) -> Callable[[Seen], Awaitable[None]]:
    """Keeps what is seen, behind the requests; where it cannot be kept the log says so."""

    async def keep(seen: Seen) -> None:
        pair = LivePair(alike=seen.alike, old_chance=seen.old_chance)
        old, new = (digest.removeprefix("sha256:") for digest in (seen.old_digest, seen.new_digest))
        try:
            await asyncio.to_thread(keep_live, models_folder, old_sha256=old, new_sha256=new, pair=pair)
        except (OSError, ValueError) as error:
            log.warning("what a canary answered was not kept: %s", error)

    return keep
