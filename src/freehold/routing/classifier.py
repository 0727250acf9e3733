"""A classifier that was made from examples: what is kept of it, and how it turns a vector into probabilities.

Two kinds. One is a linear model on the vectors of an embedder; the other a temperature and an offset for each label on
the scores that a chat model gives the labels (``routing.letters``). Either is void once its model is another one.
"""

from __future__ import annotations

import array
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from operator import mul
from typing import Any, cast

from freehold.routing.softmax import softmax

FORMAT = 1
_WEIGHT_BYTES = 4


class Method(StrEnum):
    """What a classifier looks at."""

    EMBEDDING = "embedding"
    LOGPROBS = "logprobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with the bounds between which it lies with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """How good it is on examples that it was not fitted on: each was left out once, in one of five parts.

    Attributes:
        n: Examples.
        accuracy: Share whose likeliest label is the right one.
        ece: Expected calibration error of the likeliest label's probability, on ten bins of equal mass.
    """

    n: int
    accuracy: Interval
    ece: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """All of a classifier but its numbers.

    Attributes:
        id: UUIDv7; another one for each training.
        name: What its tenant calls it.
        tenant: Whose it is.
        method: What it looks at.
        model: The route, deployment or alias that its texts go to.
        model_name: The model that answered in training.
        model_digest: ``sha256:…`` of that model's weights; empty for one that is not ours to hash.
        labels: In the order of the numbers.
        descriptions: What a label means, for those that say more than their name; only a chat model reads them.
        instructions: What a chat model is told besides; empty for nothing.
        counts: Examples of each label.
        label: Of the texts it was trained on, as one line; it joins the label of what it classifies.
        threshold: Below this probability it abstains; 0 for never.
        risk: The share of wrong answers that the threshold was chosen for; ``None`` where it was given, or is none.
        crossed: How good it is.
        warnings: What its owner should know.
        created_unix_ms: When it was trained.
        created_by: Id of the key that asked for it.
    """

    id: str
    name: str
    tenant: str
    method: Method
    model: str
    model_name: str
    model_digest: str
    labels: tuple[str, ...]
    descriptions: Mapping[str, str]
    instructions: str
    counts: tuple[int, ...]
    label: str
    threshold: float
    risk: float | None
    crossed: Crossed
    warnings: tuple[str, ...]
    created_unix_ms: int
    created_by: str

    def fits(self, *, model_name: str, model_digest: str) -> bool:
        """Whether it was trained with this model; by digest, or by name where there is none."""
        if self.model_digest or model_digest:
            return self.model_digest == model_digest
        return self.model_name == model_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The numbers of a classifier.

    Attributes:
        rows: One a label. For vectors: a weight for each of their numbers, then the intercept; for a chat model's
            scores: the offset alone.
        temperature: What logits are divided by.
        n: Examples it was fitted on: no probability is more extreme than they can support.
        centres: Of each label the middle of its examples' vectors, with length 1; none for a chat model's scores.
        familiar_min: The cosine to the nearest centre below which a text is unlike all examples.
    """

    rows: tuple[tuple[float, ...], ...]
    temperature: float
    n: int
    centres: tuple[tuple[float, ...], ...] = ()
    familiar_min: float = -1.0

    @property
    def width(self) -> int:
        """Numbers that a vector must have."""
        return len(self.rows[0]) - 1

    def of_vector(self, vector: Sequence[float]) -> list[float]:
        """Probability of each label for an embedding of any length greater than 0."""
        return edged(softmax([value / self.temperature for value in logits(self.rows, unit(vector))]), self.n)

    def similarity(self, vector: Sequence[float]) -> float:
        """The cosine of an embedding to the nearest label's centre."""
        return nearest(self.centres, unit(vector))

    def of_scores(self, scores: Sequence[float]) -> list[float]:
        """Probability of each label for the logarithms of a chat model's scores."""
        scale = self.temperature
        tempered = [score / scale + row[0] for score, row in zip(scores, self.rows, strict=True)]
        return edged(softmax(tempered), self.n)


def edged(probabilities: Sequence[float], n: int) -> list[float]:
    """The same, but none nearer to 0 or 1 than ``n`` examples can tell."""
    share = 1.0 / (n + 2)
    even = share / len(probabilities)
    return [(1.0 - share) * each + even for each in probabilities]


def unit(vector: Sequence[float]) -> list[float]:
    """The vector with length 1; one of length 0 stays."""
    length = math.sqrt(sum(map(mul, vector, vector)))
    return [each / length for each in vector] if length else list(vector)


def logits(rows: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    """A linear model's value for each row; the intercept is the last number of a row."""
    # map ends with the shorter one, and the intercept is what is left over.
    return [sum(map(mul, row, vector), row[-1]) for row in rows]


def nearest(centres: Sequence[Sequence[float]], vector: Sequence[float]) -> float:
    """The greatest cosine of a vector of length 1 to one of the centres."""
    return max(sum(map(mul, centre, vector)) for centre in centres)


def pack(head: Head) -> bytes:
    """The numbers as bytes, weights with 32 bits each."""
    flat = array.array("f", [weight for row in (*head.rows, *head.centres) for weight in row])
    if sys.byteorder == "big":
        flat.byteswap()
    shape = {
        "format": FORMAT,
        "rows": len(head.rows),
        "width": len(head.rows[0]),
        "temperature": head.temperature,
        "n": head.n,
        "familiar_min": head.familiar_min,
    }
    return json.dumps(shape).encode() + b"\n" + flat.tobytes()


def unpack(data: bytes) -> Head:
    """What ``pack`` made.

    Raises:
        ValueError: It is not.
    """
    head, _, packed = data.partition(b"\n")
    shape = cast("dict[str, Any]", json.loads(head))
    if shape.get("format") != FORMAT or len(packed) % _WEIGHT_BYTES:
        raise ValueError("not a classifier of this format")
    flat = array.array("f")
    flat.frombytes(packed)
    if sys.byteorder == "big":
        flat.byteswap()
    width, values = int(shape["width"]), flat.tolist()
    split = int(shape["rows"]) * width
    rows, centres = _rows(values[:split], width), _rows(values[split:], width - 1)
    if not rows or len(rows) * width != split or not all(map(math.isfinite, values)):
        raise ValueError("its weights are not whole")
    return Head(
        rows=rows,
        temperature=float(shape["temperature"]),
        n=int(shape["n"]),
        centres=centres,
        familiar_min=float(shape["familiar_min"]),
    )


def _rows(values: Sequence[float], width: int) -> tuple[tuple[float, ...], ...]:
    if width < 1:
        return ()
    if len(values) % width:
        raise ValueError("its weights are not whole")
    return tuple(tuple(values[low : low + width]) for low in range(0, len(values), width))


def to_json(about: About) -> str:
    """All but the numbers, as a JSON text."""
    return json.dumps({"format": FORMAT} | asdict(about), ensure_ascii=False)


def from_json(text: str) -> About:
    """What ``to_json`` made.

    Raises:
        ValueError: It is not.
    """
    try:
        found = cast("dict[str, Any]", json.loads(text))
        if found.pop("format", None) != FORMAT:
            raise ValueError(f"not a classifier of format {FORMAT}")
        crossed = found.pop("crossed")
        for name in ("labels", "counts", "warnings"):
            found[name] = tuple(found[name])
        return About(
            method=Method(found.pop("method")),
            crossed=Crossed(n=crossed["n"], accuracy=Interval(**crossed["accuracy"]), ece=Interval(**crossed["ece"])),
            **{each.name: found[each.name] for each in fields(About) if each.name not in ("method", "crossed")},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a classifier: {error}") from error
