"""``freehold broker``, what it is asked from the command line, and what refuses to go by another way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from freehold.app.broker import user_ids
from freehold.cli.checks import State
from freehold.cli.egress_broker import check_network, check_state
from freehold.config.compile import compile_config
from freehold.config.load import load
from freehold.domain.errors.server import SocketUnusable
from freehold.net.brokered.frames import Sent
from freehold.net.brokered.frames import State as BrokerState
from freehold.storage.folder import DataFolder
from tests.unit.cli.conftest import Cli

CONFIG = """
[deployments.far]
engine = "openai"
model = "m"
zone = "world"
base_url = "https://far.test/v1"
[egress]
broker = "unix://{place}"
"""


@pytest.fixture
def config(home: Path, tmp_path: Path) -> Path:
    """Of a server whose broker is not there."""
    home.mkdir(mode=0o700)
    path = tmp_path / "brokered.toml"
    path.write_text(CONFIG.format(place=tmp_path / "s"), encoding="utf-8")
    return path


def _state(**more: object) -> BrokerState:
    values: dict[str, object] = {
        "healthy": True, "log": "here/audit/broker", "entries": 4, "config": "sha256:x", "since_unix_ms": 1,
        "running": 0, "destinations": (), "refused": {},
    }  # fmt: skip
    return BrokerState(**(values | more))  # type: ignore[arg-type]


def _sent(origin: str = "https://far.test:443", calls: int = 2) -> Sent:
    outcomes = {"complete": calls} if calls else {}
    return Sent(name="far", origin=origin, zone="world", calls=calls, body_bytes=20, answer_bytes=9, outcomes=outcomes)


def test_without_a_place_there_is_nothing_to_run_or_ask(cli: Cli, home: Path) -> None:
    shown = cli("broker")
    assert (shown.code, "FH-SERVER-012" in shown.err) == (1, True)
    assert cli("broker", "--status").code == 2


def test_a_broker_that_is_not_there_is_said(cli: Cli, config: Path) -> None:
    shown = cli("broker", "--status", "--config", str(config), "--json")
    assert shown.code == 1
    assert json.loads(shown.out)["error"]["code"] == "FH-AUDIT-003"


def test_what_connects_by_itself_refuses(cli: Cli, config: Path) -> None:
    shown = cli("pull", "qwen3-0.6b", "--config", str(config))
    assert shown.code == 1
    assert "FH-POLICY-008" in shown.err
    config.write_text(config.read_text() + 'hub = ["https://hub.test"]\n')
    # The installer of packages has a network of its own, so that it is no way round either.
    shown = cli("pull", "smollm2-135m", "--from", "packages", "--config", str(config))
    assert shown.err.startswith("FH-POLICY-008")
    assert "FH-AUDIT-003" in cli("pull", "qwen3-4b", "--config", str(config)).err


def test_a_broker_in_the_servers_folder_is_refused(cli: Cli, config: Path, home: Path) -> None:
    with DataFolder.open(home):
        shown = cli("broker", "--config", str(config))
    assert (shown.code, "FH-SERVER-002" in shown.err) == (1, True)


def test_a_place_that_is_something_else_is_left_alone(cli: Cli, config: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine", encoding="utf-8")
    shown = cli("broker", "--config", str(config))
    assert (shown.code, "no socket" in shown.err) == (1, True)
    assert (tmp_path / "s").read_text(encoding="utf-8") == "mine"


def test_users_are_names_or_numbers() -> None:
    assert user_ids([]) == {os.getuid()}
    assert user_ids(["root", "12345"]) == {os.getuid(), 0, 12345}
    with pytest.raises(SocketUnusable, match="nobody-of-this-name"):
        user_ids(["nobody-of-this-name"])


def _process(proc: Path, pid: int, *names: str) -> None:
    net = proc / str(pid) / "net"
    net.mkdir(parents=True)
    lines = "".join(f"  {name}: 0 0 0\n" for name in names)
    (net / "dev").write_text(f"Inter-|   Receive\n face |bytes\n{lines}", encoding="ascii")


def test_a_server_is_judged_by_the_network_of_its_process(tmp_path: Path) -> None:
    """Not by its configuration; what cannot be seen is not believed."""
    home, proc = tmp_path / "home", tmp_path / "proc"
    assert check_network(home, proc=proc).state is State.NOTE
    with DataFolder.open(home):
        assert check_network(home, proc=proc).state is State.FAILED
        _process(proc, os.getpid(), "lo")
        assert check_network(home, proc=proc).state is State.OK
        (proc / str(os.getpid()) / "net" / "dev").unlink()
        (proc / str(os.getpid()) / "net").rmdir()
        _process(proc, os.getpid(), "lo", "eth0")
        found = check_network(home, proc=proc)
    assert found.state is State.FAILED
    assert "eth0" in found.detail
    assert "brokered.conf" in found.detail


def test_the_brokers_word_is_held_against_the_configuration(config: Path) -> None:
    compiled = compile_config(load(config), environment={})
    good = list(check_state(compiled, _state(destinations=(_sent(),))))
    assert [each.state for each in good] == [State.OK, State.OK, State.NOTE]
    assert "2 to far at https://far.test:443" in good[1].detail
    for state in (_state(destinations=(_sent("https://other.test:443"),)), _state(), _state(healthy=False)):
        assert State.FAILED in {each.state for each in check_state(compiled, state)}
    quiet = list(check_state(compiled, _state(destinations=(_sent(calls=0),))))
    assert quiet[-1].detail.startswith("nothing")


def test_doctor_says_that_the_broker_is_away(cli: Cli, config: Path) -> None:
    shown = cli("doctor", "--egress", "--json", "--config", str(config))
    checks = {each["name"]: each for each in json.loads(shown.out)["checks"]}
    assert checks["egress broker"]["state"] == "failed"
    assert shown.code == 1


def test_compare_says_by_its_exit_code_whether_both_logs_agree(cli: Cli, home: Path, tmp_path: Path) -> None:
    from tests.unit.audit.test_compare import _log

    told = [("r-1", "complete")]
    ours, theirs = _log(home / "audit", told), _log(tmp_path / "theirs", told)
    assert cli("audit", "compare", str(theirs)).code == 0
    more = _log(tmp_path / "more", [*told, ("r-2", "complete")])
    shown = cli("audit", "compare", str(more), "--folder", str(ours))
    assert (shown.code, "r-2" in shown.out) == (1, True)
