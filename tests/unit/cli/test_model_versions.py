"""``freehold models`` on versions: what a switch says, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

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
