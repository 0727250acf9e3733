from __future__ import annotations

from dataclasses import replace

from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN
from freehold.policy.cache_scope import cache_scope

KEY = b"k" * 32
LABEL = Label(level=Level.INTERNAL, kinds=frozenset({"pii", "phi"}), zones=frozenset({DEVICE, LAN}))


def scope(label: Label = LABEL, *, tenant: str = "acme", key: bytes = KEY) -> str:
    return cache_scope(label, tenant=tenant, key=key)


def test_it_is_equal_for_equal_labels_of_one_tenant() -> None:
    again = Label(level=Level.INTERNAL, kinds=frozenset(["phi", "pii"]), zones=frozenset([LAN, DEVICE]))
    assert scope(again) == scope()


def test_whatever_differs_makes_another_one() -> None:
    labels = [
        replace(LABEL, level=Level.CONFIDENTIAL),
        replace(LABEL, kinds=frozenset({"pii"})),
        replace(LABEL, kinds=frozenset({"pii,phi"})),
        replace(LABEL, zones=frozenset({DEVICE})),
        replace(LABEL, readers=frozenset()),
        replace(LABEL, readers=frozenset({"team:legal"})),
        replace(LABEL, readers=frozenset({"team:legal", "user:ada"})),
        replace(LABEL, trusted=False),
    ]
    found = {scope(), *map(scope, labels), scope(tenant="other"), scope(key=b"o" * 32)}
    assert len(found) == len(labels) + 3


def test_it_says_nothing_of_either() -> None:
    found = scope(replace(LABEL, readers=frozenset({"team:legal"})))
    assert len(found) == 43
    assert not any(word in found for word in ("acme", "internal", "legal", "pii"))
