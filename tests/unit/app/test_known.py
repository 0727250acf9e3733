"""What judging knows from files."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from freehold.app.known import certificates_in
from freehold.domain.certificates import LabelKind
from freehold.evals.shipped import shipped_certificates
from freehold.routing.certificate import About, Aim, certify, to_json
from freehold.routing.ladder import in_force, scored_on
from tests.support.routing import calibration


def made(days: int = 1) -> str:
    scores = [place / 500 for place in range(500)]
    found = certify(
        scores,
        [score < 0.3 for score in scores],
        traffic=scores,
        aim=Aim(risk_max=0.1),
        about=About(
            scored_on=scored_on(calibration()),
            label_kind=LabelKind.GOLD,
            created_unix_ms=0,
            expires_unix_ms=days * 86_400_000,
        ),
    )
    return to_json(found)  # type: ignore[arg-type] - so many right answers are certified


def test_files_are_read_by_name_and_what_is_none_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "b.json").write_text(made(), encoding="utf-8")
    (tmp_path / "a.json").write_text(made(2), encoding="utf-8")
    (tmp_path / "c.json").write_text(made().replace('"errors": ', '"errors": 1'), encoding="utf-8")
    (tmp_path / "d.txt").write_text("no certificate", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "freehold.app"):
        found = certificates_in(tmp_path)
    assert [each.expires_unix_ms for each in found] == [2 * 86_400_000, 86_400_000]
    assert "c.json is passed over" in caplog.text
    assert in_force(found, calibration(), tenant="t", unix_ms=0) == tuple(found)


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    assert certificates_in(tmp_path / "none") == []


def test_what_is_shipped_can_be_read() -> None:
    assert isinstance(shipped_certificates(), tuple)
