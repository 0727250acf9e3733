"""The prerouter: what its decision costs, and whether it is safe: ``python -m bench.routing.prerouter``.

Cost: a whole gateway in this process, with the real embedder in its worker on one thread and scripted models behind it.
What is measured is the time from a request's plan to its first attempt, on a route with the prerouter on, after 0, 500
and 2,000 outcomes; beside it the processor time of both processes, which stands whatever else the machine does, and what a
timer as long as the deadline takes: on a machine with more to do than cores no decision can be faster than that.

Safety: RouteLLM's MMLU as one tenant's history. The prerouter knows the first outcomes of a random order, and is asked
about others. What it passes over goes to the strong model. Held against always trying locally, and against sending as
many questions there at random.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import Bar, bar_table, markdown
from bench.routing.question_only import STRONG, WEAK
from bench.routing.recorded import Recorded, recorded
from bench.routing.vectors import EMBEDDER, vectors
from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Prerouter, Route, Terms, Uncalibrated
from freehold.domain.labels import Level
from freehold.domain.outcomes import AnswerOutcome
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.engines.onnx.engine import OnnxEngine
from freehold.engines.onnx.settings import OnnxSettings
from freehold.gateway.ladder import Climb
from freehold.gateway.prerouting import DEADLINE_S, QUESTION_TOKENS, Prerouting
from freehold.hostinfo.clock import SystemClock
from freehold.routing.neighbours import remember
from freehold.routing.prerouter import preroute
from freehold.routing.questions import shortened
from freehold.wire.openai_request import decode_chat
from tests.models import onnx_model
from tests.support.fake_engine import FakeEngine
from tests.support.gateway import House
from tests.support.histories import MemoryOutcomes

DECISION_MS = 10.0
HISTORIES = (0, 500, 2_000)
WARM_UP = 20
KNOWN, ASKED, ORDERS = 4_000, 3_000, 5
ACCEPT_AT = 0.7
_NOISE_Z = -1.645
"""One-sided 5 %: below it something is surely worse."""
_READ_MAX = 64
"""Tokens that the embedder may read: never fewer than ``shortened`` leaves."""


class Timed(Prerouting):
    """Notes how long each look takes, and whether it had a vector in time."""

    def __init__(self, **of: object) -> None:
        super().__init__(**of)  # pyright: ignore[reportArgumentType]
        self.took_ms: list[float] = []
        self.cpu_ms: list[float] = []
        self.in_time: list[bool] = []
        self.loaded = asyncio.Event()

    async def look(self, climb: Climb) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        await super().look(climb)
        self.took_ms.append((time.perf_counter() - begun) * 1000)
        self.cpu_ms.append((time.process_time() - cpu) * 1000)
        self.in_time.append(bool(climb.draft.question))

    async def quiet(self) -> None:
        """Return once no vector is being made."""
        while self._embedding:  # noqa: ASYNC110 - a benchmark may look again and again
            await asyncio.sleep(0.002)

    async def _load(self, *of: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await super()._load(*of)
        self.loaded.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one decision, in milliseconds.

    Attributes:
        outcomes: Questions that are known.
        p50_ms: What a request waits, median.
        p95_ms: The same, 95th percentile.
        cpu_p95_ms: Processor time of the gateway while it does.
        worker_cpu_ms: Mean processor time of the embedder's process for one vector.
        in_time: Share of the vectors that came before the deadline.
        timer_p95_ms: What a timer of the deadline's length takes on this machine now, whatever it is used for.
    """

    outcomes: int
    p50_ms: float
    p95_ms: float
    cpu_p95_ms: float
    worker_cpu_ms: float
    in_time: float
    timer_p95_ms: float

    def row(self) -> list[str]:
        numbers = (self.p50_ms, self.p95_ms, self.timer_p95_ms, self.cpu_p95_ms, self.worker_cpu_ms)
        return [f"{self.outcomes:,}", *(f"{each:.2f}" for each in numbers), f"{self.in_time:.0%}"]


def question_vectors(texts: Sequence[str]) -> np.ndarray:
    """As the gateway makes them."""
    return vectors([shortened(text.strip(), QUESTION_TOKENS) for text in texts], tokens_max=_READ_MAX)


