"""What embedding and reranking cost: inside the engine's worker, and over HTTP through the whole gateway.

    python bench/embed.py [--messages 200]

Pulls both models into the demo's folder where they are not there. Processor time is that of the computing alone, and
stands whatever else the machine does; wall time over HTTP is what a client waits, on one connection, with one thread.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from freehold.engines.onnx.model import OnnxModel
from freehold.serving.registry import VerifiedOnnx
from tests.models import DEMO_FOLDER, onnx_model
from tests.support.server import Gateway, running

EMBEDDER, RERANKER = "bge-small-en", "ms-marco-minilm-l12"
CONFIG = f"""
[server]
port = 0
[deployments.vectors]
engine = "onnx"
model = "{EMBEDDER}"
threads = 1
[deployments.ranks]
engine = "onnx"
model = "{RERANKER}"
threads = 1
"""
MESSAGE = (
    "please cancel my card it was stolen when i travelled to paris and the machine kept it what should i do now"
    " about transfer limits and top up by cheque"
)
WARM_UP = 10


def text(words: int) -> str:
    return " ".join(random.choice(MESSAGE.split()) for _ in range(words))


def loaded(model: VerifiedOnnx) -> OnnxModel:
    paths = {"model": str(model.model.path), "tokenizer": str(model.tokenizer)}
    return OnnxModel(**paths, pooling=model.pooling, tokens_max=model.card.context_tokens, threads=1)


def quantiles(do: Callable[[], object], clock: Callable[[], float], *, times: int) -> str:
    for _ in range(WARM_UP):
        do()
    took_ms = []
    for _ in range(times):
        begun = clock()
        do()
        took_ms.append((clock() - begun) * 1000)
    took_ms.sort()
    return f"p50 {took_ms[times // 2]:6.2f}  p95 {took_ms[int(times * 0.95)]:6.2f} ms"


def inside(times: int) -> None:
    embedder, reranker = loaded(onnx_model(EMBEDDER)), loaded(onnx_model(RERANKER))
    for name, least, most in (("5 to 20 words", 5, 20), ("40 words", 40, 40), ("150 words", 150, 150)):

        def embed(least: int = least, most: int = most) -> object:
            return embedder.embed(text(random.randint(least, most)), cut=False)

        print(f"processor, embed {name:14} {quantiles(embed, time.process_time, times=times)}")
    for words in (30, 150):

        def rank(words: int = words) -> object:
            return reranker.rank(text(8), text(words), document_tokens_max=None, cut=False)

        print(f"processor, rank 8 words with {words:<4}{quantiles(rank, time.process_time, times=times)}")


def over_http(gateway: Gateway, times: int) -> None:
    with gateway.http() as client:

        def embed() -> None:
            client.post("/v1/embeddings", json={"model": "vectors", "input": text(random.randint(5, 20))})

        def rank() -> None:
            documents = [text(30) for _ in range(10)]
            client.post("/v1/rerank", json={"model": "ranks", "query": text(8), "documents": documents})

        print(f"HTTP, embed 5 to 20 words      {quantiles(embed, time.perf_counter, times=times)}")
        print(f"HTTP, rank 10 texts of 30      {quantiles(rank, time.perf_counter, times=max(20, times // 10))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200)
    times = parser.parse_args().messages
    random.seed(1)
    inside(times)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "data" / "models"
        shutil.copytree(DEMO_FOLDER / "models", models, ignore=shutil.ignore_patterns("*.gguf"))
        with running(CONFIG, Path(folder)) as gateway:
            over_http(gateway, times)


if __name__ == "__main__":
    main()
