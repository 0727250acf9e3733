"""The label of a request is the join of everything that says something, and nothing lowers it."""

from __future__ import annotations

import pytest

from freehold.domain.deployment import Route
from freehold.domain.errors.policy import LabelUnreadable
from freehold.domain.identity import Principal, Tenant
from freehold.domain.labels import Label, LabelSource, Level
from freehold.domain.zones import DEVICE, LAN
from freehold.policy.labelling import UNLABELLED, join_sources, joined, label_request
from tests.support.labels import EU, TREE, label

ROUTE = Route(name="auto", deployments=("home",))


def ask(
    *, tenant: Label, key: Label | None = None, route: Label | None = None, header: str | None = None
) -> tuple[Label, tuple[LabelSource, ...]]:
    principal = Principal(
        key_id="k1",
        key_name="finance",
        tenant=Tenant(name="acme", label=tenant),
        label=label() if key is None else key,
        scopes=frozenset({"infer"}),
    )
    return label_request(principal=principal, route=ROUTE, route_label=route, header=header, tree=TREE)


def test_every_source_raises_its_part_and_is_named() -> None:
    joined, sources = ask(
        tenant=label(Level.INTERNAL, EU),
        key=label(Level.PUBLIC, EU, kinds=frozenset({"pii"})),
        route=label(Level.CONFIDENTIAL, EU),
        header="public;zones=lan;kinds=phi",
    )
    assert joined == Label(level=Level.CONFIDENTIAL, kinds=frozenset({"pii", "phi"}), zones=frozenset({DEVICE, LAN}))
    assert [(source.origin, source.rule) for source in sources] == [
        ("tenant", "tenant:acme"),
        ("key", "key:finance"),
        ("route", "route:auto"),
        ("client", "client:freehold-label"),
    ]


def test_the_tenant_is_always_a_source_and_silent_ones_are_not() -> None:
    joined, sources = ask(tenant=label(), route=label())
    assert joined == label()
    assert [source.rule for source in sources] == ["tenant:acme"]


def test_a_client_cannot_lower_the_label() -> None:
    floor = label(Level.CONFIDENTIAL, LAN, kinds=frozenset({"pii"}))
    joined, sources = ask(tenant=floor, header="public;zones=world")
    assert joined == floor
    assert sources[-1].label == label()


@pytest.mark.parametrize("header", ["", "secret", "internal;zones=mars", "public\r\nx: y"])
def test_an_unreadable_header_is_refused_not_ignored(header: str) -> None:
    with pytest.raises(LabelUnreadable) as caught:
        ask(tenant=label(), header=header)
    assert caught.value.param == "freehold-label"


def test_a_text_that_nobody_labelled_stays_here() -> None:
    assert join_sources((), tree=TREE) == UNLABELLED == label(Level.CONFIDENTIAL, DEVICE)


def test_labels_that_were_kept_are_joined_and_one_that_is_not_known_any_more_stays_here() -> None:
    assert joined({"internal", "confidential;zones=lan"}, tree=TREE) == "confidential;zones=lan"
    assert joined({"internal", "internal;zones=atlantis"}, tree=TREE) == "restricted;zones=device"
