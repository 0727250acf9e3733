"""Releases on the request path: one body, one deployment, one attempt; and nothing where there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Doubt, Route
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.release import ReleaseSpent
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.identity import Principal
from freehold.domain.releases import Release, released_bytes
from freehold.domain.request import Dialect, InferenceRequest, Native, Purpose, Task
from freehold.domain.zones import Zone
from freehold.gateway.footing import Asking, Footings
from freehold.gateway.releasing import with_releases
from freehold.gateway.runtime import Runtime
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, House, MemorySink
from tests.unit.gateway.test_pipeline import chat, engine

EU = Zone("eu")
LABEL = "confidential"


@dataclass
class MemoryReleases:
    """Releases in a dictionary, whose commitments are the bodies themselves."""

    live: Mapping[str, tuple[Release, ...]] = field(default_factory=lambda: MappingProxyType({}))
    refusals: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    used: list[str] = field(default_factory=list[str])
    commits: int = 0

    def commit(self, request: InferenceRequest) -> str:
        self.commits += 1
        return released_bytes(request).hex()

    def refused(self, request: InferenceRequest, principal: Principal, label: str, *, scan_complete: bool) -> None:
        del scan_complete
        self.refusals.append((request.id, label))

    async def use(self, release_id: str, *, request_id: str, tenant: str) -> None:
        if release_id in self.used:
            raise ReleaseSpent(release_id=release_id)
        self.used.append(release_id)


@dataclass
class ReleasingHouse(House):
    """A house with releases."""

    releases: MemoryReleases = field(default_factory=MemoryReleases)

    def runtime(self) -> Runtime:
        return replace(super().runtime(), places={name: f"place of {name}" for name in self.engines})

    def services(self):
        return replace(super().services(), releases=self.releases)


def releasing(*engines: FakeEngine, **route: object) -> ReleasingHouse:
    names = tuple(each.deployment.name for each in engines)
    auto = Route(name="auto", deployments=names, **route)  # type: ignore[arg-type]
    return ReleasingHouse(engines={each.deployment.name: each for each in engines}, routes={"auto": auto})


def release(request: InferenceRequest, house: House, *, deployment: str = "cloud") -> Release:
    now_ms = house.clock.unix_ms()
    return Release(
        id="r-1",
        tenant="default",
        deployment=deployment,
        place=f"place of {deployment}",
        commitment=released_bytes(request).hex(),
        label="confidential;zones=lan",
        rules=("zone", "level"),
        reason="",
        receipt="",
        requested_by="key-1",
        requested_line="key-1",
        requested_unix_ms=now_ms,
        expires_unix_ms=now_ms + 1000,
        approved_by="key-2",
        approved_unix_ms=now_ms,
    )


def allow(house: ReleasingHouse, request: InferenceRequest) -> None:
    house.releases.live = {"default": (release(request, house),)}


def answer(house: ReleasingHouse, request: InferenceRequest) -> MemorySink:
    sink = MemorySink()
    principal = house.keys.authenticate(GOOD_KEY)
    asyncio.run(house.pipeline().answer(request, principal, sink))
    return sink


def refused(house: ReleasingHouse, request: InferenceRequest) -> None:
    with pytest.raises(NoPermittedDeployment):
        answer(house, request)


def test_a_released_body_goes_and_the_record_is_written_before() -> None:
    house, request = releasing(engine("cloud", zone=EU)), chat(label=LABEL)
    allow(house, request)
    assert answer(house, request).text == "answer of cloud"
    assert house.releases.used == ["r-1"]
    (kept,) = house.receipts.kept
    assert kept.decisions[0].rules == ("release:r-1",)
    assert kept.attempts[0].deployment == "cloud"
    assert kept.steps == ("authenticate", "label", "decide", "plan", "admit", "attempt", "judge", "verdict", "record")


@pytest.mark.parametrize(
    "request_",
    [
        chat("another text", label=LABEL),
        chat(stream=True, label=LABEL),
        chat(label="restricted"),
        replace(chat(label=LABEL), purpose=Purpose.SHADOW),
        replace(chat(label=LABEL), purpose=Purpose.GOLD),
    ],
    ids=["text", "stream", "label", "shadow", "gold"],
)
def test_anything_else_is_refused_as_ever(request_: InferenceRequest) -> None:
    house = releasing(engine("cloud", zone=EU))
    allow(house, chat(label=LABEL))
    refused(house, request_)
    assert not house.releases.used
    assert house.audit.events().count("egress.intent") == 0


def test_a_caller_of_another_tenant_or_a_deployment_that_changed_is_refused() -> None:
    house, request = releasing(engine("cloud", zone=EU)), chat(label=LABEL)
    good = release(request, house)
    for live in (
        {"other": (good,)},
        {"default": (replace(good, place="another place"),)},
        {"default": (replace(good, deployment="other"),)},
        {"default": (replace(good, approved_unix_ms=None),)},
        {"default": (replace(good, expires_unix_ms=house.clock.unix_ms()),)},
    ):
        house.releases.live = live
        refused(house, request)


def test_a_refused_request_is_remembered_by_its_receipt() -> None:
    house, request = releasing(engine("cloud", zone=EU)), chat(label=LABEL)
    refused(house, request)
    assert house.releases.refusals == [(request.id, "confidential;zones=lan")]


def test_it_is_good_for_one_attempt_and_a_failed_one_is_one() -> None:
    broken = engine("cloud", zone=EU, default=FakeAnswer(error=UpstreamUnreachable(deployment="cloud", reason="down")))
    house, request = releasing(broken, attempts_max=5), chat(label=LABEL)
    allow(house, request)
    with pytest.raises(UpstreamUnreachable):
        answer(house, request)
    assert house.releases.used == ["r-1"]
    assert [each.outcome for each in house.receipts.kept[0].attempts] == [Outcome.FAILED]


def test_where_it_was_spent_meanwhile_the_next_one_answers() -> None:
    house = releasing(engine("cloud", zone=EU), engine("small"))
    request = chat(label=LABEL)
    allow(house, request)
    house.releases.used.append("r-1")
    assert answer(house, request).deployments[-1:] in ([], ["small"])
    assert [each.error_code for each in house.receipts.kept[0].attempts] == ["FH-RELEASE-004", ""]


def test_further_signals_never_go_by_a_release() -> None:
    house = releasing(engine("cloud", zone=EU), doubt=Doubt(samples=2, beyond_device=True))
    request = chat(label=LABEL)
    allow(house, request)
    runtime = house.runtime()
    principal = house.keys.authenticate(GOOD_KEY)
    asking = Asking(principal, "auto", LABEL, house.clock.unix_ms(), audit_ready=True)
    footing = Footings(runtime).decide(asking, runtime.routes["auto"])
    released = with_releases(footing, request, house.releases, runtime=runtime, unix_ms=house.clock.unix_ms())
    assert released is not footing
    assert not footing.decisions[0].allowed, "what is kept for the next request is untouched"
    # A release is for the request's own body: another attempt's, of another role, is denied at the door.
    from freehold.domain.errors.policy import EgressDenied
    from freehold.domain.receipt import Role
    from freehold.gateway.attempt import AttemptRun
    from freehold.gateway.receipt import ReceiptDraft

    draft = ReceiptDraft(request=request, principal=principal, clock=house.clock, config_digest="", label=footing.label)
    for extra in ({"role": Role.SAMPLE}, {"asks": chat("something else")}):
        run = AttemptRun(
            services=house.services(),
            engine=house.engines["cloud"],
            draft=draft,
            footing=released,
            want_logprobs=0,
            **extra,  # type: ignore[arg-type]
        )

        async def through(run: AttemptRun = run) -> None:
            async for _ in run.chunks(1e9):
                pass

        with pytest.raises(EgressDenied):
            asyncio.run(through())
    assert not house.releases.used


def test_where_nothing_of_the_route_is_released_nothing_is_computed() -> None:
    house, request = releasing(engine("small"), engine("cloud", zone=EU)), chat(label=LABEL)
    house.releases.live = {"other": (release(request, house),)}
    answer(house, request)
    house.releases.live = {"default": (release(request, house, deployment="elsewhere"),)}
    answer(house, request)
    assert house.releases.commits == 0


def test_all_that_may_leave_is_part_of_the_body_and_where_it_goes_is_not() -> None:
    plain = chat()
    assert released_bytes(plain) == released_bytes(chat(model="small"))
    native = Native(dialect=Dialect.ANTHROPIC, fields={"model": b'"a"', "x": b"1"}, headers=(("h", "v"),))
    others = [
        replace(plain, task=Task.COUNT),
        replace(plain, fields={**plain.fields, "seed": b"1"}),
        replace(plain, fields={**plain.fields, "se": b"ed1"}),
        replace(plain, native=native),
        replace(plain, native=replace(native, fields={"x": b"2"})),
        replace(plain, native=replace(native, headers=())),
    ]
    assert len({released_bytes(each) for each in (plain, *others)}) == 1 + len(others)
    assert released_bytes(replace(plain, native=native)) == released_bytes(
        replace(plain, native=replace(native, fields={"model": b'"b"', "x": b"1"}))
    )
