"""Generated pages are checked in and up to date; the example file shows every option and works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from freehold.config.load import load
from freehold.config.settings import ANY_NAME, settings_by_path, tables
from freehold.policy.text import parse_label
from tools import example_config
from tools.generate_reference import ROOT, generated

EXAMPLE = (ROOT / "freehold.example.toml").read_text("utf-8")
GENERATED = generated()


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_generated_files_are_up_to_date(path: str) -> None:
    file = ROOT / path
    assert file.is_file(), f"{path} is missing; run tools/generate_reference.py"
    assert file.read_text("utf-8") == GENERATED[path], f"{path} is out of date; run tools/generate_reference.py"


def test_the_example_works_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "freehold.toml").write_text(EXAMPLE, encoding="utf-8")
    config = load(tmp_path / "freehold.toml", environment={}, check_label=parse_label).config
    assert list(config.deployments) == ["small"]
    assert config.server == type(config.server)()


def test_the_example_works_with_every_option_set(tmp_path: Path) -> None:
    file = tmp_path / "freehold.toml"
    file.write_text(example_config.uncommented(EXAMPLE), encoding="utf-8")
    loaded = load(file, environment={}, check_label=parse_label)
    written = {
        re.sub(
            r"^(deployments|routes|tenants|tools|sources|prices|aliases|audit\.witnesses|labels\.mip|vaults(?:\.\w+\.folders)?)\.(\"[^\"]*\"|[^.]+)",
            rf"\1.{ANY_NAME}",
            key,
        ).replace("vaults.archive.", f"vaults.{ANY_NAME}.")
        for key in loaded.provenance
    }
    missing = {".".join(path) for path in settings_by_path()} - written
    assert not missing, "the example file does not show these"


def test_the_example_shows_defaults_as_they_are() -> None:
    for table in tables():
        for setting in table.settings:
            key = ".".join(setting.path)
            if setting.default and key not in example_config.EXAMPLES:
                assert f"\n#{setting.path[-1]} = {setting.default}\n" in EXAMPLE, key


def test_every_setting_is_described() -> None:
    for path, setting in settings_by_path().items():
        assert re.fullmatch(r"\S.{8,}\.", setting.description, re.DOTALL), ".".join(path)
