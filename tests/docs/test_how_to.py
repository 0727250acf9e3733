"""Tables and examples of the how-to pages that repeat what the code decides."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from freehold.app.fellows import WORKERS_FOLDER
from freehold.app.known import CALIBRATIONS_FOLDER, CERTIFICATES_FOLDER, OUTCOMES_FOLDER
from freehold.app.memory import KEYS_FOLDER, PSEUDONYM_KEYS_FOLDER
from freehold.app.stores import (
    AUDIT_FOLDER,
    BATCHES_FOLDER,
    CACHE_KEY_FILE,
    DATABASE_FILE,
    FILES_FOLDER,
    FIRST_KEY_FILE,
    MODELS_FOLDER,
    RECEIPTS_FOLDER,
)
from freehold.app.vault_opening import VAULT_KEYS_FOLDER, VAULTS_FOLDER
from freehold.audit.bodies import BODIES_FOLDER
from freehold.audit.subjects import SUBJECTS_FOLDER
from freehold.cli.machine_speed import BANDWIDTH_FILE
from freehold.cli.machine_speed import FILE as SPEED_FILE
from freehold.domain.deployment import StreamMode
from freehold.domain.labels import Level
from freehold.domain.priority import Priority
from freehold.evals.question import Grading
from freehold.evals.questions import parse_questions
from freehold.evals.replay.cells import checked
from freehold.evals.replay.options import GAP_MIN, LEARNT_MAX, Score
from freehold.evals.replay.schema import OUTCOME_COLUMNS, QUERY_COLUMNS, Column
from freehold.policy.sayings import PII_RETENTION_DAYS_MAX, SAYINGS
from freehold.policy.text import DEFAULT_ZONES
from freehold.routing.ladder import DELTA_MAX, verdict
from freehold.routing.signal_costs import BOUGHT, SignalCost
from freehold.serving.order import PASSED_MAX
from freehold.serving.verdicts import SPECULATION_FILE
from freehold.storage.folder import LOCK_NAME
from tests.support.documents import ROOT, Block, blocks, rows
from tests.support.inside import inside

HOW_TO = ROOT / "docs" / "how-to"
LABELS = HOW_TO / "labels-and-zones.md"
CALIBRATE = HOW_TO / "calibrate.md"
REPLAY = HOW_TO / "replay.md"
FAIR = HOW_TO / "fair-turns.md"
ESCALATE = HOW_TO / "escalate.md"
DATA = HOW_TO / "data.md"


def test_zones_of_labels_that_name_none() -> None:
    table = {level.strip("`"): zones for level, zones in rows(LABELS, below="## How a label is written")}
    assert table == {level.word: ", ".join(sorted(DEFAULT_ZONES[level])) for level in Level}


def test_every_rule_is_explained() -> None:
    table = {rule.strip("`"): text for rule, text in rows(LABELS, below="## The rules")}
    assert list(table) == list(SAYINGS)
    assert f"{PII_RETENTION_DAYS_MAX} days" in table["pii-retention"]


def test_everything_in_the_data_folder_is_explained(tmp_path: Path) -> None:
    table = {
        name for row in rows(DATA, below="# Where everything is kept") for name in re.findall(r"`([^`]+)`", row[0])
    }
    named = {DATABASE_FILE, FIRST_KEY_FILE, LOCK_NAME, AUDIT_FOLDER, SUBJECTS_FOLDER, BODIES_FOLDER, RECEIPTS_FOLDER}
    named |= {FILES_FOLDER, BATCHES_FOLDER, MODELS_FOLDER, CALIBRATIONS_FOLDER, CERTIFICATES_FOLDER, OUTCOMES_FOLDER}
    named |= {KEYS_FOLDER, PSEUDONYM_KEYS_FOLDER, CACHE_KEY_FILE, WORKERS_FOLDER, VAULTS_FOLDER, VAULT_KEYS_FOLDER}
    named |= {SPEED_FILE, BANDWIDTH_FILE, SPECULATION_FILE}
    assert named | {"freehold.toml", "receipts-N"} == table
    with inside(tmp_path):
        found = {each.name for each in (tmp_path / "data").iterdir()}
    assert {re.sub(r"-(?:wal|shm)$", "", name) for name in found} <= table


def test_every_grading_is_explained() -> None:
    table = [grade.strip("`") for grade, _ in rows(CALIBRATE, below="## On your own questions")]
    assert table == [str(grading) for grading in Grading]


@pytest.mark.parametrize(
    "block", [each for each in blocks(CALIBRATE) if each.language == "json"], ids=lambda b: b.place
)
def test_the_question_shown_is_one(block: Block) -> None:
    assert parse_questions(block.text)


@pytest.mark.parametrize(
    ("below", "columns"),
    [("Of questions:", QUERY_COLUMNS), ("Of outcomes, one for each question and model:", OUTCOME_COLUMNS)],
)
def test_every_column_is_explained(below: str, columns: tuple[Column, ...]) -> None:
    table = {name.strip("`"): text for name, text in rows(REPLAY, below=below)}
    assert list(table) == [column.name for column in columns]
    assert {name for name, text in table.items() if "needed" in text} == {
        column.name for column in columns if column.needed or column.name == "correct"
    }


@pytest.mark.parametrize("block", [each for each in blocks(REPLAY) if each.language == "json"], ids=lambda b: b.place)
def test_the_row_shown_is_one(block: Block) -> None:
    row = json.loads(block.text)
    columns = {column.name: column for column in (OUTCOME_COLUMNS if "model" in row else QUERY_COLUMNS)}
    for name, value in row.items():
        assert checked(columns[name], value) == value


def test_every_score_is_explained() -> None:
    table = [name.strip("`") for name, _ in rows(REPLAY, below="## Which models, and what decides")]
    assert table == [str(score) for score in Score]
    page = REPLAY.read_text(encoding="utf-8")
    assert f"at most {LEARNT_MAX:,} of them" in page
    assert f"less\nthan {GAP_MIN:g} apart" in page


def test_how_often_a_class_is_owed_a_start() -> None:
    table = {name.strip("`"): text for name, text, _ in rows(FAIR, below="## Say what is not urgent")}
    words = {9: "nine", 33: "33"}
    assert set(table) == {each.name.lower() for each in Priority}
    for priority, passed in PASSED_MAX.items():
        assert f"one start in {words[passed + 1]} " in table[priority.name.lower()]


def test_every_way_to_judge_a_stream_is_explained() -> None:
    table = [mode.strip("`") for mode, _, _ in rows(ESCALATE, below="## Streams")]
    assert table == [str(mode) for mode in StreamMode]


def test_every_reason_of_a_verdict_is_explained() -> None:
    named = {
        name for each, *_ in rows(ESCALATE, below="## How sure is sure enough") for name in re.findall(r"`(\w+)`", each)
    }
    said = verdict.__doc__ or ""
    assert named == set(re.findall(r"``([a-z_]+)``", said.partition("Reasons:")[2].partition("``certificate``")[0]))


def test_what_every_bought_signal_costs_is_said() -> None:
    table = {name.strip("`"): cost for name, cost, _ in rows(ESCALATE, below="## Ask again before going further")}
    assert {name: table[name] for name in BOUGHT} == {name: str(cost) for name, cost in BOUGHT.items()}
    assert set(table.values()) == {str(cost) for cost in SignalCost}
    assert f"chance of breaking it above {DELTA_MAX:.0%}".replace("%", " %") in ESCALATE.read_text("utf-8")
