"""What a decision costs: signals, calibration, certificates and verdict of one answer, nothing bought.

python -m bench.routing.overhead [--quick]

The answers are made up: words with five alternatives a token, as engines are asked for. What is timed is what
``gateway/judging.py`` calls for one answer, on one core, in blocks of which the fastest counts: what else the machine does
can only add to it. The bar is for a typical answer of 200 tokens.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary
from freehold.domain.certificates import UNCERTIFIED, Certificate, LabelKind
from freehold.domain.deployment import Route
from freehold.domain.request import ContentPart, InferenceRequest, Message, PartKind, Task
from freehold.domain.response import FinishReason, TokenLogprob
from freehold.routing.calibration import Calibration, Feature
from freehold.routing.ladder import appraise, in_force, scored_on, verdict
from freehold.routing.quality import Quality
from freehold.routing.signals import LOGPROBS_PER_TOKEN, measure

TOKENS = (20, 200, 1_000)
TYPICAL = 200
BAR_MS = 0.2
_SEED = 7
_WORDS = (
    "the", "answer", "depends", "on", "which", "river", "crosses", "border", "in", "year", "when", "treaty", "was",
    "signed", "between", "both", "cities", "and", "its", "population", "grew", "by", "about", "percent",
)  # fmt: skip
_QUESTION = (
    "Which river crosses the border between the two countries, and in which year was the treaty about it signed?"
    " Explain briefly how its use changed after that, and name the cities on both sides."
)


@dataclass(frozen=True, slots=True)
class Case:
    """An answer of so many tokens, and what it is judged with."""

    request: InferenceRequest
    text: str
    logprobs: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class Took:
    """Microseconds of one decision, part by part."""

    tokens: int
    signals_us: float
    rest_us: float

    @property
    def ms(self) -> float:
        return (self.signals_us + self.rest_us) / 1_000


def case(tokens: int) -> Case:
    """An answer with five alternatives a token; about one in ten is uncertain."""
    chance = random.Random(_SEED)
    found = [_token(chance, first=not place) for place in range(tokens)]
    message = Message(role="user", parts=(ContentPart(kind=PartKind.TEXT, text=_QUESTION),))
    request = InferenceRequest(id="r", task=Task.CHAT, model="auto", messages=(message,))
    return Case(request, "".join(token.token for token in found), tuple(found))


def _token(chance: random.Random, *, first: bool) -> TokenLogprob:
    words = [("" if first else " ") + word for word in chance.sample(_WORDS, LOGPROBS_PER_TOKEN)]
    top = chance.uniform(0.3, 0.6) if chance.random() < 0.1 else chance.uniform(0.001, 0.2)
    alternatives = [(word, -top - place * chance.uniform(1.0, 3.0)) for place, word in enumerate(words)]
    return TokenLogprob(token=words[0], logprob=-top, alternatives=tuple(alternatives))


def fitted(signals: dict[str, float], tokens: int) -> Calibration:
    """A calibration of every signal of such an answer, with a map of 100 knots: the dearest that there may be."""
    quality = Quality(n=1_500, accuracy=0.6, auroc=0.8, ece=0.03, brier=0.2)
    return Calibration(
        id="bench",
        workload="general",
        model_digest="sha256:aa",
        engine="llama.cpp",
        engine_version="b1",
        template_digest="bb",
        question_digest="sha256:cc",
        created="2026-11-30",
        n=1_500,
        n_right=900,
        tokens_max=tokens,
        features=tuple(Feature(name=name, mean=value, scale=1.0, weight=0.1) for name, value in signals.items()),
        intercept=0.0,
        slope=1.0,
        offset=0.0,
        knots=tuple((place / 10 - 5, place / 100) for place in range(100)),
        ridge=1.0,
        crossed=quality,
    )


def _certificates(calibration: Calibration) -> tuple[Certificate, ...]:
    """One that holds, among those of nine other calibrations."""
    one = Certificate(
        id="cert-1",
        scored_on=scored_on(calibration),
        label_kind=LabelKind.GOLD,
        risk_max=0.1,
        delta=0.1,
        threshold=0.4,
        n=500,
        accepted=300,
        errors=10,
        created_unix_ms=0,
        expires_unix_ms=1 << 60,
    )
    others = [replace(one, id=f"c{n}", scored_on=replace(one.scored_on, calibration=f"c{n}")) for n in range(9)]
    return (*others, one)


def measured(tokens: int, *, blocks: int) -> Took:
    """How long a decision on an answer of so many tokens takes."""
    about = case(tokens)

    def signals() -> dict[str, float]:
        return measure(about.request, text=about.text, logprobs=about.logprobs, finish_reason=FinishReason.STOP)

    known = signals()
    calibration = fitted(known, tokens)
    calibrations = (replace(calibration, id="prefix", scope="prefix-32"), calibration)
    certificates = _certificates(calibration)
    route = Route(name="auto", deployments=("small", "large"), accept_at=0.3, risk_max=0.1)

    def rest() -> None:
        judged, chosen = appraise(known, calibrations)
        held = () if chosen is None else in_force(certificates, chosen, tenant="default", unix_ms=1)
        found = verdict(judged, route, more_permitted=True, standing=UNCERTIFIED, certificates=held)
        if not found.certificate:
            raise RuntimeError(f"not the way that is to be timed: {found}")

    return Took(tokens, _fastest_us(signals, blocks), _fastest_us(rest, blocks))


def _fastest_us(work: Callable[[], Any], blocks: int) -> float:
    """Microseconds of one call in the fastest of ``blocks`` blocks of about 2 ms."""
    work()
    started_s = time.perf_counter()
    work()
    calls = max(1, round(0.002 / max(1e-7, time.perf_counter() - started_s)))
    best_s = float("inf")
    gc.collect()
    for _ in range(blocks):
        started_s = time.perf_counter()
        for _ in range(calls):
            work()
        best_s = min(best_s, (time.perf_counter() - started_s) / calls)
    return best_s * 1e6


def bars(*, quick: bool) -> list[Bar]:
    """The typical answer's; ``quick`` times fewer blocks."""
    return judged([measured(TYPICAL, blocks=50 if quick else 400)])


def judged(found: list[Took]) -> list[Bar]:
    return [
        Bar(what=f"decision overhead, {each.tokens} tokens", measured=each.ms, needed=BAR_MS, unit=" ms", digits=3)
        for each in found
        if each.tokens == TYPICAL
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    blocks = 50 if parser.parse_args().quick else 400
    found = [measured(tokens, blocks=blocks) for tokens in TOKENS]
    rows = [[f"{each.tokens:,}", f"{each.signals_us:.0f}", f"{each.rest_us:.0f}", f"{each.ms:.3f}"] for each in found]
    head = ["tokens", "signals, µs", "calibration, certificates, verdict, µs", "together, ms"]
    print(markdown(head, rows), bar_table(judged(found)), summary(judged(found)), sep="\n\n")


if __name__ == "__main__":
    main()
