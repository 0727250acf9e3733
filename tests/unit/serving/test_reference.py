"""Model references: three forms, and nothing that could become a path or an address of somebody's choice."""

from __future__ import annotations

import pytest

from freehold.domain.errors.model import ModelUnknown
from freehold.serving.reference import FilePath, HubReference, parse_reference


def test_names_paths_and_hub_files() -> None:
    assert parse_reference("qwen2.5-coder-0.5b") == "qwen2.5-coder-0.5b"
    assert parse_reference("./a.gguf") == FilePath("./a.gguf")
    assert parse_reference("model.gguf") == FilePath("model.gguf")
    assert parse_reference("/models/x") == FilePath("/models/x")
    text = "hf:Owner/Some.Repo-GGUF/sub/file-Q4_K_M.gguf"
    assert parse_reference(text) == HubReference(
        text=text, repo="Owner/Some.Repo-GGUF", filename="sub/file-Q4_K_M.gguf", revision="main"
    )
    pinned = parse_reference("hf:o/r/f.gguf@" + "a" * 40)
    assert isinstance(pinned, HubReference)
    assert pinned.revision == "a" * 40


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "a/b",
        "..",
        "a\0b.gguf",
        "модель",
        "smollm2‐135m",  # a hyphen that only looks like one
        "-rf",
        "hf:",
        "hf:owner/file.gguf",
        "hf:owner/repo/file.bin",
        "hf:owner/repo/../file.gguf",
        "hf:../repo/file.gguf",
        "hf:owner/repo//file.gguf",
        "hf:owner/repo/file.gguf?x",
        "hf:owner/repo/file.gguf@",
        "hf:owner/repo/fi le.gguf",
        "hf:owner/repo/file.gguf\n",
        "hf:ow%2fner/repo/file.gguf",
    ],
)
def test_everything_else_is_unknown(text: str) -> None:
    with pytest.raises(ModelUnknown):
        parse_reference(text)
