"""What judging knows from files: calibrations and certificates, shipped ones and the owner's, and recorded outcomes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from freehold.config.load import LoadedConfig
from freehold.domain.certificates import Certificate
from freehold.evals.shipped import shipped_calibrations, shipped_certificates
from freehold.routing import calibration, certificate, paired
from freehold.routing.calibration import Calibration
from freehold.routing.paired import PairedOutcomes

CALIBRATIONS_FOLDER = "calibrations"
CERTIFICATES_FOLDER = "certificates"
OUTCOMES_FOLDER = "paired"
"""In the folder of the calibrations."""

log = logging.getLogger("freehold.app")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What judging knows from files. Later ones win.

    Attributes:
        calibrations: Whether one holds for a running engine is ``routing.calibration.applies``'s to say.
        certificates: Whether one holds for an answer is ``routing.ladder.in_force``'s to say.
        outcomes: What several models answered to the same questions, for routes that say what an answer is worth. None
            are shipped: how long an answer takes, and so what it costs, is each machine's own.
    """

    calibrations: tuple[Calibration, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    outcomes: tuple[PairedOutcomes, ...] = ()


def known_from(loaded: LoadedConfig, data_folder: Path) -> Known:
    """Shipped ones, then the owner's.

    Raises:
        ValueError: A file of the owner's is no calibration; the message says what is wrong with it.
    """
    folder = calibrations_folder(loaded, data_folder)
    own = (calibration.from_json(text) for _, text in _texts(folder))
    certificates = _read("certificate", folder / CERTIFICATES_FOLDER, certificate.from_json)
    outcomes = outcomes_in(folder / OUTCOMES_FOLDER)
    return Known(
        calibrations=(*shipped_calibrations(), *own),
        certificates=(*shipped_certificates(), *certificates),
        outcomes=tuple(outcomes),
    )


def calibrations_folder(loaded: LoadedConfig, data_folder: Path) -> Path:
    """Where the owner's calibrations are."""
    return Path(loaded.config.calibration.folder or data_folder / CALIBRATIONS_FOLDER).expanduser()


def certificates_in(folder: Path) -> list[Certificate]:
    """The certificates of a folder, by name; none where there is no folder."""
    return _read("certificate", folder, certificate.from_json)


def outcomes_in(folder: Path) -> list[PairedOutcomes]:
    """The tables of recorded outcomes of a folder, by name; none where there is no folder."""
    return _read("table of outcomes", folder, paired.from_json)


def _read(what: str, folder: Path, decode: Callable[[str], T]) -> list[T]:
    """The files of a folder. One that is none promises nothing: it is passed over, and the log says so."""
    found: list[T] = []
    for path, text in _texts(folder):
        try:
            found.append(decode(text))
        except ValueError as error:
            log.warning("the %s %s is passed over: %s", what, path.name, error)
    return found


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        yield path, path.read_text(encoding="utf-8", errors="replace")
