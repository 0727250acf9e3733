"""What becomes of a request whose deployment is busy or down: the route says it, this reads it. Pure.

Only what is left of the plan is ever chosen, so a request never goes where its label may not. It goes to a *farther*
zone on account of a busy or resting deployment only where the route says so in as many words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from freehold.domain.decisions import Room
from freehold.domain.deployment import Deployment, Instead, Route
from freehold.domain.zones import DEVICE, ZoneTree


class Course(StrEnum):
    """What to do now."""

    STAY = "stay"
    GO = "go"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """The way on from one deployment.

    Attributes:
        course: ``STAY`` asks it, waiting for a slot or for its engine, or refused by its queue in numbers; ``GO`` skips
            it for another one; ``REFUSE`` skips it and ends the request.
        deployment: Where to ``GO``.
        word: The route's word that decided; ``None`` where it has room or none of its words applies.
        why: ``busy`` or ``down``; empty where it has room.
    """

    course: Course
    deployment: Deployment | None = None
    word: Instead | None = None
    why: str = ""


def detour(
    route: Route,
    here: Deployment,
    *,
    remaining: Sequence[Deployment],
    room: Callable[[Deployment], Room],
    tree: ZoneTree,
) -> Detour:
    """What to do with the request whose turn at ``here`` has come.

    The route's words are read in order and the first that can be followed holds:

    - ``queue``: wait at ``here``, if its queue has a place and its turn comes in time; where it is down, try it all
      the same, since it may be ready by then;
    - ``smaller``: a model on this device; where the sizes of both are known, a smaller one;
    - ``overflow``: the next deployment in the plan's order that is in the same zone or nearer;
    - ``overflow-farther``: the next one, wherever it is.

    A deployment is gone to only if it is ready and has a free slot. Of several that would do, the first in the plan's
    order is taken.

    Args:
        route: Whose words hold.
        here: The deployment whose turn it is.
        remaining: What of the plan may still be tried, without ``here``: permitted and able, in order.
        room: How a deployment is now.
        tree: The site's zones.
    """
    now = room(here)
    if now.ready and now.free:
        return Detour(course=Course.STAY)
    why, words = ("busy", route.when_busy) if now.ready else ("down", route.when_down)
    for word in words:
        if word is Instead.QUEUE:
            if why == "down" or now.waits:
                return Detour(course=Course.STAY, word=word, why=why)
            continue
        for there in remaining:
            if _may_replace(word, here, there, tree) and (place := room(there)).ready and place.free:
                return Detour(course=Course.GO, deployment=there, word=word, why=why)
    # Where waiting was allowed, the queue itself refuses: it knows who waits and for how long.
    return Detour(course=Course.STAY if Instead.QUEUE in words else Course.REFUSE, why=why)


def _may_replace(word: Instead, here: Deployment, there: Deployment, tree: ZoneTree) -> bool:
    if there.name == here.name:
        return False
    if word is Instead.SMALLER:
        mine, its = here.model.size_bytes, there.model.size_bytes
        return there.zone == DEVICE and (its < mine or not (its and mine))
    return word is Instead.OVERFLOW_FARTHER or there.zone in tree.within(here.zone)
