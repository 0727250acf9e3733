"""Wires releases: what the request path knows of them, and what is shown of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from freehold.api.release_views import PublishViews, ReleaseViews
from freehold.app.stores import Stores
from freehold.domain.errors.base import FreeholdError
from freehold.gateway.release_book import ReleaseBook
from freehold.gateway.releasing import LiveReleases
from freehold.gateway.runtime import Runtime
from freehold.storage.releases import SqliteReleases

log = logging.getLogger("freehold.app")

_LOOK_EVERY_S = 1.0
_TIDY_EVERY_LOOKS = 600


class Released:
    """Releases in one process.

    Args:
        stores: What outlives a reload.
        runtime: What is in force.
        tidies: Whether this is the one process that notes what has expired.

    Attributes:
        live: Those that hold now.
    """

    def __init__(self, stores: Stores, runtime: Callable[[], Runtime], *, tidies: bool) -> None:
        self._stores = stores
        self._runtime = runtime
        self._tidies = tidies
        self._store = SqliteReleases(stores.database)
        self.live = LiveReleases(store=self._store, key=self._store.key(), audit=stores.audit, clock=stores.clock)

    def views(self) -> dict[str, object]:
        """What the table of routes names ``releases`` and ``publish``."""
        clock = self._stores.clock
        book = ReleaseBook(store=self._store, live=self.live, runtime=self._runtime, clock=clock, ids=self._stores.ids)
        publish = PublishViews(
            files=self._stores.files,
            store=self._store,
            live=self.live,
            tree=lambda: self._runtime().tree,
            clock=clock,
        )
        return {"releases": ReleaseViews(book=book, clock=clock), "publish": publish}

    async def keep(self) -> None:
        """What another process approved, or used up, holds here within a second; until cancelled."""
        looks = 0
        while True:
            try:
                await self.look(tidies=self._tidies and looks % _TIDY_EVERY_LOOKS == 0)
            except FreeholdError as error:
                log.warning("releases could not be looked at: %s", error.message)
            looks += 1
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self, *, tidies: bool) -> None:
        """Once: note the end of what has expired, if that is this process's to do, and know what holds.

        Raises:
            StorageFailed: The database fails.
        """
        now_ms = self._stores.clock.unix_ms()
        if self._tidies:
            await self._store.end_expired(now_ms)
        if tidies:
            await self._store.drop_old(now_ms)
        await self.live.refresh()
