"""``freehold models`` on versions: what a switch says, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.cli.pulling import registry_of
from freehold.serving.manifests import Facts
from tests.support.gguf_files import tiny_model
from tests.unit.cli.conftest import Cli
from tests.unit.serving.test_registry import digest, install

NAME = "hf:o/r/f.gguf"
NEW = tiny_model(name="Two.")


def two_versions(home: Path) -> None:
    """One that serves, and one that waits."""
    registry = registry_of(home)
    install(registry, NAME)
    fetched = registry.folder / "fetched"
    fetched.write_bytes(NEW)
    registry.install_beside(fetched, name=NAME, sha256=digest(NEW), facts=Facts(license="", origin="", unix_ms=1))


def test_a_switch_of_a_model_that_guesses_says_what_holds_for_it(cli: Cli, home: Path, tmp_path: Path) -> None:
    two_versions(home)
    config = tmp_path / "freehold.toml"
    config.write_text(
        f'[deployments.code]\nengine = "embedded"\nmodel = "other"\ndraft_model = "{NAME}"\n', encoding="utf-8"
    )
    told = 'It may guess for code. What was measured of guessing holds for one version: "freehold models explain code"'
    for command in (("switch", NAME, "--without-canary"), ("rollback", NAME)):
        shown = cli("models", *command, "--config", str(config))
        assert shown.code == 0
        assert "server takes it over within seconds" in shown.out
        assert told in shown.out


def test_one_that_guesses_for_nobody_says_nothing_of_it(cli: Cli, home: Path) -> None:
    two_versions(home)
    shown = cli("models", "switch", NAME, "--without-canary")
    assert shown.code == 0
    assert "guess" not in shown.out


@pytest.mark.parametrize("command", ["switch", "rollback", "pin", "verify", "remove", "updates", "canary"])
def test_a_name_that_nobody_knows_is_not_said_to_be_had(cli: Cli, home: Path, command: str) -> None:
    two_versions(home)
    shown = cli("models", command, "smolm2-135m")
    assert shown.code == 1
    assert shown.err.startswith("FH-MODEL-001: There is no model named 'smolm2-135m' (did you mean smollm2-135m?).")
    shown = cli("models", command, "smollm2-135m")
    assert shown.code == 1
    assert 'Fetch it with "freehold pull smollm2-135m"' in shown.err


def test_a_name_whose_file_another_one_keeps_frees_nothing(cli: Cli, home: Path) -> None:
    registry = registry_of(home)
    install(registry, NAME)
    registry.add_name(digest(tiny_model()), name="hf:o/r/again.gguf", facts=Facts(license="", origin="", unix_ms=1))
    assert cli("models", "remove", NAME).out == f"{NAME} is removed, another name keeps its file.\n"
    assert "freed" in cli("models", "remove", "hf:o/r/again.gguf").out
