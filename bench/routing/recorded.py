"""The recorded outcomes in FREEHOLD_TEST_DATA/routing, as arrays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(os.environ.get("FREEHOLD_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One benchmark's questions, in the order of the file, and what each model answered to them.

    ``outcomes`` is by model, by column (``correct``, ``conf``, ``in_tok``, ``out_tok``, ``answer_id``, ``cost_usd``…);
    a model's missing row is NaN, of ``answer_id`` -1.
    """

    qid: list[str]
    prompt: list[str]
    subject: list[str]
    split: np.ndarray
    outcomes: dict[str, dict[str, np.ndarray]]

    def __len__(self) -> int:
        return len(self.qid)

    def of(self, model: str, column: str) -> np.ndarray:
        return self.outcomes[model][column]

    def where(self, keep: np.ndarray) -> Recorded:
        """Only the questions at which ``keep`` is true."""
        places = np.flatnonzero(keep)
        return Recorded(
            qid=[self.qid[i] for i in places],
            prompt=[self.prompt[i] for i in places],
            subject=[self.subject[i] for i in places],
            split=self.split[places],
            outcomes={m: {c: v[places] for c, v in columns.items()} for m, columns in self.outcomes.items()},
        )


def recorded(name: str, benchmark: str) -> Recorded:
    """One benchmark (``mmlu``, ``gsm8k``, ``triviaqa``, ``mmlu_pro``) of a set, without contaminated prompts."""
    questions = [
        row for row in _rows(name, "queries") if row["benchmark"] == benchmark and row["flag"] != "contaminated"
    ]
    place = {row["qid"]: i for i, row in enumerate(questions)}
    outcomes: dict[str, dict[str, np.ndarray]] = {}
    for row in _rows(name, "outcomes"):
        if (at := place.get(row["qid"])) is None:
            continue
        columns = outcomes.setdefault(row["model"], {})
        for column, value in row.items():
            if column in {"qid", "model", "conf_kind"} or isinstance(value, str):
                continue
            if column not in columns:
                columns[column] = np.full(len(questions), -1.0 if column == "answer_id" else np.nan)
            if value is not None:
                columns[column][at] = value
    return Recorded(
        qid=[row["qid"] for row in questions],
        prompt=[row["prompt"] for row in questions],
        subject=[row["subject"] or "" for row in questions],
        split=np.array([row["split"] for row in questions]),
        outcomes=outcomes,
    )


def _rows(name: str, part: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as parquet

    path = DATA / f"{name}.{part}.parquet"
    if not path.is_file():
        raise SystemExit(f"{path} is missing: set FREEHOLD_TEST_DATA to the folder of shared test data")
    return parquet.read_table(path).to_pylist()
