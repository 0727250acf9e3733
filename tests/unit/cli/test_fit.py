"""What a model needs, and what to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freehold.cli import fit_oracle, machine_speed
from freehold.domain.hardware import HardwareProfile
from freehold.planner.placement import PROJECTOR_BUFFERS_BYTES
from tests.models import starter_model
from tests.servers.hub_server import HubServer
from tests.support.gguf_files import tiny_model
from tests.support.gguf_headers import Dims, transformer, write_model
from tests.support.safetensors_files import TINY_BYTES, write_tiny
from tests.unit.cli.conftest import Cli


@pytest.fixture(autouse=True)
def _this_machine(machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_speed, "probe", machine)


def told(cli: Cli, *arguments: str) -> dict[str, Any]:
    return json.loads(cli("fit", *arguments, "--json").out)


def test_a_model_that_fits(cli: Cli) -> None:
    shown = cli("fit", "qwen3-4b", "--ctx", "4096", "--users", "1")
    assert shown.code == 0
    assert shown.out.startswith("It fits (by the closed form)")
    assert "Not counted: the 256 MiB that a server sets aside besides for kept prompts" in shown.out
    found = told(cli, "qwen3-4b", "--ctx", "4096", "--users", "1")
    assert found["needs_bytes"] + found["margin_bytes"] == found["free_bytes"]
    assert found["changes"] == []


def test_more_context_than_there_is_memory(cli: Cli) -> None:
    shown = cli("fit", "qwen3-8b", "--gpu", "8G", "--ctx", "32768", "--users", "4")
    assert shown.code == 1
    assert "It does not fit" in shown.out
    assert "\na card with 8 GiB, 36 layers:\n" in shown.out, "as it was typed"
    assert "To make it fit:\n  a context of 4,096 tokens: needs 8.5 GB" in shown.out
    found = told(cli, "qwen3-8b", "--gpu", "8G", "--ctx", "32768", "--users", "4")
    assert found["margin_bytes"] < 0
    for each in found["changes"]:
        assert each["needs_bytes"] <= each["free_bytes"]


def test_changes_together_then_what_makes_it_slower_then_another_file(cli: Cli) -> None:
    found = told(cli, "qwen3-8b", "--gpu", "6.2G", "--ctx", "8192", "--users", "4")["changes"]
    texts = [each["text"] for each in found]
    assert texts[0].startswith("together: 8 bits, ")
    assert "--gpu-layers" in texts[1]
    smaller = told(cli, "qwen3-8b", "--gpu", "5G", "--ctx", "4096", "--users", "1")["changes"]
    assert any(each["text"].startswith("a file in Q") and each["fits"] for each in smaller)
    assert all(each["fits"] and each["needs_bytes"] <= each["free_bytes"] for each in found)


def test_nothing_helps_where_not_even_memory_holds_it(
    cli: Cli, machine: Callable[..., HardwareProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_speed, "probe", lambda **_: machine(memory_free_bytes=500 << 20))
    assert told(cli, "qwen3-8b")["changes"] == []
    assert "Nothing but a smaller model" in cli("fit", "qwen3-8b").out


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
        monkeypatch.setattr(fit_oracle, "asked_in_jail", lambda *_, said=lines, **__: said)
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
    assert "0 to 36" in cli("fit", "qwen3-8b", "--gpu", "8G", "--gpu-layers", "37").err
    assert "about cards" in cli("fit", "qwen3-8b", "--gpu-layers", "3").err


def test_two_cards_each_by_itself(cli: Cli) -> None:
    shown = cli("fit", "qwen3-8b", "--gpu", "6G,4G", "--ctx", "4096", "--users", "1")
    assert shown.code == 0
    assert "tensor_split = [" in shown.out, "as a configuration has it"
    assert "card 2 with 4 GiB" in shown.out
    found = told(cli, "qwen3-8b", "--gpu", "6G,4G", "--ctx", "4096", "--users", "1")
    assert [each["device"] for each in found["devices"]] == ["memory", "card 1 with 6 GiB", "card 2 with 4 GiB"]
    assert all(each["needs_bytes"] <= each["free_bytes"] for each in found["devices"])
    assert sum(each["layers"] for each in found["devices"]) == 36


def test_experts_on_the_processor(cli: Cli, tmp_path: Path) -> None:
    dims = Dims(
        layers=12,
        width=1_024,
        heads=16,
        kv_heads=4,
        head_dim=64,
        inner=768,
        vocabulary=32_000,
        experts=64,
        experts_used=8,
    )
    path = str(transformer(tmp_path / "experts.gguf", "qwen3moe", dims, "Q8_0"))
    arguments = (path, "--gpu", "1.5G", "--ctx", "4096", "--users", "1")
    shown = cli("fit", *arguments)
    assert shown.code == 1
    change = next(each for each in told(cli, *arguments)["changes"] if "--cpu-moe" in each["text"])
    count = str(change["host_expert_layers"])
    again = told(cli, *arguments, "--cpu-moe", count)
    assert again["fits"]
    assert again["devices"] == change["devices"]
    assert not told(cli, *arguments, "--cpu-moe", str(int(count) - 1))["fits"]


def test_a_projector_beside_the_model_is_counted(cli: Cli, tmp_path: Path) -> None:
    dims = Dims(layers=4, width=256, heads=4, kv_heads=4, head_dim=64, inner=512, vocabulary=1_000)
    path = str(transformer(tmp_path / "model.gguf", "llama", dims, "Q8_0"))
    alone = told(cli, path, "--ctx", "2048", "--users", "1")
    write_model(tmp_path / "mmproj-model.gguf", "clip", {}, [("v.patch_embd.weight", (1_024, 2_048), "F16")])
    beside = told(cli, path, "--ctx", "2048", "--users", "1")
    assert beside["projector_bytes"] == 1_024 * 2_048 * 2 + PROJECTOR_BUFFERS_BYTES
    assert beside["needs_bytes"] == alone["needs_bytes"] + beside["projector_bytes"]
    assert "  projector " in cli("fit", path).out


def test_an_unknown_architecture_never_fits_by_the_closed_form(cli: Cli, tmp_path: Path) -> None:
    """It has a header like a small model's, and nobody here knows what else it keeps."""
    dims = Dims(layers=2, width=64, heads=4, kv_heads=4, head_dim=16, inner=64, vocabulary=100)
    path = str(transformer(tmp_path / "new.gguf", "from-tomorrow", dims, "F16"))
    for more in ((), ("--gpu", "24G")):
        shown = cli("fit", path, "--ctx", "2048", *more)
        assert shown.code == 1
        assert "cannot be told: what the architecture 'from-tomorrow' keeps" in shown.out
        assert not told(cli, path, *more)["fits"]
    assert "cannot be told" in cli("models", path).out


