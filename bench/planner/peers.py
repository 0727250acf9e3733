"""What other programs say of the same models: asked where they are installed, never imported into this environment.

    python -m venv PEERS && PEERS/bin/pip install ggufit==0.3.0 modelinfo-cli==1.4.4 llmfit==1.1.17
    FREEHOLD_BENCH_PEERS=PEERS python -m bench.planner.memory

Where ``llmfit`` does not start (its wheel for glibc wants 2.39 and runs on 2.36 with a warning), the one for musl is
linked statically: ``pip download llmfit --no-deps --only-binary :all: --platform musllinux_1_2_x86_64``, unpacked to
``PEERS/bin``.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freehold.domain.hardware import ModelShape
from freehold.planner.fit import Launch

VARIABLE = "FREEHOLD_BENCH_PEERS"
GIB = 1 << 30
Question = tuple[ModelShape, Launch, dict[str, str], Path, float]
"""Shape, launch, row of the truth table, a file with that header, billions of parameters."""

_LLMFIT_NAMES = {
    "gemma3-4b": "google/gemma-3-4b-it",
    "llama2-7b": "meta-llama/Llama-2-7b-hf",
    "llama3.1-8b": "meta-llama/Llama-3.1-8B-Instruct",
    "llama3.3-70b": "meta-llama/Llama-3.3-70B-Instruct",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-32b": "Qwen/Qwen3-32B",
}
_GGUFIT_QUANTS = {"Q4_K_M": "q4", "Q4_0": "q4", "Q8_0": "q8"}

_GGUFIT = """
import json, sys
from ggufit.calculator import host_ram_needed, kv_cache_gb, model_size_gb
for ask in json.load(sys.stdin):
    cache = kv_cache_gb(ask["model"], ask["tokens"], 1, ask["bits"])
    print(host_ram_needed(model_size_gb(ask["billions"], ask["quant"]), cache) * 1024**3)
"""
_MODELINFO = """
import json, sys
from modelinfo.calculator import calculate_footprint
from modelinfo.parsers.gguf import parse_gguf_header
known = {}
for ask in json.load(sys.stdin):
    if ask["path"] not in known:
        known[ask["path"]] = parse_gguf_header(ask["path"])
    print(calculate_footprint(known[ask["path"]], context_length=ask["tokens"])["total_memory_bytes"])
"""


def folder() -> Path | None:
    """Where they are installed; ``None`` for nowhere."""
    return Path(found) if (found := os.environ.get(VARIABLE)) else None


def ggufit(questions: Sequence[Question]) -> list[float]:
    """``ggufit``'s need of a machine's memory, by the true dimensions, which it has for 218 models itself."""
    asks = [
        {
            "model": {
                "layers": shape.layers,
                "hidden_size": shape.embedding_length,
                "num_attention_heads": shape.heads,
                "num_key_value_heads": shape.kv_heads,
                "head_dim": shape.head_dim,
            },
            "tokens": launch.context_tokens * launch.slots,
            "bits": 8.5 if launch.cache_type == "q8_0" else 16,
            "billions": billions,
            "quant": _GGUFIT_QUANTS[row["quant"]],
        }
        for shape, launch, row, _, billions in questions
    ]
    return _asked_python(_GGUFIT, asks)


def modelinfo(questions: Sequence[Question]) -> list[float]:
    """``modelinfo-cli``'s total of a GGUF file."""
    asks = [{"path": str(path), "tokens": launch.context_tokens * launch.slots} for _, launch, _, path, _ in questions]
    return _asked_python(_MODELINFO, asks)


def llmfit(questions: Sequence[Question], *, unit: int = GIB) -> list[float]:
    """``llmfit plan``: its least memory. It adds a cache in GiB to weights in GB: the sum is taken either way."""
    return [
        unit
        * _llmfit_one(
            _LLMFIT_NAMES[row["model"]], launch.context_tokens * launch.slots, row["quant"], launch.cache_type
        )
        for _, launch, row, _, _ in questions
    ]


@functools.cache
def _llmfit_one(name: str, tokens: int, quant: str, cache: str) -> float:
    kept = "q8_0" if cache == "q8_0" else "fp16"
    arguments = [
        "plan",
        name,
        "--context",
        str(tokens),
        "--quant",
        quant,
        "--kv-quant",
        kept,
        "--json",
        "--no-dashboard",
    ]
    return json.loads(_run(["bin/llmfit", *arguments]))["minimum"]["vram_gb"]


def _asked_python(code: str, asks: list[dict[str, Any]]) -> list[float]:
    return [float(line) for line in _run(["bin/python", "-c", code], json.dumps(asks)).splitlines()]


def _run(command: list[str], text: str = "") -> str:
    base = folder()
    if base is None:
        raise FileNotFoundError(VARIABLE)
    done = subprocess.run(
        [str(base / command[0]), *command[1:]], input=text, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


PEERS = {
    "ggufit 0.3.0": ggufit,
    "modelinfo-cli 1.4.4": modelinfo,
    "llmfit 1.1.17 plan, its GB as 2^30": llmfit,
    "llmfit 1.1.17 plan, its GB as 10^9": functools.partial(llmfit, unit=10**9),
}
