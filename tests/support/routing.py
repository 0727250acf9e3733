"""Values that the routing tests are made of."""

from __future__ import annotations

from dataclasses import replace

from freehold.domain.decisions import Candidate, PolicyDecision
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms
from freehold.domain.request import ContentPart, InferenceRequest, Message, PartKind, Task
from freehold.domain.response import TokenLogprob
from freehold.domain.zones import DEVICE, Zone
from freehold.routing.calibration import Calibration, Feature
from freehold.routing.quality import Quality


def deployment(name: str, zone: Zone = DEVICE, **card: object) -> Deployment:
    model = replace(ModelCard(name=name), **card)
    return Deployment(name=name, engine=EngineKind.OPENAI, model=model, zone=zone, terms=Terms())


def candidate(where: Deployment, *, allowed: bool = True, ready: bool = True, unable: str = "") -> Candidate:
    decision = PolicyDecision(
        deployment=where.name,
        allowed=allowed,
        rules=() if allowed else ("zone",),
        reasons=() if allowed else (f"{where.zone} is not a zone of the label",),
    )
    return Candidate(deployment=where, decision=decision, ready=ready, unable=unable)


def route(*names: str, **fields: object) -> Route:
    return replace(Route(name="auto", deployments=names), **fields)


def chat(text: str = "Hi", *kinds: PartKind, **fields: object) -> InferenceRequest:
    parts = (ContentPart(kind=PartKind.TEXT, text=text), *(ContentPart(kind=kind) for kind in kinds))
    request = InferenceRequest(id="r", task=Task.CHAT, model="auto", messages=(Message(role="user", parts=parts),))
    return replace(request, **fields)


def token(text: str, logprob: float, *others: tuple[str, float]) -> TokenLogprob:
    return TokenLogprob(token=text, logprob=logprob, alternatives=((text, logprob), *others) if others else ())


def calibration(**fields: object) -> Calibration:
    quality = Quality(n=100, accuracy=0.5, auroc=0.8, ece=0.05, brier=0.2)
    plain = Calibration(
        id="general-1",
        workload="general",
        model_digest="sha256:aa",
        engine="llama.cpp",
        engine_version="b1",
        template_digest="bb",
        question_digest="sha256:cc",
        created="2026-11-21",
        n=100,
        n_right=50,
        tokens_max=64,
        features=(Feature(name="logprob_mean", mean=-0.5, scale=0.5, weight=2.0),),
        intercept=0.0,
        slope=1.0,
        offset=0.0,
        ridge=1.0,
        crossed=quality,
    )
    return replace(plain, **fields)
