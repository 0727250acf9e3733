"""The way to the operator's collector of spans: through the egress broker, under the same rules as everything else."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.app.stores import Stores
from freehold.config.schema import Telemetry
from freehold.config.secrets import read_secret
from freehold.domain.deployment import EngineKind
from freehold.domain.egress import EgressIntent, EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.ports import Engine
from freehold.domain.zones import DEVICE, Zone
from freehold.net.origin import Origin
from freehold.telemetry.export import Delivery

TELEMETRY = "telemetry"
"""What records call it."""

TELEMETRY_LABEL = "internal"
"""Of every batch: spans hold names, numbers and no texts."""

_TRACES_PATH = "/v1/traces"
_PROTOBUF = ("content-type", "application/x-protobuf")
_TIMEOUT_S = 10.0
_REPLY_LIMIT_BYTES = 64 * 1024
_REFUSED_FROM_STATUS = 400
_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
_PROVIDERS = {
    EngineKind.EMBEDDED: "llama_cpp",
    EngineKind.LLAMA_SERVER: "llama_cpp",
    EngineKind.ONNX: "onnxruntime",
    EngineKind.OPENAI: "openai",
    EngineKind.ANTHROPIC: "anthropic",
}


class Collector:
    """One collector.

    Attributes:
        section: How it is sent to.

    Args:
        section: Its address and zone.
        stores: The broker, and the journal that a batch needs to leave this device.
        tenant: Whose log entries the records of batches are.
        environment: Where its credential may be.
        is_brokered: Whether a broker's process sends what leaves this device; it alone reads the credential then.

    Raises:
        SecretUnreadable: Its credential is not there.
        FreeholdError: Its address cannot be read.
    """

    def __init__(
        self,
        section: Telemetry,
        stores: Stores,
        *,
        tenant: str,
        environment: Mapping[str, str],
        is_brokered: bool = False,
    ) -> None:
        headers: tuple[tuple[str, str], ...] = ()
        if section.otlp_authorization is not None and not (is_brokered and section.otlp_zone != DEVICE):
            key = "telemetry.otlp_authorization"
            headers = (("authorization", read_secret(section.otlp_authorization, key=key, environment=environment)),)
        self.section = section
        self._stores = stores
        self._tenant = tenant
        self._path = traces_path(section.otlp_endpoint)
        self._client = stores.broker.client(
            name=TELEMETRY,
            base_url=section.otlp_endpoint,
            zone=Zone(section.otlp_zone),
            connections_max=1,
            headers=headers,
            ca_file=section.otlp_ca_file or None,
        )

    async def send(self, body: bytes) -> Delivery:
        """Send one batch; takes ten seconds at most and raises nothing."""
        batch_id = self._stores.ids.new_id()
        permit: EgressPermit | None = None
        outcome, sent_bytes = "failed", 0
        try:
            if self._client.zone != DEVICE:
                permit = await self._stores.journal.permit(self._intent(batch_id, body), body=body)
            reply = await self._client.request(
                method="POST",
                path=self._path,
                headers=(_PROTOBUF,),
                body=body,
                permit=permit,
                deadline_s=self._stores.clock.monotonic_s() + _TIMEOUT_S,
            )
            outcome, sent_bytes = "complete", len(body)
            await reply.read(limit_bytes=_REPLY_LIMIT_BYTES)
        except FreeholdError:
            # Not there, too slow, or not to be recorded now: the exporter tells it and tries again.
            return Delivery.AWAY
        finally:
            if permit is not None:
                self._stores.journal.done(
                    permit, request_id=batch_id, tenant=self._tenant, outcome=outcome, bytes_sent=sent_bytes
                )
        if reply.status in _TRY_AGAIN:
            return Delivery.AWAY
        return Delivery.REFUSED if reply.status >= _REFUSED_FROM_STATUS else Delivery.TAKEN

    def _intent(self, batch_id: str, body: bytes) -> EgressIntent:
        return EgressIntent(
            request_id=batch_id,
            tenant=self._tenant,
            deployment=TELEMETRY,
            origin=self._client.origin,
            zone=self._client.zone,
            label=TELEMETRY_LABEL,
            rules=("telemetry",),
            body_bytes=len(body),
            body_commitment=self._stores.audit.commit(body),
        )


def traces_path(endpoint: str) -> str:
    """Where a collector takes batches of spans.

    Raises:
        BaseUrlInvalid: Its address cannot be read.
    """
    return Origin.parse(endpoint).base_path.removesuffix(_TRACES_PATH) + _TRACES_PATH


def providers_of(engines: Mapping[str, Engine]) -> dict[str, str]:
    """``gen_ai.provider.name`` by deployment: the protocol that it speaks."""
    return {name: _PROVIDERS[engine.deployment.engine] for name, engine in engines.items()}
