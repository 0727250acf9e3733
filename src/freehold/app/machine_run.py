"""Short runs of models on this machine, which say how fast it is: through the child that would answer, jail and all."""

from __future__ import annotations

import contextlib
import json
import secrets
import statistics
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.hardware import ModelShape
from freehold.domain.ports import Clock
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EngineTimings
from freehold.domain.speed import MachineRuns, Measured
from freehold.domain.zones import DEVICE
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.settings import LlamaSettings
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.hostinfo.process_time import children_cpu_s
from freehold.net.broker import Broker
from freehold.planner.speed_cpu import cpu_load
from freehold.wire.openai_request import decode_completion

PROMPT_TOKENS, TOKENS, TIMES = 192, 24, 3
_WORDS = ("river", "stone", "window", "market", "garden", "paper", "engine", "signal", "winter", "letter", "bridge")
_CONTEXT_TOKENS = 1_024
_DEADLINE_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run, by the clock and by what the processor gave to it.

    Attributes:
        prompt_tokens: That were read.
        tokens: That were written.
        read_tok_per_s: Reading, by the clock.
        write_tok_per_s: Writing, by the clock.
        own_read_tok_per_s: Reading, by the time that the engine's threads had; the same as by the clock where nothing counts.
        own_write_tok_per_s: Writing.
    """

    prompt_tokens: int
    tokens: int
    read_tok_per_s: float
    write_tok_per_s: float
    own_read_tok_per_s: float
    own_write_tok_per_s: float


class Runner:
    """A started child with one model; nothing else of this process may have children that compute meanwhile."""

    def __init__(self, engine: LlamaEngine, clock: Clock, threads: int) -> None:
        self._engine, self._clock, self._threads = engine, clock, threads

    async def run(self, *, seed: int, prompt_tokens: int = PROMPT_TOKENS, tokens: int = TOKENS) -> Ran:
        """Read a prompt that it never saw, and write.

        Args:
            seed: Another one, another prompt.
            prompt_tokens: About so many.
            tokens: At least 2.

        Raises:
            FreeholdError: The engine failed.
        """
        began, first, timings = children_cpu_s(), None, None
        call = self._engine.prepare(_request(seed, prompt_tokens, tokens), want_logprobs=0)
        stream = self._engine.stream(call, permit=None, deadline_s=self._clock.monotonic_s() + _DEADLINE_S)
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if chunk.payload is not None and first is None:
                    first = children_cpu_s()
                timings = chunk.timings or timings
        return _ran(timings or EngineTimings(), began, first, children_cpu_s(), self._threads)


@contextlib.asynccontextmanager
async def runner(path: Path, *, threads: int) -> AsyncGenerator[Runner]:
    """Start the child of a model, and end it.

    Raises:
        FreeholdError: It cannot be started.
    """
    clock = SystemClock()
    broker = Broker(clock=clock, permit_key=secrets.token_bytes(32))
    deployment = Deployment(
        name="machine-run",
        engine=EngineKind.EMBEDDED,
        model=ModelCard(name="machine-run", context_tokens=_CONTEXT_TOKENS),
        zone=DEVICE,
        terms=Terms(),
        slots=1,
    )
    settings = LlamaSettings(model_path=str(path), threads=threads, memory_mib=0)
    engine = LlamaEngine(
        deployment=deployment, settings=settings, broker=broker, clock=clock, ids=SystemIds(clock), cores=threads + 1
    )
    try:
        await engine.start()
        yield Runner(engine, clock, threads)
    finally:
        await engine.close()
        await broker.close()


async def measure(models: Sequence[tuple[str, Path, ModelShape]], *, threads: int, unix_ms: int) -> MachineRuns:
    """Run each model a few times: what its threads did in the time that they had, of the fastest run.

    Args:
        models: Name, file and shape of each.
        threads: That compute, as those of a server would.
        unix_ms: Now.

    Raises:
        FreeholdError: One cannot be started, or fails.
    """
    writing, reading, taken = list[Measured](), list[Measured](), list[float]()
    for _, path, shape in models:
        async with runner(path, threads=threads) as child:
            ran = [await child.run(seed=seed) for seed in range(TIMES)]
        written, read = measured(shape, ran)
        writing.append(written)
        reading.append(read)
        taken += [1 - each.write_tok_per_s / each.own_write_tok_per_s for each in ran]
    return MachineRuns(
        threads=threads,
        writing=tuple(writing),
        reading=tuple(reading),
        models=tuple(name for name, _, _ in models),
        unix_ms=unix_ms,
        taken_share=max(0.0, statistics.median(taken)),
    )


def measured(shape: ModelShape, ran: Sequence[Ran], *, by_clock: bool = False) -> tuple[Measured, Measured]:
    """What some runs of one model come to: writing, and reading.

    By the clock it is their middle. By the time that the threads had it is the fastest: others who use the machine take its
    caches and slow a run down, and nothing makes one faster. Between two crowded quarters of an hour the fastest of six runs
    changed by 5 % at most, their middle by 16 %.
    """
    load = cpu_load(shape)
    if by_clock:
        written = statistics.median(each.write_tok_per_s for each in ran)
        read = statistics.median(each.read_tok_per_s for each in ran)
    else:
        written = max(each.own_write_tok_per_s for each in ran)
        read = max(each.own_read_tok_per_s for each in ran)
    return (
        Measured(load=load, depth_tokens=ran[0].prompt_tokens + ran[0].tokens / 2, tok_per_s=written),
        Measured(load=load, prompt_tokens=ran[0].prompt_tokens, tok_per_s=read),
    )


def _request(seed: int, prompt_tokens: int, tokens: int) -> InferenceRequest:
    # Any words that no run before had: a prompt that was read is not read again.
    picked = [
        _WORDS[(seed * 7 + place * (seed % 5 + 3) + place // 11) % len(_WORDS)] for place in range(prompt_tokens - 1)
    ]
    body = {
        "model": "machine-run",
        "prompt": f"{seed} " + " ".join(picked),
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
    }
    return decode_completion(json.dumps(body).encode(), request_id=f"machine-run-{seed}")


def _ran(timings: EngineTimings, began: float | None, first: float | None, ended: float | None, threads: int) -> Ran:
    prompt, tokens = max(1, timings.prompt_tokens), max(2, timings.generated_tokens)
    read = prompt / max(1e-6, timings.prompt_ms) * 1_000
    written = tokens / max(1e-6, timings.generation_ms) * 1_000
    own_read, own_written = read, written
    if began is not None and first is not None and ended is not None:
        # The first token is the prompt's. Never slower than the clock: counters and clock do not begin at one moment.
        own_read = max(read, prompt * threads / max(1e-6, first - began))
        own_written = max(written, (tokens - 1) * threads / max(1e-6, ended - first))
    return Ran(
        prompt_tokens=prompt,
        tokens=tokens,
        read_tok_per_s=read,
        write_tok_per_s=written,
        own_read_tok_per_s=own_read,
        own_write_tok_per_s=own_written,
    )
