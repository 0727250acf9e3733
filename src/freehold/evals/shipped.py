"""The calibrations and certificates that come with the product: made by ``freehold calibrate`` on the starter models."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from freehold.domain.certificates import Certificate
from freehold.routing.calibration import Calibration, from_json
from freehold.routing.certificate import from_json as certificate_from_json


def shipped_calibrations() -> tuple[Calibration, ...]:
    """All of them; whether one holds for a running engine is ``routing.calibration.applies``'s to say."""
    return tuple(map(from_json, _texts("calibrations")))


def shipped_certificates() -> tuple[Certificate, ...]:
    """All of them; whether one holds at this moment is ``routing.certificate.void``'s to say."""
    return tuple(map(certificate_from_json, _texts("certificates")))


def _texts(name: str) -> Iterator[str]:
    folder = resources.files("freehold.evals").joinpath(name)
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if file.name.endswith(".json"):
                yield file.read_text("utf-8")
