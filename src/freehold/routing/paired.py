"""What several models answered to the same questions, and the route that follows from it for what an answer is worth.

A table is made once, from questions with known answers (``evals``), and holds for the models and calibrations named in
it. Costs are not in it: they are those of the day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Deployment, Route
from freehold.routing.envelope import OUTCOMES_MIN, Choice, Rung, choose

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedModel:
    """One model's answers.

    Attributes:
        model: Its name at its engine.
        model_digest: ``sha256:…`` of its weights; empty for one that is not ours to hash, which goes by its name.
        calibration: Id of the map that ``probability`` is from; empty where there is none.
        input_tokens: Mean of a prompt.
        output_tokens: Mean of an answer.
        latency_ms: Mean time that an answer took.
        right: 1 where the answer was right, else 0.
        probability: Calibrated, on questions that the map was not fitted on; empty where there is none.
    """

    model: str
    model_digest: str = ""
    calibration: str = ""
    input_tokens: float
    output_tokens: float
    latency_ms: float
    right: tuple[float, ...]
    probability: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedOutcomes:
    """Models' answers to the same questions in the same order.

    Attributes:
        workload: Kind of task of the questions.
        label_kind: How right and wrong were told apart.
        question_digest: ``sha256:…`` of the questions.
        created: Date, ISO 8601.
        models: In any order.
    """

    workload: str
    label_kind: LabelKind
    question_digest: str
    created: str
    models: tuple[RecordedModel, ...]

    def of(self, deployment: Deployment) -> RecordedModel | None:
        """The recorded answers of what runs at ``deployment``."""
        card = deployment.model
        for each in self.models:
            if each.model_digest == card.digest and (card.digest or each.model == card.name):
                return each
        return None


def best_choice(
    deployments: Sequence[Deployment],
    table: PairedOutcomes,
    *,
    worth: float,
    costs: Mapping[str, float],
    calibrations: frozenset[str],
) -> Choice | None:
    """The deployment, or the pair, that a right answer of this worth asks for.

    The first one is always in the zone of the route's first: what is at home is asked first, and whether something
    farther is asked at all is decided by its answer.

    Args:
        deployments: The route's, in its order.
        table: Recorded outcomes of its workload.
        worth: What a right answer is worth, in the unit of ``costs``.
        costs: Mean cost of an answer, by deployment.
        calibrations: Ids of those in force; one that is not decides nothing.

    Returns:
        ``None`` where a deployment has no recorded outcomes, no cost, or no calibration in force though another one
        could follow it: then nothing is known to choose from.
    """
    rungs: list[Rung] = []
    for place, deployment in enumerate(deployments):
        found, cost = table.of(deployment), costs.get(deployment.name)
        if found is None or cost is None:
            return None
        decides = place + 1 < len(deployments)
        if decides and found.calibration not in calibrations:
            return None
        probability = found.probability if decides else ()
        rungs.append(Rung(name=deployment.name, cost=cost, right=found.right, probability=probability))
    home = {each.name for each in deployments if each.zone == deployments[0].zone}
    return choose(rungs, worth=worth, first=home) if len(rungs[0].right) >= OUTCOMES_MIN else None


def with_choice(route: Route, choice: Choice) -> Route:
    """The route with the chosen first; the others stay behind them, for when these fail."""
    chosen = (choice.first, choice.second) if choice.second else (choice.first,)
    others = tuple(name for name in route.deployments if name not in chosen)
    written = route.as_written or route.deployments
    return replace(route, deployments=chosen + others, as_written=written, accept_at=min(1.0, choice.accept_at))


def cost_optimal(next_cost: float, *, worth: float) -> float:
    """The threshold where nothing is known of the next deployment but its cost: it is taken to be right.

    Stopping at p is worth ``p · worth``, going on ``worth - next_cost``.
    """
    return min(1.0, max(0.0, 1.0 - next_cost / worth))


def to_json(table: PairedOutcomes) -> str:
    """The table as a JSON text, one model a line, probabilities to three digits."""
    fields = asdict(table)
    models = cast("list[dict[str, object]]", fields.pop("models"))
    for each in models:
        each["right"] = [
            int(value) if value in {0.0, 1.0} else value for value in cast("tuple[float, ...]", each["right"])
        ]
        each["probability"] = [round(value, 3) for value in cast("tuple[float, ...]", each["probability"])]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in models)
    head = json.dumps({"format": FORMAT} | fields)[:-1]
    return f'{head}, "models": [\n{lines}\n]}}\n'


def from_json(text: str) -> PairedOutcomes:
    """A table that ``to_json`` wrote.

    Raises:
        ValueError: It is none, of another format, or its models answered different questions. The message says what.
    """
    try:
        fields = cast("dict[str, object]", json.loads(text))
        if fields.pop("format", None) != FORMAT:
            raise ValueError(f"not recorded outcomes of format {FORMAT}")
        models = tuple(map(_model, cast("list[dict[str, object]]", fields.pop("models"))))
        kind = LabelKind(str(fields.pop("label_kind")))
        table = PairedOutcomes(models=models, label_kind=kind, **cast("dict[str, str]", fields))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not recorded outcomes: {error}") from error
    counts = {len(each.right) for each in models} | {len(each.probability) for each in models if each.probability}
    if len(counts) != 1:
        raise ValueError("not recorded outcomes: the models answered different numbers of questions")
    if any(not 0.0 <= value <= 1.0 for each in models for value in (*each.right, *each.probability)):
        raise ValueError("not recorded outcomes: an outcome or a probability is not between 0 and 1")
    return table


def _model(fields: dict[str, object]) -> RecordedModel:
    numbers = {name: float(cast("float", fields.pop(name))) for name in ("input_tokens", "output_tokens", "latency_ms")}
    right = tuple(map(float, cast("list[float]", fields.pop("right"))))
    probability = tuple(map(float, cast("list[float]", fields.pop("probability"))))
    return RecordedModel(right=right, probability=probability, **numbers, **cast("dict[str, str]", fields))  # pyright: ignore[reportArgumentType]  # what is left is text
