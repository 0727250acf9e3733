"""What is refused before an engine is started, and what is shown while it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.cli import calibrate
from freehold.evals.calibrate import Progress
from tests.unit.cli.conftest import Cli

CONFIG = """\
[deployments.small]
engine = "embedded"
model = "smollm2-135m"

[deployments.vectors]
engine = "embedded"
model = "smollm2-135m"
embeds = true

[deployments.cloud]
engine = "openai"
base_url = "https://cloud.example/v1"
model = "x"
zone = "world"

[deployments.claude]
engine = "anthropic"
base_url = "https://cloud.example"
model = "x"
zone = "world"
"""


@pytest.fixture
def configured(home: Path) -> Path:
    home.mkdir(mode=0o700)
    (home / "freehold.toml").write_text(CONFIG)
    return home


@pytest.mark.parametrize("name", ["claude", "vectors", "nosuch"])
def test_only_engines_that_answer_with_log_probabilities_are_asked(cli: Cli, configured: Path, name: str) -> None:
    shown = cli("calibrate", name)
    assert (shown.code, shown.out) == (2, "")
    assert name in shown.err
    assert "There are: small, cloud." in shown.err


def test_questions_of_ones_own_leave_only_with_a_label(cli: Cli, configured: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "a", "prompt": "p", "grade": "contains", "answers": ["x"]}\n')
    shown = cli("calibrate", "cloud", "--questions", str(file))
    assert (shown.code, shown.out) == (2, "")
    assert "cloud is beyond this device: say with --label" in shown.err


def test_a_label_that_forbids_it_keeps_the_questions_here(cli: Cli, configured: Path) -> None:
    shown = cli("calibrate", "cloud", "--label", "restricted")
    assert (shown.code, shown.out) == (1, "")
    assert "FH-POLICY-003" in shown.err


@pytest.mark.parametrize("option", [["--risk", "0"], ["--risk", "1.5"], ["--sure", "1"], ["--prefix", "-1"]], ids=str)
def test_goals_that_are_none(cli: Cli, configured: Path, option: list[str]) -> None:
    shown = cli("calibrate", *option)
    assert (shown.code, shown.out) == (2, "")
    assert option[0] in shown.err


def test_nothing_to_calibrate(cli: Cli, configured: Path) -> None:
    (configured / "freehold.toml").write_text("[server]\n")
    shown = cli("calibrate")
    assert (shown.code, shown.out) == (2, "")


def test_a_model_that_is_not_here_is_named(cli: Cli, configured: Path) -> None:
    shown = cli("calibrate", "small")
    assert shown.code == 1
    assert "FH-MODEL-007" in shown.err


@pytest.mark.parametrize("content", [None, "not json\n", '{"id": "a"}\n'])
def test_questions_that_cannot_be_read(cli: Cli, configured: Path, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "questions.jsonl"
    if content is not None:
        file.write_text(content)
    shown = cli("calibrate", "--questions", str(file))
    assert shown.code == 1
    assert shown.err.startswith("FH-EVALS-002: ")
    assert not (configured / "calibrations").exists()


def test_progress_is_a_line_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with calibrate._progress("small") as show:
        for asked in range(1, 201):
            show(Progress(asked=asked, total=200, right=asked // 2))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "small: 200 of 200 questions asked, 100 right"
