"""What was measured of a vault as JSON, kept for later, and compared with what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec

from freehold.domain.errors.vault import VaultComparedInvalid
from freehold.evals.vault_ways import Compared

SHOWN = (
    "ndcg@10", "recall@1", "recall@5", "recall@10", "citation precision", "abstention auc", "abstained", "answered",
)  # fmt: skip
"""Figures in the order in which they are shown."""


class _Figure(msgspec.Struct, frozen=True):
    value: float
    low: float
    high: float


class _Way(msgspec.Struct, frozen=True):
    figures: dict[str, _Figure]
    threshold: float
    is_calibrated: bool
    p50_ms: float
    p95_ms: float


class Report(msgspec.Struct, frozen=True):
    """What was measured of a vault."""

    version: Literal[1]
    vault: str
    questions: str
    count: int
    present: str
    ways: dict[str, _Way]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """A figure that is below what it was, further than its interval.

    Attributes:
        way: Way of searching.
        figure: Name of the figure.
        was: What it was.
        low: Lower end of its interval then.
        now: What it is.
    """

    way: str
    figure: str
    was: float
    low: float
    now: float


def report_of(found: Sequence[Compared], *, vault: str, questions: str, count: int, present: str) -> Report:
    """A report.

    Args:
        found: What was measured.
        vault: Of which vault.
        questions: ``digest_of`` the questions.
        count: How many there were.
        present: The way that is in use.
    """
    ways = {
        each.name: _Way(
            figures={
                name: _Figure(value=figure.value, low=figure.low, high=figure.high)
                for name, figure in each.figures.figures.items()
            },
            threshold=each.figures.threshold,
            is_calibrated=each.figures.is_calibrated,
            p50_ms=each.figures.p50_ms,
            p95_ms=each.figures.p95_ms,
        )
        for each in found
    }
    return Report(version=1, vault=vault, questions=questions, count=count, present=present, ways=ways)


def encoded(report: Report) -> bytes:
    """A report as a file."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def read_report(path: Path, *, questions: str) -> Report:
    """A report that was kept.

    Args:
        path: Where.
        questions: ``digest_of`` the questions that it must be of.

    Raises:
        VaultComparedInvalid: It cannot be read, or is of other questions.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise VaultComparedInvalid(path=str(path), reason=error.strerror or "it cannot be read") from error
    except msgspec.MsgspecError as error:
        raise VaultComparedInvalid(path=str(path), reason=str(error)) from error
    if found.questions != questions:
        raise VaultComparedInvalid(path=str(path), reason="it was made with other questions")
    return found


def falls(now: Report, before: Report) -> tuple[Fall, ...]:
    """Figures of the way in use that fell: below the lower end of what they were, or not measured any more.

    The way in use is what the vault's readers get; that another one fell is nobody's loss.
    """
    was, is_now = before.ways.get(before.present), now.ways.get(now.present)
    if was is None or is_now is None:
        return ()
    found: list[Fall] = []
    for name, figure in was.figures.items():
        value = is_now.figures[name].value if name in is_now.figures else 0.0
        if value < figure.low:
            found.append(Fall(way=now.present, figure=name, was=figure.value, low=figure.low, now=value))
    return tuple(found)


def fall_json(fall: Fall) -> dict[str, object]:
    """A fall as JSON-ready values."""
    return asdict(fall)