def outcomes_of(found: Recorded, places: Sequence[int], rows: np.ndarray, question_model: str) -> list[AnswerOutcome]:
    """What both models' answers to some questions came to, as the gateway would have kept them."""
    made: list[AnswerOutcome] = []
    for at in places:
        for name, model in (("local", WEAK), ("cloud", STRONG)):
            scored = ScoredOn(
                workload="general", model_digest="", engine="", engine_version="", template_digest="", calibration=""
            )
            made.append(
                AnswerOutcome(
                    request_id=found.qid[at],
                    tenant="default",
                    label="public",
                    unix_ms=at,
                    route="auto",
                    deployment=name,
                    scored_on=scored,
                    right=bool(found.of(model, "correct")[at]),
                    label_kind=LabelKind.GOLD,
                    question=tuple(rows[at].tolist()),
                    question_model=question_model,
                )
            )
    return made


def deployed(name: str, zone: Zone) -> Deployment:
    terms = Terms() if zone == DEVICE else Terms(clearance=Level.INTERNAL, kinds=None, trains=False)
    return Deployment(name=name, engine=EngineKind.OPENAI, model=ModelCard(name=name), zone=zone, terms=terms)


async def costs(found: Recorded, rows: np.ndarray, *, asked: int) -> list[Cost]:
    """Ask the same questions after each length of history."""
    made = onnx_model(EMBEDDER)
    card = replace(made.card, context_tokens=_READ_MAX)
    embedder = OnnxEngine(
        deployment=Deployment(name="vectors", engine=EngineKind.ONNX, model=card, zone=DEVICE, terms=Terms()),
        settings=OnnxSettings(
            model_path=str(made.model.path), tokenizer_path=str(made.tokenizer), pooling=made.pooling, threads=1
        ),
        clock=SystemClock(),
    )
    await embedder.start()
    try:
        return [await _cost(found, rows, embedder, outcomes=outcomes, asked=asked) for outcomes in HISTORIES]
    finally:
        await embedder.close()


