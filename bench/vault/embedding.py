"""What vectors and relevance cost: each model of the vault in its jailed child, one thread.

    python -m bench.vault.embedding [--texts 40]

Passages are of about 256 tokens, as pieces of documents are; questions of ten words. Processor time is the child's own and
stands whatever else the machine does; wall time is what a caller waits. Memory is the child's proportional share (PSS).
The models are pulled into the demo's folder where they are not there.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import struct
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.bars import Bar, all_of, bar_table, summary
from freehold.app.vault_models import local_embedder, local_ranker
from freehold.serving.registry import ModelRegistry
from freehold.vault.choice import ENGLISH, ENGLISH_RANKER, MULTILINGUAL
from tests.models import text_model_files

SENTENCE = (
    "please read what the contract says of the warranty for the pump on the second floor and who pays when it fails"
    " before the lease of the warehouse ends in december or after the date that the parties agreed on in writing"
)
PASSAGE_WORDS, QUESTION_WORDS = 220, 10
FILE_MB_MAX, AHEAD_LEAST = 100, 0.02
NEAR = (
    "Where is the railway station?",
    "Der Bahnhof liegt im Süden der Stadt.",
    "Photosynthesis makes sugar of light.",
)
_TICKS = os.sysconf("SC_CLK_TCK")


def text(words: int) -> str:
    return " ".join(random.choice(SENTENCE.split()) for _ in range(words))


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def cost(pid: int, times: int, do: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds of processor and of waiting, for one."""
    await do()
    begun_s, begun_cpu_s = time.perf_counter(), processor_s(pid)
    for _ in range(times):
        await do()
    return (processor_s(pid) - begun_cpu_s) * 1000 / times, (time.perf_counter() - begun_s) * 1000 / times


def cosine(one: bytes, other: bytes) -> float:
    first, second = (struct.unpack(f"<{len(each) // 4}f", each) for each in (one, other))
    return sum(a * b for a, b in zip(first, second, strict=True))


async def embedder(name: str, times: int) -> list[Bar]:
    registry = ModelRegistry(text_model_files(name))
    made = local_embedder(registry, name)
    begun_s = time.perf_counter()
    await made.start()
    start_s = time.perf_counter() - begun_s
    try:
        pid = made.state().pid or 0
        passage = await cost(pid, times, lambda: made.passages([text(PASSAGE_WORDS)]))
        question = await cost(pid, times, lambda: made.query(text(QUESTION_WORDS)))
        size_mb = registry.load_text(name).model.size_bytes / 1e6
        print(
            f"{name:22} {1000 / passage[0]:6.1f} texts/s of processor, {passage[0]:6.1f} ms each ({passage[1]:6.1f} waited);"
            f" question {question[0]:5.1f} ms ({question[1]:5.1f}); {memory_mib(pid):4.0f} MiB; ready in {start_s:.1f} s"
        )
        asked, (near, far) = await made.query(NEAR[0]), await made.passages(NEAR[1:])
        report = made.jail_report()
        bars = [
            Bar(what=f"{name}: its file", measured=size_mb, needed=FILE_MB_MAX, unit=" MB", digits=1),
            all_of(f"{name}: measures of the jail", sum(each.holds for each in report), len(report)),
        ]
        if name == MULTILINGUAL:
            ahead = cosine(asked, near) - cosine(asked, far)
            what = f"{name}: cosine of a question with its answer in German, over another text's"
            bars.append(Bar(what=what, measured=ahead, needed=AHEAD_LEAST, is_floor=True, digits=3))
        return bars
    finally:
        await made.close()


async def ranker(name: str, times: int) -> None:
    made = local_ranker(ModelRegistry(text_model_files(name)), name)
    await made.start()
    try:
        pid = made.state().pid or 0
        pair = await cost(pid, times, lambda: made.scores("where is the warranty of the pump", [text(PASSAGE_WORDS)]))
        print(
            f"{name:22} {1000 / pair[0]:6.1f} pairs/s of processor, {pair[0]:6.1f} ms each ({pair[1]:6.1f} waited);"
            f" {memory_mib(pid):4.0f} MiB"
        )
    finally:
        await made.close()


async def measured(times: int) -> None:
    bars = [bar for name in (MULTILINGUAL, ENGLISH) for bar in await embedder(name, times)]
    await ranker(ENGLISH_RANKER, times)
    print(f"\n{bar_table(bars)}\n\n{summary(bars)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=40)
    random.seed(1)
    asyncio.run(measured(parser.parse_args().texts))


if __name__ == "__main__":
    main()
