"""Classifying over fake engines: whose label, whose model, and what is too much."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freehold.domain.classifier import KeptClassifier
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, Terms
from freehold.domain.errors.classify import (
    ClassifierExists,
    ClassifierUnknown,
    ClassifierVoid,
    ExamplesUnfit,
    NumbersTooMany,
    TrainingsTooMany,
)
from freehold.domain.labels import Level
from freehold.domain.zones import DEVICE
from freehold.gateway import classifier_training, classify
from freehold.gateway.classifier_training import TRAININGS_OF_ONE_MAX, Training
from freehold.gateway.classify import Classification
from freehold.gateway.inner_calls import Caller
from freehold.gateway.pipeline import Pipeline
from freehold.policy.text import format_label
from freehold.routing.classifier import pack, unpack
from freehold.wire.classify import ClassifyBody, ExampleBody, TrainBody
from tests.support.fake_engine import FakeEngine
from tests.support.gateway import GOOD_KEY, INTERNAL, RESTRICTED, House, NoQuotas, OneKey
from tests.unit.gateway.test_limits import Book


@dataclass
class MemoryClassifiers:
    """Implements ``domain.ports.ClassifierStore``; counts what is read whole."""

    kept: dict[tuple[str, str], KeptClassifier] = field(default_factory=dict[tuple[str, str], KeptClassifier])
    reads: int = 0

    async def put(self, classifier: KeptClassifier, *, replace: bool, most: int) -> None:
        self.kept[classifier.tenant, classifier.name] = classifier

    async def id_of(self, name: str, *, tenant: str) -> str | None:
        found = self.kept.get((tenant, name))
        return None if found is None else found.id

    async def get(self, name: str, *, tenant: str) -> KeptClassifier | None:
        self.reads += 1
        return self.kept.get((tenant, name))

    async def all(self, *, tenant: str) -> list[KeptClassifier]:
        return [each for (owner, _), each in self.kept.items() if owner == tenant]

    async def remove(self, name: str, *, tenant: str) -> bool:
        return self.kept.pop((tenant, name), None) is not None


class Ids:
    """Ids in order."""

    def __init__(self) -> None:
        self._given = 0

    def new_id(self) -> str:
        self._given += 1
        return f"01890000-0000-7000-8000-{self._given:012d}"


@dataclass
class Site:
    """What a test needs."""

    house: House
    store: MemoryClassifiers
    runtime: Any
    classification: Classification
    training: Training
    pipeline: Pipeline

    def caller(self, label: str | None = None) -> Caller:
        principal = self.pipeline.authenticate(GOOD_KEY)
        return Caller(principal=principal, request_id="01890000-0000-7000-8000-ffffffffffff", label_header=label)

    def train(self, *, label: str | None = None, **changes: Any) -> Any:
        body = TrainBody(name="mail", model="embed", examples=EXAMPLES)
        for name, value in changes.items():
            setattr(body, name, value)
        return asyncio.run(self.training.train(body, self.caller(label)))

    def classify(self, *, label: str | None = None) -> Any:
        body = ClassifyBody(model="mail", input=["a short one", "b"])
        return asyncio.run(self.classification.classify(body, self.caller(label)))


EXAMPLES = [ExampleBody(text=f"{label} {'x' * i}", label=label) for label in ("spam", "ham") for i in range(6)]


def site(*digests: str, keys: OneKey | None = None, quotas: Book | None = None) -> Site:
    engines = {}
    for number, digest in enumerate(digests or ("sha256:aa",)):
        terms = Terms(clearance=Level.RESTRICTED, kinds=None, trains=False)
        deployment = Deployment(
            name=f"vectors-{number}",
            engine=EngineKind.OPENAI,
            model=ModelCard(name="bge", digest=digest, embeds=True),
            zone=DEVICE,
            terms=terms,
        )
        engines[deployment.name] = FakeEngine(deployment=deployment)
    route = Route(name="embed", deployments=tuple(engines))
    house = House(engines=engines, routes={"embed": route}, keys=keys or OneKey(), quotas=quotas or NoQuotas())
    snapshot = [house.runtime()]
    pipeline = Pipeline(services=house.services(), runtime=lambda: snapshot[0])
    store, ids = MemoryClassifiers(), Ids()
    classification = Classification(pipeline=pipeline, runtime=lambda: snapshot[0], store=store, ids=ids)
    training = Training(classification=classification, store=store, clock=house.clock, ids=ids)
    return Site(house, store, snapshot, classification, training, pipeline)


def test_each_text_has_a_number_for_each_label_and_one_receipt() -> None:
    at = site()
    about, receipts = at.train()
    assert (about.model_name, about.model_digest, about.counts) == ("bge", "sha256:aa", (6, 6))
    assert len(receipts) == 1
    found = at.classify()
    assert [set(numbers) for numbers in found.numbers] == [{"ham", "spam"}] * 2
    assert len(found.receipts) == 1
    at.classify()
    assert at.store.reads == 1  # what was read once holds as long as its id does


def test_a_classifier_trained_anew_is_read_anew() -> None:
    at = site()
    first, _ = at.train()
    at.classify()
    second, _ = at.train(replace=True)
    assert first.id != second.id
    at.classify()
    assert at.store.reads == 2
    asyncio.run(at.store.remove("mail", tenant="default"))
    with pytest.raises(ClassifierUnknown):
        at.classify()


def test_a_name_that_is_taken_is_told_before_anything_is_asked() -> None:
    at = site()
    at.train()
    engine = at.house.engines["vectors-0"]
    assert isinstance(engine, FakeEngine)
    calls = len(engine.calls)
    with pytest.raises(ClassifierExists):
        at.train()
    assert len(engine.calls) == calls


def test_large_classifiers_are_not_all_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    at = site()
    at.train()
    one = at.store.kept["default", "mail"]
    monkeypatch.setattr(classify, "_KEPT_BYTES_MAX", 3 * len(one.numbers))
    for number in range(10):
        at.store.kept["default", f"mail-{number}"] = one
        asyncio.run(at.classification.find(f"mail-{number}", tenant="default"))
        assert len(at.classification._read) <= 3
    assert at.store.reads == 10
    asyncio.run(at.classification.find("mail-9", tenant="default"))
    assert at.store.reads == 10


def test_the_label_of_the_examples_joins_that_of_the_texts() -> None:
    at = site(keys=OneKey(tenant_label=INTERNAL))
    about, _ = at.train(label="confidential;kinds=pii")
    assert about.label.startswith("confidential")
    (receipt,) = at.classify().receipts
    assert (receipt.label.level, receipt.label.kinds) == (Level.CONFIDENTIAL, frozenset({"pii"}))
    (receipt,) = at.classify(label="restricted;kinds=phi").receipts
    assert (receipt.label.level, receipt.label.kinds) == (Level.RESTRICTED, frozenset({"pii", "phi"}))


def test_a_label_that_the_caller_has_anyway_is_not_said_again() -> None:
    at = site(keys=OneKey(tenant_label=RESTRICTED))
    about, _ = at.train()
    assert about.label == format_label(RESTRICTED)
    (receipt,) = at.classify().receipts
    assert [source.origin for source in receipt.label_sources] == ["tenant"]


def test_no_text_goes_to_a_model_that_it_was_not_trained_with() -> None:
    at = site()
    at.train()
    engine = at.house.engines["vectors-0"]
    assert isinstance(engine, FakeEngine)
    other = replace(engine.deployment, model=replace(engine.deployment.model, digest="sha256:bb"))
    calls = len(engine.calls)
    at.runtime[0] = replace(at.runtime[0], engines={"vectors-0": FakeEngine(deployment=other)})
    with pytest.raises(ClassifierVoid, match="sha256:aa"):
        at.classify()
    assert len(engine.calls) == calls
    at.runtime[0] = replace(at.runtime[0], engines={}, routes={})
    with pytest.raises(ClassifierVoid, match="nothing"):
        at.classify()


def test_an_answer_of_another_model_on_the_same_route_is_refused() -> None:
    at = site("sha256:aa", "sha256:bb")
    at.train()
    first = at.house.engines["vectors-0"]
    assert isinstance(first, FakeEngine)
    first.ready = False
    with pytest.raises(ClassifierVoid):
        at.classify()


def test_vectors_of_another_length_are_refused() -> None:
    at = site()
    at.train()
    kept = at.store.kept["default", "mail"]
    head = unpack(kept.numbers)
    shorter = replace(head, rows=tuple(row[1:] for row in head.rows), centres=tuple(row[1:] for row in head.centres))
    at.store.kept["default", "mail"] = replace(kept, numbers=pack(shorter))
    with pytest.raises(ClassifierVoid, match="4 numbers"):
        at.classify()


def test_without_numpy_only_little_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    at = site()
    monkeypatch.setattr(classifier_training, "find_numpy", lambda: None)
    at.train()
    monkeypatch.setattr(classifier_training, "WITHOUT_NUMPY_MAX", 10)
    with pytest.raises(NumbersTooMany):
        at.train(replace=True)


def test_a_risk_that_nothing_reaches_means_abstaining_always() -> None:
    about, _ = site().train(risk=0.01)
    assert about.threshold == 1.0
    assert any("always abstains" in warning for warning in about.warnings)


def test_repeated_examples_count_once() -> None:
    with pytest.raises(ExamplesUnfit, match="1 different"):
        site().train(examples=[ExampleBody(text=label, label=label) for label in ("a", "b") for _ in range(9)])


def test_trainings_at_once_are_bounded_and_make_room_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        at, reached, opened = site(), asyncio.Event(), asyncio.Event()
        embed = FakeEngine.embed

        async def waits(*args: Any, **more: Any) -> Any:
            reached.set()
            await opened.wait()
            return await embed(*args, **more)

        monkeypatch.setattr(FakeEngine, "embed", waits)
        body = TrainBody(name="mail", model="embed", examples=EXAMPLES, replace=True)
        running = [asyncio.ensure_future(at.training.train(body, at.caller())) for _ in range(TRAININGS_OF_ONE_MAX)]
        await reached.wait()
        with pytest.raises(TrainingsTooMany) as caught:
            await at.training.train(body, at.caller())
        assert (caught.value.http_status, caught.value.retryable, caught.value.retry_after_s) == (503, True, 30)
        running[0].cancel()
        await asyncio.gather(running[0], return_exceptions=True)
        running.append(asyncio.ensure_future(at.training.train(body, at.caller())))
        opened.set()
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert [isinstance(each, BaseException) for each in ended] == [True, *[False] * TRAININGS_OF_ONE_MAX]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_limits_set_aside_for_the_calls_is_told_to_who_asked() -> None:
    book = Book()
    at, told = site(quotas=book), []
    caller = replace(at.caller(), limited=told.append)
    asyncio.run(at.training.train(TrainBody(name="mail", model="embed", examples=EXAMPLES), caller))
    assert told == book.held
    assert len(told) == 1
