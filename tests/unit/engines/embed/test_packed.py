"""A packed file and the graph that is made of it, against the same encoder written out in numpy."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from freehold.engines.embed.packed import PackedFile, unpacked

numpy = pytest.importorskip("numpy")
pytest.importorskip("onnxruntime")

WIDTH, LAYERS, HEADS, INNER, WINDOW = 64, 2, 4, 96, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁a", "b", "query:", "passage:", "▁query:", "▁passage:"]
EPSILON = 1e-6


def packed_rows(chance, rows: int, row: int) -> bytes:
    blocks = numpy.zeros((rows, row // 32, 18), dtype="u1")
    blocks[..., :2] = chance.uniform(0.01, 0.05, (rows, row // 32, 1)).astype("<f2").view("u1")
    blocks[..., 2:] = chance.integers(0, 256, (rows, row // 32, 16))
    return blocks.tobytes()


def tensors(chance) -> dict[str, tuple[int, bytes]]:
    def floats(count: int, around: float = 0.0) -> tuple[int, bytes]:
        return 0, (around + chance.normal(0, 0.1, count)).astype("<f4").tobytes()

    found = {"emb.word": (1, packed_rows(chance, len(PIECES), WIDTH)), "emb.pos": floats(WINDOW * WIDTH)}
    found |= {"emb.type": floats(2 * WIDTH), "emb.ln.w": floats(WIDTH, 1.0), "emb.ln.b": floats(WIDTH)}
    for at in range(LAYERS):
        for name, out, row in (("q", WIDTH, WIDTH), ("k", WIDTH, WIDTH), ("v", WIDTH, WIDTH), ("ao", WIDTH, WIDTH)):
            found |= {f"l{at}.{name}.w": (1, packed_rows(chance, out, row)), f"l{at}.{name}.b": floats(out)}
        for name, out, row in (("fi", INNER, WIDTH), ("fo", WIDTH, INNER)):
            found |= {f"l{at}.{name}.w": (1, packed_rows(chance, out, row)), f"l{at}.{name}.b": floats(out)}
        for name in ("aln", "oln"):
            found |= {f"l{at}.{name}.w": floats(WIDTH, 1.0), f"l{at}.{name}.b": floats(WIDTH)}
    return found


def file_of(path: Path) -> Path:
    chance = numpy.random.default_rng(3)
    text = "".join(PIECES).encode()
    ends = [0]
    for piece in PIECES:
        ends.append(ends[-1] + len(piece.encode()))
    head = struct.pack("<4sI7ifi", b"E5S1", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES), WINDOW, 2, EPSILON, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text)) + struct.pack(f"<{len(ends)}I", *ends)
    head += struct.pack(f"<{len(PIECES)}f", *(-float(at) for at in range(len(PIECES)))) + text
    replaced = struct.pack("<IBI", ord("Ａ"), 1, ord("a"))
    head += struct.pack("<iI", 1, len(replaced)) + replaced
    kept = tensors(chance)
    place = len(head) + 4 + sum(2 + len(name) + 21 for name in kept)
    directory, bodies = struct.pack("<i", len(kept)), b""
    for name, (kind, body) in kept.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, 0, place + len(bodies), len(body))
        bodies += body
    path.write_bytes(head + directory + bodies)
    return path


def normalised(file: PackedFile, name: str, values):
    mean, spread = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
    return (values - mean) / numpy.sqrt(spread + EPSILON) * file.numbers(f"{name}.w") + file.numbers(f"{name}.b")


def product(file: PackedFile, name: str, values):
    return values @ unpacked(file.blocks(f"{name}.w", values.shape[-1])).T + file.numbers(f"{name}.b")


def written_out(file: PackedFile, tokens: list[int]):
    marked = [0, *tokens, 2]
    state = unpacked(file.blocks("emb.word", WIDTH))[marked] + file.numbers("emb.pos").reshape(-1, WIDTH)[: len(marked)]
    state = normalised(file, "emb.ln", state + file.numbers("emb.type")[:WIDTH])
    for at in range(LAYERS):
        parts = [product(file, f"l{at}.{name}", state).reshape(len(marked), HEADS, -1) for name in "qkv"]
        weights = numpy.einsum("ihd,jhd->hij", parts[0], parts[1]) / math.sqrt(WIDTH / HEADS)
        weights = numpy.exp(weights - weights.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        seen = numpy.einsum("hij,jhd->ihd", weights, parts[2]).reshape(len(marked), WIDTH)
        state = normalised(file, f"l{at}.aln", state + product(file, f"l{at}.ao", seen))
        wide = product(file, f"l{at}.fi", state)
        bent = wide * 0.5 * (1 + numpy.vectorize(math.erf)(wide / math.sqrt(2)))
        state = normalised(file, f"l{at}.oln", state + product(file, f"l{at}.fo", bent))
    mean = state.mean(0)
    return mean / numpy.linalg.norm(mean)


def test_the_graph_computes_what_the_file_says(tmp_path: Path) -> None:
    from freehold.engines.embed.e5 import E5Model

    path = file_of(tmp_path / "file.e5")
    model, file = E5Model(path=str(path), threads=1), PackedFile(str(path))
    for text, query in (("a b a", False), ("Ａ", True), ("b", True)):
        found = numpy.frombuffer(model.vector(text, query=query), dtype="<f4")
        assert found @ written_out(file, model.tokens(text, query=query)) > 0.995
    assert model.tokens("Ａ", query=True) == [PIECES.index("▁query:"), PIECES.index("▁a")]
    other = numpy.frombuffer(model.vector("b b b b", query=False), dtype="<f4")
    assert other @ written_out(file, model.tokens("a", query=True)) < 0.99


def test_a_file_of_other_blocks_or_without_a_tensor_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path / "file.e5")
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + struct.pack("<i", 64) + whole[44:])
    with pytest.raises(ValueError, match="another way"):
        PackedFile(str(path))
    path.write_bytes(whole.replace(b"l1.fo.w", b"l1.xx.w"))
    file = PackedFile(str(path))
    with pytest.raises(ValueError, match=r"no l1\.fo\.w"):
        file.blocks("l1.fo.w", INNER)
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="no l1"):
        PackedFile(str(path)).numbers("l1.oln.b")
