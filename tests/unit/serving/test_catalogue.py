"""The shipped catalogue: complete, pinned, and the demo-only sources marked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.domain.errors.model import ModelUnknown
from freehold.serving.catalogue import load_catalogue, parse_catalogue
from freehold.serving.gguf import read_header
from freehold.serving.reference import FilePath, parse_reference
from tests.support.gguf_headers import Dims
from tests.support.gguf_kinds import gpt_oss

ENTRIES = list(load_catalogue().entries.values())
IDLE_SHARE = 1 / 2
"""Of a file less than this is read for a token only where most of it are experts."""

PUBLISHED: dict[str, Callable[[Path], Path]] = {
    # openai/gpt-oss-20b, config.json; types and number of tensors as llama.cpp says of the file.
    "gpt-oss-20b": lambda path: gpt_oss(
        path,
        Dims(
            layers=24,
            width=2_880,
            heads=64,
            kv_heads=8,
            head_dim=64,
            inner=2_880,
            vocabulary=201_088,
            experts=32,
            experts_used=4,
        ),
        experts="MXFP4",
    ),
}
"""Of each model with experts: a header-only file of the dimensions that its makers publish."""

MINIMAL = """
[[model]]
name = "x"
title = "X"
parameters = 1
license = "MIT"
size_bytes = 0
sha256 = ""
quantisation = "F32"
context_tokens = 1
[model.shape]
architecture = "llama"
layers = 1
embedding_length = 1
heads = 1
kv_heads = 1
head_dim = 1
vocabulary = 1
[model.hub]
repo = "o/r"
filename = "f.gguf"
revision = "main"
"""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entry_is_whole(entry) -> None:
    assert parse_reference(entry.name) == entry.name
    assert entry.license
    assert entry.size_bytes > 0
    assert re.fullmatch("[0-9a-f]{64}", entry.sha256)
    if entry.hub is not None:
        assert re.fullmatch("[0-9a-f]{40}", entry.hub.revision)
        assert parse_reference(f"hf:{entry.hub.repo}/{entry.hub.filename}@{entry.hub.revision}")
    else:
        assert entry.packages is not None
    assert entry.model_shape.context_length == entry.context_tokens
    marks_names = entry.onnx is not None and bool(entry.onnx.labels)
    assert [entry.chat, entry.embeds, entry.reranks, marks_names].count(True) == 1
    assert 0 <= entry.shape.read_bytes <= entry.size_bytes


@pytest.mark.parametrize("entry", [each for each in ENTRIES if each.packages], ids=lambda entry: entry.name)
def test_pieces_make_the_whole(entry) -> None:
    parts = entry.packages.parts
    assert sum(part.size_bytes for part in parts) == entry.size_bytes
    assert len({part.requirement for part in parts}) == len(parts)
    for part in parts:
        assert re.fullmatch("[0-9a-f]{64}", part.sha256)
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+", part.requirement)
        assert ".." not in part.member
        assert not part.member.startswith("/")
    assert entry.packages.provenance


def test_only_the_smallest_of_those_that_answer_comes_from_packages_unasked() -> None:
    unasked = [each.name for each in ENTRIES if each.packages and not each.packages.demo_only]
    assert unasked == ["smollm2-135m", "bge-small-en", "multilingual-e5-small", "ms-marco-minilm-l12", "rampart"]
    assert [each.name for each in ENTRIES if each.name in unasked and each.chat] == ["smollm2-135m"]


@pytest.mark.parametrize("entry", [each for each in ENTRIES if each.onnx], ids=lambda entry: entry.name)
def test_a_model_that_is_no_gguf_file_brings_its_tokenizer(entry) -> None:
    tokenizer = entry.onnx.tokenizer
    assert re.fullmatch("[0-9a-f]{64}", tokenizer.sha256)
    assert tokenizer.size_bytes > 0
    assert tokenizer.requirement in {part.requirement for part in entry.packages.parts}
    assert bool(entry.onnx.pooling) == entry.embeds


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ModelUnknown) as caught:
        load_catalogue().find("smollm2-135")
    assert "did you mean smollm2-135m?" in str(caught.value)
    with pytest.raises(ModelUnknown) as caught:
        load_catalogue().find("zzz")
    assert "did you mean" not in str(caught.value)


def test_references_pass_through() -> None:
    assert load_catalogue().check_reference("./x.gguf") == FilePath("./x.gguf")
    assert load_catalogue().check_reference("qwen3-4b") is load_catalogue().entries["qwen3-4b"]


def test_mistakes_in_a_catalogue_are_refused() -> None:
    assert list(parse_catalogue(MINIMAL).entries) == ["x"]
    for wrong in (
        "not toml",
        MINIMAL + MINIMAL,
        MINIMAL.replace('license = "MIT"', ""),
        MINIMAL.replace("parameters = 1", 'parameters = "one"'),
        "models = 1\n" + MINIMAL,
    ):
        with pytest.raises(ValueError, match=r".+"):
            parse_catalogue(wrong)


def test_of_each_model_with_experts_the_dimensions_are_known() -> None:
    sparse = [each for each in ENTRIES if 0 < each.shape.read_bytes < each.size_bytes * IDLE_SHARE]
    moe = [each for each in ENTRIES if "moe" in each.shape.architecture or each.shape.architecture == "gpt-oss"]
    assert {each.name for each in (*sparse, *moe)} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_experts_add_up_to_what_the_catalogue_says_of_the_whole(tmp_path: Path, name: str) -> None:
    """Number of weights to the last one; bytes but for the part of the file that is no weights, its vocabulary."""
    entry = load_catalogue().entries[name]
    header = read_header(PUBLISHED[name](tmp_path / "made.gguf"))
    assert header.parameters == entry.parameters
    assert replace(entry.model_shape, file_bytes=header.tensor_bytes) == replace(
        header.shape, context_length=entry.context_tokens
    )
    assert 0 < entry.size_bytes - header.tensor_bytes < 100 * entry.shape.vocabulary
