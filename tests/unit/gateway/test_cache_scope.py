"""Every call that a request causes carries the scope of its tenant and label."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from freehold.domain.identity import Principal
from tests.support.gateway import GOOD_KEY, House, MemorySink
from tests.unit.gateway.test_pipeline import chat, engine, house


async def _scopes(at: House, *askings: tuple[str, str | None]) -> list[set[str]]:
    """The scopes of the calls of one request for each tenant and label."""
    pipeline, found = at.pipeline(), list[set[str]]()
    known = pipeline.authenticate(GOOD_KEY)
    callers: dict[str, Principal] = {}
    for tenant, label in askings:
        caller = callers.setdefault(tenant, replace(known, tenant=replace(known.tenant, name=tenant)))
        engines = list(at.engines.values())
        before = [len(each.calls) for each in engines]
        await pipeline.answer(replace(chat(), label_header=label), caller, MemorySink())
        calls = [call for each, count in zip(engines, before, strict=True) for call in each.calls[count:]]
        assert len(calls) == 2  # escalated
        found.append({call.cache_scope for call in calls})
    return found


def test_all_calls_of_a_request_have_one_scope_and_another_tenant_or_label_has_another() -> None:
    at = house(engine("small"), engine("large"))
    asked = [
        ("acme", None),
        ("acme", None),
        ("other", None),
        ("acme", "internal"),
        ("acme", "internal;readers=user:ada"),
    ]
    first, again, *others = asyncio.run(_scopes(at, *asked))
    assert len(first) == 1
    assert "" not in first
    assert again == first
    assert all(len(each) == 1 for each in others)
    assert len(set.union(first, *others)) == 1 + len(others)
