"""``freehold bench`` and ``freehold models explain`` with the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.cli.run import run
from tests.models import starter_model
from tests.support.adapters import lora_file

pytestmark = pytest.mark.models


def test_option_sets_are_compared_and_the_verdict_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, adapter = str(starter_model("smollm2-135m")), lora_file(tmp_path, strength=3.0)
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Name three colours.\n---\nCount: 1 2 3 1 2 3 1 2 3", encoding="utf-8")
    assert run(["models", "explain", model, "--json"]) == 0
    before = {each["name"]: each for each in json.loads(capsys.readouterr().out)["options"]}
    assert before["speculation"]["reason"].startswith("not measured on this machine")

    sets = [part for each in ("speculation=lookup", f"adapter={adapter}", "kv=q8_0") for part in ("--with", each)]
    asked = ["bench", model, "--prompts", str(prompts), "--tokens", "12", "--ctx", "512", *sets, "--json"]
    assert run(asked) == 0
    document = json.loads(capsys.readouterr().out)
    plain, lookup, adapted, _ = document["rows"]
    for row in document["rows"]:
        assert min(row[name] for name in ("tok_per_s", "prompt_tok_per_s", "tok_per_cpu_s", "first_token_ms")) > 0
        assert row["peak_bytes"] > 50_000_000
    assert plain["same_answers"] == plain["answers"] == 2
    assert adapted["same_answers"] < 2
    (kept,) = document["kept"]
    assert kept["kind"] == "lookup"
    assert kept["gain"] == pytest.approx(lookup["tok_per_cpu_s"] / plain["tok_per_cpu_s"], abs=0.02)

    assert run(["models", "explain", model, "--json"]) == 0
    after = {each["name"]: each for each in json.loads(capsys.readouterr().out)["options"]}
    assert after["speculation"]["value"] == ("lookup" if kept["pays"] else "off")
    assert "measured here" in after["speculation"]["reason"]


def test_a_draft_of_another_family_is_refused_before_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = starter_model("smollm2-135m"), starter_model("qwen2.5-coder-0.5b")
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "home"))
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hi.", encoding="utf-8")
    assert run(["bench", str(large), "--prompts", str(prompts), "--with", f"draft={small}"]) == 1
    shown = capsys.readouterr().err
    assert "FH-ENGINE-027" in shown
    assert "tokenizer.ggml.pre is 'smollm' in the one and 'qwen2' in the other" in shown
