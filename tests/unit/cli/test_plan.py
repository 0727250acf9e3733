"""``freehold plan``."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Cli


def test_a_plan(cli: Cli) -> None:
    shown = cli("plan", "--users", "4")
    assert shown.code == 0
    assert "GeForce RTX 4090 24 GB" in shown.out
    found = {each["device"]: each for each in json.loads(cli("plan", "--users", "4", "--json").out)}
    card = found["GeForce RTX 4090 24 GB"]
    assert card["tok_per_s_low"] < card["tok_per_s"] < card["tok_per_s_high"]
    assert card["needs_bytes"] <= card["free_bytes"]
    only = json.loads(cli("plan", "--model", "qwen3-4b", "--json").out)
    assert {each["model"] for each in only} == {"qwen3-4b"}


def test_nothing_serves_that(cli: Cli) -> None:
    shown = cli("plan", "--tok-s", "100000")
    assert (shown.code, shown.out.split(".")[0]) == (1, "No device of the table serves that")
    assert json.loads(cli("plan", "--tok-s", "100000", "--json").out) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--users", "0"), "above 0"),
        (("--prompt", "9000"), "more than --ctx"),
        (("--model", "bge-small-en"), "no model of the catalogue that writes"),
    ],
)
def test_what_cannot_be_planned(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    shown = cli("plan", *arguments)
    assert shown.code == 2
    assert message in shown.err
