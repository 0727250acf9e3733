"""Asking a deployment beyond this device outside the request path: the same policy, the same record before a byte goes."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.app.stores import Stores
from freehold.domain.deployment import Deployment
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.labels import Label
from freehold.domain.ports import UpstreamCall
from freehold.domain.request import InferenceRequest
from freehold.policy.decide import decide
from freehold.policy.rulebook import Rulebook
from freehold.policy.text import format_label

_NOBODY = "-"
"""Tenant of what the operator asks of the machine itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Implements ``evals.calibrate.Leave`` for one deployment.

    Attributes:
        stores: Audit log and clock.
        deployment: Where texts go.
        label: Of every text.
        policy: The rules in force.
    """

    stores: Stores
    deployment: Deployment
    label: Label
    policy: Rulebook

    def rules(self, origin: str) -> tuple[str, ...]:
        """The rules that allow it.

        Raises:
            EgressDenied: The policy says no.
        """
        now = self.stores.clock.unix_ms()
        decision = decide(self.label, self.deployment, policy=self.policy, tenant="", unix_ms=now, audit_ready=True)
        if not decision.allowed:
            raise EgressDenied(origin=origin, reason=f"{self.deployment.name} {'; '.join(decision.reasons)}")
        return decision.rules

    async def permit(self, request: InferenceRequest, call: UpstreamCall) -> EgressPermit:
        """Leave to send this call, once its record is on disk.

        Raises:
            EgressDenied: The policy says no.
            AuditUnwritable: There can be no record.
        """
        stores = self.stores
        intent = EgressIntent(
            request_id=request.id,
            tenant=_NOBODY,
            deployment=self.deployment.name,
            origin=call.origin,
            zone=self.deployment.zone,
            label=format_label(self.label),
            rules=self.rules(call.origin),
            body_bytes=len(call.body),
            body_commitment=stores.audit.commit(call.body),
        )
        return await stores.journal.permit(intent, body=call.body)

    def done(self, permit: EgressPermit, request: InferenceRequest, *, outcome: str, bytes_sent: int) -> None:
        """Record how it went."""
        self.stores.journal.done(permit, request_id=request.id, tenant=_NOBODY, outcome=outcome, bytes_sent=bytes_sent)
