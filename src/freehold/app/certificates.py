"""Certificates in files: shipped ones, and those beside the calibrations that they were made with."""

from __future__ import annotations

import logging
from pathlib import Path

from freehold.config.load import LoadedConfig
from freehold.domain.certificates import Certificate
from freehold.evals.shipped import shipped_certificates
from freehold.routing.certificate import from_json

CALIBRATIONS_FOLDER = "calibrations"
CERTIFICATES_FOLDER = "certificates"
"""In the folder of the calibrations."""

log = logging.getLogger("freehold.app")


def calibrations_folder(loaded: LoadedConfig, data_folder: Path) -> Path:
    """Where the owner's calibrations are."""
    return Path(loaded.config.calibration.folder or data_folder / CALIBRATIONS_FOLDER).expanduser()


def certificates_of(loaded: LoadedConfig, data_folder: Path) -> tuple[Certificate, ...]:
    """All of them; whether one holds for an answer is ``routing.ladder.in_force``'s to say."""
    return (*shipped_certificates(), *certificates_in(calibrations_folder(loaded, data_folder) / CERTIFICATES_FOLDER))


def certificates_in(folder: Path) -> list[Certificate]:
    """The certificates of a folder, by name; none where there is no folder.

    A file that is none promises nothing: it is passed over, and the log says so.
    """
    found: list[Certificate] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            found.append(from_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            log.warning("the certificate %s is passed over: %s", path.name, error)
    return found
