"""Which of the models that answered the same questions are as good as one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from freehold.routing.canary import DELTA, Pair, compare
from freehold.routing.paired import PairedOutcomes, RecordedModel

_RIGHT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A model beside the one that is used now.

    Attributes:
        model: Its name at its engine.
        passes: Whether it is not worse, on the questions of every workload that both answered.
        questions: Of all of them together.
        workloads: Which.
    """

    model: str
    passes: bool
    questions: int
    workloads: tuple[str, ...]


def beside(tables: Iterable[PairedOutcomes], used: str, *, delta: float = DELTA) -> tuple[Beside, ...]:
    """The other models that are not ours to run, each with what its answers say; none where ``used`` was never asked.

    Args:
        tables: Of any workloads.
        used: Name of the model that is used now.
        delta: The loss of right answers that is borne, as a share; Tango's one-sided 95 % bound must be within it.
    """
    found: dict[str, Beside] = {}
    for table in tables:
        now = next((each for each in table.models if each.model == used and not each.model_digest), None)
        if now is None:
            continue
        for other in table.models:
            if other.model == used or other.model_digest:
                continue
            before = found.get(other.model, Beside(model=other.model, passes=True, questions=0, workloads=()))
            found[other.model] = Beside(
                model=other.model,
                passes=before.passes and _passes(now, other, delta),
                questions=before.questions + len(now.right),
                workloads=(*before.workloads, table.workload),
            )
    return tuple(found.values())


def _passes(now: RecordedModel, other: RecordedModel, delta: float) -> bool:
    pairs = (Pair(old=old >= _RIGHT, new=new >= _RIGHT) for old, new in zip(now.right, other.right, strict=True))
    return compare(pairs, delta=delta).verdict.passes
