"""Classifying texts: with a classifier made from examples, or by asking a chat model for the letter of a label."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.classify import ClassifierUnknown, ClassifierVoid, LettersUntold
from freehold.domain.errors.request import FieldInvalid, UnknownModel
from freehold.domain.identity import Principal
from freehold.domain.labels import Label
from freehold.domain.ports import ClassifierStore, IdSource
from freehold.domain.receipt import Receipt
from freehold.domain.response import Usage
from freehold.gateway.inner_calls import Caller, chat, embed
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Runtime
from freehold.policy.labelling import LABEL_HEADER
from freehold.policy.lattice import join, leq
from freehold.policy.text import format_label, parse_label
from freehold.routing.classifier import About, Head, Method, from_json, unpack
from freehold.routing.letters import ALTERNATIVES, LETTERS, joined, letter_logprobs, question, turned, turns
from freehold.routing.softmax import softmax
from freehold.wire.classify import ClassifyBody, names_and_descriptions
from freehold.wire.openai_invalid import invalid, show

_KEPT_MAX = 256
_KEPT_BYTES_MAX = 16 * 1024 * 1024
"""Of classifiers in memory, as they are packed; there they take about eight times as much."""

_AT_ONCE = 8
"""Questions to a chat model that are under way for one call: the others wait here, not in the deployment's queue."""
_BREATHE_EVERY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A classifier in memory."""

    about: About
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """What became of texts.

    Attributes:
        numbers: Of each text, the number of each label, in the labels' order.
        calibrated: Whether they are probabilities.
        threshold: Below this probability a label is not to be taken.
        receipts: Of the calls that were made, in order.
        familiarity: Of each text how like the examples it is, and whether that is enough; empty where nobody knows.
    """

    numbers: tuple[Mapping[str, float], ...]
    calibrated: bool
    threshold: float
    receipts: tuple[Receipt, ...]
    familiarity: tuple[tuple[float, bool], ...] = ()

    @property
    def usage(self) -> Usage:
        """Tokens of all calls."""
        return sum((receipt.answer_usage for receipt in self.receipts), Usage())


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """How labels are put to a chat model."""

    model: str
    labels: Sequence[str]
    descriptions: Mapping[str, str]
    instructions: str
    rotations: int | None = None


class Classification:
    """Classifies. Its only state is what it has read of classifiers; which ones there are the store says each time.

    Args:
        pipeline: Answers the calls that it needs.
        runtime: What is in force.
        store: The classifiers.
        ids: Ids of those calls.
    """

    def __init__(
        self, *, pipeline: Pipeline, runtime: Callable[[], Runtime], store: ClassifierStore, ids: IdSource
    ) -> None:
        self._pipeline = pipeline
        self._runtime = runtime
        self._store = store
        self._ids = ids
        self._read: dict[tuple[str, str], Trained] = {}
        self._read_bytes = 0

    async def classify(self, body: ClassifyBody, caller: Caller) -> Sorted:
        """Classify the texts of a request.

        Raises:
            ClassifierUnknown: The caller's tenant has no such classifier, and no labels were given.
            ClassifierVoid: Its model is not served any more.
            FreeholdError: A call was refused or failed.
        """
        if body.labels is not None:
            return await self._by_letters(body, caller)
        trained = await self.find(body.model, tenant=caller.principal.tenant.name)
        if body.instructions or body.rotations:
            name = "instructions" if body.instructions else "rotations"
            raise invalid(name, "given", 'it goes with "labels"; a classifier has its own')
        about = trained.about
        threshold = about.threshold if body.threshold is None else body.threshold
        self._refuse_void(about)
        caller = replace(caller, label_header=self._label_header(caller, about))
        familiarity: list[tuple[float, bool]] = []
        if about.method is Method.EMBEDDING:
            numbers, familiarity, receipts = await self._of_vectors(trained, body.texts, caller)
        else:
            asked = Question(
                model=about.model,
                labels=about.labels,
                descriptions=about.descriptions,
                instructions=about.instructions,
            )
            scores, receipts = await self.scores(asked, body.texts, caller)
            numbers = [trained.head.of_scores(row) for row in scores]
        for receipt in receipts:
            _refuse_other_model(about, receipt)
        return Sorted(
            numbers=tuple(dict(zip(about.labels, row, strict=True)) for row in numbers),
            calibrated=True,
            threshold=threshold,
            receipts=tuple(receipts),
            familiarity=tuple(familiarity),
        )

    async def find(self, name: str, *, tenant: str) -> Trained:
        """A tenant's classifier.

        Raises:
            ClassifierUnknown: It has none of that name.
        """
        key = tenant, name
        now = await self._store.id_of(name, tenant=tenant)
        if now is None:
            self._read.pop(key, None)
            raise ClassifierUnknown(name=name, param="model")
        known = self._read.get(key)
        if known is not None and known.about.id == now:
            return known
        kept = await self._store.get(name, tenant=tenant)
        if kept is None:  # removed meanwhile
            raise ClassifierUnknown(name=name, param="model")
        trained = Trained(about=from_json(kept.about), head=unpack(kept.numbers))
        self._read_bytes += len(kept.numbers)
        if len(self._read) >= _KEPT_MAX or self._read_bytes > _KEPT_BYTES_MAX:
            self._read.clear()
            self._read_bytes = len(kept.numbers)
        self._read[key] = trained
        return trained

    async def scores(
        self, asked: Question, texts: Sequence[str], caller: Caller
    ) -> tuple[list[list[float]], list[Receipt]]:
        """The logarithm of each label's score by a chat model, in the labels' order, for each text.

        Raises:
            LettersUntold: There are more labels than letters, or the model's answer tells of no letter.
            FreeholdError: A call was refused or failed.
        """
        count = len(asked.labels)
        if count > len(LETTERS):
            reason = f"{count} labels are more than the {len(LETTERS)} alternatives that engines tell of a token"
            raise LettersUntold(deployment=asked.model, reason=reason, param="labels")
        shifts = turns(count, asked.rotations)
        places = [(place, by) for place in range(len(texts)) for by in shifts]
        request_ids = [caller.request_id, *(self._ids.new_id() for _ in places[1:])]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(place: int, by: int, request_id: str) -> tuple[list[float], Receipt]:
            async with gate:
                return await self._letters(asked, texts[place], by, replace(caller, request_id=request_id))

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(ask(place, by, request_id))
                    for (place, by), request_id in zip(places, request_ids, strict=True)
                ]
        except BaseExceptionGroup as failed:
            raise _first(failed) from None
        answers = [task.result() for task in tasks]
        told: list[list[tuple[int, list[float]]]] = [[] for _ in texts]
        for (place, by), (logprobs, _) in zip(places, answers, strict=True):
            told[place].append((by, logprobs))
        return [joined(rows, count) for rows in told], [receipt for _, receipt in answers]

    async def vectors(self, model: str, texts: Sequence[str], caller: Caller) -> tuple[list[list[float]], Receipt]:
        """Vectors of texts, from one call.

        Raises:
            FreeholdError: The call was refused or failed.
        """
        return await embed(self._pipeline, caller, model=model, texts=texts, request_id=caller.request_id)

    async def _by_letters(self, body: ClassifyBody, caller: Caller) -> Sorted:
        names, descriptions = names_and_descriptions(body.labels or [])
        if body.threshold is not None:
            reason = "without examples there are scores, no probabilities; train a classifier to have them"
            raise invalid("threshold", show(body.threshold), reason)
        asked = Question(
            model=body.model,
            labels=names,
            descriptions=descriptions,
            instructions=body.instructions,
            rotations=body.rotations,
        )
        scores, receipts = await self.scores(asked, body.texts, caller)
        return Sorted(
            numbers=tuple(dict(zip(names, softmax(row), strict=True)) for row in scores),
            calibrated=False,
            threshold=0.0,
            receipts=tuple(receipts),
        )

    async def _of_vectors(
        self, trained: Trained, texts: Sequence[str], caller: Caller
    ) -> tuple[list[list[float]], list[tuple[float, bool]], list[Receipt]]:
        vectors, receipt = await self.vectors(trained.about.model, texts, caller)
        _refuse_other_model(trained.about, receipt)
        head, numbers = trained.head, list[list[float]]()
        familiarity: list[tuple[float, bool]] = []
        for place, vector in enumerate(vectors):
            if len(vector) != head.width:
                raise _void(trained.about, f"vectors of {len(vector)} numbers, not {head.width}")
            if place and place % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)
            numbers.append(head.of_vector(vector))
            similarity = head.similarity(vector)
            familiarity.append((similarity, similarity >= head.familiar_min))
        return numbers, familiarity, [receipt]

    async def _letters(self, asked: Question, text: str, by: int, caller: Caller) -> tuple[list[float], Receipt]:
        options = turned(asked.labels, by)
        members: dict[str, object] = {
            "model": asked.model,
            "messages": question(text, options, descriptions=asked.descriptions, instructions=asked.instructions),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": ALTERNATIVES,
        }
        answer, receipt = await chat(self._pipeline, caller, members=members, request_id=caller.request_id)
        logprobs = letter_logprobs(answer.logprobs, len(options))
        if logprobs is None:
            said = "it tells no log-probabilities"
            if answer.logprobs:
                said = f"its answer begins with {answer.logprobs[0].token!r}, and no letter is among the likely ones"
            raise LettersUntold(deployment=_answered(receipt), reason=said, param="model")
        return logprobs, receipt

    def _refuse_void(self, about: About) -> None:
        """Before a text is sent: what is behind the name now was trained with, or is not."""
        runtime = self._runtime()
        try:
            deployments = runtime.deployments_of(runtime.route_for(about.model))
        except UnknownModel:
            raise _void(about, "nothing") from None
        models = [each.model for each in deployments]
        if not any(about.fits(model_name=each.name, model_digest=each.digest) for each in models):
            raise _void(about, ", ".join(f"{each.name} {each.digest[:19]}".strip() for each in models))

    def _label_header(self, caller: Caller, about: About) -> str | None:
        """What a text that this classifier sees is labelled: as it came, and as what the classifier learnt from."""
        tree = self._runtime().tree
        learnt = parse_label(about.label, tree)
        if leq(learnt, floor_of(caller.principal)):
            return caller.label_header
        if caller.label_header is not None:
            learnt = join(learnt, parse_label(caller.label_header, tree, param=LABEL_HEADER))
        return format_label(learnt)


def floor_of(principal: Principal) -> Label:
    """The label that every text of a caller has."""
    return join(principal.tenant.label, principal.label)


def refuse_taken(name: str, runtime: Runtime) -> None:
    """A classifier is asked for by its name, as models are: the names must not meet.

    Raises:
        FieldInvalid: A route, a deployment or an alias is called so.
    """
    if name in runtime.names():
        raise FieldInvalid(
            param="name", field="name", value=show(name), reason="a route, a deployment or an alias is called so"
        )


def _refuse_other_model(about: About, receipt: Receipt) -> None:
    answered = receipt.answered_by
    if answered is not None and not about.fits(model_name=answered.model, model_digest=answered.model_digest):
        raise _void(about, f"{answered.model} {answered.model_digest[:19]}".strip())


def _void(about: About, serves: str) -> ClassifierVoid:
    trained = f"{about.model_name} {about.model_digest[:19]}".strip()
    return ClassifierVoid(name=about.name, trained=trained, model=about.model, serves=serves)


def _answered(receipt: Receipt) -> str:
    return "" if receipt.answered_by is None else receipt.answered_by.deployment


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of several failures the one to tell: what the client or its policy can change before what broke."""
    flat: list[BaseException] = []
    pending: list[BaseException] = [failed]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions  # pyright: ignore[reportUnknownMemberType]  # of whatever kind
        else:
            flat.append(each)
    known = [each for each in flat if isinstance(each, FreeholdError)]
    return min(known, key=lambda each: each.http_status) if known else flat[0]
