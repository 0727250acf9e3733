"""Open vaults: each is opened once, and closed once nobody uses it any more who began before it was put away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from freehold.app.vault_opening import Opened
from freehold.config.compile_vault import VaultPlan


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    """An open vault, and how many use it."""

    opened: Opened
    users: int = 0
    is_away: bool = False


class Shelf:
    """Keeps vaults open.

    Args:
        opening: Opens one.
    """

    def __init__(self, opening: Callable[[VaultPlan], Awaitable[Opened]]) -> None:
        self._opening = opening
        self._held: dict[str, _Held] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._times: dict[str, int] = {}

    def get(self, name: str) -> Opened | None:
        """A vault that is open."""
        held = self._held.get(name)
        return None if held is None else held.opened

    def times(self, name: str) -> int:
        """How often a vault was put away: what was made of it before is not to be used any more."""
        return self._times.get(name, 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are open."""
        return tuple(self._held)

    async def open(self, plan: VaultPlan) -> Opened:
        """A vault, to be used until everything is closed.

        Raises:
            VaultError: It cannot be opened.
        """
        return (await self._open(plan)).opened

    @contextlib.asynccontextmanager
    async def using(self, plan: VaultPlan) -> AsyncGenerator[Opened]:
        """A vault that stays open while the body runs.

        Raises:
            VaultError: It cannot be opened.
        """
        held = await self._open(plan)
        held.users += 1
        try:
            yield held.opened
        finally:
            held.users -= 1
            if held.is_away and not held.users:
                self._close(held)

    def put_away(self, name: str) -> None:
        """Have a vault opened anew when it is used next; who uses it now goes on with what it has."""
        self._times[name] = self.times(name) + 1
        held = self._held.pop(name, None)
        if held is not None:
            held.is_away = True
            if not held.users:
                self._close(held)

    async def close(self) -> None:
        """Close everything. Idempotent."""
        held, self._held = list(self._held.values()), {}
        await asyncio.gather(*(each.opened.close() for each in held), *self._closing)

    async def _open(self, plan: VaultPlan) -> _Held:
        async with self._locks.setdefault(plan.name, asyncio.Lock()):
            held, times = self._held.get(plan.name), self.times(plan.name)
            if held is None:
                held = _Held(opened=await self._opening(plan))
                if self.times(plan.name) == times:
                    self._held[plan.name] = held
                else:  # it was put away while it was opened, by a plan that holds no more
                    held.is_away = True
            return held

    def _close(self, held: _Held) -> None:
        task = asyncio.ensure_future(held.opened.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
