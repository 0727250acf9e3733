"""Reloading: on SIGHUP, or when the file, that of its rules, the name of a model or a model's own file changed. A new configuration that is bad leaves the old one in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

from freehold.app.waiting import set_within
from freehold.config.compile import Compiled
from freehold.config.load import FileState, state_of
from freehold.config.paths import is_model_path
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.config import ConfigInvalid
from freehold.domain.errors.policy import RulesInvalid

log = logging.getLogger("freehold.app")

_LOOK_EVERY_S = 2.0
_LLAMA = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER})


class Reloader:
    """Watches a configuration's files and puts what they say in force.

    Args:
        path: The file; ``None`` for a gateway that was started without one.
        rules: Path of the file of rules that it names; empty for none.
        models: Files of models that it names (``own_files``). They are taken over once they have come to rest.
        also: Folders in which files are renamed where something else changes that what is in force is made of.
        seen: States of the file and of its rules from before they were read (``LoadedConfig.seen``): what was edited
            since is read again. As they are now where not given.
        read: Reads and compiles it.
        replace: Puts a compiled configuration in force.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        rules: str = "",
        models: tuple[Path, ...] = (),
        also: tuple[Path, ...] = (),
        seen: tuple[FileState | None, FileState | None] | None = None,
        read: Callable[[], Compiled],
        replace: Callable[[Compiled], Coroutine[Any, Any, None]],
    ) -> None:
        self._path = path
        self._rules = rules
        self._models = models
        self._also = also
        self._read = read
        self._replace = replace
        now = self._state()
        self._seen = now if seen is None else (*seen, *now[2:])
        self._models_seen = self._models_last = self._models_state()
        self._wanted = False
        self._look = asyncio.Event()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Reload while the body runs."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError, ValueError):  # no signals on Windows or outside the main thread
            loop.add_signal_handler(signal.SIGHUP, self._want)
        task = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _want(self) -> None:
        self._wanted = True
        self._look.set()

    async def _watch(self) -> None:
        while True:
            await set_within(self._look, _LOOK_EVERY_S)
            self._look.clear()
            state, models = self._state(), self._models_state()
            rests, self._models_last = models == self._models_last, models  # copying a model takes a while
            if self._wanted or state != self._seen or (rests and models != self._models_seen):
                self._wanted = False
                self._seen, self._models_seen = state, models
                await self.reload()

    async def reload(self) -> bool:
        """Put the file's configuration in force; False where it is bad and the old one stays."""
        try:
            compiled = await asyncio.to_thread(self._read)
            if compiled.rules_path != self._rules:
                self._rules = compiled.rules_path
                # The others are from before the reading: what was edited meanwhile is seen at the next look.
                self._seen = (self._seen[0], self._state()[1], *self._seen[2:])
            if (models := own_files(compiled)) != self._models:
                self._models = models
                self._models_seen = self._models_last = self._models_state()
            await self._replace(compiled)
        except FreeholdError as error:
            told = error.mistakes if isinstance(error, ConfigInvalid | RulesInvalid) else (error.message,)
            for line in told:
                log.error("%s: %s", error.code, line)  # noqa: TRY400 - the message is all there is to say
            log.error("the configuration was not changed; the one before stays in force")  # noqa: TRY400
            return False
        return True

    def _state(self) -> tuple[FileState | None, ...]:
        return tuple(state_of(each) for each in (self._path, Path(self._rules) if self._rules else None, *self._also))

    def _models_state(self) -> tuple[FileState | None, ...]:
        return tuple(map(state_of, self._models))


def own_files(compiled: Compiled) -> tuple[Path, ...]:
    """Files of models and adapters that a configuration names by their paths, for engines of ours."""
    found: list[str] = []
    for plan in compiled.deployments:
        options = plan.settings.options
        if plan.deployment.engine in _LLAMA and not plan.settings.base_url:
            found += filter(is_model_path, (plan.deployment.model.name, options.draft_model))
            found += (each.path for each in options.adapters)
    return tuple(map(Path, dict.fromkeys(found)))
