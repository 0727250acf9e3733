"""Labels, deployments and zone trees for tests: a few by hand, and strategies for all there can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone, ZoneTree

EU = Zone("eu")
US = Zone("us")
TREE = ZoneTree(site_region=EU, regions=frozenset({EU, US}))
"""A site in Europe that also knows a region overseas."""

KINDS = ("pii", "phi", "pci", "secret", "other")
READERS = ("ann", "bob")

GOOD_TERMS = Terms(
    clearance=Level.RESTRICTED,
    kinds=None,
    retention_days=0,
    trains=False,
    contracts=frozenset({"dpa", "baa"}),
    expires_unix_ms=None,
)
"""Terms that no rule objects to."""

OWN_HARDWARE = Terms(clearance=Level.RESTRICTED, kinds=None, retention_days=0, trains=False)
"""What the configuration says of a deployment on this machine where its owner says nothing."""

ON_DEVICE = Deployment(
    name="home", engine=EngineKind.EMBEDDED, model=ModelCard(name="m"), zone=DEVICE, terms=OWN_HARDWARE
)
CLOUD = Deployment(name="cloud", engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=US, terms=GOOD_TERMS)


def cloud(zone: Zone = US, **terms: Any) -> Deployment:
    """A deployment beyond this machine whose terms are good but for the given ones."""
    return replace(CLOUD, zone=zone, terms=replace(GOOD_TERMS, **terms))


def label(level: Level = Level.PUBLIC, *zones: Zone, tree: ZoneTree = TREE, **others: Any) -> Label:
    """A label with zones closed on ``tree``; everywhere if none are named."""
    return Label(level=level, zones=tree.closure(zones or (WORLD,)), **others)


def raises(label: Label) -> Iterator[Label]:
    """Every label one step above: one level, one kind more, one zone or reader fewer, no longer trusted."""
    if label.level < Level.RESTRICTED:
        yield replace(label, level=Level(label.level + 1))
    for kind in set(KINDS) - label.kinds:
        yield replace(label, kinds=label.kinds | {kind})
    for zone in label.zones:
        yield replace(label, zones=label.zones - {zone})
    if label.readers is None:
        yield replace(label, readers=frozenset(READERS))
    for reader in label.readers or ():
        yield replace(label, readers=label.readers - {reader} if label.readers else None)
    if label.trusted:
        yield replace(label, trusted=False)


trees = st.sampled_from(
    [
        TREE,
        ZoneTree(site_region=US, regions=frozenset({EU, US})),
        ZoneTree(site_region=EU, regions=frozenset()),
        ZoneTree(site_region=EU, regions=frozenset({EU, US, Zone("ch"), Zone("jp")})),
    ]
)


def labels(tree: ZoneTree) -> st.SearchStrategy[Label]:
    """Labels as the rest of the house makes them: zones closed downwards on ``tree``."""
    return st.builds(
        Label,
        level=st.sampled_from(Level),
        kinds=st.frozensets(st.sampled_from(KINDS)),
        zones=st.frozensets(st.sampled_from(sorted(tree.zones))).map(tree.closure),
        readers=st.none() | st.frozensets(st.sampled_from(READERS)),
        trusted=st.booleans(),
    )


deployments = st.builds(
    Deployment,
    name=st.just("there"),
    engine=st.just(EngineKind.OPENAI),
    model=st.just(ModelCard(name="m")),
    zone=st.sampled_from([DEVICE, LAN, EU, US, WORLD, Zone("atlantis")]),
    terms=st.builds(
        Terms,
        clearance=st.sampled_from(Level),
        kinds=st.none() | st.frozensets(st.sampled_from(KINDS)),
        retention_days=st.sampled_from([0, 30, 31, 36_500]),
        trains=st.booleans(),
        contracts=st.frozensets(st.sampled_from(["dpa", "baa"])),
        expires_unix_ms=st.none() | st.sampled_from([1_000, 2_000]),
    ),
)
