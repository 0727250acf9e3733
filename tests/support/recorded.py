"""A small set of recorded outcomes, made by a seed: three models on two workloads, and a user's own outcomes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.outcomes import AnswerOutcome
from freehold.evals.replay.schema import Query, Recorded, Tables

QUALITY = {"small": 0.55, "medium": 0.72, "large": 0.88}
PRICE_USD = {"small": 0.00001, "medium": 0.00008, "large": 0.0006}
QUESTIONS = 240
MADE = ScoredOn(
    workload="invoices",
    model_digest="sha256:aa",
    engine="llama.cpp",
    engine_version="b1",
    template_digest="sha256:bb",
    calibration="cal-1",
)


def tiny(seed: int = 0, questions: int = QUESTIONS) -> Tables:
    """Hard questions are hard for all models, and a model is surer where it is right. Numbers are short, as in files."""
    drawn = random.Random(seed)
    queries: list[Query] = []
    outcomes: list[Recorded] = []
    for place in range(questions):
        workload = "sums" if place % 3 else "names"
        qid = f"t-{place:03d}"
        queries.append(
            Query(
                qid=qid,
                benchmark=workload,
                source="made",
                split="test" if place % 8 else "train",
                prompt=f"Question {place} of {workload}",
                flag="contaminated" if place in {5, 41} else "",
                phash=f"{place:016x}",
            )
        )
        easy = drawn.gauss(0, 0.8)
        for model, quality in QUALITY.items():
            able = 1 / (1 + math.exp(-(easy + math.log(quality / (1 - quality)))))
            is_right = drawn.random() < able
            sure = min(0.999, max(0.02, 0.3 * able + 0.2 * is_right + 0.5 * drawn.random()))
            outcomes.append(
                Recorded(
                    qid=qid,
                    model=model,
                    correct=float(is_right),
                    cost_usd=round(PRICE_USD[model] * (1 + drawn.random()), 9),
                    in_tok=float(20 + place % 7),
                    out_tok=float(4 + place % 3),
                    latency_ms=round(50 + 400 * drawn.random(), 1),
                    conf_kind="logprob_answer",
                    conf=round(math.log(sure), 6),
                    answer_id=0 if is_right else 1 + drawn.randrange(3),
                )
            )
    return Tables(name="tiny", queries=queries, outcomes=outcomes)


def outcome(request: str, deployment: str, **changes: Any) -> AnswerOutcome:
    """One outcome of a user's own."""
    values: dict[str, Any] = {
        "request_id": request,
        "tenant": "default",
        "label": "internal",
        "unix_ms": 1_795_000_000_000,
        "route": "auto",
        "deployment": deployment,
        "scored_on": MADE,
        "signals": {"logprob_mean": -0.25, "empty": 0.0},
        "probability": 0.8,
        "threshold": 0.7,
        "accepted": True,
        "input_tokens": 12,
        "output_tokens": 3,
        "cost_micros": 15,
        "latency_ms": 40.0,
    }
    return AnswerOutcome(**(values | changes))


def own(seed: int = 0, requests: int = 400) -> Sequence[AnswerOutcome]:
    """A house in which the surer half of local answers is accepted, and one in five of these is shadowed."""
    drawn = random.Random(seed)
    found: list[AnswerOutcome] = []
    for place in range(requests):
        probability = round(drawn.random(), 3)
        is_right = drawn.random() < probability
        accepted = probability >= 0.5
        is_seen = not accepted or drawn.random() < 0.2
        request = f"r-{place:04d}"
        found.append(
            outcome(
                request,
                "home",
                signals={"logprob_mean": round(math.log(0.02 + 0.98 * probability), 6)},
                probability=probability,
                threshold=0.5,
                accepted=accepted,
                right=is_right if is_seen else None,
                label_kind=LabelKind.AGREEMENT if is_seen else None,
                judged_by="cloud" if is_seen else "",
                sought=0.2 if accepted else 1.0,
            )
        )
        if is_seen:
            found.append(
                outcome(
                    request,
                    "cloud",
                    signals={},
                    probability=None,
                    threshold=None,
                    cost_micros=900,
                    latency_ms=600.0,
                    sought=0.0,
                )
            )
    return found
