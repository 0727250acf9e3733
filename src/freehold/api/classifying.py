"""Classifying over HTTP: texts in, labels with probabilities out; and the classifiers that a tenant has trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from freehold.api.asgi import JSON, Headers, Scope, header
from freehold.api.limit_headers import limit_headers
from freehold.api.views import View
from freehold.domain.errors.classify import ClassifierUnknown
from freehold.domain.identity import Principal
from freehold.domain.ports import ClassifierStore, Clock, Reservation
from freehold.domain.priority import priority_of
from freehold.gateway.classifier_training import Training
from freehold.gateway.classify import Classification, refuse_taken
from freehold.gateway.inner_calls import Caller
from freehold.gateway.runtime import Runtime
from freehold.identity.access import reached_tenant
from freehold.routing.classifier import About, from_json
from freehold.serving.overload import Door
from freehold.telemetry.correlation import client_request_id, traceparent
from freehold.wire.classify import decode_classify, decode_train, render_answer, render_row
from freehold.wire.openai_response import encode_json
from freehold.wire.receipt import receipt_headers


class Classifying:
    """One method a row of the URL table.

    Args:
        classification: Classifies.
        training: Makes classifiers.
        store: The classifiers.
        runtime: What is in force.
        clock: When an answer was made.
        door: Refuses what there is no room for.
    """

    def __init__(
        self,
        *,
        classification: Classification,
        training: Training,
        store: ClassifierStore,
        runtime: Callable[[], Runtime],
        clock: Clock,
        door: Door,
    ) -> None:
        self._classification = classification
        self._training = training
        self._store = store
        self._runtime = runtime
        self._clock = clock
        self._door = door

    async def classify(self, scope: Scope, principal: Principal) -> View:
        """Labels of texts, with probabilities, or with scores where nothing calibrates them."""
        reserved: list[Reservation] = []
        caller = self._caller(scope, principal, limited=reserved.append)
        body = decode_classify(scope["body"])
        found = await self._classification.classify(body, caller)
        rows = [
            render_row(
                index,
                numbers,
                calibrated=found.calibrated,
                threshold=found.threshold,
                familiarity=found.familiarity[index] if found.familiarity else None,
                top_k=body.top_k,
            )
            for index, numbers in enumerate(found.numbers)
        ]
        first = found.receipts[0]
        answer = render_answer(
            rows,
            answer_id=first.id,
            model=body.model,
            created_unix_ms=self._clock.unix_ms(),
            usage=found.usage,
            receipts=[receipt.id for receipt in found.receipts],
        )
        return 200, encode_json(answer), [JSON, *receipt_headers(first), *_limits(reserved)]

    async def create(self, scope: Scope, principal: Principal) -> View:
        """Train a classifier."""
        reserved: list[Reservation] = []
        caller = self._caller(scope, principal, limited=reserved.append)
        body = decode_train(scope["body"])
        refuse_taken(body.name, self._runtime())
        about, receipts = await self._training.train(body, caller)
        shown = _shown(about) | {"receipts": [receipt.id for receipt in receipts]}
        return 200, encode_json(shown), [JSON, *receipt_headers(receipts[0]), *_limits(reserved)]

    async def listed(self, scope: Scope, principal: Principal) -> View:
        """The tenant's classifiers."""
        found = await self._store.all(tenant=_tenant(scope, principal))
        return _json({"object": "list", "data": [_shown(from_json(kept.about)) for kept in found]})

    async def one(self, scope: Scope, principal: Principal) -> View:
        """One of them, with its examples where they were kept."""
        name: str = scope["path_params"]["name"]
        kept = await self._store.get(name, tenant=_tenant(scope, principal))
        if kept is None:
            raise ClassifierUnknown(name=name)
        examples = [{"text": text, "label": label} for text, label in json.loads(kept.examples or "[]")]
        return _json(_shown(from_json(kept.about)) | {"examples": examples if kept.examples else None})

    async def removed(self, scope: Scope, principal: Principal) -> View:
        """Forget one with all that is in it."""
        name: str = scope["path_params"]["name"]
        if not await self._store.remove(name, tenant=_tenant(scope, principal)):
            raise ClassifierUnknown(name=name)
        return _json({"id": name, "object": "classifier", "deleted": True})

    def _caller(self, scope: Scope, principal: Principal, *, limited: Callable[[Reservation], object]) -> Caller:
        priority = priority_of(header(scope, b"freehold-priority"), None)
        if self._door.level:
            self._door.check(priority=priority, stream=False)
        return Caller(
            principal=principal,
            request_id=scope["request_id"],
            label_header=header(scope, b"freehold-label"),
            traceparent=traceparent(header(scope, b"traceparent")),
            client_request_id=client_request_id(header(scope, b"x-request-id")),
            priority=priority,
            limited=limited,
        )


def _limits(reserved: Sequence[Reservation]) -> Headers:
    """How the caller stands after all calls that were made for it."""
    return limit_headers(reserved[-1].standings()) if reserved else []


def _tenant(scope: Scope, principal: Principal) -> str:
    return reached_tenant(principal, scope["access"]) or principal.tenant.name


def _shown(about: About) -> dict[str, object]:
    crossed = about.crossed
    return {
        "id": about.name,
        "object": "classifier",
        "version": about.id,
        "created": about.created_unix_ms // 1000,
        "created_by": about.created_by,
        "method": about.method,
        "model": about.model,
        "trained_with": {"model": about.model_name, "digest": about.model_digest},
        "labels": [
            {"label": label, "examples": count, "description": about.descriptions.get(label, "")}
            for label, count in zip(about.labels, about.counts, strict=True)
        ],
        "instructions": about.instructions,
        "label": about.label,
        "threshold": about.threshold,
        "risk": about.risk,
        "cross_validated": {
            "examples": crossed.n,
            "accuracy": _interval(crossed.accuracy.value, crossed.accuracy.low, crossed.accuracy.high),
            "ece": _interval(crossed.ece.value, crossed.ece.low, crossed.ece.high),
        },
        "warnings": list(about.warnings),
    }


def _interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
