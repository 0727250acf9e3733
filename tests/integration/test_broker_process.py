"""The broker as a process of its own, before a server that connects to nobody: what leaves, what does not, and who says so."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import openai
import pytest

from freehold.audit.verify import verify_folder
from tests.servers.openai_server import TEXT
from tests.support.brokered import KEY, BrokeredSite, brokered_site, records_of
from tests.support.server import ROOT, STOP_S, environment, eventually, running

HANDED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp("unshare", ["unshare", "-rn", *sys.argv[2:]])
"""
"""What systemd does: the socket is descriptor 3, the process that gets it is named, and it has a network of its own."""

SAME = ("request", "deployment", "origin", "zone", "label", "body_bytes", "body_commit")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[BrokeredSite]:
    with brokered_site(tmp_path_factory.mktemp("brokered")) as made:
        yield made


def _text(reply: Any) -> str:
    return reply.parse().choices[0].message.content


def _streamed(house: BrokeredSite, text: str, model: str = "plain") -> Any:
    messages = [{"role": "user", "content": text}]
    return house.gateway.openai().chat.completions.create(model=model, messages=messages, stream=True)


def _refused(house: BrokeredSite, text: str, model: str = "plain") -> dict[str, Any]:
    with pytest.raises(openai.APIStatusError) as refused:
        house.ask(text, model=model)
    return {**refused.value.body, "status": refused.value.status_code}


def _readyz(house: BrokeredSite) -> tuple[int, dict[str, Any]]:
    with house.gateway.http("") as client:
        reply = client.get("/readyz")
    return reply.status_code, reply.json()


def _healthy(house: BrokeredSite) -> set[str]:
    """The values of the metric that says whether the broker lets anything leave, of all workers."""
    with house.gateway.http() as client:
        lines = client.get("/metrics").text.splitlines()
    return {line.split()[-1] for line in lines if line.startswith("freehold_egress_broker_healthy")}


def _intents(records: list[dict[str, Any]]) -> list[list[Any]]:
    return [[each[key] for key in SAME] for each in records if each["event"] == "egress.intent"]


def test_answers_come_whole_and_both_logs_say_the_same(house: BrokeredSite) -> None:
    """Whole, streamed, in two dialects, and escalated; the server never had the credential that the broker sends."""
    assert _text(house.ask("hello")) == TEXT
    assert "".join(each.choices[0].delta.content or "" for each in _streamed(house, "hi") if each.choices) == TEXT
    assert house.ask("hello", model="claude").headers["freehold-deployment"] == "claude"
    assert house.ask("hello", model="ladder").headers["freehold-deployment"] == "large"
    assert house.ask("hello", model="home").headers["freehold-deployment"] == "near"
    assert {each.headers["authorization"] for each in house.small.exchanges} == {f"Bearer {KEY}"}
    assert KEY not in house.gateway.log + house.broker.log
    ours = eventually(lambda: _ended(house.gateway.audit_folder, 4), what="the server's log")
    theirs = eventually(lambda: _ended(house.broker.audit_folder, 4), what="the broker's log")
    assert _intents(ours) == _intents(theirs)
    assert {each["outcome"] for each in theirs if each["event"] == "egress.done"} == {"complete"}
    assert verify_folder(house.broker.audit_folder, house.broker.announced["vkey"]).key_given
    assert _readyz(house) == (200, {**_readyz(house)[1], "ready": True, "egress_broker": "ok"})
    status = house.broker.status()
    assert {each["name"]: each["calls"] for each in status["destinations"] if each["calls"]} == {
        "small": 2, "claude": 1, "large": 1,
    }  # fmt: skip


def _ended(folder: Path, count: int) -> list[dict[str, Any]]:
    records = records_of(folder)
    return records if sum(1 for each in records if each["event"] == "egress.done") == count else []


