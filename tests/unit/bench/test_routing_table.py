"""The table of everything that judging must hold: what is missing is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.bars import Bar
from bench.routing.__main__ import PARTS, Ran, chosen, run, shown, told

PART = """
from bench.bars import Bar

def bars(*, quick):
    return [Bar(what="quick" if quick else "whole", measured=1.0, needed=2.0)]
"""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with one part that runs and one that lacks its data."""
    folder = tmp_path / "some_parts"
    folder.mkdir()
    (folder / "certificates.py").write_text(PART)
    (folder / "drift.py").write_text("def bars(*, quick):\n    raise SystemExit('the data are missing')\n")
    (folder / "overhead.py").write_text("def bars(*, quick):\n    return {}['rate']\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("some_parts", "some_parts.certificates", "some_parts.drift", "some_parts.overhead"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "some_parts"


def test_a_part_that_is_there_is_run(parts: str) -> None:
    assert [bar.what for bar in run("certificates", quick=True, package=parts).bars] == ["quick"]
    assert [bar.what for bar in run("certificates", quick=False, package=parts).bars] == ["whole"]


def test_what_was_not_measured_is_said(parts: str) -> None:
    found = [run(name, quick=False, package=parts) for name in ("certificates", "drift", "ladder")]
    assert [each.why_not for each in found] == ["", "the data are missing", "some_parts/ladder.py is not there"]
    text = shown(found)
    assert "| whole | 1.00 | ≤ 2 | holds |" in text
    assert "- **not measured**: `drift`: the data are missing" in text
    assert "- **not measured**: `ladder`: some_parts/ladder.py is not there" in text
    assert "1 of 1 bars hold; not measured: drift, ladder." in told(found, quick=False)


def test_a_part_that_fails_does_not_hide_the_others(parts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("overhead", quick=True, package=parts).why_not == "it failed: KeyError: 'rate'"
    assert "Traceback" in capsys.readouterr().err


def test_a_smaller_run_says_so() -> None:
    found = [Ran(name="drift", bars=[Bar(what="x", measured=3.0, needed=2.0)])]
    assert "smaller (`--quick`): 0 of 1 bars hold; not: x." in told(found, quick=True)


def test_parts_are_chosen_by_name() -> None:
    assert chosen("") == list(PARTS)
    assert chosen("error-cost, drift") == ["error_cost", "drift"]
    with pytest.raises(SystemExit, match="no part is called luck; there are: question_only"):
        chosen("drift,luck")
