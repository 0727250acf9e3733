"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, and set it where it does not come in time.

    Not ``asyncio.wait_for``: a cancellation in the tick in which the event comes is lost in it (CPython before 3.12).
    """
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
