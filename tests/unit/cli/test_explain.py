"""The page of every error, offline."""

from __future__ import annotations

import json
import pkgutil
import re

import pytest

from freehold.cli.explain import FAMILIES
from freehold.cli.table import build_app
from freehold.domain import errors
from freehold.domain.errors.base import catalogue
from tests.unit.cli.conftest import Cli

CODES = sorted(code for code, error in catalogue().items() if error.__module__.startswith("freehold."))


def test_every_family_is_known() -> None:
    files = {module.name for module in pkgutil.iter_modules(errors.__path__)} - {"base"}
    assert files == {family.__name__.rpartition(".")[2] for family in FAMILIES}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(cli: Cli, code: str) -> None:
    shown = cli("explain", code)
    assert (shown.code, shown.err) == (0, "")
    head, _, rest = shown.out.partition("\n")
    assert head == f"{code}  {catalogue()[code].__name__}"
    assert len(rest.strip()) > 80
    document = json.loads(cli("explain", code.lower(), "--json").out)
    assert document["code"] == code
    assert document["page"]


def test_every_command_that_a_page_names_is_there() -> None:
    app = build_app()
    pages = "\n".join(catalogue()[code].__doc__ or "" for code in CODES)
    named = {tuple(found) for found in re.findall(r'(?:"|: )freehold ([a-z]+)(?: ([a-z][a-z-]*)\b)?', pages)}
    assert ("vault", "list") in named
    for command, below in named:
        assert command in list(app), f"freehold {command}"
        commands = [each for each in app[command] if not each.startswith("-")]
        assert not below or not commands or below in commands, f"freehold {command} {below}"


def test_an_unknown_code_suggests_near_ones(cli: Cli) -> None:
    shown = cli("explain", "FH-POLICE-001")
    assert (shown.code, shown.out) == (2, "")
    assert "FH-POLICY-001" in shown.err


def test_a_code_that_is_like_nothing_suggests_nothing(cli: Cli) -> None:
    shown = cli("explain", "zzz")
    assert shown.code == 2
    assert "Did you mean" not in shown.err


def test_all_codes_are_listed(cli: Cli) -> None:
    shown = cli("explain")
    assert all(code in shown.out for code in CODES)
    assert {each["code"] for each in json.loads(cli("explain", "--json").out)} >= set(CODES)
