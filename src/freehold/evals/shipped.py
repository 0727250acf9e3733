"""The calibrations and certificates that come with the product: made by ``freehold calibrate`` on the starter models."""

from __future__ import annotations

from importlib import resources

from freehold.domain.certificates import Certificate
from freehold.routing import certificate
from freehold.routing.calibration import Calibration, from_json


def shipped_calibrations() -> tuple[Calibration, ...]:
    """All of them; whether one holds for a running engine is ``routing.calibration.applies``'s to say."""
    return tuple(map(from_json, _texts("calibrations")))


def shipped_certificates() -> tuple[Certificate, ...]:
    """All of them; whether one holds for an answer is ``routing.ladder.in_force``'s to say."""
    return tuple(map(certificate.from_json, _texts("calibrations/certificates")))


def _texts(name: str) -> list[str]:
    folder = resources.files("freehold.evals").joinpath(name)
    if not folder.is_dir():
        return []
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return [file.read_text("utf-8") for file in files]
