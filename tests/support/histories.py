"""Outcomes and certificates that tests need; those of a tenant whose questions are of two kinds, and a store in memory."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.domain.certificates import Certificate, LabelKind, ScoredOn
from freehold.domain.errors.server import StorageFailed
from freehold.domain.outcomes import AnswerOutcome, Feedback

WIDTH = 64
MODEL = "sha256:embedder@28"
SCORED = ScoredOn(
    workload="general",
    model_digest="sha256:m",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="sha256:t",
    calibration="cal-1",
)


def scored_on(digest: str = "", workload: str = "general") -> ScoredOn:
    return ScoredOn(
        workload=workload,
        model_digest=digest,
        engine="llama.cpp",
        engine_version="1",
        template_digest="",
        calibration="",
    )


def outcome(request_id: str, deployment: str, **of: object) -> AnswerOutcome:
    base: dict[str, object] = {
        "tenant": "default",
        "label": "public",
        "unix_ms": 1,
        "route": "auto",
        "scored_on": scored_on(),
        "question_model": MODEL,
        "label_kind": LabelKind.GOLD,
    }
    return AnswerOutcome(request_id=request_id, deployment=deployment, **{**base, **of})  # pyright: ignore[reportArgumentType]


def vector(kind: int, draw: random.Random) -> tuple[float, ...]:
    """A direction near the middle of its kind: 0 and 1 are opposite, 2 is far from both."""
    sign = {0: 1.0, 1: -1.0}.get(kind)
    raw = [
        (sign if sign is not None else (1.0 if at % 2 else -1.0)) * (0.5 if at % 3 else -0.5) + draw.gauss(0, 0.5)
        for at in range(WIDTH)
    ]
    length = math.sqrt(sum(each * each for each in raw))
    return tuple(each / length for each in raw)


def history(
    n: int,
    *,
    right: dict[str, tuple[float, float]],
    seed: int = 1,
    **of: object,
) -> list[AnswerOutcome]:
    """``n`` questions, half of each kind, answered by each deployment with a chance of being right for each kind."""
    draw = random.Random(seed)
    found: list[AnswerOutcome] = []
    for at in range(n):
        kind = at % 2
        question = vector(kind, draw)
        for name, chances in right.items():
            found.append(outcome(f"r{at}", name, question=question, right=draw.random() < chances[kind], **of))
    return found


@dataclass
class MemoryOutcomes:
    """Implements ``domain.judging_ports.OutcomeStore``; ``broken`` makes it fail."""

    kept: list[AnswerOutcome] = field(default_factory=list[AnswerOutcome])
    read_of: list[str] = field(default_factory=list[str])
    broken: bool = False

    def keep(self, *outcomes: AnswerOutcome) -> None:
        self.kept += outcomes

    async def label(self, feedback: Feedback) -> bool:
        raise NotImplementedError

    async def read(
        self,
        *,
        tenant: str = "",
        workload: str = "",
        deployment: str = "",
        since_unix_ms: int = 0,
        labelled: bool = False,
        most: int = 10_000,
    ) -> Sequence[AnswerOutcome]:
        self.read_of.append(tenant)
        if self.broken:
            raise StorageFailed(name="outcomes", done="read", reason="the disk is gone")
        return [each for each in self.kept if tenant in ("", each.tenant)][-most:]

    async def erase(self, *, tenant: str) -> int:
        raise NotImplementedError


def scored(**how: Any) -> ScoredOn:
    """What a score means, mostly as always."""
    return replace(SCORED, **how)


def an_outcome(request_id: str = "r-1", **how: Any) -> AnswerOutcome:
    """An outcome, mostly as always."""
    usual: dict[str, Any] = {
        "tenant": "ours",
        "label": "internal",
        "unix_ms": 1,
        "route": "auto",
        "deployment": "small",
        "scored_on": SCORED,
    }
    return AnswerOutcome(request_id=request_id, **usual | how)


def a_certificate(certificate_id: str, **how: Any) -> Certificate:
    """A certificate, mostly as always."""
    usual: dict[str, Any] = {
        "scored_on": SCORED,
        "label_kind": LabelKind.AGREEMENT,
        "risk_max": 0.1,
        "delta": 0.1,
        "threshold": 0.8,
        "n": 300,
        "accepted": 200,
        "errors": 9,
        "created_unix_ms": 1_000,
        "expires_unix_ms": 1 << 50,
    }
    return Certificate(id=certificate_id, **usual | how)
