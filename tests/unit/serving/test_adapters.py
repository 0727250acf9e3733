"""Adapters and drafts: files of strangers, refused before an engine sees them, each with its reason."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from freehold.app.llama_engines import digest_with
from freehold.domain.engine_options import Adapter
from freehold.domain.errors.engine import AdapterChanged, AdapterForeign, AdapterInvalid, DraftUnfit, EngineStartFailed
from freehold.serving.adapters import VerifiedAdapter, verify_adapter
from freehold.serving.digests import DigestCache
from freehold.serving.drafts import check_draft
from freehold.serving.gguf_pieces import read_pieces
from freehold.serving.gguf_stream import MalformedError
from tests.support import gguf_files as gguf
from tests.support.adapters import lora_file

WIDTH = 64


def model_file(folder: Path, *, tokens: tuple[str, ...] = ("a", "b", "c"), name: str = "model.gguf") -> Path:
    pairs = [each for each in gguf.LLAMA_PAIRS if b"tokenizer.ggml.tokens" not in each]
    pairs.append(gguf.array("tokenizer.ggml.tokens", gguf.STRING, tokens))
    infos = [
        gguf.tensor_info("token_embd.weight", (WIDTH, 100)),
        gguf.tensor_info("blk.0.attn_output.weight", (WIDTH, WIDTH), offset=WIDTH * 100 * 4),
    ]
    content = gguf.header(pairs, infos) + b"\1" * (WIDTH * 100 * 4 + WIDTH * WIDTH * 4)
    return gguf.write(folder, content, name=name)


def verified(path: Path, model: Path, *, sha256: str = "") -> VerifiedAdapter:
    return verify_adapter(
        Adapter(name="short", path=str(path), sha256=sha256),
        model_path=model,
        model_name="tiny",
        deployment="home",
        digests=DigestCache(model.parent / "stamps"),
    )


def small(folder: Path, **more: object) -> Path:
    return lora_file(folder, blocks=range(1), width=WIDTH, **more)  # type: ignore[arg-type]


def test_a_good_one_is_known_by_its_digest(tmp_path: Path) -> None:
    path = small(tmp_path, rank=4)
    found = verified(path, model_file(tmp_path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.rank, found.weights, found.adapter.sha256) == (4, 1, sha256)
    assert verified(path, model_file(tmp_path), sha256=sha256) == found


def refusal(error: type[EngineStartFailed], path: Path, model: Path, *, sha256: str = "") -> str:
    with pytest.raises(error) as caught:
        verified(path, model, sha256=sha256)
    return caught.value.message


def test_another_file_than_the_configuration_names(tmp_path: Path) -> None:
    assert "expected '" not in refusal(AdapterChanged, small(tmp_path), model_file(tmp_path), sha256="0" * 64)


def test_one_for_another_model(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    assert "'qwen2', the model is 'llama'" in refusal(AdapterForeign, small(tmp_path, architecture="qwen2"), model)
    wide = lora_file(tmp_path, blocks=range(1), width=32)
    assert "64 x 64 in the model, 32 x 32 in the adapter" in refusal(AdapterForeign, wide, model)
    deep = lora_file(tmp_path, blocks=range(9, 10), width=WIDTH)
    assert "no weight 'blk.9.attn_output.weight'" in refusal(AdapterForeign, deep, model)


def test_what_is_no_adapter(tmp_path: Path) -> None:
    model = model_file(tmp_path)
    assert "not 'adapter' and 'lora'" in refusal(AdapterInvalid, model, model)
    assert "No such file" in refusal(AdapterInvalid, tmp_path / "nowhere.gguf", model)
    assert "not a regular file" in refusal(AdapterInvalid, tmp_path, model)
    good = small(tmp_path).read_bytes()
    for reason, content in (
        ("truncated", good[:-64]),
        ("begins with", b"GGML" + good[4:]),
        ("lacks adapter.lora.alpha", good.replace(b"adapter.lora.alpha", b"adapter.lora.alphb")),
        ("no lora_a or lora_b", good.replace(b"lora_b", b"lora_c")),
        ("version is 9", good[:4] + b"\x09\0\0\0" + good[8:]),
    ):
        assert reason in refusal(AdapterInvalid, gguf.write(tmp_path, content, name="bad.gguf"), model)


def test_no_beginning_and_no_changed_byte_of_a_header_gets_past_unnoticed(tmp_path: Path) -> None:
    """Whatever is wrong with it ends as one error; nothing hangs, and nothing else is raised."""
    good = small(tmp_path).read_bytes()
    head = good.index(b"\0" * 32)
    path = tmp_path / "bad.gguf"
    for at in range(head):
        path.write_bytes(good[:at])
        with pytest.raises(MalformedError):
            read_pieces(path)
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            read_pieces(path)
        except MalformedError:
            continue


def test_drafts_must_share_the_vocabulary(tmp_path: Path) -> None:
    def check(*tokens: str) -> None:
        draft, model = model_file(tmp_path, tokens=tokens, name="draft.gguf"), model_file(tmp_path)
        check_draft(draft, model, draft_name="small", model_name="large", deployment="home")

    check("a", "b", "c")
    check("a", "b", "c", "unused")  # filled up, as makers do
    with pytest.raises(DraftUnfit, match="token 1 is b'x' in the one and b'b' in the other"):
        check("a", "x", "c")
    with pytest.raises(DraftUnfit, match="it has 0 tokens"):
        check()
    with pytest.raises(DraftUnfit, match="it has 500 tokens"):
        check(*map(str, range(500)))


@pytest.mark.parametrize(
    "wrong",
    [
        gguf.pair("general.alignment", gguf.STRING, "abc"),
        gguf.pair("general.alignment", gguf.STRING, "32"),
        gguf.pair("general.alignment", gguf.U32, 0),
        gguf.pair("general.alignment", gguf.U32, 1 << 20),
    ],
)
def test_an_alignment_that_is_none_is_told(tmp_path: Path, wrong: bytes) -> None:
    with pytest.raises(MalformedError, match="alignment"):
        read_pieces(gguf.write(tmp_path, gguf.header([wrong], [])))


def test_scales_that_differ_are_told_apart() -> None:
    """By the digest that they are part of, caches and calibrations are kept apart."""
    near = [Adapter(name="a", path="a", scale=scale, sha256="a" * 64) for scale in (0.12345671, 0.12345672, 0.5, 1.0)]
    assert len({digest_with("sha256:x", [each]) for each in near}) == 4
    assert [each.told_scale for each in near] == ["0.12345671", "0.12345672", "0.5", "1"]
