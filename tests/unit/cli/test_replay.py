"""``freehold replay``."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from freehold.cli.key_ring import DATABASE_FILE
from freehold.evals.replay.tables import write
from freehold.storage.database import Database
from freehold.storage.outcomes import SqliteOutcomes
from tests.support.recorded import own, tiny
from tests.unit.cli.conftest import Cli

GOLDEN = Path(__file__).parents[2] / "golden" / "replay"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with one set."""
    folder = tmp_path / "tables"
    folder.mkdir()
    write(tiny(), folder)
    return folder


def test_a_folder_is_replayed(cli: Cli, tables: Path) -> None:
    ran = cli("replay", str(tables), "--weak", "small", "--strong", "large", "--resamples", "20")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (GOLDEN / "tiny.txt").read_text("utf-8")


def test_as_json_and_as_a_page(cli: Cli, tables: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    common = ("replay", str(tables / "tiny"), "--weak", "small", "--strong", "large", "--resamples", "20")
    ran = cli(*common, "--json", "--html", str(page))
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json.loads((GOLDEN / "tiny.json").read_text("utf-8"))
    assert page.read_text("utf-8") == (GOLDEN / "tiny.html").read_text("utf-8")


def test_the_same_tables_named_twice_count_once(cli: Cli, tables: Path) -> None:
    common = ("--workload", "names", "--resamples", "2", "--json")
    once = cli("replay", str(tables), *common)
    twice = cli("replay", str(tables), str(tables / "tiny.queries.jsonl"), *common)
    assert once.code == 0
    assert once.out == twice.out


def test_where_the_page_is_is_said(cli: Cli, tables: Path, tmp_path: Path) -> None:
    ran = cli("replay", str(tables), "--workload", "names", "--resamples", "0", "--html", str(tmp_path / "page.html"))
    assert ran.err == f"The page is in {tmp_path / 'page.html'}.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name the tables to replay"),
        (("x", "--tenant", "default"), "--tenant goes with --own"),
        (("x", "--risk", "0"), "--risk is 0; it lies between 0.0001 and 0.9999"),
        (("x", "--sure", "5e-324"), "--sure is 4.94066e-324; it lies between 0.0001 and 0.9999"),
        (("x", "--sure", "1"), "--sure is 1; it lies between 0.0001 and 0.9999"),
        (("x", "--resamples", "-1"), "--resamples is -1; 0 to 10,000"),
        (("x", "--score", "confidence", "--helper", "a"), "--helper goes with --score agreement, not with confidence"),
        (("x", "--score", "luck"), "luck"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    ran = cli("replay", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_page_that_cannot_be_written_is_said(cli: Cli, tables: Path, tmp_path: Path) -> None:
    where = tmp_path / "nowhere" / "page.html"
    ran = cli("replay", str(tables), "--workload", "names", "--resamples", "0", "--html", str(where))
    assert ran.code == 2
    assert f"{where} cannot be written" in ran.err


def test_errors_name_the_row(cli: Cli, tables: Path) -> None:
    with (tables / "tiny.outcomes.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"qid": "t-001", "model": "new", "correct": 2}) + os.linesep)
    ran = cli("replay", str(tables))
    assert ran.code == 1
    assert ran.err.startswith("FH-REPLAY-005: ")
    assert "row 721, column correct: 2 is not from 0 to 1" in ran.err


def test_what_this_house_kept_is_replayed(cli: Cli, home: Path) -> None:
    home.mkdir()
    database = Database.open(home / DATABASE_FILE)
    store = SqliteOutcomes(database)
    store.keep(*own())
    assert asyncio.run(store.read(most=1))
    database.close()
    ran = cli("replay", "--own", "--resamples", "20")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (GOLDEN / "own.txt").read_text("utf-8")
    assert cli("replay", "--own", "--resamples", "20", "--tenant", "default").out == ran.out


@pytest.mark.parametrize("more", [(), ("--tenant", "nobody"), ("--workload", "poems")])
def test_where_nothing_was_kept_it_is_said(cli: Cli, home: Path, more: tuple[str, ...]) -> None:
    if more:
        home.mkdir()
        database = Database.open(home / DATABASE_FILE)
        SqliteOutcomes(database).keep(*own(requests=3))
        database.close()
    ran = cli("replay", "--own", *more)
    assert ran.code == 1
    assert ran.err.startswith("FH-REPLAY-006: There is nothing to replay: no outcomes are kept yet")
    assert home.exists() is bool(more)
