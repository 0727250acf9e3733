"""Who runs and waits, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from freehold.api.asgi import JSON, Headers, Scope
from freehold.domain.identity import Principal
from freehold.domain.priority import Priority
from freehold.domain.turn import Waiting
from freehold.gateway.runtime import Runtime
from freehold.identity.access import reached_tenant
from freehold.serving.admission import LineSeen
from freehold.wire.openai_response import encode_json

SHOWN_MAX = 200
"""Requests that wait, shown one by one for each deployment."""


class QueueViews:
    """The queues of all deployments.

    Args:
        runtime: The configuration in force.
        seen: Looks at the queues that there are.
    """

    def __init__(self, *, runtime: Callable[[], Runtime], seen: Callable[[], Mapping[str, LineSeen]]) -> None:
        self._runtime = runtime
        self._seen = seen

    async def show(self, scope: Scope, principal: Principal) -> tuple[int, bytes, Headers]:
        """Each deployment: what runs and waits in all, and of the tenants that the caller manages who and since when."""
        tenant = reached_tenant(principal, scope["access"])
        seen = self._seen()
        shown = [
            _shown(name, engine.deployment.slots, seen.get(name), tenant)
            for name, engine in self._runtime().engines.items()
        ]
        return 200, encode_json({"object": "list", "data": shown}), [JSON]


def _shown(name: str, slots: int, seen: LineSeen | None, tenant: str | None) -> dict[str, object]:
    if seen is None:
        return {
            "deployment": name,
            "slots": slots,
            "running": 0,
            "waiting": 0,
            "waiting_by_priority": {each.name.lower(): 0 for each in reversed(Priority)},
            "hold_s": None,
            "running_by_tenant": {},
            "requests": [],
        }
    total = seen.total
    by_class = total.waiting_by
    return {
        "deployment": name,
        "slots": total.slots,
        "running": total.running,
        "waiting": total.waiting,
        "waiting_by_priority": {each.name.lower(): by_class[each] for each in reversed(Priority)},
        "hold_s": round(total.hold_s, 3) if total.hold_s else None,
        "running_by_tenant": {
            whose: count for whose, count in sorted(seen.running.items()) if tenant is None or whose == tenant
        },
        "requests": [_request(each) for each in seen.waiting if tenant is None or each.turn.tenant == tenant][
            :SHOWN_MAX
        ],
    }


def _request(waiting: Waiting) -> dict[str, object]:
    return {
        "tenant": waiting.turn.tenant,
        "priority": waiting.turn.priority.name.lower(),
        "position": waiting.position,
        "waited_s": round(waiting.waited_s, 3),
        "expected_s": round(waiting.expected_s, 3),
    }
