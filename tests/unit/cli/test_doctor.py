"""The checks, each on what it is to find."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freehold.app import broker
from freehold.audit.log import TransparencyLog
from freehold.cli import checks, doctor, jail_probe
from freehold.cli.checks import Check, State, guarded
from freehold.cli.first_run import config_text
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import load
from freehold.domain.errors.server import StorageFailed
from freehold.domain.hardware import HardwareProfile
from freehold.hostinfo.clock import SystemClock
from freehold.net.brokered.frames import Sent
from freehold.net.brokered.frames import State as BrokerState
from freehold.serving.manifests import Facts
from freehold.storage.folder import DataFolder
from tests.support.gguf_files import tiny_model
from tests.support.gguf_files import write as write_gguf
from tests.unit.cli.conftest import Cli

NOW_S = 1_800_000_000.0


@pytest.fixture
def sound(home: Path, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A processor that is good enough, and no child for the jail."""
    monkeypatch.setattr(doctor, "probe", machine)
    monkeypatch.setattr(jail_probe, "check_jail", lambda: [checks.good("engine jail", "held")])
    yield


@pytest.mark.usefixtures("sound")
def test_a_fresh_machine_is_well(cli: Cli, home: Path) -> None:
    shown = cli("doctor")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.endswith("All is well.\n")
    assert not home.exists(), "it changes nothing"


@pytest.mark.usefixtures("sound")
def test_a_failed_check_is_a_word_and_the_exit_code(cli: Cli, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "first-key").write_text("x")
    (home / "first-key").chmod(0o644)
    (home / "freehold.toml").write_text(config_text(model="smollm2-135m", slots=1, context_tokens=2048))
    shown = cli("doctor")
    assert shown.code == 1
    assert "✗ FAILED  key file: others can read" in shown.out
    assert "✗ FAILED  model smollm2-135m: FH-MODEL-007" in shown.out
    assert shown.out.endswith("2 checks failed.\n")
    document = json.loads(cli("doctor", "--json").out)
    assert document["ok"] is False
    assert sum(each["state"] == "failed" for each in document["checks"]) == 2


