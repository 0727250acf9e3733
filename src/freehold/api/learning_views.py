"""Feedback and questions with known answers, for clients; outcomes, certificates and standings, for those who manage them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, Headers, Scope
from freehold.api.learning_documents import (
    certified_document,
    newest_scorings,
    outcome_document,
    standing_documents,
)
from freehold.domain.certificates import LabelKind
from freehold.domain.deployment import Route
from freehold.domain.errors.feedback import NothingLearnt, OutcomeUnknown
from freehold.domain.errors.request import FieldInvalid, NotFound
from freehold.domain.identity import Principal
from freehold.domain.outcomes import Feedback
from freehold.domain.ports import Clock, ReceiptStore
from freehold.evals.calibrate import ANSWER_TOKENS_MAX
from freehold.evals.grade import is_right
from freehold.evals.questions import question_of
from freehold.gateway.certifier import Certifier, Wish
from freehold.gateway.gold import ask_gold
from freehold.gateway.learning import Learning
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Runtime
from freehold.gateway.watch import read_watches
from freehold.identity.access import reached_tenant
from freehold.routing.certificate import Aim
from freehold.storage.certificates import SqliteCertificates
from freehold.storage.outcomes import SqliteOutcomes
from freehold.wire.feedback import decode_certify, decode_feedback, decode_gold
from freehold.wire.openai_invalid import invalid, show
from freehold.wire.openai_response import encode_json
from freehold.wire.receipt import receipt_headers

View = tuple[int, bytes, Headers]

_SHOWN = 100
_SHOWN_MAX = 10_000
_TRIES = 4
_BETWEEN_TRIES_S = 0.25
"""An outcome is written a moment after its answer; who is faster than that waits for it, a second at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningStores:
    """Where everything is that was learnt.

    Attributes:
        outcomes: Judged answers.
        certificates: What was proven of them.
        receipts: What outcomes are of.
    """

    outcomes: SqliteOutcomes
    certificates: SqliteCertificates
    receipts: ReceiptStore


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCare:
    """As in the configuration.

    Attributes:
        run_length: Labels until a false alarm, in the mean.
        days: How long certificates hold.
    """

    run_length: float
    days: int


