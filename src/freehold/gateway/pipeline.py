"""The request path, top to bottom, in the order in which a compliance officer would ask.

authenticate → label → decide → plan → (admit → attempt → judge → verdict)+ → record

``ARCHITECTURE.md`` traces one request through it, and a test holds the executed steps against that page.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable

from freehold.audit.records import request_record
from freehold.domain.decisions import Candidate, Outcome
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.server import ServerError
from freehold.domain.identity import Principal
from freehold.domain.receipt import Receipt
from freehold.domain.request import InferenceRequest
from freehold.gateway.answer import AnswerEvent, Finished
from freehold.gateway.ladder import Climb
from freehold.gateway.pricing import price_counterfactual
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Runtime, Services
from freehold.ledger.entries import entries
from freehold.policy.decide import decide
from freehold.policy.labelling import label_request
from freehold.policy.text import format_label
from freehold.routing.candidates import unable_reason
from freehold.routing.plan import make_plan

log = logging.getLogger("freehold.gateway")


class Pipeline:
    """Answers requests. Its only state is how many it is answering."""

    def __init__(self, *, services: Services, runtime: Callable[[], Runtime]) -> None:
        self._services = services
        self._runtime = runtime
        self._active: Counter[str] = Counter()

    def active(self, config_digest: str | None = None) -> int:
        """Requests being answered now: all, or those that began under one configuration."""
        return self._active.total() if config_digest is None else self._active[config_digest]

    def authenticate(self, credential: str | None) -> Principal:
        """Who asks? Done before the body is read.

        Raises:
            AuthError: Nobody we know.
        """
        return self._services.authenticator.authenticate(credential)

    async def answer(self, request: InferenceRequest, principal: Principal) -> AsyncGenerator[AnswerEvent]:
        """Answer one request. Closing the generator cancels it: the engine's connection is aborted in the same tick.

        Every request ends in exactly one receipt, whatever happens; the receipt is on disk before the last event.

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
        )
        draft.step("authenticate")
        climb = Climb(services=self._services, runtime=runtime, draft=draft)
        self._active[runtime.config_digest] += 1
        try:
            self._plan(climb)
            async with contextlib.aclosing(climb.run()) as events:
                async for event in events:
                    yield event
            receipt = await self._record(draft, Outcome.COMPLETE)
            for event in climb.tail:
                yield event
            yield Finished(receipt)
        except FreeholdError as error:
            await self._record(draft, draft.outcome_of(error), error_code=error.code)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            climb.abandon()
            if "record" not in draft.steps:
                self._record_without_waiting(draft)
            raise
        finally:
            self._active[runtime.config_digest] -= 1

    def _plan(self, climb: Climb) -> None:
        """How sensitive is this text, where may it run, in which order do we try?"""
        runtime, draft = climb.runtime, climb.draft
        request = draft.request
        route = runtime.route_for(request.model)
        draft.route = route.name

        draft.step("label")
        draft.label, draft.label_sources = label_request(
            principal=draft.principal,
            route=route,
            route_label=runtime.route_labels.get(route.name),
            header=request.label_header,
            tree=runtime.tree,
        )

        draft.step("decide")
        deployments = runtime.deployments_of(route)
        draft.decisions = tuple(
            decide(
                draft.label,
                deployment,
                tree=runtime.tree,
                unix_ms=draft.created_unix_ms,
                audit_ready=self._services.audit.healthy,
            )
            for deployment in deployments
        )

        draft.step("plan")
        climb.route = route
        climb.plan = make_plan(
            request,
            route,
            [
                Candidate(
                    deployment=deployment,
                    decision=decision,
                    unable=unable_reason(request, deployment),
                    ready=runtime.engines[deployment.name].state().ready,
                )
                for deployment, decision in zip(deployments, draft.decisions, strict=True)
            ],
            label=format_label(draft.label),
        )

    async def _record(self, draft: ReceiptDraft, outcome: Outcome, *, error_code: str = "") -> Receipt:
        """Prove it and price it: on disk before the answer's last byte.

        A store that cannot be written fails loudly in health and metrics, and from then on nothing leaves this
        machine; an answer that was made at home is still given.
        """
        receipt = self._sealed(draft, outcome, error_code)
        try:
            ticket = self._services.audit.append(request_record(receipt))
            draft.audit_index = ticket.index
            receipt = draft.seal(outcome, error_code=error_code)
            stored = self._services.receipts.submit(receipt, entries(receipt))
            await asyncio.shield(asyncio.gather(ticket.durable, stored))
        except (AuditError, ServerError) as error:
            log.error("receipt %s was not recorded: %s", receipt.id, error)  # noqa: TRY400 - told by health and metrics too
        self._services.observe(receipt)
        return receipt

    def _record_without_waiting(self, draft: ReceiptDraft) -> None:
        """The client has left: queue the record, wait for nobody."""
        receipt = self._sealed(draft, Outcome.CANCELLED, "")
        try:
            draft.audit_index = self._services.audit.append(request_record(receipt)).index
            receipt = draft.seal(Outcome.CANCELLED)
            self._services.receipts.submit(receipt, entries(receipt))
        except (AuditError, ServerError) as error:
            log.error("receipt %s was not recorded: %s", receipt.id, error)  # noqa: TRY400 - told by health and metrics too
        self._services.observe(receipt)

    def _sealed(self, draft: ReceiptDraft, outcome: Outcome, error_code: str) -> Receipt:
        draft.step("record")
        price_counterfactual(self._services.prices, draft)
        return draft.seal(outcome, error_code=error_code)
