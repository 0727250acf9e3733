"""The request path, top to bottom, in the order in which a compliance officer would ask.

authenticate → label → decide → plan → (admit → attempt → judge → verdict)+ → record

``ARCHITECTURE.md`` traces one request through it, and a test holds the executed steps against that page.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable

from freehold.audit.records import request_record
from freehold.domain.decisions import Outcome
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import Internal, ServerError
from freehold.domain.identity import Principal
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.gateway.answer import Sink
from freehold.gateway.footing import Asking, Footings
from freehold.gateway.ladder import Climb
from freehold.gateway.pricing import price_counterfactual
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services

log = logging.getLogger("freehold.gateway")


class Pipeline:
    """Answers requests. Its only state is how many it is answering, and what was decided for callers before."""

    def __init__(self, *, services: Services, runtime: Callable[[], Runtime]) -> None:
        self._services = services
        self._runtime = runtime
        self._active: Counter[str] = Counter()
        self._footings = Footings(runtime())

    def active(self, config_digest: str | None = None) -> int:
        """Requests being answered now: all, or those that began under one configuration."""
        return self._active.total() if config_digest is None else self._active[config_digest]

    def authenticate(self, credential: str | None) -> Principal:
        """Who asks? Done before the body is read.

        Raises:
            AuthError: Nobody we know.
        """
        return self._services.authenticator.authenticate(credential)

    async def answer(self, request: InferenceRequest, principal: Principal, sink: Sink) -> Receipt:
        """Answer one request into ``sink``. Cancelling it aborts the engine's connection in the same tick.

        Every request ends in exactly one receipt, whatever happens; it is kept before the answer's last byte is sent.

        Raises:
            FreeholdError: The request was refused or failed; its receipt says why.
        """
        runtime = self._runtime()
        draft = ReceiptDraft(
            request=request,
            principal=principal,
            clock=self._services.clock,
            config_digest=runtime.config_digest,
            label=principal.tenant.label,
            compare_with=runtime.compare_with,
            audit_log=self._services.audit_log,
        )
        draft.steps.append("authenticate")
        climb: Climb | None = None
        outcome, error_code = Outcome.FAILED, Internal.code  # unless we learn better
        self._active[runtime.config_digest] += 1
        try:
            climb = self._plan(draft, runtime, sink)
            held = await climb.run()
            outcome, error_code = Outcome.COMPLETE, ""
        except FreeholdError as error:
            outcome, error_code = draft.outcome_of(error), error.code
            raise
        except asyncio.CancelledError:
            outcome, error_code = Outcome.CANCELLED, ""
            raise
        finally:
            self._active[runtime.config_digest] -= 1
            if climb is not None:
                climb.abandon(outcome)
            receipt = self._record(draft, outcome, error_code=error_code)
        sink.finished(receipt, end=held.send(sink))
        return receipt

    def _plan(self, draft: ReceiptDraft, runtime: Runtime, sink: Sink) -> Climb:
        """How sensitive is this text, where may it run, in which order do we try?"""
        request = draft.request
        footings = self._footings
        if footings.runtime is not runtime:
            footings = self._footings = Footings(runtime)
        asking = Asking(
            draft.principal, request.model, request.label_header, draft.created_unix_ms, self._services.audit.healthy
        )
        footing = footings.find(asking)
        if footing is None:
            route = runtime.route_for(request.model)
            draft.route = route.name
            draft.steps.append("label")
            footing = footings.decide(asking, route)
        else:
            draft.route = footing.route.name
            draft.steps.append("label")
        draft.label, draft.label_text, draft.label_sources = footing.label, footing.label_text, footing.sources
        draft.steps.append("decide")
        draft.decisions = footing.decisions
        draft.steps.append("plan")
        plan = footing.plan(request)
        return Climb(
            services=self._services,
            runtime=runtime,
            draft=draft,
            sink=sink,
            footing=footing,
            steps=deque(plan.steps),
        )

    def _record(self, draft: ReceiptDraft, outcome: Outcome, *, error_code: str = "") -> Receipt:
        """Prove it and price it: in the kernel's hands before the answer's last byte, so that no crash loses it.

        A store that cannot be written fails loudly in health and metrics, and from then on nothing leaves this
        machine; an answer that was made at home is still given.
        """
        draft.steps.append("record")
        audit = self._services.audit
        price_counterfactual(self._services.prices, draft)
        draft.audit_index = audit.size
        receipt = draft.seal(outcome, error_code=error_code)
        try:
            audit.append(request_record(receipt))
        except AuditError as error:
            draft.audit_index = None
            receipt = draft.seal(outcome, error_code=error_code)
            log.error("receipt %s is not in the audit log: %s", receipt.id, error)  # noqa: TRY400 - told by metrics too
        try:
            self._services.receipts.keep(receipt)
        except ServerError as error:
            log.error("receipt %s was not kept: %s", receipt.id, error)  # noqa: TRY400 - told by metrics too
        self._services.observe(receipt)
        return receipt
