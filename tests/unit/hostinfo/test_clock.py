"""The real clock and the real ids."""

from __future__ import annotations

import asyncio
import time
import uuid

from freehold.hostinfo.clock import SystemClock, SystemIds


class FixedClock:
    def unix_ms(self) -> int:
        return 1_790_000_000_123

    def monotonic_s(self) -> float:
        return 0.0


def test_wall_clock_is_in_milliseconds():
    before = time.time()
    now_ms = SystemClock().unix_ms()
    assert before * 1000 - 1 <= now_ms <= time.time() * 1000 + 1


def test_monotonic_clock_is_on_the_loops_scale():
    async def difference() -> float:
        return abs(asyncio.get_running_loop().time() - SystemClock().monotonic_s())

    assert asyncio.run(difference()) < 1.0


def test_ids_are_uuid7_of_the_clocks_moment():
    ids = {SystemIds(FixedClock()).new_id() for _ in range(200)}
    assert len(ids) == 200
    for text in ids:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == 1_790_000_000_123
