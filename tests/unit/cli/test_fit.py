"""What a model needs, and what to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from freehold.cli import fit as command
from freehold.cli import machine_speed
from freehold.domain.hardware import HardwareProfile
from tests.models import starter_model
from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _this_machine(machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    def probed(*, measure: bool) -> HardwareProfile:
        assert measure
        return machine()

    monkeypatch.setattr(machine_speed, "probe", probed)


def told(cli: Cli, *arguments: str) -> dict[str, Any]:
    return json.loads(cli("fit", *arguments, "--json").out)


def test_a_model_that_fits(cli: Cli) -> None:
    shown = cli("fit", "qwen3-4b", "--ctx", "4096", "--users", "1")
    assert shown.code == 0
    assert shown.out.startswith("It fits (by the closed form)")
    found = told(cli, "qwen3-4b", "--ctx", "4096", "--users", "1")
    assert found["needs_bytes"] + found["margin_bytes"] == found["free_bytes"]
    assert found["changes"] == []


def test_more_context_than_there_is_memory(cli: Cli) -> None:
    shown = cli("fit", "qwen3-8b", "--gpu", "8G", "--ctx", "32768", "--users", "4")
    assert shown.code == 1
    assert "It does not fit" in shown.out
    assert "To make it fit:\n  a context of 4,096 tokens: needs 8.2 GB" in shown.out
    found = told(cli, "qwen3-8b", "--gpu", "8G", "--ctx", "32768", "--users", "4")
    assert found["margin_bytes"] < 0
    for each in found["changes"]:
        assert each["needs_bytes"] <= each["free_bytes"]


def test_changes_together_and_none_that_helps(cli: Cli) -> None:
    (change,) = told(cli, "qwen3-8b", "--gpu", "6.2G", "--ctx", "8192", "--users", "4")["changes"]
    assert change["text"].startswith("together: 8 bits, ")
    assert told(cli, "qwen3-8b", "--gpu", "4G")["changes"] == []
    assert "Nothing but a smaller model" in cli("fit", "qwen3-8b", "--gpu", "4G").out


def test_the_engine_is_asked_where_the_file_is_here(cli: Cli) -> None:
    """As ``memory_truth_dev.csv`` has it for this file: 8,192 tokens, 4 sequences, 512 a pass."""
    path = starter_model("smollm2-135m")
    found = told(cli, str(path), "--ctx", "2048", "--users", "4")
    assert found["source"] == "llama.cpp"
    assert found["kv_bytes"] == 180 << 20
    smaller = told(cli, str(path), "--ctx", "2048", "--users", "4", "--cache", "q8_0")
    assert smaller["kv_bytes"] < found["kv_bytes"]


def test_an_engine_that_says_nothing_is_not_believed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(starter_model("smollm2-135m"))
    for lines in ([], [b"[]"], [b"[]", b"[[]]"], [b"[]", b"nonsense"], [b"[]", b'[[{"device": "x"}]]']):
        monkeypatch.setattr(command, "asked_in_jail", lambda *_, said=lines, **__: said)
        assert told(cli, path)["source"] == "formula"


@pytest.mark.parametrize("wrong", ["x", "0", "-3G", "3Q", ""])
def test_a_card_that_is_none(cli: Cli, wrong: str) -> None:
    shown = cli("fit", "qwen3-4b", "--gpu", wrong)
    assert shown.code == (0 if not wrong else 2)
    if wrong:
        assert "--gpu" in shown.err


def test_no_card_here(cli: Cli) -> None:
    assert "no card was found" in cli("fit", "qwen3-4b", "--gpu", "auto").err
    assert cli("fit", "qwen3-4b", "--ctx", "-1").code == 2
    assert cli("fit", "no-such-model").err.startswith("FH-MODEL-001")
    assert "embeds or ranks" in cli("fit", "bge-small-en").err
