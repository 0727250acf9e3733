"""What is asked beyond this device outside the request path has the same policy and the same record."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from freehold.app.leaving import Leaving
from freehold.app.stores import open_stores
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.identity import Tenant
from freehold.domain.ports import UpstreamCall
from freehold.domain.zones import LAN, ZoneTree
from freehold.policy.text import parse_label
from tests.support.routing import chat, deployment
from tests.support.rules import rulebook

TREE = ZoneTree(site_region="eu", regions=frozenset({"eu"}))
CALL = UpstreamCall(origin="http://10.0.0.2:8000", path="/v1/chat/completions", body=b"{}", headers=(), request=chat())


def leaving(stores, label):
    place = deployment("vllm", LAN)
    policy = rulebook(place, tree=TREE)
    return Leaving(stores=stores, deployment=place, label=parse_label(label, TREE), policy=policy)


@pytest.fixture
def stores(tmp_path: Path):
    with open_stores(
        tmp_path / "data",
        origin="test",
        tree=TREE,
        tenants={"default": Tenant(name="default", label=parse_label("public", TREE))},
    ) as found:
        yield found


def test_a_permit_is_for_this_body_and_its_record_is_in_the_log(stores):
    leave = leaving(stores, "public")
    before = stores.audit.size

    async def ask():
        permit = await leave.permit(chat(), CALL)
        leave.done(permit, chat(), outcome="complete", bytes_sent=len(CALL.body))
        return permit

    permit = asyncio.run(ask())
    assert permit.body_sha256 == hashlib.sha256(CALL.body).digest()
    assert (permit.origin, permit.zone) == (CALL.origin, LAN)
    assert stores.audit.size == before + 2


def test_a_label_that_must_stay_leaves_no_record(stores):
    leave = leaving(stores, "restricted")
    before = stores.audit.size
    with pytest.raises(EgressDenied):
        asyncio.run(leave.permit(chat(), CALL))
    assert stores.audit.size == before
