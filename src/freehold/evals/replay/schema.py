"""Tables of recorded outcomes: what a question is, what a model's answer to it was worth, and the columns of both.

No texts are needed: ``prompt`` may be empty. A column that a set lacks is absent; a value that is not known is empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from freehold.domain.values import value

LOG_FLOOR = -50.0
"""Where log-probabilities are clipped: minus infinity is recorded for what is all but impossible."""

CONTAMINATED = "contaminated"
"""The ``flag`` of questions that are known to be in training data; they are left out."""


@value
class Query:
    """One question.

    Attributes:
        qid: Its id, unique in the set.
        benchmark: The workload: tables are by it.
        source: Where it is from.
        subject: A finer kind, for the reader.
        split: ``train``, ``test``, or the user's own word.
        prompt: Its text; empty where texts are not kept.
        flag: ``contaminated`` leaves it out.
        phash: 16 hexadecimal digits; equal for equal questions.
        extra: Other columns, as they were.
    """

    qid: str
    benchmark: str
    source: str = ""
    subject: str = ""
    split: str = ""
    prompt: str = ""
    flag: str = ""
    phash: str = ""
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@value
class Recorded:
    """One model's answer to one question.

    Attributes:
        qid: Of the question.
        model: Who answered.
        correct: 0 wrong to 1 right; ``None`` where that is not known.
        cost_usd: Dollars.
        in_tok: Tokens of the prompt.
        out_tok: Tokens of the answer.
        latency_ms: How long it took.
        conf_kind: What ``conf`` is of.
        conf: Natural logarithm of a probability, at most 0, at least ``LOG_FLOOR``.
        answer_id: Equal for equal answers to a question; -1 where none was recorded.
        probability: Calibrated probability of being acceptable.
        threshold: What that was held against.
        accepted: Whether the answer was accepted.
        label_kind: How right and wrong were told apart.
        judged_by: Which model it was held against.
        sought: Chance with which its label was sought: one of a tenth stands for ten. 0 where it came by no chance that is
            known, for example from a user who said so.
        signals: What was measured of the answer.
        extra: Other columns, as they were.
    """

    qid: str
    model: str
    correct: float | None
    cost_usd: float | None = None
    in_tok: float | None = None
    out_tok: float | None = None
    latency_ms: float | None = None
    conf_kind: str = ""
    conf: float | None = None
    answer_id: int = -1
    probability: float | None = None
    threshold: float | None = None
    accepted: bool | None = None
    label_kind: str = ""
    judged_by: str = ""
    sought: float = 1.0
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """A set of recorded outcomes.

    Attributes:
        name: Of the set.
        queries: The questions, in the order of the file.
        outcomes: What models answered, in the order of the file; each question and model once.
    """

    name: str
    queries: Sequence[Query]
    outcomes: Sequence[Recorded]


class Kind(Enum):
    """What values a column holds. JSON objects stand in Parquet as their text."""

    TEXT = "a text"
    NUMBER = "a number"
    WHOLE = "a whole number"
    FLAG = "true or false"
    NUMBERS = "an object of numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: As in the file, and as the attribute.
        kind: Of its values.
        needed: Whether it has to be there, with a value in every row.
        low: The least number.
        high: The greatest number.
        clipped: Whether minus infinity stands for ``LOG_FLOOR``, as all below it.
    """

    name: str
    kind: Kind = Kind.TEXT
    needed: bool = False
    low: float = -math.inf
    high: float = math.inf
    clipped: bool = False

    @property
    def range(self) -> str:
        """Its numbers, in words."""
        if self.high < math.inf:
            least = "at most" if self.low == -math.inf else f"from {self.low:g} to"
            return f"{least} {self.high:g}"
        return f"at least {self.low:g}"


QUERY_COLUMNS = (
    Column(name="qid", needed=True),
    Column(name="source"),
    Column(name="benchmark", needed=True),
    Column(name="subject"),
    Column(name="split"),
    Column(name="prompt"),
    Column(name="flag"),
    Column(name="phash"),
)

OUTCOME_COLUMNS = (
    Column(name="qid", needed=True),
    Column(name="model", needed=True),
    Column(name="correct", kind=Kind.NUMBER, low=0.0, high=1.0),
    Column(name="cost_usd", kind=Kind.NUMBER, low=0.0),
    Column(name="in_tok", kind=Kind.NUMBER, low=0.0),
    Column(name="out_tok", kind=Kind.NUMBER, low=0.0),
    Column(name="latency_ms", kind=Kind.NUMBER, low=0.0),
    Column(name="conf_kind"),
    Column(name="conf", kind=Kind.NUMBER, high=0.0, clipped=True),
    Column(name="answer_id", kind=Kind.WHOLE, low=-1.0),
    Column(name="probability", kind=Kind.NUMBER, low=0.0, high=1.0),
    Column(name="threshold", kind=Kind.NUMBER, low=0.0),
    Column(name="accepted", kind=Kind.FLAG),
    Column(name="label_kind"),
    Column(name="judged_by"),
    Column(name="sought", kind=Kind.NUMBER, low=0.0, high=1.0),
    Column(name="signals", kind=Kind.NUMBERS),
)

COLUMNS_THERE = frozenset({"correct"})
"""Columns that have to be there, though a value may be empty."""
