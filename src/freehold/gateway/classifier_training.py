"""Making a classifier: every example is measured by the model that will measure the texts, then numbers are fitted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from freehold.domain.classifier import KeptClassifier
from freehold.domain.errors.classify import ClassifierExists, ExamplesUnfit, NumbersTooMany, TrainingsTooMany
from freehold.domain.labels import Label
from freehold.domain.ports import ClassifierStore, Clock, IdSource
from freehold.domain.receipt import Receipt
from freehold.gateway.classify import Classification, Question, floor_of
from freehold.gateway.inner_calls import Caller
from freehold.hostinfo.arrays import find_numpy
from freehold.policy.lattice import join
from freehold.policy.text import format_label
from freehold.routing.classifier import About, Method, pack, to_json
from freehold.routing.classifier_fit import (
    EXAMPLES_GOOD,
    EXAMPLES_MIN,
    WITHOUT_NUMPY_MAX,
    Example,
    Fitted,
    fit_scores,
    fit_vectors,
    threshold_for,
)
from freehold.wire.classify import ExampleBody, TrainBody, names_and_descriptions

CLASSIFIERS_MAX = 200
"""Of one tenant."""
TRAININGS_MAX = 4
"""At once: each holds its examples and their vectors in memory."""
TRAININGS_OF_ONE_MAX = 2
"""Of them those of one tenant."""
_AGAIN_S = 30
_TEXTS_AT_ONCE = 64
_LABELS_MIN = 2
_ECE_GOOD = 0.1


class Training:
    """Makes classifiers, one after the other: fitting takes a processor.

    Args:
        classification: Measures the examples.
        store: Where a classifier is kept.
        clock: When it was made.
        ids: Ids of classifiers and of the calls for the examples.
    """

    def __init__(self, *, classification: Classification, store: ClassifierStore, clock: Clock, ids: IdSource) -> None:
        self._classification = classification
        self._store = store
        self._clock = clock
        self._ids = ids
        self._fitting = asyncio.Lock()
        self._running: Counter[str] = Counter()

    async def train(self, body: TrainBody, caller: Caller) -> tuple[About, list[Receipt]]:
        """Make one and keep it.

        Raises:
            TrainingsTooMany: Its tenant, or all of them together, train as many as may be at once.
            ExamplesUnfit: Too few labels, or too few examples of one.
            NumbersTooMany: It would take too long without numpy.
            ClassifierExists: The name is taken.
            FreeholdError: A call was refused or failed.
        """
        tenant = caller.principal.tenant.name
        self._refuse_too_many_at_once(tenant)
        self._running[tenant] += 1
        try:
            return await self._train(body, caller)
        finally:
            self._running -= Counter([tenant])

    def _refuse_too_many_at_once(self, tenant: str) -> None:
        own, running = self._running[tenant], self._running.total()
        if own >= TRAININGS_OF_ONE_MAX or running >= TRAININGS_MAX:
            whose, many = ("your tenant", own) if own >= TRAININGS_OF_ONE_MAX else ("this server", running)
            raise TrainingsTooMany(whose=whose, running=many, retry_s=_AGAIN_S, retry_after_s=_AGAIN_S)

    async def _train(self, body: TrainBody, caller: Caller) -> tuple[About, list[Receipt]]:
        labels, descriptions = _labels_of(body)
        if not body.replace and await self._store.id_of(body.name, tenant=caller.principal.tenant.name) is not None:
            # The store has the last word; but before anything is paid for.
            raise ClassifierExists(name=body.name, param="name")
        method = Method(body.method)
        if method is Method.EMBEDDING:
            values, receipts = await self._vectors(body, caller)
        else:
            asked = Question(model=body.model, labels=labels, descriptions=descriptions, instructions=body.instructions)
            texts = [each.text for each in body.examples]
            values, receipts = await self._classification.scores(asked, texts, caller)
        examples = [
            Example(text=each.text, values=row, place=labels.index(each.label))
            for each, row in zip(body.examples, values, strict=True)
        ]
        numpy = find_numpy()
        if method is Method.EMBEDDING and numpy is None:
            _refuse_too_many(examples, len(labels))
        async with self._fitting:
            fitted = await asyncio.to_thread(_fit, method, examples, len(labels), numpy)
        about = self._about(body, caller, labels=labels, descriptions=descriptions, fitted=fitted, receipts=receipts)
        kept = KeptClassifier(
            tenant=about.tenant,
            name=about.name,
            id=about.id,
            about=to_json(about),
            numbers=pack(fitted.head),
            examples=_as_json(body.examples) if body.keep_examples else "",
        )
        await self._store.put(kept, replace=body.replace, most=CLASSIFIERS_MAX)
        return about, receipts

    async def _vectors(self, body: TrainBody, caller: Caller) -> tuple[list[list[float]], list[Receipt]]:
        texts = [each.text for each in body.examples]
        vectors: list[list[float]] = []
        receipts: list[Receipt] = []
        for low in range(0, len(texts), _TEXTS_AT_ONCE):
            named = caller if not receipts else replace(caller, request_id=self._ids.new_id())
            found, receipt = await self._classification.vectors(body.model, texts[low : low + _TEXTS_AT_ONCE], named)
            vectors += found
            receipts.append(receipt)
        if len({len(vector) for vector in vectors}) > 1:
            raise ExamplesUnfit(reason=f"the model {body.model!r} gave vectors of different lengths")
        return vectors, receipts

    def _about(
        self,
        body: TrainBody,
        caller: Caller,
        *,
        labels: Sequence[str],
        descriptions: dict[str, str],
        fitted: Fitted,
        receipts: Sequence[Receipt],
    ) -> About:
        model_name, model_digest = _one_model(receipts)
        counts = Counter(each.label for each in body.examples)
        threshold, warnings = body.threshold or 0.0, _warnings(counts, fitted)
        if body.risk is not None:
            chosen = threshold_for(fitted.outcomes, body.risk)
            if chosen is None:
                warnings.append(
                    f"no threshold keeps the share of wrong answers below {body.risk:g} on these examples: it always abstains"
                )
            threshold = 1.0 if chosen is None else chosen
        return About(
            id=self._ids.new_id(),
            name=body.name,
            tenant=caller.principal.tenant.name,
            method=Method(body.method),
            model=body.model,
            model_name=model_name,
            model_digest=model_digest,
            labels=tuple(labels),
            descriptions=descriptions,
            instructions=body.instructions,
            counts=tuple(counts[label] for label in labels),
            label=format_label(_joined(receipts, floor_of(caller.principal))),
            threshold=threshold,
            risk=body.risk,
            crossed=fitted.crossed,
            warnings=tuple(warnings),
            created_unix_ms=self._clock.unix_ms(),
            created_by=caller.principal.key_id,
        )


def _fit(method: Method, examples: Sequence[Example], count: int, numpy: Any) -> Fitted:
    if method is Method.EMBEDDING:
        return fit_vectors(examples, count=count, numpy=numpy)
    return fit_scores(examples, count=count)


def _labels_of(body: TrainBody) -> tuple[list[str], dict[str, str]]:
    """The labels in the order given, else by name; every one has enough examples.

    Raises:
        ExamplesUnfit: They cannot train anything.
    """
    given, descriptions = names_and_descriptions(body.labels)
    unique = {(each.text, each.label) for each in body.examples}
    counts = Counter(label for _, label in unique)
    if unknown := sorted(counts.keys() - set(given)) if given else []:
        raise ExamplesUnfit(reason=f'the label {unknown[0]!r} of an example is not among "labels"', param="labels")
    labels = given or sorted(counts)
    if len(labels) < _LABELS_MIN:
        raise ExamplesUnfit(reason=f"they have {len(labels)} label, and two are the least", param="examples")
    fewest = min(labels, key=lambda label: counts[label])
    if counts[fewest] < EXAMPLES_MIN:
        reason = f"the label {fewest!r} has {counts[fewest]} different ones, and {EXAMPLES_MIN} are the least"
        raise ExamplesUnfit(reason=reason, param="examples")
    return labels, descriptions


def _refuse_too_many(examples: Sequence[Example], count: int) -> None:
    width = len(examples[0].values)
    if len(examples) * width * count > WITHOUT_NUMPY_MAX:
        raise NumbersTooMany(examples=len(examples), labels=count, width=width)


def _one_model(receipts: Sequence[Receipt]) -> tuple[str, str]:
    models = {(each.answered_by.model, each.answered_by.model_digest) for each in receipts if each.answered_by}
    if len(models) != 1:
        names = ", ".join(sorted(name for name, _ in models)) or "none"
        reason = f"they were measured by several models ({names}); train with one deployment's own name"
        raise ExamplesUnfit(reason=reason, param="model")
    return models.pop()


def _joined(receipts: Sequence[Receipt], floor: Label) -> Label:
    label = floor
    for receipt in receipts:
        label = join(label, receipt.label)
    return label


def _warnings(counts: Counter[str], fitted: Fitted) -> list[str]:
    warnings = [
        f"the label {label!r} has {count} examples; below {EXAMPLES_GOOD} its probabilities are rough"
        for label, count in sorted(counts.items())
        if count < EXAMPLES_GOOD
    ]
    if fitted.crossed.ece.low > _ECE_GOOD:
        warnings.append(f"the probabilities are off by {fitted.crossed.ece.value:.2f} on average")
    return warnings


def _as_json(examples: Sequence[ExampleBody]) -> str:
    return json.dumps([[each.text, each.label] for each in examples], ensure_ascii=False)
