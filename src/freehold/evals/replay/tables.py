"""Reading and writing tables of recorded outcomes: Parquet with the extra ``replay``, JSON lines with nothing.

What is read is checked whole: columns, kinds and ranges of values, each question and model once, and no outcome of a
question that is not there. What is wrong is named by file, row, column and value.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from freehold.domain.errors.replay import ColumnWrong, ParquetUnreadable, TablesMissing, TableUnreadable, ValueWrong
from freehold.domain.outcomes import AnswerOutcome
from freehold.evals.replay.cells import CellError, checked
from freehold.evals.replay.own import tables_of
from freehold.evals.replay.schema import (
    COLUMNS_THERE,
    OUTCOME_COLUMNS,
    QUERY_COLUMNS,
    Column,
    Kind,
    Query,
    Recorded,
    Tables,
)

INSTALL = 'pip install "freehold[replay]"'
FORMATS = (".parquet", ".jsonl")
_SHOWN_MAX = 120
QUERIES, OUTCOMES = "queries", "outcomes"

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFiles:
    """The two files of one set."""

    name: str
    queries: Path
    outcomes: Path


def sets_at(path: Path) -> tuple[SetFiles, ...]:
    """The sets that ``path`` stands for: a folder's, that of one file, or the one whose files begin with it.

    Raises:
        TablesMissing: There are none, or one of two files is missing.
    """
    if path.is_dir():
        names = sorted({each.name.split(".")[0] for each in path.iterdir() if _part(each) == QUERIES})
        if not names:
            raise TablesMissing(
                path=str(path), reason="no file of this folder is called NAME.queries.parquet or .jsonl"
            )
        return tuple(_set(path, name) for name in names)
    if path.is_file() and not _part(path):
        raise TablesMissing(
            path=str(path), reason="the file is not called NAME.queries or NAME.outcomes, .parquet or .jsonl"
        )
    name = path.name.split(".")[0] if _part(path) else path.name
    return (_set(path.parent, name),)


def _part(path: Path) -> str:
    """``queries`` or ``outcomes``; empty where the name says neither."""
    words = path.name.split(".")
    known = len(words) == 3 and f".{words[2]}" in FORMATS and words[1] in {QUERIES, OUTCOMES}
    return words[1] if known else ""


def _set(folder: Path, name: str) -> SetFiles:
    files: list[Path] = []
    for part in (QUERIES, OUTCOMES):
        found = [each for suffix in FORMATS if (each := folder / f"{name}.{part}{suffix}").is_file()]
        if not found:
            raise TablesMissing(
                path=str(folder / name),
                reason=f"{name}.{part}.parquet is not there, and neither is {name}.{part}.jsonl",
            )
        files.append(found[0])
    return SetFiles(name=name, queries=files[0], outcomes=files[1])


def read_tables(files: SetFiles) -> Tables:
    """Both tables, checked.

    Raises:
        ParquetUnreadable: It is Parquet, and nothing is there to read it.
        TableUnreadable: A file is not what its name says.
        ColumnWrong: Of columns one is missing, or misspelt.
        ValueWrong: A value is not one of its column, stands twice, or belongs to no question.
    """
    queries = [
        Query(**cast("Any", values), extra=extra) for _, values, extra in _checked_rows(files.queries, QUERY_COLUMNS)
    ]
    place: dict[str, int] = {}
    for row, query in enumerate(queries, start=1):
        if place.setdefault(query.qid, row) != row:
            raise _wrong(files.queries, row, "qid", query.qid, f"is in row {place[query.qid]} already")
    seen: dict[tuple[str, str], int] = {}
    outcomes: list[Recorded] = []
    for row, values, extra in _checked_rows(files.outcomes, OUTCOME_COLUMNS):
        outcome = Recorded(**cast("Any", values), extra=extra)
        if outcome.qid not in place:
            raise _wrong(files.outcomes, row, "qid", outcome.qid, f"is no question of {files.queries.name}")
        if (first := seen.setdefault((outcome.qid, outcome.model), row)) != row:
            reason = f"has an outcome for the question {outcome.qid} in row {first} already"
            raise _wrong(files.outcomes, row, "model", outcome.model, reason)
        outcomes.append(outcome)
    return Tables(name=files.name, queries=queries, outcomes=outcomes)


def write_tables(outcomes: Iterable[AnswerOutcome], folder: Path, name: str, *, suffix: str = ".jsonl") -> SetFiles:
    """Write a user's own outcomes as ``NAME.queries`` and ``NAME.outcomes``, which ``read_tables`` reads.

    Args:
        outcomes: Labelled or not; of one request and deployment at most one.
        folder: Where to; it has to be there.
        name: Of the set, without a point.
        suffix: ``.jsonl`` or ``.parquet``.

    Raises:
        ParquetUnreadable: Parquet is wanted, and nothing is there to write it.
    """
    return write(tables_of(outcomes, name=name), folder, suffix=suffix)


def write(tables: Tables, folder: Path, *, suffix: str = ".jsonl") -> SetFiles:
    """Write both tables; a column without any value is left out, except those that have to be there.

    Raises:
        ParquetUnreadable: Parquet is wanted, and nothing is there to write it.
    """
    files = SetFiles(
        name=tables.name,
        queries=folder / f"{tables.name}.{QUERIES}{suffix}",
        outcomes=folder / f"{tables.name}.{OUTCOMES}{suffix}",
    )
    _write_rows(files.queries, QUERY_COLUMNS, tables.queries)
    _write_rows(files.outcomes, OUTCOME_COLUMNS, tables.outcomes)
    return files


def _checked_rows(path: Path, columns: Sequence[Column]) -> Iterable[tuple[int, dict[str, object], dict[str, object]]]:
    """Number, known values and other values of each row."""
    known = {column.name: column for column in columns}
    rows, names = _read_parquet(path) if path.suffix == ".parquet" else _read_lines(path)
    _check_names(path, names, known)
    for number, row in rows:
        values: dict[str, object] = {}
        extra: dict[str, object] = {}
        for name, value in row.items():
            if (column := known.get(name)) is None:
                if value is not None:
                    extra[name] = value
                continue
            try:
                kept = checked(column, value)
            except CellError as error:
                raise _wrong(path, number, name, value, str(error)) from error
            if kept is not None or name in COLUMNS_THERE:
                values[name] = kept
        for column in columns:
            if column.name not in values and (column.needed or column.name in COLUMNS_THERE):
                raise _wrong(path, number, column.name, None, "stands where one is needed")
        yield number, values, extra


def _wrong(path: Path, row: int, column: str, value: object, reason: str) -> ValueWrong:
    shown = "no value" if value is None else repr(value)[:_SHOWN_MAX]
    return ValueWrong(path=str(path), row=row, field=column, value=shown, reason=reason)


def _check_names(path: Path, names: Sequence[str], known: Mapping[str, Column]) -> None:
    for column in known.values():
        if (column.needed or column.name in COLUMNS_THERE) and column.name not in names:
            raise ColumnWrong(
                path=str(path), reason=f"it has no column {column.name}, but {', '.join(names) or 'none'}"
            )
    for name in names:
        if name not in known and (near := get_close_matches(name.lower(), known, n=1, cutoff=0.85)):
            raise ColumnWrong(path=str(path), reason=f"its column {name!r} is not known; did you mean {near[0]!r}?")


def _read_lines(path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    rows: list[tuple[int, Row]] = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableUnreadable(path=str(path), reason=str(error)) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TableUnreadable(path=str(path), reason=f"line {number} is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise TableUnreadable(path=str(path), reason=f"line {number} is not a JSON object")
        rows.append((number, cast("Row", row)))
    if not rows:
        raise TableUnreadable(path=str(path), reason="it has no rows")
    return rows, list({name: None for _, row in rows for name in row})


def _read_parquet(path: Path) -> tuple[list[tuple[int, Row]], list[str]]:
    arrow, parquet = _pyarrow(path)
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        raise TableUnreadable(path=str(path), reason=str(error)) from error
    if not table.num_rows:
        raise TableUnreadable(path=str(path), reason="it has no rows")
    rows: list[Row] = table.to_pylist()
    return list(enumerate(rows, start=1)), list(table.column_names)


def _write_rows(path: Path, columns: Sequence[Column], rows: Sequence[Query] | Sequence[Recorded]) -> None:
    written = [_row(row, columns) for row in rows]
    used = {name for row in written for name, value in row.items() if value not in (None, "")}
    used |= {column.name for column in columns if column.needed or column.name in COLUMNS_THERE}
    # A column of ids that says nothing anywhere is one that the set lacks.
    if all(row.get("answer_id", -1) == -1 for row in written):
        used.discard("answer_id")
    order = [column.name for column in columns if column.name in used]
    order += sorted(used - set(order))
    table = [{name: row.get(name) for name in order} for row in written]
    if path.suffix == ".jsonl":
        lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in table]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return
    arrow, parquet = _pyarrow(path)
    texts = {column.name for column in columns if column.kind is Kind.NUMBERS}
    for row in table:
        for name in texts & {name for name, value in row.items() if value is not None}:
            row[name] = json.dumps(row[name], separators=(",", ":"))
    parquet.write_table(arrow.Table.from_pylist(table), path, compression="zstd")


def _row(row: Query | Recorded, columns: Sequence[Column]) -> dict[str, object]:
    values: dict[str, object] = {}
    for column in columns:
        value: object = getattr(row, column.name)
        values[column.name] = dict(cast("Mapping[str, object]", value)) or None if isinstance(value, Mapping) else value
    return {**values, **row.extra}


def _pyarrow(path: Path) -> tuple[Any, Any]:
    """The package and its reader of Parquet.

    Raises:
        ParquetUnreadable: It is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ParquetUnreadable(path=str(path), command=INSTALL)
    # Lazy: half a second, and only for Parquet.
    import pyarrow  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports, reportMissingTypeStubs, reportUnknownVariableType]

    return pyarrow, parquet
