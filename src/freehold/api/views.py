"""Everything that is not inference: models, receipts, health, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.datastructures import QueryParams

from freehold.api.asgi import JSON, Headers, Scope
from freehold.api.receipt_shown import receipt_shown
from freehold.audit.proofs import proof_json
from freehold.domain.deployment import Deployment, ModelCard
from freehold.domain.errors.request import FieldInvalid, NotFound, SoundNotServed, UnknownModel
from freehold.domain.identity import Principal
from freehold.domain.ports import AuditLog, Proofs, ReceiptStore
from freehold.gateway.runtime import Runtime
from freehold.serving.overload import Door, Level
from freehold.wire.body import decode_document
from freehold.wire.ollama_response import moment
from freehold.wire.openai_invalid import show
from freehold.wire.openai_response import encode_json

_PAGE_RECEIPTS = 20
_PAGE_RECEIPTS_MAX = 200
_SMALL_NUMBER = re.compile(r"[0-9]{1,3}")
_OLLAMA_VERSION = "0.12.0"
_PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

View = tuple[int, bytes, Headers]


class Views:
    """One method a row of the URL table: what it shows, as status, body and headers."""

    def __init__(
        self,
        *,
        runtime: Callable[[], Runtime],
        receipts: ReceiptStore,
        audit: AuditLog,
        proofs: Proofs,
        metrics_text: Callable[[], str],
        started_unix_s: int,
        door: Door,
        away: Callable[[], str] | None = None,
    ) -> None:
        self._runtime = runtime
        self._receipts = receipts
        self._audit = audit
        self._proofs = proofs
        self._metrics_text = metrics_text
        self._started_unix_s = started_unix_s
        self._door = door
        self._away = away

    async def models(self, _scope: Scope, _principal: Principal) -> View:
        """Every name a client may send, in OpenAI's list shape."""
        names = self._runtime().names()
        return _json({"object": "list", "data": [self._model(name) for name in names]})

    async def model(self, scope: Scope, _principal: Principal) -> View:
        """One of them."""
        name: str = scope["path_params"]["name"]
        if name not in self._runtime().names():
            raise UnknownModel(param="model", model=name, suggestion="")
        return _json(self._model(name))

    async def audio(self, scope: Scope, _principal: Principal) -> View:
        """A clear refusal."""
        raise SoundNotServed(path=scope["path"])

    async def ollama_tags(self, _scope: Scope, _principal: Principal) -> View:
        """The same names in Ollama's list shape."""
        return _json({"models": [self._tag(name) for name in self._runtime().names()]})

    async def ollama_show(self, scope: Scope, _principal: Principal) -> View:
        """One of them, with what it can do: what the first deployment that it leads to can."""
        values = decode_document(scope["body"]).values
        name = values.get("model") or values.get("name")
        if not isinstance(name, str):
            raise FieldInvalid(param="model", field="model", value=show(name), reason="it must be a model's name")
        tag, card = self._tag(name), self._first_card(name)
        return _json(
            {
                "modelfile": "",
                "parameters": "",
                "template": "",
                "license": card.license,
                "modified_at": tag["modified_at"],
                "details": tag["details"],
                "model_info": {"general.name": card.name, "general.context_length": card.context_tokens},
                "capabilities": _capabilities(card),
            }
        )

    async def ollama_version(self, _scope: Scope, _principal: None) -> View:
        """The version of Ollama whose API is spoken."""
        return _json({"version": _OLLAMA_VERSION})

    async def receipts(self, scope: Scope, principal: Principal) -> View:
        """The caller's tenant's receipts, newest first; ``limit`` and ``before`` page through them."""
        query = QueryParams(scope["query_string"])
        limit = query.get("limit", str(_PAGE_RECEIPTS))
        if not _SMALL_NUMBER.fullmatch(limit) or not 1 <= int(limit) <= _PAGE_RECEIPTS_MAX:
            raise FieldInvalid(
                param="limit",
                field="limit",
                value=limit,
                reason=f"a whole number from 1 to {_PAGE_RECEIPTS_MAX} is taken",
            )
        found = await self._receipts.recent(
            tenant=principal.tenant.name, limit=int(limit), before=query.get("before") or None
        )
        return _json({"object": "list", "data": [receipt_shown(each, principal) for each in found]})

    async def receipt(self, scope: Scope, principal: Principal) -> View:
        """One receipt with the proof that its record is in the audit log."""
        found = await self._receipts.get(scope["path_params"]["receipt_id"], tenant=principal.tenant.name)
        if found is None:
            raise NotFound(path=scope["path"])
        index, log = found.get("audit_index"), found.get("audit_log") or ""
        proof = await self._proofs.prove(index, log=str(log)) if isinstance(index, int) else None
        whole = {**found, "proof": None if proof is None else proof_json(proof)}
        return _json(receipt_shown(whole, principal))

    async def healthz(self, _scope: Scope, _principal: None) -> View:
        """The process answers."""
        return _json({"status": "ok"})

    async def readyz(self, _scope: Scope, _principal: None) -> View:
        """Some deployment is ready, what leaves can be recorded, and new requests are taken."""
        engines = self._runtime().engines.values()
        ready = sum(1 for engine in engines if engine.state().ready)
        taking = self._door.level < Level.HEALTH_ONLY
        away = "" if self._away is None else self._away()
        good = ready > 0 and self._audit.healthy and taking and not away
        state: dict[str, object] = {
            "ready": good,
            "deployments_ready": ready,
            "deployments": len(engines),
            "audit": self._audit.healthy,
            "taking_requests": taking,
        }
        if self._away is not None:
            state["egress_broker"] = away or "ok"
        return _json(state, status=200 if good else 503)

    async def metrics(self, _scope: Scope, _principal: Principal) -> View:
        """Prometheus text."""
        return 200, self._metrics_text().encode(), [_PROMETHEUS]

    def _model(self, name: str) -> dict[str, object]:
        runtime = self._runtime()
        route = runtime.route_for(name)
        kind = "route" if name in runtime.routes else "deployment" if name in runtime.engines else "alias"
        return {
            "id": name,
            "object": "model",
            "created": self._started_unix_s,
            "owned_by": "freehold",
            "freehold": {
                "kind": kind,
                "route": route.name,
                "deployments": [self._deployment(each) for each in runtime.deployments_of(route)],
            },
        }

    def _tag(self, name: str) -> dict[str, object]:
        card = self._first_card(name)
        return {
            "name": name,
            "model": name,
            "modified_at": moment(self._started_unix_s * 1000),
            "size": card.size_bytes,
            "digest": card.digest.removeprefix("sha256:"),
            "details": {
                "parent_model": "",
                "format": "",
                "family": "",
                "families": [],
                "parameter_size": "",
                "quantization_level": "",
            },
        }

    def _first_card(self, name: str) -> ModelCard:
        runtime = self._runtime()
        return runtime.deployments_of(runtime.route_for(name))[0].model

    def _deployment(self, deployment: Deployment) -> dict[str, object]:
        state = self._runtime().engines[deployment.name].state()
        return {
            "name": deployment.name,
            "engine": deployment.engine.value,
            "model": deployment.model.name,
            "zone": deployment.zone,
            "context_tokens": deployment.model.context_tokens,
            "slots": deployment.slots,
            "ready": state.ready,
            "detail": state.detail,
        }


def _capabilities(card: ModelCard) -> list[str]:
    if card.embeds or card.reranks:
        return [name for name, is_able in (("embedding", card.embeds), ("rerank", card.reranks)) if is_able]
    able = {"tools": card.tools, "vision": card.vision, "insert": card.infill}
    return ["completion", *(name for name, is_able in able.items() if is_able)]


def _json(value: object, *, status: int = 200) -> View:
    return status, encode_json(value), [JSON]
