"""Checking and explaining the configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.app.model_trust import make_key
from freehold.cli.first_run import config_text
from freehold.cli.pulling import registry_of
from freehold.config.settings import settings_by_path
from tests.unit.cli.conftest import Cli
from tests.unit.serving.test_registry import install

WRONG = """\
[server]
prot = 1
port = "many"

[routes.auto]
deployments = ["smal"]
"""


def _write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "freehold.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_the_first_start_writes_is_right(cli: Cli, home: Path) -> None:
    file = _write(home, config_text(model='a"b\\c', slots=2, context_tokens=4096))
    shown = cli("config", "check")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"{file} is right. deployments: 1, routes: 1, aliases: 2")
    assert "Tools: none is declared, so" in shown.out
    assert '[tools.NAME] effect = "none"' in json.loads(cli("config", "check", "--json").out)["remarks"][0]
    assert cli("config", "explain", "deployments.small.model").out.startswith('deployments.small.model = "a\\"b\\\\c"')


def test_all_mistakes_are_shown_one_a_line(cli: Cli, home: Path) -> None:
    file = _write(home, WRONG)
    shown = cli("config", "check")
    assert shown.code == 1
    assert len(shown.out.splitlines()) == 3
    assert all(line.startswith(f"{file}: line ") for line in shown.out.splitlines())
    assert "'port'" in shown.out
    assert shown.err == "FH-CONFIG-001: 3 mistakes.\n"
    document = json.loads(cli("config", "check", "--json").out)
    assert document["valid"] is False
    assert len(document["mistakes"]) == 3


def test_what_only_this_machine_can_say_is_checked_too(cli: Cli, home: Path) -> None:
    text = config_text(model="m", slots=1, context_tokens=2048)
    _write(home, text + '\n[server]\ntls_certificate = "/nonexistent/c"\ntls_key = "/nonexistent/k"\n')
    shown = cli("config", "check")
    assert shown.code == 1
    assert "there is no file /nonexistent/c" in shown.out


def test_a_model_that_is_not_installed_is_told_and_does_not_fail_where_one_only_checks(cli: Cli, home: Path) -> None:
    """A machine that only checks has pulled nothing; a server on it would not start."""
    file = _write(home, config_text(model="smollm2-135m", slots=1, context_tokens=2048))
    shown = cli("config", "check")
    assert shown.code == 0
    told = (
        "a server does not start here: The model 'smollm2-135m' is not on this machine. Fetch it with \"freehold pull"
    )
    assert f"{file}:" in shown.out.splitlines()[-1]
    assert f"deployments.small.model: {told}" in shown.out.splitlines()[-1]
    assert told in json.loads(cli("config", "check", "--json").out)["remarks"][-1]


def test_a_model_that_nobody_trusted_signed_is_a_mistake(cli: Cli, home: Path, tmp_path: Path) -> None:
    name = "hf:o/r/f.gguf"
    install(registry_of(home), name)
    public = make_key("models.example.org", tmp_path / "own.key").text
    file = _write(home, config_text(model=name, slots=1, context_tokens=2048))
    assert cli("config", "check").code == 0
    file.write_text(f'{file.read_text("utf-8")}\n[models]\ntrusted_keys = ["{public}"]\n', encoding="utf-8")
    shown = cli("config", "check")
    assert shown.code == 1
    assert (
        f"deployments.small.model: '{name}' is not used: nobody whom the configuration trusts has signed it."
        in shown.out
    )
    assert cli("models", "sign", name, "--key", str(tmp_path / "own.key")).code == 0
    assert cli("config", "check").code == 0


def test_a_configuration_that_was_asked_for_must_be_there(cli: Cli, home: Path) -> None:
    for words in (("config", "show"), ("keys", "list"), ("doctor",), ("up",)):
        shown = cli(*words, "--config", "/nonexistent.toml")
        assert shown.code == 1, words
        assert "FH-CONFIG-002" in shown.err + shown.out, words


@pytest.mark.parametrize("path", settings_by_path(), ids=".".join)
def test_every_setting_is_explained(cli: Cli, path: tuple[str, ...]) -> None:
    shown = cli("config", "explain", ".".join(path))
    assert shown.code == 0
    assert settings_by_path()[path].description in shown.out


def test_a_value_and_where_it_came_from(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _write(home, "[server]\nport = 9000\n")
    assert f"from     {file}:2" in cli("config", "explain", "server.port").out
    monkeypatch.setenv("FREEHOLD_SERVER__PORT", "9001")
    document = json.loads(cli("config", "explain", "server.port", "--json").out)
    assert document["value"] == 9001
    assert "FREEHOLD_SERVER__PORT" in document["source"]
    assert document["default"] == "8484"


def test_an_unknown_setting_gets_the_nearest(cli: Cli) -> None:
    shown = cli("config", "explain", "deployments.small.slot")
    assert (shown.code, shown.out) == (2, "")
    assert "'deployments.small.slots'" in shown.err


def test_show_lists_every_value_with_its_source_and_no_secret(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_KEY", "very-secret")
    text = config_text(model="m", slots=1, context_tokens=2048)
    cloud = (
        'engine = "openai"\nmodel = "x"\nzone = "world"\nbase_url = "https://a.example/v1"\napi_key = "env:CLOUD_KEY"'
    )
    file = _write(home, f"{text}\n[deployments.cloud]\n{cloud}\n")
    shown = cli("config", "show")
    assert shown.code == 0
    assert "very-secret" not in shown.out
    assert '"env:CLOUD_KEY"' in shown.out
    assert f"{file}:" in shown.out
    assert json.loads(cli("config", "show", "--json").out)["values"]["server"]["port"] == 8484
