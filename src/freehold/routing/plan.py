"""In which order do we try? Policy has decided before; routing only orders what is permitted and able."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from freehold.domain.decisions import Candidate, RoutePlan
from freehold.domain.deployment import Route
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.request import ContentUnsupported, ContextTooLong, UnsupportedParameter
from freehold.domain.request import InferenceRequest
from freehold.routing.candidates import is_too_long, only_for_its_dialect, prompt_tokens_at_least, unable_reason


def make_plan(
    request: InferenceRequest,
    route: Route,
    candidates: Sequence[Candidate],
    *,
    label: str = "as its receipt shows",
) -> RoutePlan:
    """The route's deployments that are permitted and able, in the route's order.

    - A candidate outside the route never appears, whatever its decision says; of two candidates for one deployment a
      denial wins; a decision about another deployment counts as a denial.
    - A deployment that is not ready stays, since it may be ready when its turn comes. Among neighbours of the same
      zone, ready ones come first; it is never passed over for one in another zone, so that a restart at home sends
      nothing further out than the route's order says.
    - ``route.attempts_max`` does not shorten the plan: it counts attempts made, and the request path counts them.

    Args:
        request: What is asked.
        route: The order, and the only deployments there are.
        candidates: Deployments of the route with policy's decisions, in any order.
        label: The request's label as users read it, for the message of a refusal.

    Raises:
        NoPermittedDeployment: A deployment could do it, but policy forbids every one that could.
        ContextTooLong: The prompt is longer than what every deployment of the route takes.
        UnsupportedParameter: It holds what only an upstream of the client's own dialect takes, and there is none.
        ContentUnsupported: No deployment of the route can do it, permitted or not.
    """
    judged = _judged(request, route, candidates)
    usable = [candidate for candidate in judged if _is_permitted(candidate) and not candidate.unable]
    steps = tuple(
        candidate.deployment
        for _, zone in groupby(usable, key=lambda candidate: candidate.deployment.zone)
        for candidate in sorted(zone, key=lambda candidate: not candidate.ready)
    )
    rejected = tuple(candidate for candidate in judged if candidate not in usable)
    if not steps:
        raise nothing_left(request, route, rejected, label)
    return RoutePlan(route=route.name, steps=steps, rejected=rejected)


def _judged(request: InferenceRequest, route: Route, candidates: Sequence[Candidate]) -> list[Candidate]:
    """One candidate for each deployment of the route, in its order, each checked again for what it is able to do."""
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        name = candidate.deployment.name
        if name not in found or _is_permitted(found[name]):
            unable = candidate.unable or unable_reason(request, candidate.deployment)
            found[name] = replace(candidate, unable=unable)
    return [found[name] for name in dict.fromkeys(route.deployments) if name in found]


def _is_permitted(candidate: Candidate) -> bool:
    return candidate.decision.allowed and candidate.decision.deployment == candidate.deployment.name


def nothing_left(request: InferenceRequest, route: Route, rejected: Sequence[Candidate], label: str) -> FreeholdError:
    """Why a request can go nowhere.

    Args:
        request: It.
        route: The one that it takes.
        rejected: Why not, for each deployment.
        label: The request's, as users read it.
    """
    able = [candidate for candidate in rejected if not candidate.unable]
    if able or not rejected:
        return NoPermittedDeployment(
            label=label,
            route=route.name,
            reasons="; ".join(map(_why, rejected)) or "the route has no deployment",
            deployments=[candidate.deployment.name for candidate in rejected],
        )
    if all(is_too_long(request, candidate.deployment) for candidate in rejected):
        longest = max(rejected, key=lambda candidate: candidate.deployment.model.context_tokens).deployment
        return ContextTooLong(
            param="messages" if request.messages else None,
            prompt_tokens=f"at least {prompt_tokens_at_least(request)}",
            deployment=longest.name,
            context_tokens=longest.model.context_tokens,
        )
    foreign = [only_for_its_dialect(request, candidate.deployment) for candidate in rejected]
    if all(foreign) and (only := foreign[0]) is not None:
        return UnsupportedParameter(field=only.field, value=only.shown, reason=only.reason, param=only.field)
    return ContentUnsupported(
        deployment=", ".join(candidate.deployment.name for candidate in rejected),
        content=rejected[0].unable
        if len({candidate.unable for candidate in rejected}) == 1
        else "; ".join(f"{candidate.deployment.name}: {candidate.unable}" for candidate in rejected),
    )


def _why(candidate: Candidate) -> str:
    if not _is_permitted(candidate):
        return f"{candidate.deployment.name}: {', '.join(candidate.decision.reasons) or 'no rule allows it'}"
    return f"{candidate.deployment.name}: cannot take {candidate.unable}"
