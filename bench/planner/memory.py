"""Memory: the closed form against llama.cpp's own answers, and against what models took on a GPU.

``python -m bench.planner.memory``; with other programs beside it: see ``bench/planner/peers.py``.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.planner import peers
from bench.planner.peers import PEERS, Question
from bench.planner.peers import folder as peers_folder
from freehold.domain.hardware import HardwareProfile, ModelShape
from freehold.planner.fit import GPU_OVERHEAD_BYTES, Launch, cache_bytes, compute_bytes
from freehold.planner.placement import Machine, score
from freehold.serving.gguf import read_header
from tests.support.gguf_headers import Dims, transformer
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
                    unified=True,
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


def real_bytes(row: dict[str, str]) -> int:
    return sum(int(row[part]) for part in ("model_mib", "context_mib", "compute_mib")) * MIB


def as_peers_assume(found: Sequence[Row]) -> list[Row]:
    """The rows with settings that all of them can be asked about: one sequence, 16 bits, flash attention, 512 a pass."""
    return [
        row
        for row in found
        if row[1].slots == 1 and row[1].cache_type == "f16" and row[1].flash_attention and row[1].batch_tokens == 512
    ]


def errors_on_truth(found: Sequence[Row]) -> Iterator[tuple[str, list[float], int]]:
    for name, estimator in ESTIMATORS.items():
        said = [
            estimator(shape, launch, int(row["model_mib"]) * MIB, int(row["file_bytes"]))
            for shape, launch, row in found
        ]
        yield (name, *_errors(said, found))


def _errors(said: Sequence[float], found: Sequence[Row]) -> tuple[list[float], int]:
    ratios = [each / real_bytes(row) for each, (_, _, row) in zip(said, found, strict=True)]
    return [abs(each - 1) for each in ratios], sum(each < 0.99 for each in ratios)


def peers_on_truth(found: Sequence[Row], folder: Path) -> Iterator[tuple[str, list[float], int] | tuple[str, str]]:
    """The other programs' errors, or why one cannot be asked."""
    with tempfile.TemporaryDirectory() as made:
        questions = list(_questions(found, folder, Path(made)))
        for name, ask in PEERS.items():
            try:
                said = ask(questions)
            except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
                installed = peers_folder() is not None
                yield name, f"could not be run: {error}" if installed else f"not installed (see {peers.__name__})"
            else:
                yield (name, *_errors(said, found))


def _questions(found: Sequence[Row], folder: Path, made: Path) -> Iterator[Question]:
    with (folder / "models.csv").open() as file:
        models = {each["model"]: each for each in csv.DictReader(file)}
    for shape, launch, row in found:
        path = made / f"{row['model']}-{row['quant']}.gguf"
        if not path.exists():
            _write_header(path, models[row["model"]], row["quant"])
        yield shape, launch, row, path, read_header(path).parameters / 1e9


def _write_header(path: Path, model: dict[str, str], quant: str) -> None:
    """The file that the row is about, without its weights."""
    dims = Dims(
        layers=int(model["layers"]),
        width=int(model["d_model"]),
        heads=int(model["heads"]),
        kv_heads=int(model["kv_heads"]),
        head_dim=int(model["head_dim"]),
        inner=int(model["expert_ffn"] or model["ffn"]),
        vocabulary=int(model["vocab"]),
        experts=int(model["experts"] or 0),
        experts_used=int(model["experts_used"] or 0),
        tied=model["tied_embedding"] == "1",
    )
    window = {"attention.sliding_window": int(model["swa_window"])} if model["swa_window"] else {}
    transformer(path, model["arch"], dims, quant, more=window)


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


def header_only(path: Path, *, repeats: int = 15) -> tuple[float, float, int]:
    """Of the whole answer by the header alone, as ``fit`` gives it: median CPU and clock in ms, and memory in bytes."""
    machine = HardwareProfile(
        cpu_name="", cores=2, cpu_flags=frozenset(), memory_bytes=1 << 34, memory_free_bytes=1 << 34
    )
    busy, clock = [], []
    for _ in range(repeats):
        began, started = time.process_time(), time.perf_counter()
        header_answer(path, machine)
        busy.append(time.process_time() - began)
        clock.append(time.perf_counter() - started)
    tracemalloc.start()
    header_answer(path, machine)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return statistics.median(busy) * 1e3, statistics.median(clock) * 1e3, peak_bytes


def header_answer(path: Path, machine: HardwareProfile) -> bool:
    report = score(read_header(path).shape, Launch(context_tokens=8_192, slots=4), Machine(profile=machine))
    return report.fits


def print_line(name: str, off: Sequence[float], under: int) -> None:
    print(f"  {name:36s}{shown(off)}   {under / len(off):.0%}")


def main() -> None:
    """Print."""
    folder = shared_data("hardware")
    found = list(truth(folder))
    assumed = as_peers_assume(found)
    print(f"llama.cpp's own answers, {len(assumed)} rows        MAPE   median      p90      max   under by > 1 %")
    for name, off, under in errors_on_truth(assumed):
        print_line(name, off, under)
    for name, *said in peers_on_truth(assumed, folder):
        if isinstance(said[0], str):
            print(f"  {name:36s}{said[0]}")
        else:
            print_line(name, said[0], int(said[1]))
    print(f"the same with all settings, {len(found)} rows (bar: closed form 0.5 % mean)")
    for name, off, under in errors_on_truth(found):
        print_line(name, off, under)
    cache = max(abs(cache_bytes(shape, launch) / MIB - int(row["context_mib"])) for shape, launch, row in found)
    print(f"  cache: worst {cache:.2f} MiB off (bar 1)")
    groups = measured(folder)
    off, wrong = left_out(groups)
    print(
        f"GPU memory taken, {len(off)} rows of {len(groups)} models, each model left out (bars: median 1.2 %, p90 4 %)"
    )
    print(f"  {'closed form + a constant':36s}{shown(off)}; false 'fits': {wrong} (bar 0)")
    load = os.getloadavg()[0]
    print(
        f"the whole answer by the header alone (bar 50 ms of CPU, nothing of the model allocated); load now {load:.1f}"
    )
    for path in sorted(Path(".demo/models/blobs").glob("*.gguf")):
        busy_ms, clock_ms, peak_bytes = header_only(path)
        print(
            f"  {path.stat().st_size >> 20:5d} MiB: median {busy_ms:.1f} ms of CPU, {clock_ms:.1f} ms by the clock, "
            f"{peak_bytes / MIB:.1f} MiB held at most; {'holds' if busy_ms <= 50 else 'does not hold'}"
        )


if __name__ == "__main__":
    main()
