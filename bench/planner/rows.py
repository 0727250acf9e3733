"""Measured runs of ``perf_dev.csv`` as the planner's values."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from freehold.domain.speed import Device, DeviceFamily, Load, Measured, WeightClass

_FAMILIES = {
    "a100": DeviceFamily.DATACENTER,
    "h100": DeviceFamily.DATACENTER,
    "ada_gf": DeviceFamily.GEFORCE,
    "ampere_gf": DeviceFamily.GEFORCE,
    "ada_pro": DeviceFamily.WORKSTATION,
    "ampere_pro": DeviceFamily.WORKSTATION,
    "apple": DeviceFamily.APPLE,
    "rdna3": DeviceFamily.RADEON,
    "rdna35": DeviceFamily.RADEON,
    "rdna4": DeviceFamily.RADEON,
}
_DENSE_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run; ``tokens`` as ``planner.speed.estimate`` takes them, ``engine`` for who ran what, ``kind`` the table's family of devices
    and type of weights."""

    device: Device
    run: Measured
    tokens: float
    engine: tuple[str, str]
    file_bytes: float
    kind: tuple[str, str]

    @property
    def seconds(self) -> float:
        return (self.run.prompt_tokens or 1) / self.run.tok_per_s


def rows(folder: Path, test: str) -> list[Row]:
    """Those of ``tg`` (writing) or ``pp`` (reading)."""
    with (folder / "models.csv").open() as file:
        widths = {each["model"]: int(each["d_model"]) for each in csv.DictReader(file) if each["d_model"]}
    with (folder / "perf_dev.csv").open() as file:
        return [_row(each, widths) for each in csv.DictReader(file) if each["test"] == test]


def by_device(found: list[Row]) -> dict[str, list[Row]]:
    grouped = defaultdict[str, list[Row]](list)
    for each in found:
        grouped[each.device.name].append(each)
    return dict(sorted(grouped.items()))


def _row(each: dict[str, str], widths: dict[str, int]) -> Row:
    dense = float(each["active_b"]) >= _DENSE_SHARE * float(each["params_b"])
    weights = WeightClass.QUANTISED if dense else WeightClass.EXPERTS
    if each["quant"] == "F16":
        weights = WeightClass.HALVES
    reading, n = each["test"] == "pp", int(each["n"])
    depth = 0.0 if reading else float(each["depth"]) + n / 2
    load = Load(
        weights=weights,
        read_bytes=float(each["read_bytes_per_tok"]),
        file_bytes=float(each["file_bytes"]),
        cache_bytes_per_token=float(each["kv_bytes_per_tok"]),
        active_parameters=float(each["active_b"]) * 1e9,
        layers=int(each["n_layer"]),
        width=widths.get(each["model"], 4096),
    )
    return Row(
        device=Device(
            name=each["device"],
            family=_FAMILIES[each["family"]],
            bandwidth_bytes_per_s=float(each["bw_gbs"]) * 1e9,
            flops=float(each["fp16_tflops"]) * 1e12,
            count=int(each["n_dev"]),
        ),
        run=Measured(load=load, depth_tokens=depth, prompt_tokens=n if reading else 0, tok_per_s=float(each["tps"])),
        tokens=float(n) if reading else depth,
        engine=(each["source"], each["backend"]),
        file_bytes=float(each["file_bytes"]),
        kind=(each["family"], each["quant"]),
    )
