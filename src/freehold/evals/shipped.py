"""The calibrations that come with the product: fitted by ``freehold calibrate`` on the starter models."""

from __future__ import annotations

from importlib import resources

from freehold.routing.calibration import Calibration, from_json


def shipped_calibrations() -> tuple[Calibration, ...]:
    """All of them; whether one holds for a running engine is ``routing.calibration.applies``'s to say."""
    folder = resources.files("freehold.evals").joinpath("calibrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(from_json(file.read_text("utf-8")) for file in files)
