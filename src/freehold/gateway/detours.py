"""Where a request goes from a deployment that is busy or down, as its route says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from freehold.domain.deployment import Deployment, Route
from freehold.domain.errors.admission import NoRoom
from freehold.domain.ports import Admission
from freehold.domain.turn import Turn
from freehold.gateway.runtime import Runtime
from freehold.routing.degrade import Course, detour


class Detour(NamedTuple):
    """Another deployment than the one whose turn it is, and why, for the receipt."""

    deployment: Deployment
    told: str


def detour_of(
    deployment: Deployment,
    others: Sequence[Deployment],
    turn: Turn,
    *,
    route: Route,
    runtime: Runtime,
    admission: Admission,
    until_s: float,
) -> Detour | None:
    """Another deployment to go to; ``None`` to wait for this one.

    Args:
        deployment: Whose turn it is.
        others: Which may be tried after it, in order; the request may go to each of them.
        turn: What a queue has to know of the request.
        route: What may be done instead.
        runtime: Where engines are.
        admission: Who has room.
        until_s: Until when the request may wait.

    Raises:
        NoRoom: There is nowhere to go.
    """
    engines = runtime.engines
    found = detour(
        route,
        deployment,
        remaining=tuple(others),
        room=lambda each: admission.room(each, turn, ready=engines[each.name].state().ready, deadline_s=until_s),
        tree=runtime.tree,
    )
    if found.course is Course.REFUSE:
        retry_s = admission.retry_s(deployment, turn)
        raise NoRoom(
            deployment=deployment.name, state=found.why, route=route.name, retry_s=retry_s, retry_after_s=retry_s
        )
    if found.deployment is None:
        return None
    told = f"{deployment.name} is {found.why}: {found.word} to {found.deployment.name}"
    return Detour(found.deployment, told)