async def _cost(found: Recorded, rows: np.ndarray, embedder: OnnxEngine, *, outcomes: int, asked: int) -> Cost:
    question_model = f"{embedder.deployment.model.digest}@{QUESTION_TOKENS}"
    store = MemoryOutcomes(outcomes_of(found, range(outcomes), rows, question_model))
    timed = Timed(outcomes=store, clock=SystemClock())
    local, cloud = FakeEngine(deployment=deployed("local", DEVICE)), FakeEngine(deployment=deployed("cloud", WORLD))
    route = Route(
        name="auto",
        deployments=("local", "cloud"),
        uncalibrated=Uncalibrated.ACCEPT,
        prerouter=Prerouter.ON,
        embedder="vectors",
    )
    house = House(
        engines={"local": local, "cloud": cloud, "vectors": embedder}, routes={"auto": route}, prerouting=timed
    )
    loading = asyncio.get_running_loop().create_task(timed.run())
    places = range(len(found) - asked - WARM_UP, len(found))
    try:
        await _ask(house, timed, found.prompt[0])
        await timed.loaded.wait()
        for place in places[:WARM_UP]:
            await _ask(house, timed, found.prompt[place])
        timed.took_ms.clear()
        timed.cpu_ms.clear()
        timed.in_time.clear()
        worker_cpu = _cpu_s(embedder)
        for place in places[WARM_UP:]:
            await _ask(house, timed, found.prompt[place])
        worker_cpu = _cpu_s(embedder) - worker_cpu
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
    return Cost(
        outcomes=outcomes,
        p50_ms=_quantile(timed.took_ms, 0.5),
        p95_ms=_quantile(timed.took_ms, 0.95),
        cpu_p95_ms=_quantile(timed.cpu_ms, 0.95),
        worker_cpu_ms=worker_cpu * 1000 / asked,
        in_time=sum(timed.in_time) / len(timed.in_time) if outcomes else 1.0,
        timer_p95_ms=await _timer_p95_ms(),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


async def _timer_p95_ms() -> float:
    took: list[float] = []
    for _ in range(100):
        begun = time.perf_counter()
        await asyncio.sleep(DEADLINE_S)
        took.append((time.perf_counter() - begun) * 1000)
    return _quantile(took, 0.95)


async def _ask(house: House, timed: Timed, text: str) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()
    await house.ask(decode_chat(body, request_id="r"))
    await timed.quiet()


def _cpu_s(embedder: OnnxEngine) -> float:
    """Processor seconds of the worker until now."""
    fields = Path(f"/proc/{embedder.state().pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What became of questions, by what is known of others.

    Attributes:
        known: Questions that were known.
        share: Of the questions asked, the share whose local try was passed over.
        local: Quality where everything is tried locally and stays there.
        prerouted: Quality where what is passed over goes to the strong model.
        at_random: The same for as many questions, chosen at random.
        z_chance: Of the mean gain of what was passed over, less the mean gain of all: above 0 it is better than chance.
        z_local: Of the mean gain of what was passed over: above 0 it is better than trying it locally.
    """

    known: int
    share: float
    local: float
    prerouted: float
    at_random: float
    z_chance: float
    z_local: float

    def row(self) -> list[str]:
        numbers = (self.local, self.at_random, self.prerouted)
        return [
            f"{self.known:,}",
            f"{self.share:.1%}",
            *(f"{each:.4f}" for each in numbers),
            f"{self.z_chance:.2f}",
            f"{self.z_local:.2f}",
        ]


def safety(found: Recorded, rows: np.ndarray, *, known: int, asked: int) -> Safety:
    """Replay one tenant's traffic in several orders: what is known, and what is asked, is drawn for each."""
    steps = (deployed("local", DEVICE), deployed("cloud", WORLD))
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for order in range(ORDERS):
        places: list[int] = np.random.default_rng(order).permutation(len(found)).tolist()
        memory = remember(outcomes_of(found, places[:known], rows, "m"), question_model="m")
        tested = places[-asked:]
        over = np.zeros(asked, dtype=bool)
        if memory is not None:
            for row, at in enumerate(tested):
                routed = preroute(memory, rows[at].tolist(), steps, attempts_max=2, accept_at=ACCEPT_AT)
                over[row] = bool(routed.skips)
        parts.append((found.of(WEAK, "correct")[tested], found.of(STRONG, "correct")[tested], over))
    weak, strong, passed_over = (np.concatenate(each) for each in zip(*parts, strict=True))
    gains, share = strong - weak, float(passed_over.mean())
    z_chance = z_local = 0.0
    if passed_over.any():
        error = float(gains.std(ddof=1)) / math.sqrt(passed_over.sum())
        z_local = float(gains[passed_over].mean()) / error
        z_chance = z_local - float(gains.mean()) / error
    return Safety(
        known=known,
        share=share,
        local=float(weak.mean()),
        prerouted=float(np.where(passed_over, strong, weak).mean()),
        at_random=float(weak.mean() + share * gains.mean()),
        z_chance=z_chance,
        z_local=z_local,
    )


def bars(*, quick: bool, told: bool = False) -> list[Bar]:
    """The cost after each length of history, and the safety with much and little known."""
    known, asked = (2_000, 500) if quick else (KNOWN, ASKED)
    found = recorded("routellm", "mmlu")
    order = np.random.default_rng(0).permutation(len(found))
    found = _in_order(found, [*order[:known].tolist(), *order[-asked:].tolist()])
    rows = question_vectors(found.prompt)
    cost = asyncio.run(costs(found, rows, asked=100 if quick else 400))
    histories = (known,) if quick else (500, 2_000, known)
    safe = [safety(found, rows, known=each, asked=asked) for each in histories]
    if told:
        head = [
            "outcomes",
            "p50 ms",
            "p95 ms",
            "an 8 ms timer alone, p95 ms",
            "processor, gateway, p95 ms",
            "processor, embedder, mean ms",
            "vectors in time",
        ]
        print(markdown(head, [each.row() for each in cost]) + "\n")
        head = [
            "known",
            "passed over",
            "always local",
            "as many at random",
            "prerouted",
            "z against chance",
            "z against local",
        ]
        print(markdown(head, [each.row() for each in safe]) + "\n")
    made: list[Bar] = []
    for each in cost:
        name = f"prerouter, {each.outcomes:,} outcomes: decision with the embedding"
        made.append(Bar(what=f"{name}, p95", measured=each.p95_ms, needed=DECISION_MS, unit=" ms"))
        cpu_ms = each.cpu_p95_ms + each.worker_cpu_ms
        made.append(Bar(what=f"{name}, processor time", measured=cpu_ms, needed=DECISION_MS, unit=" ms"))
    for each in safe:
        name = f"prerouter, {each.known:,} known, {each.share:.1%} passed over"
        for than, z in (("chance at equal cost", each.z_chance), ("always local", each.z_local)):
            made.append(Bar(what=f"{name}: quality above {than}, z", measured=z, needed=_NOISE_Z, is_floor=True))
    return made


def _in_order(found: Recorded, places: Sequence[int]) -> Recorded:
    return Recorded(
        qid=[found.qid[at] for at in places],
        prompt=[found.prompt[at] for at in places],
        subject=[found.subject[at] for at in places],
        split=found.split[list(places)],
        outcomes={m: {c: v[list(places)] for c, v in columns.items()} for m, columns in found.outcomes.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    print(bar_table(bars(quick=parser.parse_args().quick, told=True)))


if __name__ == "__main__":
    main()
