"""The real child with a model, and what one run of it takes: of the clock, and of the processor."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.zones import DEVICE
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.host import ChildLease
from freehold.engines.llama.settings import LlamaSettings
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.wire.openai_request import decode_completion

_WORDS = ("river", "stone", "window", "market", "garden", "paper", "engine", "signal", "winter", "letter", "bridge")
_DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run: tokens a second by the clock, and seconds of the processor for each token."""

    prompt_tokens: int
    tokens: int
    read_tok_per_s: float
    write_tok_per_s: float
    read_cpu_s: float
    write_cpu_s: float


class Child:
    """A started engine."""

    def __init__(self, engine: LlamaEngine, clock: SystemClock, pid: int) -> None:
        self._engine, self._clock, self._pid = engine, clock, pid

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, path: Path, *, threads: int = 1) -> AsyncIterator[Child]:
        clock = SystemClock()
        before = _children()
        home = Deployment(
            name="home",
            engine=EngineKind.EMBEDDED,
            model=ModelCard(name="m", context_tokens=2_048),
            zone=DEVICE,
            terms=Terms(),
            slots=1,
        )
        engine = LlamaEngine(
            deployment=home,
            settings=LlamaSettings(model_path=str(path), threads=threads, memory_mib=0),
            broker=Broker(clock=clock, permit_key=bytes(32)),
            clock=clock,
            ids=SystemIds(clock),
        )
        try:
            await engine.start()
            lease = await engine._host.lease(wait_s=60)
            assert isinstance(lease, ChildLease)
            (pid,) = _children() - before
            yield cls(engine, clock, pid)
        finally:
            await engine.close()

    async def run(self, *, seed: int, prompt_tokens: int, tokens: int) -> Ran:
        words = random.Random(seed)
        prompt = " ".join(words.choice(_WORDS) for _ in range(prompt_tokens))
        body = {"model": "m", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        call = self._engine.prepare(decode_completion(json.dumps(body).encode(), request_id=f"{seed}"), want_logprobs=0)
        began, first, timings, seen = self._cpu_s(), 0.0, None, 0
        stream = self._engine.stream(call, permit=None, deadline_s=self._clock.monotonic_s() + _DEADLINE_S)
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if chunk.payload is not None and not first:
                    first = self._cpu_s()
                timings = chunk.timings or timings
                seen += 1
        ended = self._cpu_s()
        assert timings is not None, seen
        return Ran(
            prompt_tokens=timings.prompt_tokens,
            tokens=timings.generated_tokens,
            read_tok_per_s=timings.prompt_tokens / timings.prompt_ms * 1_000,
            write_tok_per_s=timings.generated_tokens / timings.generation_ms * 1_000,
            read_cpu_s=(first - began) / timings.prompt_tokens,
            write_cpu_s=(ended - first) / (timings.generated_tokens - 1),
        )

    def _cpu_s(self) -> float:
        # Nanoseconds of each thread: the counters of /proc/PID/stat tick a hundred times a second only.
        spent = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with contextlib.suppress(OSError):
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9


def _children() -> set[int]:
    own = os.getpid()
    found = set[int]()
    for each in Path(f"/proc/{own}/task").iterdir():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (each / "children").read_text().split()}
    return found
