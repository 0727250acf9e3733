"""What fails, fails closed: each row of the table in docs/decisions/0034 is a test named after it; detectors' rows are in
``test_looked_through.py``.

Real gateways in front of scripted servers wherever a process matters; a ``trap`` is a server that must never be asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import threading
from dataclasses import replace
from pathlib import Path

import openai
import pytest

from freehold.audit.destinations import destinations
from freehold.audit.journal import Journal
from freehold.audit.verify import verify_folder
from freehold.audit.wal import Segment
from freehold.domain.decisions import PolicyDecision
from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.egress import EgressIntent
from freehold.domain.errors.audit import AuditUnwritable
from freehold.domain.errors.policy import EgressDenied
from freehold.domain.labels import Label, Level
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.net.limits import HttpLimits
from freehold.policy.decide import decide
from freehold.policy.labelling import UNLABELLED, join_sources, joined
from freehold.policy.rulebook import Rulebook
from freehold.policy.rules import RULE_ERROR
from freehold.policy.sayings import PERMIT
from tests.servers.http import Exchange
from tests.servers.openai_server import TEXT, OpenAIServer
from tests.support.audit import CountingIds, open_log
from tests.support.egress import PERMIT_KEY, RealClock, broker, names, permit_for, soon
from tests.support.gateway import TREE
from tests.support.ports import closed_port
from tests.support.rules import rulebook, shipped_without
from tests.support.scripted import Peer, Server, run, serve
from tests.support.server import eventually, refused_start, running
from tests.support.site import refusal, site
from tests.support.upstream import in_thread

LADDER = """
[deployments.down]
engine = "openai"
model = "scripted-down"
zone = "lan"
base_url = "http://127.0.0.1:{closed}/v1"
clearance = "confidential"
[deployments.lesser]
engine = "openai"
model = "scripted-lesser"
zone = "lan"
base_url = "{trap}"
clearance = "public"
[routes.ladder]
deployments = ["down", "lesser"]
when_down = ["smaller", "overflow", "overflow-farther"]
when_busy = ["smaller", "overflow", "overflow-farther"]
"""


# --- no label, unknown source ----------------------------------------------------------------------


def test_no_label_stays_on_this_device() -> None:
    """Level 2, zone device; no deployment beyond gets it, whatever it promises."""
    assert (UNLABELLED.level, UNLABELLED.zones) == (Level.CONFIDENTIAL, frozenset({DEVICE}))
    label = join_sources((), tree=TREE)
    assert label is UNLABELLED
    best = Terms(clearance=Level.RESTRICTED, kinds=None, trains=False, contracts=frozenset({"dpa", "baa", "zdr"}))
    for zone in (LAN, Zone("eu"), WORLD):
        where = Deployment(name="x", engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=zone, terms=best)
        assert _decided(label, where, rulebook(where)).rules == ("zone",)


def test_a_source_that_nobody_knows_sends_nothing(tmp_path: Path) -> None:
    """Nobody's key, no key, and a kept label whose zones are gone: refused, or the strictest label there is."""
    with site(tmp_path) as house:
        for key in ("", "fh-" + "x" * 43):
            with house.gateway.http(key) as client:
                body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
                assert client.post("/v1/chat/completions", json=body).status_code == 401
        assert house.small.exchanges == []
    assert joined(["restricted;zones=gone"], tree=TREE) == joined(["restricted;zones=device"], tree=TREE)


def test_a_label_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with site(tmp_path) as house:
        for header in ("sekret", "public;zones=moon", "9", "public;zones="):
            told = refusal(house, "hello", extra_headers={"freehold-label": header})
            assert told["freehold_code"] == "FH-POLICY-002"
        assert house.small.exchanges == house.large.exchanges == []


# --- policy missing or invalid, engine error, unknown deployment -----------------------------------


def _office() -> Deployment:
    terms = Terms(clearance=Level.RESTRICTED, kinds=None)
    return Deployment(name="x", engine=EngineKind.OPENAI, model=ModelCard(name="m"), zone=LAN, terms=terms)


_OPEN = Label(level=Level.PUBLIC, zones=TREE.zones)


def _decided(label: Label, where: Deployment, policy: Rulebook) -> PolicyDecision:
    return decide(label, where, policy=policy, tenant="default", unix_ms=0, audit_ready=True)


