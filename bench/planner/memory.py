"""Memory: the closed form against llama.cpp's own answers, and against what models took on a GPU.

``python -m bench.planner.memory``
"""

from __future__ import annotations

import csv
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from freehold.domain.hardware import ModelShape
from freehold.planner.fit import GPU_OVERHEAD_BYTES, Launch, cache_bytes, compute_bytes
from freehold.serving.gguf import read_header
from tests.support.shared_data import shared_data

MIB = 1 << 20
_MEASURED = {"llama.cpp-hip", "llama.cpp-rocwmma"}
_ARCHITECTURES = {"gemma3": "gemma3", "gpt-oss": "gpt-oss"}
Row = tuple[ModelShape, Launch, dict[str, str]]


def shapes(folder: Path) -> dict[str, ModelShape]:
    with (folder / "models.csv").open() as file:
        return {each["model"]: _shape(each) for each in csv.DictReader(file)}


def _shape(each: dict[str, str]) -> ModelShape:
    family = next((name for prefix, name in _ARCHITECTURES.items() if each["model"].startswith(prefix)), "llama")
    heads = int(each["heads"] or 0) or int(each["d_model"]) // int(each["head_dim"])
    return ModelShape(
        architecture=each["arch"] or family,
        file_bytes=0,
        layers=int(each["layers"]),
        embedding_length=int(each["d_model"]),
        heads=heads,
        kv_heads=int(each["kv_heads"]),
        head_dim=int(each["head_dim"]),
        vocabulary=int(each["vocab"]),
        context_length=131_072,
        sliding_window=int(each["swa_window"] or 0),
    )


def truth(folder: Path) -> Iterator[Row]:
    known = shapes(folder)
    with (folder / "memory_truth_dev.csv").open() as file:
        for row in csv.DictReader(file):
            if row["model"] in known:
                slots = int(row["n_seq"])
                launch = Launch(
                    context_tokens=int(row["n_ctx"]) // slots,
                    slots=slots,
                    batch_tokens=int(row["n_ubatch"]),
                    cache_type=row["kv_type"],
                    flash_attention=row["flash_attn"] == "1",
                )
                yield known[row["model"]], launch, row


def total(shape: ModelShape, launch: Launch, weights: float) -> float:
    return weights + cache_bytes(shape, launch) + compute_bytes(shape, launch)


def ollama(shape: ModelShape, launch: Launch, weights: float) -> float:
    """``file + 2 · layers · kv_heads · (width / heads) · context · 2`` (PredictServerVRAM)."""
    head = shape.embedding_length / shape.heads
    return weights + 2 * shape.layers * shape.kv_heads * head * launch.context_tokens * launch.slots * 2


ESTIMATORS: dict[str, Callable[[ModelShape, Launch, float, float], float]] = {
    "file": lambda _shape, _launch, _weights, file: file,
    "file x 1.2": lambda _shape, _launch, _weights, file: file * 1.2,
    "Ollama's formula": lambda shape, launch, _weights, file: ollama(shape, launch, file),
    "closed form": lambda shape, launch, weights, _file: total(shape, launch, weights),
}


def errors_on_truth(found: Sequence[Row]) -> Iterator[tuple[str, list[float], int]]:
    for name, estimator in ESTIMATORS.items():
        off, under = [], 0
        for shape, launch, row in found:
            real = sum(int(row[part]) for part in ("model_mib", "context_mib", "compute_mib")) * MIB
            said = estimator(shape, launch, int(row["model_mib"]) * MIB, int(row["file_bytes"]))
            off.append(abs(said / real - 1))
            under += said < 0.99 * real
        yield name, off, under


def measured(folder: Path) -> dict[str, list[tuple[bool, float, float]]]:
    """By model and quantisation: whether flash attention was on, the closed form, and what was taken, in bytes."""
    known = shapes(folder)
    found = defaultdict[str, list[tuple[bool, float, float]]](list)
    with (folder / "vram_strixhalo_measured.csv").open() as file:
        for row in csv.DictReader(file):
            taken = (float(row["gtt_delta_mib"]) + max(0.0, float(row["vram_delta_mib"]))) * MIB
            if row["backend"] not in _MEASURED or row["mode"] != "pp" or int(row["n"]) < 256 or taken <= 500 * MIB:
                continue
            flash = row["fa"] == "True"
            launch = Launch(
                context_tokens=int(row["n"]), slots=1, batch_tokens=min(int(row["n_ubatch"]), int(row["n"])),
                cache_type=row["type_k"], flash_attention=flash,
            )  # fmt: skip
            said = total(known[row["model"]], launch, float(row["tensor_bytes"]))
            found[f"{row['model']} {row['quant']}"].append((flash, said, taken))
    return dict(found)


def left_out(found: dict[str, list[tuple[bool, float, float]]]) -> tuple[list[float], int]:
    """Relative errors of models that the constants were not taken from, and how often 'fits' would have been wrong.

    It would where a card has exactly what is said to be needed, and more is taken. Of runs with flash attention, which is
    how models are started here.
    """
    off, wrong = [], 0
    for model, rows in found.items():
        others = [row for name, group in found.items() if name != model for row in group]
        for flash, said, taken in rows:
            residual = statistics.median(each[2] - each[1] for each in others if each[0] == flash)
            off.append(abs((said + residual) / taken - 1))
            wrong += flash and said + GPU_OVERHEAD_BYTES < taken
    return off, wrong


def shown(off: Sequence[float]) -> str:
    ranked = sorted(off)
    return f"{statistics.mean(ranked):8.2%} {statistics.median(ranked):8.2%} {ranked[int(0.9 * len(ranked))]:8.2%} {ranked[-1]:8.2%}"


def main() -> None:
    """Print."""
    folder = shared_data("hardware")
    found = list(truth(folder))
    print(f"llama.cpp's own answers, {len(found)} rows       MAPE   median      p90      max   under by > 1 %")
    for name, off, under in errors_on_truth(found):
        print(f"  {name:36s}{shown(off)}   {under / len(off):.0%}")
    cache = max(abs(cache_bytes(shape, launch) / MIB - int(row["context_mib"])) for shape, launch, row in found)
    print(f"  cache: worst {cache:.2f} MiB off (bar 1)")
    groups = measured(folder)
    off, wrong = left_out(groups)
    print(
        f"GPU memory taken, {len(off)} rows of {len(groups)} models, each model left out (bars: median 1.2 %, p90 4 %)"
    )
    print(f"  {'closed form + a constant':36s}{shown(off)}; false 'fits': {wrong} (bar 0)")
    models = sorted(Path(".demo/models/blobs").glob("*.gguf"))
    for path in models:
        began = time.process_time()
        read_header(path)
        print(
            f"  header of {path.stat().st_size >> 20:5d} MiB read in {(time.process_time() - began) * 1e3:.1f} ms of CPU (bar 50)"
        )


if __name__ == "__main__":
    main()