def test_without_the_broker_nothing_leaves_and_local_answers_go_on(house: BrokeredSite) -> None:
    house.ask("before")
    asked = len(house.small.exchanges), len(house.large.exchanges)
    house.broker.stop()
    told = _refused(house, "hello")
    assert (told["status"], told["freehold_code"]) in {(503, "FH-AUDIT-003"), (403, "FH-POLICY-001")}
    eventually(lambda: _readyz(house)[0] == 503, what="that readyz says so")
    assert _readyz(house)[1]["egress_broker"] != "ok"
    assert _readyz(house)[1]["audit"] is True
    assert _healthy(house) == {"0"}
    told = _refused(house, "hello")
    assert told["freehold_code"] == "FH-POLICY-001", "planned without it, by the rule about records"
    assert "or the egress broker is away" in told["message"]
    assert house.ask("hello", model="home").headers["freehold-deployment"] == "near"
    assert house.ask("hello", model="ladder").headers["freehold-deployment"] == "near"
    assert (len(house.small.exchanges), len(house.large.exchanges)) == asked
    house.broker.start()
    eventually(lambda: _readyz(house)[0] == 200, within_s=30, what="that the way is open again")
    assert _healthy(house) == {"1"}
    assert _text(house.ask("hello")) == TEXT
    assert "away" in house.gateway.log


def test_a_broker_that_dies_in_the_middle_breaks_the_stream_and_ends_its_record_as_unknown(house: BrokeredSite) -> None:
    stream = _streamed(house, "stall")
    next(each for each in stream if each.choices and each.choices[0].delta.content)
    house.broker.kill()
    with pytest.raises(openai.APIError, match="broke off"):
        list(stream)
    assert house.gateway.newest_receipt()["outcome"] == "broken"
    house.broker.start()
    eventually(lambda: _readyz(house)[0] == 200, within_s=30, what="that the way is open again")
    ends = [each["outcome"] for each in house.broker.records() if each["event"] == "egress.done"]
    assert ends[-1] == "unknown"
    assert _text(house.ask("after")) == TEXT


def test_a_server_that_dies_ends_what_ran_for_it(tmp_path: Path) -> None:
    with brokered_site(tmp_path) as house:
        config = house.gateway.config.read_text()
        stream = _streamed(house, "stall")
        next(each for each in stream if each.choices and each.choices[0].delta.content)
        house.gateway.kill()
        eventually(house.small.exchanges[-1].gone.is_set, what="that the upstream sees it")
        done = eventually(lambda: _ended(house.broker.audit_folder, 1), what="its record")
        assert done[-1]["outcome"] == "cancelled"
        with running(config, tmp_path) as again:
            house.gateway = again
            assert _text(house.ask("hello")) == TEXT


def test_the_broker_goes_by_its_own_configuration(tmp_path: Path) -> None:
    """What the server's says of a deployment opens nothing that the broker's holds back."""

    def stricter(config: str) -> str:
        return config.replace('clearance = "internal"', 'clearance = "public"')

    with brokered_site(tmp_path, at_broker=stricter) as house:
        told = _refused(house, "hello", model="large")
        assert told["freehold_code"] == "FH-POLICY-003"
        assert "by the egress broker's rules large" in told["message"]
        assert house.ask("hello", model="ladder").headers["freehold-deployment"] == "near"
        assert house.large.exchanges == []
        assert _text(house.ask("hello")) == TEXT, "small is cleared for it in both"
        refused = [each for each in house.broker.records() if each["event"] == "egress.refused"]
        assert {each["deployment"] for each in refused} == {"large"}


def test_a_server_without_any_network_serves_and_escalates(tmp_path: Path) -> None:
    """In a network namespace with nothing but loopback, at a socket that was handed in; doctor sees that it has none."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system gives no network namespaces")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        prefix = [sys.executable, "-c", HANDED, str(listener.fileno())]
        with brokered_site(tmp_path, prefix=prefix, pass_fds=(listener.fileno(),)) as house:
            assert house.gateway.address == listener.getsockname()
            assert _text(house.ask("hello")) == TEXT
            assert "".join(x.choices[0].delta.content or "" for x in _streamed(house, "hi") if x.choices) == TEXT
            command = [sys.executable, "-m", "freehold", "doctor", "--egress", "--json", "--config"]
            home = {"FREEHOLD_HOME": str(house.gateway.data)}
            done = subprocess.run(
                [*command, str(house.gateway.config)],
                cwd=ROOT, env=environment() | home, capture_output=True, timeout=8 * STOP_S, check=False,
            )  # fmt: skip
            told = json.loads(done.stdout)
            found = {each["name"]: each for each in told["checks"]}
            assert found["server"]["state"] == "ok"
            assert "loopback only" in found["server"]["detail"]
            assert f"process {house.gateway.pid} " in found["server"]["detail"]
            assert found["egress broker"]["state"] == "ok"
            sent = {each["name"]: each for each in told["broker"]["destinations"]}
            assert (sent["small"]["calls"], sent["small"]["outcomes"]) == (2, {"complete": 2})
