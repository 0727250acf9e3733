"""Tables of recorded outcomes: what is read is what was written, and what is wrong is named."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freehold.domain.certificates import LabelKind
from freehold.domain.errors.base import FreeholdError, page
from freehold.domain.errors.replay import (
    ColumnWrong,
    ParquetUnreadable,
    TablesMissing,
    TableUnreadable,
    ValueWrong,
)
from freehold.evals.replay.own import tables_of
from freehold.evals.replay.schema import LOG_FLOOR, OUTCOME_COLUMNS, QUERY_COLUMNS
from freehold.evals.replay.tables import read_tables, sets_at, write, write_tables
from tests.support.recorded import MADE, outcome, own, tiny

QUERY = {"qid": "q1", "benchmark": "sums"}
OUTCOME = {"qid": "q1", "model": "small", "correct": 1}


def written(folder: Path, outcomes: list[Any], queries: list[Any] | None = None) -> Path:
    """A set of JSON lines; what is no object is a line as it is."""
    for part, rows in (("queries", [QUERY] if queries is None else queries), ("outcomes", outcomes)):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"set.{part}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "set"


def read(folder: Path, outcomes: list[Any], queries: list[Any] | None = None) -> Any:
    return read_tables(sets_at(written(folder, outcomes, queries))[0])


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_was_written_is_read(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    made = tiny(questions=40)
    files = write(made, tmp_path, suffix=suffix)
    assert sets_at(tmp_path) == (files,)
    assert read_tables(files) == made


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_own_outcomes_are_read_with_all_that_is_known(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    made = [*own(requests=30), outcome("r-v", "home", question=(0.6, 0.8), question_model="sha256:cc")]
    found = read_tables(write_tables(made, tmp_path, "own", suffix=suffix))
    assert found == tables_of(made)
    first = next(each for each in found.outcomes if each.judged_by)
    assert (first.model, first.label_kind, first.judged_by) == ("home", "agreement", "cloud")
    assert first.signals == {"logprob_mean": first.conf}
    assert first.conf_kind == "logprob_mean"
    assert (first.probability, first.threshold, first.accepted) == (0.259, 0.5, False)
    assert first.extra["model_digest"] == MADE.model_digest
    last = found.queries[-1]
    assert (last.benchmark, last.split, last.prompt) == ("invoices", "live", "")
    assert last.extra["vector"] == [0.6, 0.8]
    assert len(last.phash) == 16


def test_texts_are_not_in_a_users_own_tables(tmp_path: Path) -> None:
    files = write_tables(own(requests=5), tmp_path, "own")
    assert all(json.loads(line)["qid"].startswith("r-") for line in files.queries.read_text().splitlines())
    assert "prompt" not in files.queries.read_text()


def test_who_was_asked_counts_as_right() -> None:
    judged = outcome("r", "home", right=False, label_kind=LabelKind.AGREEMENT, judged_by="cloud", sought=0.1)
    absent = tables_of([judged]).outcomes
    assert [(each.model, each.correct, each.label_kind, each.sought) for each in absent] == [
        ("home", 0.0, "agreement", 0.1),
        ("cloud", 1.0, "agreement", 0.1),
    ]
    there = tables_of([judged, outcome("r", "cloud", cost_micros=900)]).outcomes
    assert [(each.model, each.correct, each.cost_usd) for each in there] == [
        ("home", 0.0, 15e-6),
        ("cloud", 1.0, 900e-6),
    ]
    known = tables_of([judged, outcome("r", "cloud", right=False, label_kind=LabelKind.GOLD)]).outcomes
    assert [(each.model, each.correct, each.label_kind) for each in known] == [
        ("home", 0.0, "agreement"),
        ("cloud", 0.0, "gold"),
    ]
    gold = tables_of([outcome("r", "home", right=True, label_kind=LabelKind.GOLD)]).outcomes
    assert [each.model for each in gold] == ["home"]


def test_equal_questions_have_equal_hashes() -> None:
    first, second, third = tables_of(
        [outcome(name, "home", question=vector) for name, vector in (("a", (0.6, 0.8)), ("b", (0.6, 0.8)), ("c", ()))]
    ).queries
    assert first.phash == second.phash != ""
    assert third.phash == ""


def test_minus_infinity_is_clipped(tmp_path: Path) -> None:
    found = read(tmp_path, ['{"qid": "q1", "model": "small", "correct": 1, "conf": -Infinity}'])
    assert found.outcomes[0].conf == LOG_FLOOR


def test_what_is_not_known_is_not_made_up(tmp_path: Path) -> None:
    rows = [
        {**OUTCOME, "correct": None, "conf": math.nan, "answer_id": None},
        {**OUTCOME, "model": "b", "correct": True},
    ]
    one, two = read(tmp_path, rows).outcomes
    assert (one.correct, one.conf, one.answer_id, one.cost_usd, one.sought) == (None, None, -1, None, 1.0)
    assert two.correct == 1.0


def test_other_columns_are_kept(tmp_path: Path) -> None:
    found = read(tmp_path, [{**OUTCOME, "grader": "me"}], [{**QUERY, "language": "de"}])
    assert (found.queries[0].extra, found.outcomes[0].extra) == ({"language": "de"}, {"grader": "me"})


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert len(read(tmp_path, [OUTCOME, "", {**OUTCOME, "model": "b"}]).outcomes) == 2


@pytest.mark.parametrize("given", ["", "set", "set.queries.jsonl", "set.outcomes.jsonl"])
def test_a_set_is_found_by_its_folder_its_name_or_a_file(tmp_path: Path, given: str) -> None:
    written(tmp_path, [OUTCOME])
    (found,) = sets_at(tmp_path / given)
    assert (found.name, found.queries.name, found.outcomes.name) == ("set", "set.queries.jsonl", "set.outcomes.jsonl")


WRONG: dict[str, tuple[list[Any], list[Any] | None, type[FreeholdError], str]] = {
    "no column": ([{"qid": "q1", "model": "small"}], None, ColumnWrong, "it has no column correct, but qid, model"),
    "misspelt": ([{**OUTCOME, "answr_id": 1}], None, ColumnWrong, "'answr_id' is not known; did you mean 'answer_id'?"),
    "not in a row": (
        [OUTCOME, {"qid": "q1", "model": "b"}], None, ValueWrong,
        "row 2, column correct: no value stands where one is needed",
    ),
    "not a number": ([{**OUTCOME, "correct": "yes"}], None, ValueWrong, "row 1, column correct: 'yes' is not a number"),
    "over 1": ([{**OUTCOME, "correct": 1.5}], None, ValueWrong, "row 1, column correct: 1.5 is not from 0 to 1"),
    "positive conf": ([{**OUTCOME, "conf": 0.3}], None, ValueWrong, "row 1, column conf: 0.3 is not at most 0"),
    "negative cost": ([{**OUTCOME, "cost_usd": -1}], None, ValueWrong, "column cost_usd: -1 is not at least 0"),
    "endless cost": ('[{"a"', None, TableUnreadable, "line 1 is not JSON"),
    "half an id": ([{**OUTCOME, "answer_id": 0.5}], None, ValueWrong, "column answer_id: 0.5 is not a whole number"),
    "id below -1": ([{**OUTCOME, "answer_id": -2}], None, ValueWrong, "column answer_id: -2 is not at least -1"),
    "true cost": ([{**OUTCOME, "cost_usd": True}], None, ValueWrong, "column cost_usd: True is not a number"),
    "less than no chance": ([{**OUTCOME, "sought": -0.1}], None, ValueWrong, "column sought: -0.1 is not from 0 to 1"),
    "accepted maybe": ([{**OUTCOME, "accepted": 1}], None, ValueWrong, "column accepted: 1 is not true or false"),
    "signals": (
        [{**OUTCOME, "signals": {"a": "x"}}], None, ValueWrong, "is not an object of numbers: a is not one"
    ),
    "signals as a list": ([{**OUTCOME, "signals": [1]}], None, ValueWrong, "is not an object of numbers"),
    "empty model": ([{**OUTCOME, "model": " "}], None, ValueWrong, "row 1, column model: ' ' is empty"),
    "twice": (
        [OUTCOME, OUTCOME], None, ValueWrong,
        "row 2, column model: 'small' has an outcome for the question q1 in row 1 already",
    ),
    "of no question": ([{**OUTCOME, "qid": "q9"}], None, ValueWrong, "'q9' is no question of set.queries.jsonl"),
    "question twice": ([OUTCOME], [QUERY, QUERY], ValueWrong, "row 2, column qid: 'q1' is in row 1 already"),
    "a list": (["[1]"], None, TableUnreadable, "line 1 is not a JSON object"),
    "no rows": ([], None, TableUnreadable, "it has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    outcomes, queries, kind, message = WRONG[case]
    with pytest.raises(kind) as caught:
        read(tmp_path, [outcomes] if isinstance(outcomes, str) else outcomes, queries)
    assert message in caught.value.message
    assert "set." in caught.value.message


def test_rows_are_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueWrong, match="row 3,"):
        read(tmp_path, [OUTCOME, "", {**OUTCOME, "model": "b", "correct": 7}])


MISSING: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "folder": (lambda at: at.mkdir(), "", "no file of this folder is called NAME.queries.parquet or .jsonl"),
    "name": (lambda at: at.mkdir(), "set", "set.queries.parquet is not there, and neither is set.queries.jsonl"),
    "half": (
        lambda at: (at.mkdir(), (at / "set.queries.jsonl").touch()), "set",
        "set.outcomes.parquet is not there, and neither is set.outcomes.jsonl",
    ),
    "other file": (
        lambda at: (at.mkdir(), (at / "a.csv").touch()), "a.csv", "the file is not called NAME.queries or NAME.outcomes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_missing_tables_are_said(tmp_path: Path, case: str) -> None:
    prepare, name, message = MISSING[case]
    prepare(tmp_path / "there")
    with pytest.raises(TablesMissing) as caught:
        sets_at(tmp_path / "there" / name)
    assert message in caught.value.message


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("queries", "outcomes"):
        (tmp_path / f"set.{part}.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ParquetUnreadable, match=r'pip install "freehold\[replay\]"'):
        read_tables(sets_at(tmp_path)[0])
    with pytest.raises(ParquetUnreadable):
        write(tiny(questions=3), tmp_path, suffix=".parquet")


def test_a_broken_parquet_file_is_said(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for part in ("queries", "outcomes"):
        (tmp_path / f"set.{part}.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TableUnreadable, match=r"set\.queries\.parquet"):
        read_tables(sets_at(tmp_path)[0])


def test_a_wrong_value_in_parquet_is_named(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    parquet.write_table(arrow.Table.from_pylist([QUERY]), tmp_path / "set.queries.parquet")
    parquet.write_table(arrow.Table.from_pylist([{**OUTCOME, "correct": "1"}]), tmp_path / "set.outcomes.parquet")
    with pytest.raises(ValueWrong, match=r"set\.outcomes\.parquet', row 1, column correct: '1' is not a number"):
        read_tables(sets_at(tmp_path)[0])


def test_the_page_of_the_error_names_every_column() -> None:
    told = page(ColumnWrong)
    assert all(f'"{column.name}"' in told for column in (*QUERY_COLUMNS, *OUTCOME_COLUMNS))
