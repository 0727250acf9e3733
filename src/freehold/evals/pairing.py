"""What several models answered to the same questions, for routes that say what a right answer is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import ModelCard
from freehold.evals.calibrate import Graded
from freehold.evals.proof import acceptance_score
from freehold.evals.question import Part, digest
from freehold.routing.calibration import Calibration
from freehold.routing.fit import Origin, Sample, fit
from freehold.routing.forecast import scope_of_next
from freehold.routing.paired import PairedOutcomes, RecordedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One deployment's answers and the calibration that was fitted on a part of them."""

    model: ModelCard
    calibration: Calibration
    graded: Sequence[Graded]


def pair(answered: Sequence[Answered]) -> PairedOutcomes:
    """The table of some deployments that were asked the same questions.

    Only questions that no calibration was fitted on are in it: on the others a model seems surer than it is.

    Args:
        answered: At least one, of one workload.
    """
    rows = [{each.question.id: each for each in one.graded if each.question.part is not Part.FIT} for one in answered]
    places = [place for place in rows[0] if all(place in row for row in rows)]
    calibration = answered[0].calibration
    return PairedOutcomes(
        workload=calibration.workload,
        label_kind=LabelKind.GOLD,
        question_digest=digest(rows[0][place].question for place in places),
        created=max(one.calibration.created for one in answered),
        models=tuple(_recorded(one, row, places) for one, row in zip(answered, rows, strict=True)),
    )


def forecast(lower: Answered, upper: Answered, *, numpy: Any = None) -> Calibration:
    """How likely ``upper`` is to be right, from the signals of ``lower``'s answers to the same questions.

    Raises:
        CalibrationImpossible: Too few answers, or too few that ``upper`` had right or wrong.
    """
    right = {each.question.id: each.right for each in upper.graded}
    parts = {part: list[Sample]() for part in Part}
    for each in lower.graded:
        if each.question.id in right:
            sample = Sample(id=each.question.id, signals=each.signals, right=right[each.question.id])
            parts[each.question.part].append(sample)
    members = {name: getattr(lower.calibration, name) for name in Origin.__slots__}
    origin = Origin(**members | {"scope": scope_of_next(upper.model)})
    return fit(parts[Part.FIT], seed=1, origin=origin, held_out=parts[Part.CERTIFY] + parts[Part.CHECK], numpy=numpy)


def _recorded(one: Answered, row: Mapping[str, Graded], places: Sequence[str]) -> RecordedModel:
    graded = [row[place] for place in places]
    return RecordedModel(
        model=one.model.name,
        model_digest=one.model.digest,
        calibration=one.calibration.id,
        input_tokens=_mean([each.answer.input_tokens for each in graded]),
        output_tokens=_mean([len(each.answer.logprobs) for each in graded]),
        latency_ms=_mean([each.answer.busy_ms for each in graded]),
        right=tuple(float(each.right) for each in graded),
        probability=tuple(max(0.0, acceptance_score(one.calibration, each.signals)) for each in graded),
    )


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), 1) if values else 0.0
