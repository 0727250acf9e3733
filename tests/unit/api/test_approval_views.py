"""Held calls of answers from documents: seen, and decided, by who may read the documents."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.api.approval_views import ApprovalViews
from freehold.domain.errors.untrusted import ApprovalUnknown
from freehold.domain.identity import Principal, Tenant
from freehold.domain.labels import Level
from freehold.domain.trust import HeldCall, HeldState
from freehold.domain.vault import Readers
from freehold.identity.access import MANAGE
from freehold.identity.approval_book import ApprovalBook
from freehold.policy.trust import call_of
from tests.support.gateway import PUBLIC, ManualClock, MemoryReceipts
from tests.support.vault_desk import MemoryDesk

LEGAL = Readers(level=Level.RESTRICTED, names=frozenset({"group:legal"}))
MANAGER = Principal(
    key_id="key-manager", key_name="", tenant=Tenant(name="ours", label=PUBLIC), label=PUBLIC,
    scopes=frozenset({"infer", "manage"}),
)  # fmt: skip
LAWYER = replace(MANAGER, key_id="key-lawyer", groups=frozenset({"legal"}))
ADMIN = replace(MANAGER, key_id="key-admin", scopes=frozenset({"infer", "manage", "admin"}))


class Receipts(MemoryReceipts):
    """Receipts as they are kept, by id."""

    def __init__(self, shown: dict[str, dict[str, object]]) -> None:
        super().__init__()
        self.shown = shown

    async def get(self, receipt_id: str, *, tenant: str) -> dict[str, object] | None:
        return self.shown.get(receipt_id) if tenant == "ours" else None


class Calls:
    """Held calls, an id each."""

    def __init__(self, *requests: str) -> None:
        self.held = {
            f"call-{request}": HeldCall(
                id=f"call-{request}", tenant="ours", key_id="key-ana", request_id=request, because="vault:doc",
                call=call_of("send", '{"text": "the will"}'), asked_unix_ms=0, expires_unix_ms=1 << 50,
            )
            for request in requests
        }  # fmt: skip

    def all(self, tenant: str | None = None) -> list[HeldCall]:
        return [each for each in self.held.values() if tenant in (None, each.tenant)]

    def get(self, held_id: str, tenant: str | None = None) -> HeldCall | None:
        return next((each for each in self.all(tenant) if each.id == held_id), None)

    def decide(self, held: HeldCall, *, state: HeldState, by: str, unix_ms: int) -> bool:
        del unix_ms
        self.held[held.id] = replace(held, state=state, decided_by=by)
        return True


def _seen(views: ApprovalViews, principal: Principal) -> list[str]:
    _, body, _ = asyncio.run(views.list({"access": MANAGE}, principal))
    return [each["id"] for each in json.loads(body)["data"]]


def _scope(held_id: str) -> dict[str, Any]:
    return {"access": MANAGE, "path_params": {"approval_id": held_id}}


def test_a_call_made_of_documents_is_for_who_may_read_them_now() -> None:
    desk = MemoryDesk({"archive": ["ours"]})
    will = desk.put("archive", "the will", title="will", tenant="ours", readers=LEGAL)
    found = {"vault": "archive", "documents": [{"id": will.id}]}
    gone = {"vault": "archive", "documents": [{"id": "doc-gone"}]}
    elsewhere = {"vault": "theirs", "documents": [{"id": will.id}]}
    receipts = Receipts({
        "plain": {"retrieved": None}, "nothing": {"retrieved": {**found, "documents": []}}, "will": {"retrieved": found},
        "gone": {"retrieved": gone}, "elsewhere": {"retrieved": elsewhere},
    })  # fmt: skip
    calls = Calls("plain", "nothing", "will", "gone", "elsewhere", "running")
    views = ApprovalViews(ApprovalBook(calls, clock=ManualClock()), receipts=receipts, desk=desk)
    assert _seen(views, MANAGER) == _seen(views, ADMIN) == ["call-plain", "call-nothing"]
    assert _seen(views, LAWYER) == ["call-plain", "call-nothing", "call-will"]
    for who, held_id in ((MANAGER, "call-will"), (ADMIN, "call-will"), (LAWYER, "call-gone"), (LAWYER, "call-running")):
        for act in (views.show, views.allow, views.deny):
            with pytest.raises(ApprovalUnknown):
                asyncio.run(act(_scope(held_id), who))
    assert {each.state for each in calls.all()} == {HeldState.WAITING}
    asyncio.run(views.allow(_scope("call-will"), LAWYER))
    assert calls.held["call-will"].state is HeldState.ALLOWED


def test_without_a_vault_a_call_made_of_documents_is_for_nobody() -> None:
    receipts = Receipts({"will": {"retrieved": {"vault": "archive", "documents": [{"id": "doc-1"}]}}})
    views = ApprovalViews(ApprovalBook(Calls("will"), clock=ManualClock()), receipts=receipts, desk=None)
    assert _seen(views, LAWYER) == []