def test_a_model_of_the_catalogue_has_experts_too(cli: Cli) -> None:
    """By name, so before anything is fetched; and no smaller file is proposed, for its experts are small in each."""
    arguments = ("gpt-oss-20b", "--gpu", "12G", "--ctx", "8192", "--users", "4")
    changes = [each["text"] for each in told(cli, *arguments)["changes"]]
    assert "the experts of 2 layers on the processor (--cpu-moe 2)" in changes
    assert not any("a file in" in each for each in changes)
    assert told(cli, *arguments, "--cpu-moe", "2")["fits"]
    host, card = told(cli, *arguments, "--cpu-moe", "24")["devices"]
    assert host["weights_bytes"] > 10_000_000_000 > 2_000_000_000 > card["weights_bytes"]


def test_experts_that_nobody_knows_are_not_left_out_silently(cli: Cli) -> None:
    """It would be sized as if the option had not been given."""
    shown = cli("fit", "qwen3-4b", "--gpu", "12G", "--cpu-moe", "10")
    assert (shown.code, "nothing says how large the experts" in shown.err) == (2, True)


def test_safetensors_of_this_machine(cli: Cli, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    found = told(cli, str(tmp_path), "--ctx", "2048", "--users", "1")
    assert (found["fits"], found["source"]) == (True, "formula")
    assert found["weights_bytes"] == TINY_BYTES
    assert told(cli, str(tmp_path / "model.safetensors.index.json"))["weights_bytes"] == TINY_BYTES
    assert cli("fit", str(tmp_path / "missing.safetensors")).err.startswith("FH-MODEL-001")


def test_a_hub_is_asked_only_where_one_is_named_and_only_where_that_is_allowed(cli: Cli, home: Path) -> None:
    files = {"org/repo/model.gguf": tiny_model()}
    with HubServer(files) as hub:
        home.mkdir()
        config = home / "freehold.toml"
        config.write_text(f'[hub]\nendpoint = "{hub.endpoint}"\n')
        told(cli, "qwen3-4b")
        cli("fit", "org/repo/model.gguf")
        assert hub.seen == []
        found = told(cli, "hf:org/repo/model.gguf", "--ctx", "512", "--users", "1")
        assert (found["fits"], found["source"]) == (True, "formula")
        assert len(hub.seen) == 1
        assert "MB read, the beginnings of its files" in cli("fit", "hf:org/repo/model.gguf").err
        seen = len(hub.seen)
        config.write_text(f'[hub]\nendpoint = "{hub.endpoint}"\n[egress]\nbroker = "unix://{home}/b.sock"\n')
        assert cli("fit", "hf:org/repo/model.gguf").err.startswith("FH-POLICY-")
        assert len(hub.seen) == seen
    assert cli("fit", "hf:org/repo/model.txt").err.startswith("FH-MODEL-001")
