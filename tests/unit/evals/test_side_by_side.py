"""Prompts of the user's for ``freehold bench``, and the sets of options that it compares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.app.benched import Variant, plain_plan, varied, verdicts_of
from freehold.domain.engine_options import CacheType, Speculation
from freehold.domain.errors.engine import BenchPromptsUnreadable
from freehold.evals.side_by_side import Prompt, read_prompts
from freehold.hostinfo.processes import usage_of

BASE = plain_plan("m", context_tokens=2_048)


def prompts(folder: Path, text: str, name: str) -> tuple[Prompt, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_prompts(path)


def test_prompts_of_text_and_of_json_lines(tmp_path: Path) -> None:
    found = prompts(tmp_path, "one\ntwo\n---\n\nthree\n---\n", "p.txt")
    assert [each.messages[0]["content"] for each in found] == ["one\ntwo", "three"]
    lines = '{"prompt": "def f("}\n\n{"messages": [{"role": "user", "content": "hi"}]}\n'
    text, chat = prompts(tmp_path, lines, "p.jsonl")
    assert text.text == "def f("
    assert chat.messages == ({"role": "user", "content": "hi"},)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("\n---\n", "p.txt", "it has 0"),
        ("", "p.jsonl", "it has 0"),
        ('{"prompt": "a"}\n{', "p.jsonl", "line 2 is not JSON"),
        ('{"prompt": 3}', "p.jsonl", "line 1 has neither"),
        ("[]", "p.jsonl", "line 1 has neither"),
    ],
)
def test_what_is_no_prompt(tmp_path: Path, text: str, name: str, reason: str) -> None:
    with pytest.raises(BenchPromptsUnreadable, match=reason):
        prompts(tmp_path, text, name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchPromptsUnreadable, match="No such file"):
        read_prompts(tmp_path / "nowhere")


def test_options_change_what_they_name_and_nothing_else() -> None:
    plan = varied(BASE, "kv=q8_0,flash=on,threads=3,batch=32,gpu_layers=-1,context=512,draft=d,draft_tokens=5").plan
    assert plan.settings.options.cache_type is CacheType.Q8_0
    assert plan.settings.options.flash_attention is True
    assert (plan.settings.threads, plan.settings.batch_tokens, plan.settings.gpu_layers) == (3, 32, -1)
    assert plan.deployment.model.context_tokens == 512
    assert (plan.settings.options.speculation, plan.settings.options.draft_model) == (Speculation.DRAFT, "d")
    assert plan.settings.options.draft_tokens == 5
    other = varied(BASE, "model=n,adapter=/a/short.gguf").plan
    assert other.deployment.model.name == "n"
    assert other.settings.options.adapters[0].name == "short"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kv", "is no option; write one of model="),
        ("speed=high", "is no option"),
        ("kv=q2", "it is one of f16, q8_0, q4_0"),
        ("flash=yes", "it is on or off"),
        ("threads=two", "it is a number"),
        ("speculation=draft", "needs a draft=MODEL"),
    ],
)
def test_what_is_no_option(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        varied(BASE, text)


def test_nothing_is_concluded_of_guessing_where_more_was_changed() -> None:
    variants = (Variant(name="plain", plan=BASE), varied(BASE, "kv=q8_0"), varied(BASE, "kv=q8_0,speculation=lookup"))
    rows = (None,) * 3
    assert verdicts_of(variants, rows, models=None, machine=None, unix_ms=0) == ()  # type: ignore[arg-type]


def test_what_this_process_used() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert usage.cpu_s > 0
    assert usage.peak_bytes > 1 << 20
    assert usage_of((1 << 22) + 1) is None


def test_a_name_with_blanks_and_brackets_is_no_field(tmp_path: Path) -> None:
    folder = tmp_path / "proc" / "7"
    folder.mkdir(parents=True)
    (folder / "stat").write_text("7 (a) 1 2) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0\n", encoding="ascii")
    usage = usage_of(7, root=tmp_path)
    assert usage is not None
    assert usage.cpu_s == 200 / os.sysconf("SC_CLK_TCK")
    assert usage.peak_bytes == 0
