"""Classifying on the wire: what clients send to ``/v1/classify`` and ``/v1/classifiers``, and what they get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from freehold.domain.response import Usage
from freehold.wire.body import decode_document
from freehold.wire.openai_invalid import field_invalid, invalid, show
from freehold.wire.openai_schema import Name, Share

JsonObject = dict[str, Any]

INPUTS_MAX = 256
EXAMPLES_MAX = 20_000
LABELS_MAX = 500
NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

Text = Annotated[str, Meta(min_length=1)]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Risk = Annotated[float, Meta(gt=0, lt=1)]


class Labelled(Struct, forbid_unknown_fields=True):
    """A label with what it means."""

    label: Word
    description: str = ""


class ClassifyBody(Struct, kw_only=True):
    """``POST /v1/classify``. Unknown members are left out: vLLM's clients send some."""

    model: Name
    input: Text | Annotated[list[Text], Meta(min_length=1, max_length=INPUTS_MAX)]
    labels: Annotated[list[Word | Labelled], Meta(min_length=2, max_length=LABELS_MAX)] | None = None
    instructions: str = ""
    rotations: Annotated[int, Meta(ge=1, le=20)] | None = None
    threshold: Share | None = None
    top_k: Annotated[int, Meta(ge=1, le=LABELS_MAX)] | None = None

    @property
    def texts(self) -> list[str]:
        """What is to be classified."""
        return [self.input] if isinstance(self.input, str) else self.input


class ExampleBody(Struct, forbid_unknown_fields=True):
    """One example."""

    text: Text
    label: Word


class TrainBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /v1/classifiers``."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    model: Name
    examples: Annotated[list[ExampleBody], Meta(min_length=1, max_length=EXAMPLES_MAX)]
    method: Literal["embedding", "logprobs"] = "embedding"
    labels: Annotated[list[Word | Labelled], Meta(max_length=LABELS_MAX)] = []
    instructions: str = ""
    threshold: Share | None = None
    risk: Risk | None = None
    keep_examples: bool = False
    replace: bool = False


_ALLOWED = {
    "method": '"embedding" and "logprobs"',
    "name": "1 to 64 letters, digits, full stops, hyphens and underscores, a letter or digit first",
}
Body = TypeVar("Body", ClassifyBody, TrainBody)


def decode_classify(raw: bytes) -> ClassifyBody:
    """Read the body of ``POST /v1/classify``.

    Raises:
        BodyNotJson: Not one unambiguous JSON object.
        FieldInvalid: A member has a wrong type or is out of range.
    """
    body = _decoded(raw, ClassifyBody)
    names_and_descriptions(body.labels or [])
    return body


def decode_train(raw: bytes) -> TrainBody:
    """Read the body of ``POST /v1/classifiers``; errors as ``decode_classify``."""
    body = _decoded(raw, TrainBody)
    names_and_descriptions(body.labels)
    if body.threshold is not None and body.risk is not None:
        raise invalid("risk", show(body.risk), 'give "threshold" or "risk", not both: one says the other')
    return body


def names_and_descriptions(labels: list[str | Labelled]) -> tuple[list[str], dict[str, str]]:
    """The names in order, and what those mean that say it.

    Raises:
        FieldInvalid: A name is given twice.
    """
    names = [each if isinstance(each, str) else each.label for each in labels]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise invalid(f"labels[{place}]", show(name), "a label is given twice")
    described = {each.label: each.description for each in labels if isinstance(each, Labelled) and each.description}
    return names, described


def _decoded(raw: bytes, kind: type[Body]) -> Body:
    document = decode_document(raw)
    try:
        return msgspec.convert(document.values, kind)
    except msgspec.ValidationError as error:
        raise field_invalid(error, document.values, allowed=_ALLOWED) from None


def render_row(
    index: int,
    numbers: Mapping[str, float],
    *,
    calibrated: bool,
    threshold: float,
    familiarity: tuple[float, bool] | None,
    top_k: int | None,
) -> JsonObject:
    """What is said of one text.

    Args:
        index: Its place.
        numbers: Of each label, in their order.
        calibrated: Whether they are probabilities; else they are called scores, and nothing is made of them.
        threshold: Below this probability it abstains; 0 for never.
        familiarity: How like the examples it is, and whether that is enough; ``None`` where nobody knows.
        top_k: How many labels are told of; ``None`` for all.
    """
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    label, best = ranked[0]
    told = {name: round(number, 6) for name, number in ranked[:top_k]}
    row: JsonObject = {"index": index, "label": label, "num_classes": len(numbers), "calibrated": calibrated}
    if calibrated:
        unlike = familiarity is not None and not familiarity[1]
        row |= {"probability": round(best, 6), "probabilities": told}
        row["abstain"] = threshold > 0 and (best < threshold or unlike)
        if familiarity is not None:
            row |= {"similarity": round(familiarity[0], 4), "unfamiliar": unlike}
        row["probs"] = [round(number, 6) for number in numbers.values()]
    else:
        row |= {"score": round(best, 6), "scores": told, "abstain": None}
    return row


def render_answer(
    rows: list[JsonObject], *, answer_id: str, model: str, created_unix_ms: int, usage: Usage, receipts: list[str]
) -> JsonObject:
    """The whole answer, in OpenAI's list shape; ``data`` holds vLLM's members too."""
    return {
        "id": answer_id,
        "object": "list",
        "created": created_unix_ms // 1000,
        "model": model,
        "data": rows,
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "calls": len(receipts),
        },
        "receipts": receipts,
    }
