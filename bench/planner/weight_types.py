"""How much longer a thread takes for a byte of weights of one type than of another, measured with models of zeros.

A starter model's header is written again with all matrices of one type and the weights left out: a sparse file, of which a
processor has as much work as of a real one. ``python -m bench.planner.weight_types`` prints seconds of the processor for a
GB that is read for each token written, and for 1e9 weights and each token read, beside those of Q4_K.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import struct
import tempfile
from pathlib import Path

from freehold.app.machine_run import runner
from freehold.serving.gguf import _read_values
from freehold.serving.gguf_stream import HeaderStream
from freehold.serving.gguf_types import TENSOR_TYPES
from tests.models import starter_model

LAYERS = 4
WIDTH, HEADS_WIDTH, KV_WIDTH, INNER, VOCABULARY = 1_536, 1_536, 256, 8_960, 151_936
NUMBERS = {each.name: number for number, each in TENSOR_TYPES.items()}
TYPES = (
    "Q4_K",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q3_K",
    "Q5_K",
    "Q6_K",
    "IQ4_XS",
    "IQ4_NL",
    "F16",
    "BF16",
)
_ROUNDS = 3
_ALIGNMENT = 32


def write_model(source: Path, target: Path, kind: str) -> int:
    """The model of one type; gives the bytes of its matrices that are read for one token."""
    with source.open("rb") as file:
        stream = HeaderStream(file.fileno(), size_bytes=source.stat().st_size)
        stream.take(8)
        stream.scalar("Q")
        count = int(stream.scalar("Q"))
        _read_values(stream, count)
        values = bytearray(source.read_bytes()[24 : stream.position])
    key = b"qwen2.block_count"
    place = values.index(key) + len(key) + 4
    values[place : place + 4] = struct.pack("<I", LAYERS)
    matrices = [("token_embd.weight", (WIDTH, VOCABULARY))]
    vectors = [("output_norm.weight", WIDTH)]
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        matrices += [
            (name + "attn_q.weight", (WIDTH, HEADS_WIDTH)),
            (name + "attn_k.weight", (WIDTH, KV_WIDTH)),
            (name + "attn_v.weight", (WIDTH, KV_WIDTH)),
            (name + "attn_output.weight", (HEADS_WIDTH, WIDTH)),
            (name + "ffn_gate.weight", (WIDTH, INNER)),
            (name + "ffn_up.weight", (WIDTH, INNER)),
            (name + "ffn_down.weight", (INNER, WIDTH)),
        ]
        vectors += [(name + "attn_norm.weight", WIDTH), (name + "ffn_norm.weight", WIDTH)]
        vectors += [
            (name + f"attn_{each}.bias", wide) for each, wide in (("q", WIDTH), ("k", KV_WIDTH), ("v", KV_WIDTH))
        ]
    packed = TENSOR_TYPES[NUMBERS[kind]]
    infos, offset, read = b"", 0, 0
    for name, shape, number in [
        *((name, shape, NUMBERS[kind]) for name, shape in matrices),
        *((name, (wide,), NUMBERS["F32"]) for name, wide in vectors),
    ]:
        form = TENSOR_TYPES[number]
        size = math.prod(shape) // form.block_elements * form.block_bytes
        infos += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", each) for each in shape) + struct.pack("<IQ", number, offset)
        offset += -(-size // _ALIGNMENT) * _ALIGNMENT
        read += size if form is packed else 0
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(matrices) + len(vectors), count) + bytes(values) + infos
    target.write_bytes(head + bytes(-len(head) % _ALIGNMENT))
    with target.open("r+b") as file:
        file.truncate(target.stat().st_size + offset)
    return read


async def measure(kinds: tuple[str, ...]) -> None:
    source = starter_model("qwen2.5-coder-1.5b")
    weights = LAYERS * (2 * WIDTH * HEADS_WIDTH + 2 * WIDTH * KV_WIDTH + 3 * WIDTH * INNER)
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        for round_ in range(_ROUNDS):
            for kind in kinds:
                read = write_model(source, path, kind)
                async with runner(path, threads=1) as child:
                    ran = await child.run(seed=round_)
                # Of one thread: what it took is what it had.
                written_s, read_s = 1 / ran.own_write_tok_per_s, 1 / ran.own_read_tok_per_s
                found[kind].append((written_s / (read / 1e9), read_s / (weights / 1e9)))
                print(round_, kind, *(f"{each:.4f}" for each in found[kind][-1]), flush=True)
    base = [statistics.median(each[place] for each in found[kinds[0]]) for place in (0, 1)]
    print("type      s a GB written   beside   s a 1e9 weights read   beside")
    for kind in kinds:
        here = [statistics.median(each[place] for each in found[kind]) for place in (0, 1)]
        print(f"{kind:8s} {here[0]:15.4f} {here[0] / base[0]:8.2f} {here[1]:22.5f} {here[1] / base[1]:8.2f}")


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("types", nargs="*", default=list(TYPES))
    asyncio.run(measure(tuple(parser.parse_args().types)))


if __name__ == "__main__":
    main()