def test_a_policy_that_is_missing_denies() -> None:
    """Without the rule that permits, nothing is permitted, although nothing forbids it."""
    assert _decided(_OPEN, _office(), rulebook(_office())).allowed
    made = _decided(_OPEN, _office(), rulebook(_office(), shipped=shipped_without(PERMIT)))
    assert not made.allowed


def test_a_deployment_that_the_policy_does_not_know_gets_nothing() -> None:
    made = _decided(_OPEN, _office(), rulebook(replace(_office(), name="another")))
    assert (made.allowed, made.rules) == (False, (RULE_ERROR,))


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), RecursionError(), ZeroDivisionError(), ValueError()])
def test_rules_that_fail_deny(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise error

    policy = Rulebook.compile(deployments=(_office(),), tree=TREE)
    monkeypatch.setattr(policy, "ask", fails)
    made = _decided(_OPEN, _office(), policy)
    assert (made.allowed, made.rules) == (False, (RULE_ERROR,))


def test_a_policy_that_is_invalid_does_not_come_into_force(tmp_path: Path) -> None:
    """At the start there is no gateway; at a reload the last good one goes on, and what it denied stays denied."""
    (tmp_path / "bad").mkdir()
    told = refused_start('[server]\nport = 0\n[tenants.default]\nlabel = "sekret"\n', tmp_path / "bad")
    assert told["code"] == "FH-POLICY-002"
    with site(tmp_path) as house:
        text = house.gateway.config.read_text()
        widened = text.replace('clearance = "internal"', 'clearance = "restricted"').replace('"internal"', '"pubic"')
        house.gateway.config.write_text(widened)
        eventually(lambda: "pubic" in house.gateway.log, what="the complaint")
        strict = {"freehold-label": "confidential;zones=lan"}
        assert refusal(house, "secret", model="large", extra_headers=strict)["freehold_code"] == "FH-POLICY-001"
        assert house.large.exchanges == []
        assert TEXT in house.ask("hello").text


def test_an_unknown_deployment_gets_nothing(tmp_path: Path) -> None:
    with site(tmp_path) as house:
        assert refusal(house, "hello", model="lrge")["freehold_code"].startswith("FH-REQUEST-")
        assert house.small.exchanges == house.large.exchanges == house.claude.exchanges == []


# --- audit store full, fsync error -----------------------------------------------------------------

AT_HOME = """
[deployments.home]
engine = "openai"
model = "scripted-home"
zone = "device"
base_url = "{small}"
[routes.both]
deployments = ["home", "large"]
uncalibrated = "escalate"
"""


def test_a_full_audit_store_denies_egress_lets_local_go_on_and_turns_health_red(tmp_path: Path) -> None:
    with site(tmp_path, more=AT_HOME) as house:
        gateway = house.gateway
        assert house.ask("before", model="both").headers["freehold-deployment"] == "large"
        asked = len(house.large.exchanges)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for _ in range(3):
            told = refusal(house, "secret", model="large")
            assert told["freehold_code"] in {"FH-AUDIT-001", "FH-POLICY-001"}
        assert len(house.large.exchanges) == asked
        assert not gateway.ready()
        with gateway.http("") as client:
            assert client.get("/readyz").json()["audit"] is False
        local = house.ask("at home", model="home")
        assert TEXT in local.text
        assert house.ask("at home too", model="both").headers["freehold-deployment"] == "home"
        assert len(house.large.exchanges) == asked
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        eventually(gateway.ready, within_s=15.0, what="health, once the disk takes records again")
        assert house.ask("after", model="both").headers["freehold-deployment"] == "large"


def test_a_flush_that_fails_gives_no_permit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent is written and the medium refuses: the caller gets an error, and no permit ever."""

    async def main() -> None:
        log = open_log(tmp_path)
        journal = Journal(log, RealClock(), CountingIds(), PERMIT_KEY)
        body = b"{}"
        intent = EgressIntent(
            request_id="r", tenant="t", deployment="d", origin="https://x.test:443", zone=WORLD, label="public",
            rules=("zone",), body_bytes=2, body_commitment=log.commit(body),
        )  # fmt: skip

        def fails(*_: object) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(Segment, "sync", fails)
            with pytest.raises(AuditUnwritable):
                await journal.permit(intent, body=body)
            assert not log.healthy
        log.close()

    asyncio.run(main())


# --- every permitted deployment down ---------------------------------------------------------------


def test_where_every_permitted_deployment_is_down_a_less_trusted_one_is_never_asked(
    tmp_path: Path, trap: OpenAIServer
) -> None:
    more = LADDER.format(closed=closed_port(), trap=trap.base_url)
    with site(tmp_path, more=more) as house:
        for stream in (False, True):
            told = refusal(house, "hello", model="ladder", stream=stream)
            assert told["freehold_code"] == "FH-UPSTREAM-001"
            receipt = house.gateway.receipt(told["receipt"])
            denied = {each["deployment"]: each["rules"] for each in receipt["decisions"] if not each["allowed"]}
            assert denied == {"lesser": ["level"]}
            assert {each["deployment"] for each in receipt["attempts"]} == {"down"}
        told = refusal(house, "hello", model="lesser")
        assert told["freehold_code"] == "FH-POLICY-001"
        assert "is cleared up to public, the text is internal" in told["message"]


# --- redirect, DNS rebinding, *_PROXY ----------------------------------------------------------------


class Redirecting(OpenAIServer):
    """Sends every call elsewhere."""

    def __init__(self, elsewhere: str) -> None:
        super().__init__()
        self.elsewhere = elsewhere
        self.status = 307

    async def answer(self, exchange: Exchange) -> None:
        await exchange.reply(self.status, b"", location=f"{self.elsewhere}/chat/completions")


BEHIND = """
[server]
port = 0
[tenants.default]
label = "internal"
[deployments.small]
engine = "openai"
model = "scripted"
zone = "{zone}"
base_url = "{small}"
clearance = "internal"
"""


@pytest.mark.parametrize("zone", [DEVICE, LAN])
def test_no_redirect_is_followed_no_proxy_asked_and_no_netrc_read(
    tmp_path: Path, trap: OpenAIServer, zone: Zone
) -> None:
    where = trap.base_url.removesuffix("/v1")
    (tmp_path / ".netrc").write_text("default login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    proxies = [
        f"{name}={where}"
        for each in ("http", "https", "all", "ftp")
        for name in (f"{each}_proxy", f"{each.upper()}_PROXY")
    ]
    environment = ("env", *proxies, "NO_PROXY=", "no_proxy=", f"HOME={tmp_path}", f"NETRC={tmp_path / '.netrc'}")
    with in_thread(Redirecting(trap.base_url)) as server:
        config = BEHIND.format(small=server.base_url, zone=zone)
        with running(config, tmp_path, prefix=environment) as gateway:
            for status in (301, 302, 303, 307, 308):
                server.status = status
                for stream in (False, True):
                    with pytest.raises(openai.APIStatusError) as refused:
                        messages = [{"role": "user", "content": "hello"}]
                        gateway.openai().chat.completions.create(model="small", messages=messages, stream=stream)
                    assert refused.value.body["freehold_code"] == "FH-UPSTREAM-002"
                    assert trap.base_url not in refused.value.response.text
        asked = server.exchanges
        assert len(asked) == 10
        assert {each.path for each in asked} == {"/v1/chat/completions"}, "origin form: nobody was taken for a proxy"
        assert all("authorization" not in each.headers for each in asked)
        assert {each.headers["host"] for each in asked} == {f"127.0.0.1:{server.port}"}


async def _echo(server: Server, peer: Peer) -> None:
    while True:
        await peer.answer(await server.note(peer))


def test_a_name_that_is_rebound_to_this_machine_reaches_nobody() -> None:
    """The first answer is public, the second loopback, where a server listens."""
    answers = iter((["203.0.113.7"], ["127.0.0.1"], ["203.0.113.7", "127.0.0.1"], ["::ffff:127.0.0.1"]))
    dialled: list[str] = []

    async def refuse(_loop: object, _family: int, address: tuple[str, int]) -> None:
        dialled.append(address[0])
        raise ConnectionRefusedError(111, "refused")

    async def main() -> None:
        table: dict[str, list[str]] = {}
        limits = HttpLimits(resolve_again_s=0.0)
        async with serve(_echo) as server, broker(limits, resolver=names(table)) as made:
            client = made.client(name="cloud", base_url=f"https://rebound.test:{server.port}", zone=WORLD)
            told: list[str] = []
            for number, addresses in enumerate(answers):
                table["rebound.test"] = addresses
                permit = permit_for(client.origin, WORLD, b"{}", permit_id=str(number))
                with pytest.raises(Exception, match=r"refused|loopback") as caught:
                    await client.request(method="POST", path="/", body=b"{}", permit=permit, deadline_s=soon())
                told.append(type(caught.value).__name__)
            assert told == ["UpstreamUnreachable", "EgressDenied", "EgressDenied", "EgressDenied"]
            assert server.peers == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("freehold.net.dial._connect", refuse)
        run(main, "asyncio")
    assert dialled == ["203.0.113.7"]


# --- body edited after the decision ------------------------------------------------------------------


def test_a_body_that_was_edited_after_the_decision_does_not_leave(tmp_path: Path) -> None:
    """From the real journal to the real broker: one byte more, less or other, and nothing is sent or connected."""
    body = b'{"messages":[{"role":"user","content":"10 EUR"}]}'

    async def main() -> None:
        clock = RealClock()
        log = open_log(tmp_path)
        journal = Journal(log, clock, CountingIds(), PERMIT_KEY)
        async with serve(_echo) as server, broker(clock=clock) as made:
            client = made.client(name="office", base_url=server.base_url, zone=LAN)
            intent = EgressIntent(
                request_id="r", tenant="t", deployment="office", origin=client.origin, zone=LAN, label="internal",
                rules=("zone",), body_bytes=len(body), body_commitment=log.commit(body),
            )  # fmt: skip
            permit = await journal.permit(intent, body=body)
            assert permit.body_sha256 == hashlib.sha256(body).digest()
            for edited in (body + b" ", body[:-1], body.replace(b"10", b"90"), b""):
                with pytest.raises(EgressDenied, match="another body"):
                    await client.request(method="POST", path="/", body=edited, permit=permit, deadline_s=soon())
            assert server.peers == []
            with pytest.raises(EgressDenied, match="changed after its intent"):
                await journal.permit(intent, body=body + b" ")
            reply = await client.request(method="POST", path="/", body=body, permit=permit, deadline_s=soon())
            assert await reply.read(limit_bytes=1000) == body
        log.close()

    run(main, "asyncio")


# --- each try has a record of its own, and a crash leaves none without an end ------------------------


def test_every_try_has_an_intent_of_its_own(tmp_path: Path) -> None:
    """A retry, an escalation and what is bought in doubt are egresses like the first."""
    more = """
[routes.asks]
deployments = ["small", "large"]
uncalibrated = "escalate"
"""
    with site(tmp_path, more=more) as house:
        house.ask("hello", model="asks")
        house.ask("hello", model="fallback")
        told = refusal(house, "hello", model="nowhere")
        receipt = house.gateway.receipt(told["receipt"])
        indexes = [each["egress_index"] for each in receipt["attempts"]]
        assert len(indexes) == len(set(indexes)) == 2, "it is tried twice, each time by a permit of its own"
        newest = [house.gateway.receipt(each["id"]) for each in house.gateway.get("/v1/receipts")["data"]]
        attempts = [each for receipt in newest for each in receipt["attempts"]]
        assert len({each["egress_index"] for each in attempts}) == len(attempts)
        audit = house.gateway.audit_folder
    sent = {each.origin: each.sent for each in destinations(audit)}
    assert sum(sent.values()) == len(attempts)


def test_an_intent_that_a_crash_left_open_is_ended_as_unknown(tmp_path: Path) -> None:
    with site(tmp_path) as house:
        config = house.gateway.config.read_text()
        body = {"model": "plain", "messages": [{"role": "user", "content": "silent"}]}
        with house.gateway.http() as client, pytest.raises(Exception, match=r"disconnected|reset|closed"):
            house.small.arrived.clear()
            killer = threading.Thread(
                target=lambda: (eventually(house.small.arrived.is_set, what="the call"), house.gateway.kill())
            )
            killer.start()
            client.post("/v1/chat/completions", json=body)
        killer.join()
        audit = house.gateway.audit_folder
        (before,) = destinations(audit)
        assert before.outcomes == {"running": 1}
        with running(config, tmp_path):
            pass
    (after,) = destinations(audit)
    assert (after.sent, after.outcomes) == (1, {"unknown": 1})
    assert verify_folder(audit).orphans == ()