class LearningViews:
    """One method a row of the URL table.

    Args:
        stores: Where everything is.
        learning: Who learns; ``None`` where nobody does.
        pipeline: Asks questions.
        runtime: What is in force.
        changed: Has a change hold at once in this process; told the tenant that was erased, else an empty text.
        care: As in the configuration.
        clock: Time.
    """

    def __init__(
        self,
        *,
        stores: LearningStores,
        learning: Learning | None,
        pipeline: Pipeline,
        runtime: Callable[[], Runtime],
        changed: Callable[[str], object],
        care: LearningCare,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._learning = learning
        self._pipeline = pipeline
        self._runtime = runtime
        self._changed = changed
        self._care = care
        self._clock = clock

    async def feedback(self, scope: Scope, principal: Principal) -> View:
        """Say whether an answer was right."""
        body = decode_feedback(scope["body"])
        self._learner(principal)
        tenant = principal.tenant.name
        request_id = body.request or await self._stores.outcomes.request_of(body.named, tenant=tenant)
        said = Feedback(
            request_id=request_id,
            tenant=tenant,
            right=body.is_right,
            label_kind=LabelKind(body.kind),
            unix_ms=self._clock.unix_ms(),
        )
        if not request_id or not await self._labelled(said):
            raise OutcomeUnknown(name=body.named)
        return _json({"object": "feedback", "receipt": request_id, "right": said.right, "kind": said.label_kind})

    async def gold(self, scope: Scope, principal: Principal) -> View:
        """Ask a question with known answers at the lowest priority, and label the answers."""
        body = decode_gold(scope["body"])
        try:
            question = question_of({"id": "asked", **body.question})
        except (ValueError, TypeError) as error:
            raise invalid("question", show(str(error)), "see GET /openapi.json, or freehold gold --help") from error
        asked = await ask_gold(
            self._pipeline,
            self._learner(principal),
            principal,
            request_id=scope["request_id"],
            model=body.model,
            prompt=question.prompt,
            tokens_max=ANSWER_TOKENS_MAX,
            is_right=lambda text: is_right(question, text),
        )
        answer = {
            "object": "gold",
            "receipt": asked.receipt.id,
            "outcomes": [
                {"deployment": each.deployment, "right": each.right, "probability": each.probability}
                for each in asked.outcomes
            ],
        }
        return 200, encode_json(answer), [JSON, *receipt_headers(asked.receipt)]

    async def outcomes(self, scope: Scope, principal: Principal) -> View:
        """Outcomes of the tenants that the caller manages, the newest last."""
        query = QueryParams(scope["query_string"])
        found = await self._stores.outcomes.read(
            tenant=self._reached(scope, principal, query.get("tenant", "")),
            workload=query.get("workload", ""),
            deployment=query.get("deployment", ""),
            since_unix_ms=_number(query, "since_unix_ms", 0, 1 << 53),
            labelled=query.get("labelled", "") == "true",
            most=_number(query, "limit", _SHOWN, _SHOWN_MAX),
        )
        return _json({"object": "list", "data": [outcome_document(each) for each in found]})

    async def erase(self, scope: Scope, principal: Principal) -> View:
        """Erase all that was learnt from one tenant: outcomes, certificates, watches, gold questions."""
        tenant = QueryParams(scope["query_string"]).get("tenant", "")
        if not tenant:
            raise FieldInvalid(
                param="tenant", field="tenant", value="missing", reason="say whose outcomes are to be erased"
            )
        if reached_tenant(principal, scope["access"]) not in {None, tenant}:
            raise NotFound(path=scope["path"])
        if self._learning is not None:
            self._learning.erase(tenant)
        erased = await self._stores.outcomes.erase(tenant=tenant, by=principal.key_id, unix_ms=self._clock.unix_ms())
        self._changed(tenant)
        return _json({"object": "outcomes.erased", "tenant": tenant, "outcomes": erased})

    async def certify(self, scope: Scope, principal: Principal) -> View:
        """Certify how often accepted answers of a route or workload are wrong."""
        body = decode_certify(scope["body"])
        aim = Aim(risk_max=body.risk, delta=1.0 - body.sure)
        certifier = Certifier(
            outcomes=self._stores.outcomes, certificates=self._stores.certificates, routes=self._runtime().routes
        )
        wish = Wish(
            name=body.name,
            tenant=self._reached(scope, principal, body.tenant or "") or None,
            aim=aim,
            kind=None if body.labels is None else LabelKind(body.labels),
            days=self._care.days,
            by=principal.key_id,
        )
        done = await certifier.certify(wish, unix_ms=self._clock.unix_ms())
        self._changed("")
        return _json({"object": "list", "data": [certified_document(each, risk_max=body.risk) for each in done]})

    async def standings(self, scope: Scope, principal: Principal) -> View:
        """How far each deployment's answers may be trusted: certificates, alarms, and how soon a breach is noticed."""
        stores = self._stores
        counted = await stores.outcomes.counted()
        certificates = [*self._runtime().certificates, *await stores.certificates.all()]
        watches = await read_watches(stores.certificates)
        found = await asyncio.to_thread(
            standing_documents,
            counted,
            certificates,
            watches,
            scorings=await newest_scorings(stores.outcomes, counted),
            shadow_shares=shadow_shares(self._runtime().routes),
            run_length=self._care.run_length,
            unix_ms=self._clock.unix_ms(),
            tenant=reached_tenant(principal, scope["access"]),
        )
        return _json({"object": "list", "data": found})

    async def _labelled(self, said: Feedback) -> bool:
        """Label the answer; where its request has a receipt already the outcome may be on its way."""
        for attempt in range(_TRIES):
            if await self._stores.outcomes.label(said):
                return True
            if attempt == 0 and not await self._is_young(said):
                return False
            await asyncio.sleep(_BETWEEN_TRIES_S)
        return False

    async def _is_young(self, said: Feedback) -> bool:
        receipt = await self._stores.receipts.get(said.request_id, tenant=said.tenant)
        ended = None if receipt is None else receipt["created_unix_ms"]
        total = None if receipt is None else receipt["total_ms"]
        if not isinstance(ended, int) or not isinstance(total, (int, float)):
            return False
        return said.unix_ms - ended - total < 1_000 * _TRIES * _BETWEEN_TRIES_S

    def _learner(self, principal: Principal) -> Learning:
        if self._learning is None:
            raise NothingLearnt(reason="no outcomes are kept")
        if not self._learning.wants(principal):
            raise NothingLearnt(reason="its tenant or its key is left out of learning")
        return self._learning

    def _reached(self, scope: Scope, principal: Principal, wanted: str) -> str:
        """The tenant to look at; empty for all.

        Raises:
            NotFound: The caller does not manage that tenant.
        """
        reached = reached_tenant(principal, scope["access"])
        if reached is None:
            return wanted
        if wanted not in {"", reached}:
            raise NotFound(path=scope["path"])
        return reached


def shadow_shares(routes: Mapping[str, Route]) -> dict[tuple[str, str], float]:
    """The largest share of shadows of each workload and deployment."""
    found: dict[tuple[str, str], float] = {}
    for route in routes.values():
        for name in route.deployments:
            place = route.workload, name
            found[place] = max(found.get(place, 0.0), route.shadow_share)
    return found


def _number(query: QueryParams, name: str, default: int, most: int) -> int:
    said = query.get(name)
    if said is None:
        return default
    if not said.isdecimal() or not said.isascii() or not 0 <= int(said[:18]) <= most:
        raise FieldInvalid(param=name, field=name, value=show(said), reason=f"give a whole number from 0 to {most}")
    return int(said)


def _json(value: object) -> View:
    return 200, encode_json(value), [JSON]