@pytest.mark.usefixtures("sound")
def test_a_broker_that_does_not_answer_is_no_good_health(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(mode=0o700)
    place = home / "broker.sock"
    far = '[deployments.far]\nengine = "openai"\nmodel = "m"\nzone = "world"\nbase_url = "https://far.test/v1"\n'
    (home / "freehold.toml").write_text(f'{far}[egress]\nbroker = "unix://{place}"\n', encoding="utf-8")
    shown = cli("doctor")
    assert shown.code == 1
    assert f"✗ FAILED  egress broker: FH-AUDIT-003: The egress broker at unix://{place} does not record" in shown.out
    assert shown.out.endswith("1 check failed.\n")

    sent = Sent(
        name="far", origin="https://far.test:443", zone="world", calls=1, body_bytes=2, answer_bytes=3, outcomes={}
    )
    state = BrokerState(
        healthy=True, log="here", entries=4, config="x", since_unix_ms=1, running=0, destinations=(sent,), refused={}
    )

    async def answers(place: str) -> BrokerState:
        return state

    monkeypatch.setattr(broker, "broker_state", answers)
    shown = cli("doctor")
    assert (shown.code, "✓ ok      egress broker: answers" in shown.out) == (0, True)
    assert "broker sent" not in shown.out, "that is what --egress is for"


@pytest.mark.usefixtures("sound")
def test_every_mistake_of_the_configuration_is_a_finding(cli: Cli, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "freehold.toml").write_text("[server]\nprot = 1\nport = 'x'\n")
    shown = cli("doctor")
    assert shown.code == 1
    assert shown.out.count("✗ FAILED  configuration: line ") == 2


@pytest.mark.usefixtures("sound")
def test_an_open_address_fails(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEHOLD_SERVER__HOST", "0.0.0.0")
    assert "✗ FAILED  bind address: Binding to 0.0.0.0" in cli("doctor").out


def _only(found: list[Check], state: State) -> str:
    (check,) = found
    assert check.state is state, check
    return check.detail


def test_the_data_folder(tmp_path: Path) -> None:
    assert "not there yet" in _only(checks.check_folder(tmp_path / "none"), State.NOTE)
    tmp_path.chmod(0o700)
    assert "not in use" in _only(checks.check_folder(tmp_path), State.OK)
    with DataFolder.open(tmp_path):
        assert "in use by the server" in _only(checks.check_folder(tmp_path), State.OK)
    for mode, what in ((0o777, "write to"), (0o755, "look into"), (0o750, "look into"), (0o701, "look into")):
        tmp_path.chmod(mode)
        told = _only(checks.check_folder(tmp_path), State.FAILED)
        assert f"others may {what} {tmp_path} (mode {mode:04o}); run: chmod 700 {tmp_path}" in told


@pytest.mark.usefixtures("sound")
def test_a_vault_whose_key_is_gone(cli: Cli, home: Path) -> None:
    assert "vault archive" not in cli("doctor").out, "there is none yet"
    for name in ("vaults", "vault-keys"):
        (home / name).mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    key = home / "vault-keys" / "archive"
    (home / "vaults" / "archive.db").write_bytes(b"sealed")
    key.write_text("0" * 64)
    assert "✓ ok      vault archive:" in cli("doctor").out
    key.unlink()
    shown = cli("doctor")
    assert shown.code == 1
    assert f"✗ FAILED  vault archive: FH-VAULT-084: The key of the vault 'archive' is missing: '{home}" in shown.out
    assert "Put the key back from a backup" in shown.out
    assert not key.exists(), "it changes nothing"


def test_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10_000_000

    assert _only(checks.check_disk(tmp_path / "none" / "none"), State.OK)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: Usage)
    assert "10.0 MB is free" in _only(checks.check_disk(tmp_path), State.FAILED)


def test_the_clock(tmp_path: Path) -> None:
    assert _only(checks.check_clock(tmp_path, unix_s=NOW_S), State.OK)
    assert "before 2026" in _only(checks.check_clock(tmp_path, unix_s=0), State.FAILED)
    (tmp_path / "freehold.db").touch()
    written_s = (tmp_path / "freehold.db").stat().st_mtime
    assert "went back" in _only(checks.check_clock(tmp_path, unix_s=written_s - 1000), State.FAILED)
    assert _only(checks.check_clock(tmp_path, unix_s=written_s - 10), State.OK)


def test_the_processor(machine: Callable[..., HardwareProfile]) -> None:
    assert _only(checks.check_processor(machine()), State.OK)
    assert "AVX2" in _only(checks.check_processor(machine(cpu_flags=frozenset({"sse2"}))), State.FAILED)


def test_the_way_out_refuses() -> None:
    assert "was refused" in _only(checks.check_egress(), State.OK)


def test_the_audit_log(tmp_path: Path) -> None:
    assert _only(checks.check_audit(tmp_path), State.NOTE)
    TransparencyLog.open(tmp_path / "audit", origin="here/audit", clock=SystemClock()).close()
    assert "verifies: 0 entries" in _only(checks.check_audit(tmp_path), State.OK)
    for file in (tmp_path / "audit").rglob("checkpoint*"):
        file.chmod(0o600)
        file.write_text("here/audit\n7\nAAAA\n\n")
    assert "FH-AUDIT-002" in _only(list(guarded("audit", lambda: checks.check_audit(tmp_path))), State.FAILED)


def test_an_error_of_ours_does_not_keep_the_other_checks_from_running() -> None:
    def broken() -> list[Check]:
        raise StorageFailed(name="db", done="opened", reason="no")

    def denied() -> list[Check]:
        raise PermissionError(13, "denied")

    assert "FH-SERVER-006" in _only(list(guarded("x", broken)), State.FAILED)
    assert "denied" in _only(list(guarded("x", denied)), State.FAILED)


@pytest.mark.usefixtures("sound")
def test_a_damaged_model_is_found(cli: Cli, home: Path) -> None:
    from hashlib import sha256

    from freehold.cli.pulling import registry_of

    home.mkdir(mode=0o700)
    content = tiny_model()
    digest = sha256(content).hexdigest()
    model = registry_of(home).install(
        write_gguf(home, content), name="tiny", sha256=digest, facts=Facts(license="", origin="test", unix_ms=0)
    )
    assert "✓ ok      model tiny" in cli("doctor").out
    model.path.chmod(0o600)
    model.path.write_bytes(content[:-1] + b"\xff")
    shown = cli("doctor")
    assert shown.code == 1
    assert "✗ FAILED  model tiny: FH-MODEL-003" in shown.out


def test_the_jail_is_asked_of_a_real_child() -> None:
    found = jail_probe.check_jail()
    assert found
    assert all(each.state is not State.FAILED for each in found), found
    assert any("no core dumps" in each.detail for each in found)


def test_a_child_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert "failed" in _only(jail_probe.check_jail(), State.FAILED)


def test_tools_that_nobody_declared_are_told_where_something_chats(tmp_path: Path) -> None:
    def compiled(text: str) -> Compiled:
        file = tmp_path / "freehold.toml"
        file.write_text(text, encoding="utf-8")
        return compile_config(load(file, environment={}), environment={})

    chats = '[deployments.x]\nengine = "embedded"\nmodel = "smollm2-135m"\n'
    said = _only(checks.check_tools(compiled(chats)), State.NOTE)
    assert '[tools.NAME] effect = "none" or "read", and trusted = true' in said
    declared = compiled(f'{chats}\n[tools.clock]\neffect = "none"\n')
    assert _only(checks.check_tools(declared), State.OK) == "1 declared"
    for none in ("tools = false", "embeds = true"):
        assert checks.check_tools(compiled(f"{chats}{none}\n")) == []
    assert checks.check_tools(compiled('[deployments.x]\nengine = "onnx"\nmodel = "bge-small-en"\n')) == []


def test_packages_are_looked_for_only_where_an_engine_needs_them(tmp_path: Path) -> None:
    def compiled(engine: str, model: str) -> Compiled:
        file = tmp_path / "freehold.toml"
        file.write_text(f'[deployments.x]\nengine = "{engine}"\nmodel = "{model}"\n', encoding="utf-8")
        return compile_config(load(file, environment={}), environment={})

    def nothing_there() -> tuple[str, ...]:
        return ("onnxruntime",)

    assert checks.check_packages(compiled("embedded", "smollm2-135m"), missing=nothing_there) == []
    configured = compiled("onnx", "bge-small-en")
    assert 'pip install "freehold[embed]"' in _only(
        checks.check_packages(configured, missing=nothing_there), State.FAILED
    )
    assert _only(checks.check_packages(configured, missing=tuple), State.OK)


FAR = """
[deployments.far]
engine = "openai"
model = "m"
zone = "{zone}"
base_url = "https://far.example/v1"
[detect]
beyond = "{beyond}"
names = "{names}"
"""


@pytest.mark.parametrize(
    ("zone", "beyond", "names", "state", "says"),
    [
        ("world", "device", "off", State.NOTE, "not looked for in texts that leave (detect.names)"),
        ("world", "device", "auto", State.NOTE, "not looked for in texts that leave: "),
        ("world", "device", "required", State.FAILED, "every text stays on this device: "),
        ("world", "nowhere", "required", None, ""),
        ("lan", "lan", "required", None, ""),
    ],
)
def test_it_says_whether_names_are_looked_for(
    tmp_path: Path, zone: str, beyond: str, names: str, state: State | None, says: str
) -> None:
    (tmp_path / "freehold.toml").write_text(FAR.format(zone=zone, beyond=beyond, names=names))
    compiled = compile_config(load(tmp_path / "freehold.toml"), environment={})
    found = checks.check_names(tmp_path, compiled)
    assert [each.state for each in found] == ([] if state is None else [state])
    assert all(each.detail.startswith(says) for each in found)
