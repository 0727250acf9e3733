"""What a replay found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.evals.replay.options import Options, Score
from freehold.evals.replay.select import Model

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with where 95 % of resamples put it, or why there is none.

    Attributes:
        value: The number; ``None`` where there is none.
        low: Lower end; ``None`` where there is none.
        high: Upper end; ``None`` where there is none, or where it is ``never``.
        said: Why there is no number, for example ``no gap``; empty where there is one.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Of answers with about this probability, how many were right, with Wilson's interval."""

    probability: float
    right: float
    low: float
    high: float
    answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A curve with where 95 % of resamples put it: x, value, low, high."""

    points: Sequence[tuple[float, float, float, float]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReport:
    """What one pair of models comes to.

    Attributes:
        weak: The model that is asked first.
        strong: The model that is asked where the score says so.
        questions: To which both are known to be right or wrong.
        missing: Questions that were left out, since one of both is not.
        unscored: Questions without a score; they go to the strong model first.
        score: What decides.
        scored_by: The same in words.
        numbers: The measures by name; see ``freehold.evals.replay.measure.NAMES``.
        quality: Quality by the share of questions that go to the strong model.
        oracle: The same of a router that knows what either would say.
        reliability: Bins of equal mass.
        risk: Share of wrong ones among accepted answers, by the share that is accepted.
        costs: Mean cost in dollars a question, and mean error; empty where costs are not recorded.
        singles: The same of both models alone.
    """

    weak: str
    strong: str
    questions: int
    missing: int
    unscored: int
    score: Score
    scored_by: str
    numbers: dict[str, Estimate]
    quality: Band
    oracle: Points
    reliability: Sequence[Bin]
    risk: Band
    costs: Points
    singles: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReport:
    """What certificates of one model would have been worth, over draws of labelled answers from the recorded ones.

    Attributes:
        model: Whose answers.
        scored_by: What is held against the threshold.
        risk: ε.
        delta: δ.
        labels: Labelled answers in a draw.
        draws: How many draws.
        certified: Share of draws that gave a certificate.
        violated: Share of draws whose certificate accepts more than ε wrong ones among all recorded answers.
        accepted: Mean share of answers accepted, none where there is no certificate.
        ideal: The largest share that could be accepted by a threshold that is among those tested.
        least_escalated: The share that any rule must escalate.
        alarm_after: Questions until an alarm, in the mean, once twice as many of the accepted answers are wrong as were
            certified and a fifth of them is shadowed; ``None`` where no draw was certified.
    """

    model: str
    scored_by: str
    risk: float
    delta: float
    labels: int
    draws: int
    certified: float
    violated: float
    accepted: float
    ideal: float
    least_escalated: float
    alarm_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadReport:
    """What one workload of a set comes to.

    Attributes:
        set: Name of the set.
        workload: Its name.
        split: Which questions.
        questions: How many.
        left_out: How many were left out as contaminated.
        chosen: How the pairs were chosen, in words; empty where they were named.
        models: The models, best first.
        pairs: The pairs.
        certificates: Of the weak models.
        notes: What else has to be known to read the numbers.
    """

    set: str
    workload: str
    split: str
    questions: int
    left_out: int
    chosen: str
    models: Sequence[Model]
    pairs: Sequence[PairReport]
    certificates: Sequence[CertificateReport]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A whole replay: what was asked, and what each workload comes to."""

    options: Options
    workloads: Sequence[WorkloadReport]
