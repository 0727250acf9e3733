"""What is in memory: the map of it, and loading and unloading by hand."""

from __future__ import annotations

from collections.abc import Callable

from freehold.api.asgi import JSON, Headers, Scope
from freehold.domain.errors.placement import DeploymentUnknown
from freehold.domain.identity import Principal
from freehold.domain.ports import Clock
from freehold.gateway.runtime import Runtime
from freehold.serving.memory_map import memory_map
from freehold.serving.placing import Placer
from freehold.wire.openai_response import encode_json

LOAD_WITHIN_S = 600.0
"""A model that is loaded by hand may wait so long for others to make way, and load so long."""

View = tuple[int, bytes, Headers]


class MemoryViews:
    """The memory that models share. It shows what all tenants use together, so that it takes the scope ``admin``.

    Args:
        placer: What is in memory.
        runtime: The configuration in force.
        clock: On the event loop's scale.
    """

    def __init__(self, placer: Placer, *, runtime: Callable[[], Runtime], clock: Clock) -> None:
        self._placer = placer
        self._runtime = runtime
        self._clock = clock

    async def show(self, _scope: Scope, _principal: Principal) -> View:
        """Each device and each model: bytes set aside and measured, who uses it, and which one would leave next."""
        return self._shown()

    async def load(self, scope: Scope, _principal: Principal) -> View:
        """Load a deployment's model, waiting for others to make way where there is no room; then the map."""
        deadline_s = self._clock.monotonic_s() + LOAD_WITHIN_S
        await self._placer.load(self._named(scope), deadline_s=deadline_s)
        return self._shown()

    async def unload(self, scope: Scope, _principal: Principal) -> View:
        """Unload a deployment's model, pinned or not, unless somebody uses it; then the map."""
        await self._placer.unload(self._named(scope))
        return self._shown()

    def _named(self, scope: Scope) -> str:
        name: str = scope["path_params"]["name"]
        if name not in self._runtime().engines:
            raise DeploymentUnknown(deployment=name)
        return name

    def _shown(self) -> View:
        return 200, encode_json(memory_map(self._placer, now_s=self._clock.monotonic_s())), [JSON]
