"""Outcomes: answers that were judged, and whether they turned out right. All that routing ever learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from freehold.domain.certificates import LabelKind, ScoredOn
from freehold.domain.identity import Principal
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.values import value


@value
class AnswerOutcome:
    """One deployment's answer to one request, judged and perhaps labelled.

    Texts are not kept: signals, and where the tenant's router learns from questions, the question's vector.

    Attributes:
        request_id: Of the request, which is its receipt's too.
        tenant: Whose.
        label: Label of the text as one line, for who may read or export it.
        unix_ms: When it was answered.
        route: The route taken.
        deployment: Who answered.
        scored_on: What its score means.
        signals: What was measured of the answer.
        probability: Calibrated P(acceptable); ``None`` where there was none.
        threshold: What it was held against; ``None`` where it was against nothing.
        accepted: Whether its answer was accepted.
        answered: Whether it is the answer that the client got, accepted or for want of a better one.
        response_id: What the client knows that answer by, besides the request's id; empty for nothing.
        right: Whether it was acceptable; ``None`` while that is not known.
        label_kind: How that is known; ``None`` while it is not.
        judged_by: The deployment whose answer it was held against, for agreement; for a known answer what tells its
            question from others, where that is known. Empty for neither.
        sought: Chance with which its label was sought after the decision, whatever its content: 1 where it came for free,
            0 where it never would be.
        question: The question's vector, of length 1; empty where none was made.
        question_model: Digest of what made it.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        cost_micros: What the answer cost; ``None`` where unpriced.
        latency_ms: From the attempt's start to its end.
    """

    request_id: str
    tenant: str
    label: str
    unix_ms: int
    route: str
    deployment: str
    scored_on: ScoredOn
    signals: Mapping[str, float] = field(default_factory=dict[str, float])
    probability: float | None = None
    threshold: float | None = None
    accepted: bool = False
    answered: bool = False
    response_id: str = ""
    right: bool | None = None
    label_kind: LabelKind | None = None
    judged_by: str = ""
    sought: float = 1.0
    question: tuple[float, ...] = ()
    question_model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int | None = None
    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody said of an answer.

    Attributes:
        request_id: Of the answer.
        tenant: Whose.
        right: Whether it was acceptable.
        label_kind: ``FEEDBACK``, or ``GOLD`` where it was held against a known answer.
        unix_ms: When it was said.
    """

    request_id: str
    tenant: str
    right: bool
    label_kind: LabelKind
    unix_ms: int


class LookedInto(Protocol):
    """The text of an answer that was looked into."""

    @property
    def answer_id(self) -> str:
        """What its upstream calls it, and so its client; empty where that is the id of the request."""
        ...

    @property
    def text(self) -> str:
        """What it says."""
        ...

    @property
    def tool_calls(self) -> Sequence[Mapping[str, object]]:
        """The tools that it calls, in OpenAI's shape."""
        ...


@value
class Judged:
    """A request whose answers were judged, once its receipt is kept: all that learning is told of it.

    Attributes:
        request: What was asked.
        principal: By whom.
        receipt: What became of it.
        answers: Texts of the answers that were looked into, by the place of their attempt in the receipt.
        workload: Kind of task that it was taken for.
        question: The question's vector, of length 1; empty where none was made.
        question_model: Digest of what made it.
    """

    request: InferenceRequest
    principal: Principal
    receipt: Receipt
    answers: Mapping[int, LookedInto]
    workload: str
    question: tuple[float, ...] = ()
    question_model: str = ""
