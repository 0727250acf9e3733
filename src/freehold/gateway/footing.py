"""What is the same for many requests, decided once: label, policy and plan of a caller on a route.

The label space is finite, so decisions are too. What is kept here is exactly what the deciders said for the same
values; nothing is kept beyond the moment at which they could say something else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from freehold.domain.decisions import (
    DECLASSIFIED_BY,
    Candidate,
    Confidence,
    ConfidenceStatus,
    PolicyDecision,
    RoutePlan,
    Verdict,
)
from freehold.domain.deployment import Declassify, Deployment, Route
from freehold.domain.errors.base import FreeholdError
from freehold.domain.findings import Look
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, LabelSource
from freehold.domain.ports import Engine
from freehold.domain.request import InferenceRequest, Task, ToolChoice
from freehold.domain.response import FinishReason
from freehold.domain.turn import Turn
from freehold.gateway.runtime import Runtime
from freehold.policy.cache_scope import cache_scope
from freehold.policy.decide import decide
from freehold.policy.detected import look_needed
from freehold.policy.flow import FlowRules
from freehold.policy.labelling import join_sources, label_request
from freehold.policy.lattice import join
from freehold.policy.redact import lowest
from freehold.policy.text import format_label
from freehold.policy.trust import distrusted_source
from freehold.routing.candidates import surely_fits, unable_reason
from freehold.routing.ladder import verdict
from freehold.routing.plan import make_plan, nothing_left

_KEPT_MAX = 4096
_PLANS_MAX = 64
_RAISED_MAX = 64
_FOR_EVER = 1 << 62

NOT_LOOKED_AT = Confidence(probability=None, status=ConfidenceStatus.UNMEASURED)
"""How sure we are of an answer that passed through."""


class Asking(NamedTuple):
    """All that the deciders look at besides the configuration.

    Attributes:
        principal: Who asks.
        model: What for, as the client said it.
        label_header: What the client says of its text's label.
        unix_ms: When.
        audit_ready: Whether what leaves could be recorded.
        untrusted: Which part of the text makes its context untrusted; empty for none.
    """

    principal: Principal
    model: str
    label_header: str | None
    unix_ms: int
    audit_ready: bool
    untrusted: str = ""

    @property
    def key(self) -> Hashable:
        """Equal for who gets the same decisions at the same time.

        The principal by identity: hashing one with its labels costs more than all else here. Whoever keeps something
        by this key keeps the principal too.
        """
        return id(self.principal), self.model, self.label_header, self.audit_ready, self.untrusted != ""


@dataclass(slots=True, kw_only=True, eq=False)
class Footing:
    """What holds for a caller, a route and a label.

    Attributes:
        principal: Who asks.
        route: The route taken.
        label: The request's label.
        label_text: The same as one line.
        sources: Why it is so, but for what the request's own text says.
        deployments: The route's, and those that are asked for further signals, as they are now.
        engines: Theirs, in the same order.
        context_tokens_min: The shortest context among them.
        decisions: Policy for each of them, in the same order.
        looks: How far a text must be looked through before it goes to each of them, in the same order.
        looked: How far it was, for this label.
        until_unix_ms: From this moment on it must be decided anew: some terms' evidence expires.
        turn: What the queues know of a request of normal urgency.
        cache_scope: Whose and under which label what is kept of a request may be used again.
        raised_by: The same for requests whose text asks for more, by what it asks for.
    """

    principal: Principal
    route: Route
    label: Label
    label_text: str
    sources: tuple[LabelSource, ...]
    deployments: tuple[Deployment, ...]
    engines: tuple[Engine, ...]
    context_tokens_min: int
    decisions: tuple[PolicyDecision, ...]
    looks: tuple[Look, ...]
    looked: Look = Look.NONE
    until_unix_ms: int
    turn: Turn
    cache_scope: str
    raised_by: dict[Hashable, Footing] = field(default_factory=dict[Hashable, "Footing"])
    _plans: dict[Hashable, RoutePlan] = field(default_factory=dict[Hashable, RoutePlan])
    _verdicts: dict[Hashable, Verdict] = field(default_factory=dict[Hashable, Verdict])

    def decision(self, deployment: Deployment) -> PolicyDecision:
        """The decision on one of them."""
        for each in self.decisions:
            if each.deployment == deployment.name:
                return each
        raise LookupError(f"no decision on {deployment.name}")

    def look(self, deployment: Deployment) -> Look:
        """How far a text must still be looked through before it goes to one of them."""
        for place, each in enumerate(self.decisions):
            if each.deployment == deployment.name:
                needed = self.looks[place]
                return needed if needed > self.looked else Look.NONE
        raise LookupError(f"no decision on {deployment.name}")

    def plan(self, request: InferenceRequest) -> RoutePlan:
        """In which order are they tried?

        Raises:
            FreeholdError: As ``routing.plan.make_plan``.
        """
        ready = (True,) if len(self.engines) == 1 else tuple(engine.state().ready for engine in self.engines)
        key = _shape(request), ready
        known = self._plans.get(key) if surely_fits(request, self.context_tokens_min) else None
        if known is not None:
            return known
        plan = make_plan(request, self.route, self._candidates(request, ready), label=self.label_text)
        if surely_fits(request, self.context_tokens_min):
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def closed(self, request: InferenceRequest) -> FreeholdError:
        """What to say where every deployment that is left is forbidden."""
        candidates = self._candidates(request, (True,) * len(self.engines))
        rejected = [each for each in candidates if not each.decision.allowed]
        return nothing_left(request, self.route, rejected, self.label_text)

    def verdict(self, finish_reason: FinishReason | None, *, more_permitted: bool) -> Verdict:
        """What becomes of an answer that nobody looked into."""
        found = self._verdicts.get((finish_reason, more_permitted))
        if found is None:
            found = verdict(NOT_LOOKED_AT, self.route, more_permitted=more_permitted, finish_reason=finish_reason)
            self._verdicts[finish_reason, more_permitted] = found
        return found

    def _candidates(self, request: InferenceRequest, ready: Sequence[bool]) -> list[Candidate]:
        return [
            Candidate(
                deployment=deployment, decision=decision, unable=unable_reason(request, deployment), ready=is_ready
            )
            for deployment, decision, is_ready in zip(self.deployments, self.decisions, ready, strict=True)
        ]


class Footings:
    """Keeps footings of one runtime.

    Args:
        runtime: What they are decided from; a reload brings a new one, and with it new footings.

    Attributes:
        rules: What texts add to a label, by the same runtime.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.rules = runtime.flow or FlowRules.plain(runtime.tree)
        self._kept: dict[Hashable, Footing] = {}

    def find(self, asking: Asking) -> Footing | None:
        """The footing decided before for the same values, if it still holds."""
        found = self._kept.get(asking.key)
        if found is None or asking.unix_ms >= found.until_unix_ms:
            return None
        for place, engine in enumerate(found.engines):
            if engine.deployment is not found.deployments[place]:
                return None  # an engine has come back smaller than it was
        return found

    def decide(self, asking: Asking, route: Route) -> Footing:
        """Ask the deciders, and keep what they say.

        Raises:
            LabelUnreadable: The client's label cannot be read.
        """
        runtime = self.runtime
        _, sources = label_request(
            principal=asking.principal,
            route=route,
            route_label=runtime.route_labels.get(route.name),
            header=asking.label_header,
            tree=runtime.tree,
        )
        footing = self._made(asking, route, sources)
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[asking.key] = footing
        return footing

    def raised(
        self,
        asking: Asking,
        footing: Footing,
        sources: tuple[LabelSource, ...],
        *,
        looked: Look = Look.NONE,
        complete: bool = True,
    ) -> Footing:
        """The footing of a request of the same caller whose text asks for more.

        Args:
            asking: Who asks, what for.
            footing: That of all such requests.
            sources: What the text of this one asks for.
            looked: How far it was looked through.
            complete: Whether all was seen that was to be looked through.
        """
        told = (*footing.sources, *sources)
        make = partial(self._made, asking, footing.route, told, looked=looked, complete=complete)
        return _kept(footing.raised_by, (sources, looked, complete), asking.unix_ms, make)

    def lowered(self, asking: Asking, footing: Footing, label: Label) -> Footing:
        """The footing of a text that something was taken out of and that was looked through again.

        Args:
            asking: Who asks, what for.
            footing: That of the whole text.
            label: What a declassifier says of the text that is left.
        """
        make = partial(self._made, asking, footing.route, footing.sources, label=label, looked=Look.NAMES)
        return _kept(footing.raised_by, label, asking.unix_ms, make)

    def _made(
        self,
        asking: Asking,
        route: Route,
        sources: tuple[LabelSource, ...],
        *,
        label: Label | None = None,
        looked: Look = Look.NONE,
        complete: bool = True,
    ) -> Footing:
        runtime = self.runtime
        if label is None:
            label = join_sources(sources, tree=runtime.tree)
        asked = tuple(name for name in route.doubt.names if name not in route.deployments)
        if asking.untrusted:
            label = join(label, distrusted_source(asking.untrusted, runtime.tree).label)
        deployments = runtime.deployments_of(route) + tuple(runtime.engines[name].deployment for name in asked)
        expiries = [each.terms.expires_unix_ms for each in deployments if each.terms.expires_unix_ms is not None]
        seen = [self._seen(asking, route, label, each, looked=looked, complete=complete) for each in deployments]
        return Footing(
            principal=asking.principal,
            route=route,
            label=label,
            label_text=format_label(label),
            sources=sources,
            deployments=deployments,
            engines=tuple(runtime.engines[each.name] for each in deployments),
            context_tokens_min=min((each.model.context_tokens for each in deployments), default=0),
            decisions=tuple(decision for decision, _ in seen),
            looks=tuple(look for _, look in seen),
            looked=looked,
            until_unix_ms=min((expiry for expiry in expiries if expiry > asking.unix_ms), default=_FOR_EVER),
            cache_scope=cache_scope(label, tenant=asking.principal.tenant.name, key=runtime.cache_key),
            turn=Turn(tenant=asking.principal.tenant.name, weight=asking.principal.tenant.weight),
        )

    def _seen(
        self, asking: Asking, route: Route, label: Label, deployment: Deployment, *, looked: Look, complete: bool
    ) -> tuple[PolicyDecision, Look]:
        """Policy for one deployment, and how far a text must be looked through before it goes there.

        A text that was not looked through yet is not denied what it may have once something was taken out of it.
        """
        runtime, detect = self.runtime, self.runtime.detect

        def decided(asked: Label) -> PolicyDecision:
            return decide(
                asked,
                deployment,
                policy=runtime.policy,
                tenant=asking.principal.tenant.name,
                unix_ms=asking.unix_ms,
                audit_ready=asking.audit_ready,
                scan_complete=complete,
            )

        decision = decided(label)
        if detect is None or deployment.zone in detect.inside or looked is Look.NAMES:
            return decision, Look.NONE
        if decision.allowed:
            return decision, look_needed(
                label, allows=lambda asked: decided(asked).allowed, tree=runtime.tree, names=detect.names
            )
        if looked is Look.NONE and route.declassify is not Declassify.OFF and decided(lowest(label)).allowed:
            return taken_out_of(decision, route.declassify), Look.NAMES if detect.names else Look.SHAPES
        return decision, Look.NONE


def _kept(known: dict[Hashable, Footing], key: Hashable, unix_ms: int, make: Callable[[], Footing]) -> Footing:
    """What is known by a key as long as it holds, else what is made of it now."""
    found = known.get(key)
    if found is None or unix_ms >= found.until_unix_ms:
        if len(known) >= _RAISED_MAX:
            known.clear()
        found = known[key] = make()
    return found


def taken_out_of(decision: PolicyDecision, act: Declassify, *, told: str = "") -> PolicyDecision:
    """The decision on a text that a denial is about, once something is taken out of it."""
    against = "; ".join(decision.reasons)
    reason = told or f"may have what is left once data are taken out, although it {against}"
    return replace(decision, allowed=True, rules=(f"{DECLASSIFIED_BY}{act.value}",), reasons=(reason,))


def _shape(request: InferenceRequest) -> Hashable:
    """All that ``routing.candidates`` looks at, but for the length."""
    if not request.is_generated and request.task is not Task.COUNT:
        return request.task
    offers_tools = bool(request.tools) and request.tool_choice is not ToolChoice.NONE
    is_bound = request.native is not None and request.native.only is not None
    return request.task, request.content_kinds, offers_tools, request.suffix is not None, is_bound
