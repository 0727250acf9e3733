"""Fits the constants of ``planner.speed`` and says how well they do on devices that they were not fitted on.

``python -m bench.planner.fit_speed`` prints the table; ``--write`` makes ``planner/speed_table.py`` anew from all devices.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.planner.rows import Row, by_device, rows
from freehold.domain.speed import DeviceFamily, WeightClass
from freehold.planner.speed import Constants, Form, moved, read_seconds, write_seconds
from tests.support.shared_data import shared_data

TABLE = Path("src/freehold/planner/speed_table.py")
FAMILIES = [each.value for each in DeviceFamily if each is not DeviceFamily.CPU]
WEIGHTS = [each.value for each in WeightClass]
PAIRS = [f"{family} {weights}" for family in FAMILIES for weights in WEIGHTS]

# name: (mean, spread) of its prior
WRITE_PRIOR = {
    "slow": (0.25, 1.0),
    **{f"slow {each}": (0.0, 0.3) for each in (*FAMILIES, *WEIGHTS)},
    **{f"slow {each}": (0.0, 0.2) for each in PAIRS},
    "layer": (math.log(0.1), 0.7),
    **{f"layer {each}": (0.0, 0.4) for each in FAMILIES},
    "compute": (0.0, 1.5),
    **{f"compute {each}": (0.0, 0.7) for each in WEIGHTS},
    "cache": (0.0, 0.3),
    "hop": (math.log(0.05), 1.0),
}
READ_PRIOR = {
    "share": (math.log(0.35), 1.0),
    **{f"share {each}": (0.0, 0.5) for each in FAMILIES},
    **{f"share {each}": (0.0, 0.4) for each in WEIGHTS},
    **{f"share {each}": (0.0, 0.3) for each in PAIRS},
    "share flops": (0.0, 0.15),
    "attention": (math.log(3.0), 0.7),
    **{f"attention {each}": (0.0, 0.5) for each in FAMILIES},
    "layer": (math.log(0.05), 1.0),
    "weights": (math.log(0.7), 0.7),
    "overlap": (0.8, 0.3),
    "hop": (0.0, 1.0),
}
WRITE_MOVED = {**{f"slow {each}": 0.2 for each in WEIGHTS}, "layer": 0.5, "compute": 0.5}
READ_MOVED = {**{f"share {each}": 0.7 for each in WEIGHTS}, "layer": 0.5, "weights": 0.5}
SHARE = 0.9


def fitted(
    found: Sequence[Row], form: Form, prior: dict[str, tuple[float, float]], *, noise: float, robust: float
) -> Constants:
    """The most probable constants (Gauss-Newton, Huber's weights); a device counts by the root of its runs."""
    names = list(prior)
    mean = np.array([each[0] for each in prior.values()])
    precision = np.array([each[1] ** -2 for each in prior.values()])
    counts = Counter(each.device.name for each in found)
    weight = np.array([counts[each.device.name] ** -0.5 for each in found]) / noise**2
    wanted = np.array([math.log(each.seconds) for each in found])
    at = mean.copy()
    for _ in range(30):
        known = dict(zip(names, at.tolist(), strict=True))
        here = _logs(form, known, found)
        slopes = np.stack(
            [(_logs(form, {**known, name: known[name] + 1e-4}, found) - here) / 1e-4 for name in names], axis=1
        )
        off = wanted - here
        trust = weight * np.where(np.abs(off) < robust, 1.0, robust / np.maximum(np.abs(off), 1e-9))
        step = np.linalg.solve(
            slopes.T @ (slopes * trust[:, None]) + np.diag(precision),
            slopes.T @ (trust * off) + (mean - at) * precision,
        )
        at = at + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-4:
            break
    return dict(zip(names, at.tolist(), strict=True))


def _logs(form: Form, known: Constants, found: Sequence[Row]) -> np.ndarray:
    return np.array([math.log(form.seconds(known, each.device, each.run.load, each.tokens)) for each in found])


def anchors(found: Sequence[Row]) -> dict[tuple[object, ...], list[Row]]:
    """One run for each engine and class of weights: the smallest model on the fewest cards."""
    chosen: dict[tuple[object, ...], dict[str, Row]] = {}
    for each in found:
        best = chosen.setdefault(each.engine, {})
        before = best.get(each.run.load.weights)
        if before is None or _size(each) < _size(before):
            best[each.run.load.weights] = each
    return {engine: list(best.values()) for engine, best in chosen.items()}


def _size(each: Row) -> tuple[float, ...]:
    return (
        each.device.count,
        each.run.load.read_bytes,
        abs(each.tokens - 1024) if each.run.prompt_tokens else each.tokens,
    )


def left_out(
    found: list[Row], form: Form, prior: dict[str, tuple[float, float]], **how: float
) -> tuple[list[float], list[float], list[float]]:
    """Errors (logarithms) of devices that the constants never saw: cold, with anchors, and those not anchors themselves."""
    cold, anchored, others = [], [], []
    for device, own in by_device(found).items():
        known = fitted([each for each in found if each.device.name != device], form, prior, **how)
        cold += (np.array([math.log(each.seconds) for each in own]) - _logs(form, known, own)).tolist()
        for engine, runs in anchors(own).items():
            here = moved(form, known, runs[0].device, [each.run for each in runs])
            group = [each for each in own if each.engine == engine]
            errors = np.array([math.log(each.seconds) for each in group]) - _logs(form, here, group)
            anchored += errors.tolist()
            others += [error for each, error in zip(group, errors.tolist(), strict=True) if each not in runs]
    return cold, anchored, others


def bands(found: list[Row], errors: Sequence[float]) -> tuple[float, float]:
    """Half width, and the share of runs within it on devices that it was not taken from.

    It holds that share of the other devices' errors that comes nearest to holding ``SHARE`` of a new device's.
    """
    return min((_band(found, errors, level / 100) for level in range(85, 97)), key=lambda each: abs(each[1] - SHARE))


def _band(found: list[Row], errors: Sequence[float], level: float) -> tuple[float, float]:
    grouped: dict[str, list[float]] = {}
    ordered = [each for own in by_device(found).values() for each in own]
    for each, error in zip(ordered, errors, strict=True):
        grouped.setdefault(each.device.name, []).append(abs(error))
    held = 0
    for device, own in grouped.items():
        width = _width([others for name, others in grouped.items() if name != device], level)
        held += sum(each <= width for each in own)
    return _width(list(grouped.values()), level), held / len(errors)


def _width(groups: list[list[float]], level: float = SHARE) -> float:
    weighed = sorted((error, len(own) ** -0.5) for own in groups for error in own)
    total, so_far = sum(weight for _, weight in weighed), 0.0
    for error, weight in weighed:
        so_far += weight
        if so_far >= level * total:
            return error
    return weighed[-1][0]


def mape(errors: Sequence[float]) -> str:
    off = sorted(abs(math.exp(each) - 1) for each in errors)
    return f"{statistics.mean(off):7.1%} {statistics.median(off):7.1%} {off[int(0.9 * len(off))]:7.1%}  ({len(off)})"


def simple(found: list[Row], share: float) -> list[float]:
    """The rivals: bandwidth times a share over the bytes of the file."""
    return [math.log(each.seconds * each.device.bandwidth_bytes_per_s * share / each.file_bytes) for each in found]


def best_simple(found: list[Row]) -> list[float]:
    """Logarithms of the errors of the note's best simple form, each device left out (notes/economics.md, 5).

    ``t = (read + cache·depth) / (bandwidth·e) + a·layers``, one (e, a) for each family and type of weights, on a grid by the
    mean error; where fewer than two other devices have a pair, that of the family, then of the type. Families and types are
    the table's own, with which it does better than with ours (18.6 %) and than the note says (17.6 %).
    """
    shares, layers_ms = np.meshgrid(np.arange(0.25, 1.2, 0.01), np.arange(0.0, 0.301, 0.01), indexing="ij")
    moved_s = [
        (each.run.load.read_bytes + each.run.load.cache_bytes_per_token * each.tokens)
        / each.device.bandwidth_bytes_per_s
        for each in found
    ]
    off = np.stack(
        [
            math.log(each.seconds) - np.log(seconds / shares + each.run.load.layers * layers_ms / 1e3)
            for each, seconds in zip(found, moved_s, strict=True)
        ]
    )
    errors: list[float] = []
    for device, own in by_device(found).items():
        others = [place for place, each in enumerate(found) if each.device.name != device]
        for each in own:
            chosen = next(group for group in _groups(found, others, each) if group)
            best = np.unravel_index(np.abs(off[chosen]).mean(axis=0).argmin(), shares.shape)
            errors.append(float(off[found.index(each)][best]))
    return errors


def _groups(found: list[Row], others: list[int], row: Row) -> list[list[int]]:
    """Runs to go by: of the same family and type, of the family, of the type, of all; empty where of too few devices."""
    family = [place for place in others if found[place].kind[0] == row.kind[0]]
    weights = [place for place in others if found[place].kind[1] == row.kind[1]]
    both = [place for place in family if place in weights]
    groups = [
        group if len({found[place].device.name for place in group}) > 1 else [] for group in (both, family, weights)
    ]
    return [*groups, others]


def main() -> None:
    """Print, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    folder = shared_data("hardware")
    found, read = rows(folder, "tg"), rows(folder, "pp")
    writing = Form(seconds=write_seconds, moved=WRITE_MOVED, band=0.0, measured_band=0.0)
    reading = Form(seconds=read_seconds, moved=READ_MOVED, band=0.0, measured_band=0.0, reads_prompts=True)
    print("writing, each device left out          MAPE  median     p90")
    for name, share in (("bandwidth / file", 1.0), ("0.85 of it (ggufit)", 0.85), ("0.55 of it (llmfit)", 0.55)):
        print(f"  {name:34s}{mape(simple(found, share))}")
    print(f"  {'best simple form (note: 17.6 %)':34s}{mape(best_simple(found))}")
    told = {}
    for form, rows_, prior, how, bar_cold, bar_known in (
        (writing, found, WRITE_PRIOR, {"noise": 0.15, "robust": 0.25}, 0.16, 0.08),
        (reading, read, READ_PRIOR, {"noise": 0.2, "robust": 0.3}, None, 0.25),
    ):
        cold, anchored, others = left_out(rows_, form, prior, **how)
        name = "writing" if form is writing else "reading"
        print(f"  {name + ': this form, cold':34s}{mape(cold)}{'' if bar_cold is None else f'  bar {bar_cold:.0%}'}")
        print(f"  {name + ': an anchor a class':34s}{mape(anchored)}  bar {bar_known:.0%}")
        print(f"  {name + ': without the anchors themselves':34s}{mape(others)}")
        width, held = bands(rows_, cold)
        known_width = _width([[abs(each)] for each in anchored])
        print(
            f"  {name}: interval × {math.exp(width):.2f} each way holds {held:.1%} (bar 87 % to 93 %); with anchors × {math.exp(known_width):.2f}"
        )
        told[name] = (fitted(rows_, form, prior, **how), width, known_width)
    if write:
        write_table(told)


def write_table(told: dict[str, tuple[Constants, float, float]]) -> None:
    lines = [
        '"""Constants of ``planner.speed``. Made by ``python -m bench.planner.fit_speed --write``; not written by hand.',
        "",
        "Fitted on 720 published runs of 25 devices (llama.cpp, batch 1, 2024 to 2026).",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from freehold.planner.speed import Form, read_seconds, write_seconds",
        "",
    ]
    for name, moving in (("writing", WRITE_MOVED), ("reading", READ_MOVED)):
        constants, width, known = told[name]
        function = "write_seconds" if name == "writing" else "read_seconds"
        lines += [
            f"{name.upper()} = Form(",
            f"    seconds={function},",
            f"    moved={dict(moving)!r},".replace("'", '"'),
            f"    band={width:.4f},",
            f"    measured_band={known:.4f},",
            *(["    reads_prompts=True,"] if name == "reading" else []),
            ")",
            f"{name.upper()}_CONSTANTS = {{",
            *(f'    "{each}": {value:.4f},' for each, value in constants.items()),
            "}",
        ]
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
