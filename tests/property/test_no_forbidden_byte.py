"""No byte reaches a deployment that the label forbids: the whole request path over random labels, routes and failures.

The rules are said here a second time, in the words of the promise, so that a mistake in ``policy`` cannot hide itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, StreamMode, Terms, Uncalibrated
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.wire.openai_request import decode_chat
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import PUBLIC, House, OneKey
from tests.support.labels import KINDS, TREE, labels

NAMES = ("a", "b", "c", "d")
EU, US = Zone("eu"), Zone("us")
WITHIN = {
    DEVICE: {DEVICE},
    LAN: {DEVICE, LAN},
    EU: {DEVICE, LAN, EU},
    US: {US},
    WORLD: {DEVICE, LAN, EU, US, WORLD},
}
"""What each zone's name in a header opens at a site in ``eu``."""


@dataclass(frozen=True)
class Header:
    """What a client asks for, as text and as what it means."""

    text: str | None
    level: Level = Level.PUBLIC
    zones: frozenset[Zone] = frozenset(WITHIN[WORLD])
    kinds: frozenset[str] = frozenset()
    readable: bool = True


@st.composite
def headers(draw: st.DrawFn) -> Header:
    form = draw(st.sampled_from(["none", "label", "label", "label", "nonsense"]))
    if form == "none":
        return Header(None)
    if form == "nonsense":
        return Header(draw(st.sampled_from(["", "sekret", "public;zones=", "public;zones=moon", "9"])), readable=False)
    level = draw(st.sampled_from(Level))
    zones = draw(st.lists(st.sampled_from(sorted(WITHIN)), max_size=2, unique=True))
    kinds = draw(st.frozensets(st.sampled_from(KINDS), max_size=2))
    text = level.word
    text += f";zones={','.join(zones)}" if zones else ""
    text += f";kinds={','.join(sorted(kinds))}" if kinds else ""
    opened = frozenset().union(*(WITHIN[zone] for zone in zones)) if zones else frozenset(WITHIN[WORLD])
    return Header(text, level, opened, kinds)


answers = st.sampled_from(
    [
        FakeAnswer(text="fine"),
        FakeAnswer(text="unsure", probability=0.2),
        FakeAnswer(text=""),
        FakeAnswer(text="cut here", cut_at=1),
        FakeAnswer(error=EngineCrashed(source="x", deployment="x", how="killed")),
        FakeAnswer(error=UpstreamUnreachable(source="x", deployment="x", reason="refused")),
    ]
)


@st.composite
def engines(draw: st.DrawFn) -> list[FakeEngine]:
    made: list[FakeEngine] = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        terms = Terms(
            clearance=draw(st.sampled_from(Level)),
            kinds=draw(st.none() | st.frozensets(st.sampled_from(KINDS))),
            retention_days=draw(st.sampled_from([0, 365])),
            trains=draw(st.booleans()),
            contracts=draw(st.sampled_from([frozenset[str](), frozenset({"dpa", "baa"})])),
        )
        zone = draw(st.sampled_from([*WITHIN, Zone("atlantis")]))
        card = ModelCard(name=f"{name}-model")
        where = Deployment(name=name, engine=EngineKind.OPENAI, model=card, zone=zone, terms=terms)
        made.append(FakeEngine(deployment=where, default=draw(answers), ready=draw(st.booleans())))
    return made


routes = st.builds(
    Route,
    name=st.just("auto"),
    deployments=st.just(NAMES),
    uncalibrated=st.sampled_from(Uncalibrated),
    stream=st.sampled_from(StreamMode),
    attempts_max=st.integers(1, 4),
    signals=st.booleans(),
)


def forbidden(where: Deployment, parts: Sequence[Label], header: Header, *, audit_broken: bool) -> list[str]:
    """Why a text with these labels may not reach ``where``; nothing where it may."""
    level = max(header.level, *(part.level for part in parts))
    kinds = header.kinds.union(*(part.kinds for part in parts))
    terms = where.terms
    everywhere = {
        "zone": any(where.zone not in zones for zones in (header.zones, *(part.zones for part in parts))),
        "level": level > terms.clearance,
        "kinds": terms.kinds is not None and not kinds <= terms.kinds,
        "readers": not _common_readers(parts),
    }
    beyond_device = {
        "secret": "secret" in kinds,
        "audit": audit_broken,
        "training": terms.trains and level > Level.PUBLIC,
        "phi": "phi" in kinds and where.zone != LAN and "baa" not in terms.contracts,
        "pii": "pii" in kinds and terms.retention_days > 30,
    }
    rules = everywhere if where.zone == DEVICE else everywhere | beyond_device
    return [name for name, forbids in rules.items() if forbids]


def _common_readers(parts: Sequence[Label]) -> bool:
    """Whether anybody may read what all of ``parts`` went into."""
    named = [part.readers for part in parts if part.readers is not None]
    return not named or bool(frozenset.intersection(*named))


@settings(max_examples=500, deadline=None)
@given(
    made=engines(),
    route=routes,
    parts=st.lists(st.just(PUBLIC) | labels(TREE), min_size=3, max_size=3),
    header=headers(),
    stream=st.booleans(),
    by_name=st.booleans(),
    audit_broken=st.booleans(),
)
def test_no_byte_reaches_a_deployment_that_the_label_forbids(
    made: list[FakeEngine],
    route: Route,
    parts: list[Label],
    header: Header,
    stream: bool,
    by_name: bool,
    audit_broken: bool,
) -> None:
    names = tuple(engine.deployment.name for engine in made)
    house = House(
        engines=dict(zip(names, made, strict=True)),
        routes={"auto": replace(route, deployments=names)},
        route_labels={} if by_name else {"auto": parts[0]},
        keys=OneKey(label=parts[1], tenant_label=parts[2]),
    )
    house.audit.broken = audit_broken
    in_force = parts[1:] if by_name else parts
    model = names[0] if by_name else "auto"
    body = f'{{"model":"{model}","stream":{str(stream).lower()},"messages":[{{"role":"user","content":"hi"}}]}}'
    request = replace(decode_chat(body.encode(), request_id="r"), label_header=header.text)
    try:
        asyncio.run(house.ask(request))
    except FreeholdError as error:
        refused_by_label = error.http_status in {400, 403}
    else:
        refused_by_label = False

    reached = [engine for engine in made if engine.calls]
    assert header.readable or (refused_by_label and not reached)
    for engine in reached:
        where = engine.deployment
        assert forbidden(where, in_force, header, audit_broken=audit_broken) == [], where
        assert where.name in {step.deployment for step in house.observed[0].attempts}
        for permit in engine.permits:
            assert_recorded_before(house, where, permit)
    assert len(house.observed) == 1
    assert house.observed[0].bytes_left == sum(
        len(call.body) for engine in reached if engine.deployment.zone != DEVICE for call in engine.calls
    )


def assert_recorded_before(house: House, where: Deployment, permit: EgressPermit | None) -> None:
    """Beyond this device there is a permit for each call, and its record names the deployment."""
    if where.zone == DEVICE:
        assert permit is None
        return
    assert permit is not None
    record = house.audit.records[permit.audit_index]
    assert (record.event, record.detail["deployment"]) == ("egress.intent", where.name)
