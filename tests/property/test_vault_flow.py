"""Whatever documents say of themselves: nobody gets a passage who may not have the join of all that is in the prompt."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.errors.base import FreeholdError
from freehold.domain.labels import Label, Level
from freehold.domain.vault import Reader
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.gateway.flow import label_of_text
from freehold.policy.lattice import join_all, leq
from freehold.policy.text import format_label
from tests.support.fake_engine import FakeEngine
from tests.support.fake_vault import FakeVault, passage
from tests.support.gateway import TREE, House
from tests.unit.gateway.test_pipeline import engine, house
from tests.unit.gateway.test_retrieving import asked

EU = Zone("eu")
CLEARED = {DEVICE: Level.RESTRICTED, LAN: Level.CONFIDENTIAL, EU: Level.INTERNAL, WORLD: Level.INTERNAL}
READER = Reader(tenant="default")

labels = st.builds(
    Label,
    level=st.sampled_from(Level),
    kinds=st.frozensets(st.sampled_from(["pii", "secret", "merger"]), max_size=2),
    zones=st.sampled_from([DEVICE, LAN, EU, WORLD]).map(lambda zone: TREE.closure({zone, DEVICE})),
    trusted=st.booleans(),
)
texts = st.one_of(
    labels.map(format_label), st.sampled_from(["restricted", "public", "confidential;zones=lan", "no label at all"])
)
documents = st.lists(
    st.tuples(texts, st.sampled_from(["default", "other"]), st.sampled_from([None, frozenset({"user:ana"}), frozenset({"group:x"})])),
    max_size=5,
).map(
    lambda rows: tuple(
        passage(f"words of {place}", document=f"d{place}", label=label, tenant=tenant, names=names)
        for place, (label, tenant, names) in enumerate(rows)
    )
)  # fmt: skip


def _house(order: list[Zone]) -> tuple[House, dict[str, FakeEngine]]:
    engines = {zone: engine(str(zone), zone=zone) for zone in order}
    for zone, each in engines.items():
        each.deployment = replace(each.deployment, terms=replace(each.deployment.terms, clearance=CLEARED[zone]))
    return house(*engines.values()), {str(zone): each for zone, each in engines.items()}


def _may_see(name: str, label: Label) -> bool:
    """Said anew, without the rules."""
    zone = Zone(name)
    return zone in label.zones and label.level <= CLEARED[zone] and ("secret" not in label.kinds or zone == DEVICE)


@settings(max_examples=150, deadline=None)
@given(
    found=documents,
    order=st.permutations([DEVICE, LAN, EU, WORLD]).flatmap(
        lambda zones: st.integers(1, 4).map(lambda many: zones[:many])
    ),
    only=st.booleans(),
    own=st.sampled_from(["public", "internal", "confidential", "restricted"]),
    stream=st.booleans(),
)
def test_no_deployment_sees_what_the_join_forbids(
    found: tuple[object, ...], order: list[Zone], *, only: bool, own: str, stream: bool
) -> None:
    at, engines = _house(list(order))
    at.vault = FakeVault(kept=found)  # pyright: ignore[reportArgumentType] - passages
    request = replace(asked(vault={"only_what_may_leave": only}, stream=stream), label_header=own)
    with contextlib.suppress(FreeholdError):
        asyncio.run(at.ask(request))
    receipt = at.receipt
    readable = [
        each for each in FakeVault(kept=found).kept if READER.may_read(each.document.tenant, each.document.readers)
    ]  # pyright: ignore[reportArgumentType] - passages
    for name, each in engines.items():
        for call in each.calls:
            body = call.body.decode()
            assert '"vault"' not in body
            inside = [one for one in found if one.text in body]  # pyright: ignore[reportAttributeAccessIssue] - passages
            assert all(one in readable for one in inside)
            label = join_all((label_of_text(one.document.label, TREE) for one in inside), tree=TREE)  # pyright: ignore[reportAttributeAccessIssue] - passages
            assert _may_see(name, label), (name, format_label(label))
            assert leq(replace(label, trusted=False), replace(receipt.label, trusted=False))
    if receipt.retrieved is not None:
        said = {each.id for each in receipt.retrieved.documents}
        assert said <= {each.document.id for each in readable}
        assert sum(count for _, count in receipt.retrieved.left_out) <= len(readable)
        assert receipt.retrieved.abstained == (not said)
