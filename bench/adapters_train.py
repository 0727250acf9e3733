"""Trains the adapter of ``bench/adapters.py``: a LoRA adapter in GGUF for a model of the ``llama`` architecture, on CPU.

    PYTHON bench/adapters_train.py MODEL.gguf EXAMPLES.json ADAPTER.gguf [--epochs N] [--threads N]

Run by a Python that has ``torch`` and ``gguf``; Freehold itself needs neither. Examples are token ids, each with where its
answer begins: ``[{"ids": [1, 9690, …], "answer_from": 31}, …]``.

The forward pass is written in the layout of the file. A GGUF keeps the rows of ``attn_q`` and ``attn_k`` in another order
than Hugging Face does, so that the two numbers that RoPE turns lie side by side; turned like that here, matrices trained on
these rows need no reordering afterwards.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

try:
    import gguf  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]
    from torch.nn import functional  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise SystemExit(
        f"{error.name} is not installed for {sys.executable}. In an environment of its own:\n"
        "  python3 -m venv lora && lora/bin/pip install torch==2.13.0+cpu gguf"
    ) from error

RANK, ALPHA = 8, 16.0
LAST_BLOCKS = 10
"""So many are changed. What comes before them passes on the same in every epoch, and is computed once."""

TRAINED = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down")
RATE, WARM_STEPS, BATCH, SEED = 2e-3, 5, 8, 9


class Model:
    """Frozen weights of a llama, with two thin trained matrices beside each of ``TRAINED``."""

    def __init__(self, path: Path) -> None:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items() if name.startswith(("llama.", "gen"))}
        if fields["general.architecture"] != "llama":
            raise SystemExit(f"{path} is {fields['general.architecture']!r}, not 'llama'")
        self.blocks, self.heads = fields["llama.block_count"], fields["llama.attention.head_count"]
        self.kv_heads, self.epsilon = (
            fields["llama.attention.head_count_kv"],
            fields["llama.attention.layer_norm_rms_epsilon"],
        )
        self.base = fields["llama.rope.freq_base"]
        self.weights = {
            each.name: torch.from_numpy(gguf.quants.dequantize(each.data, each.tensor_type).astype("float32"))
            for each in reader.tensors
        }
        self.width = self.weights["output_norm.weight"].shape[0]
        self.pairs: dict[str, tuple[Any, Any]] = {}
        self.first = max(0, self.blocks - LAST_BLOCKS)
        for block in range(self.first, self.blocks):
            for part in TRAINED:
                name = f"blk.{block}.{part}.weight"
                rows, columns = self.weights[name].shape
                first = torch.randn(RANK, columns) / columns**0.5
                self.pairs[name] = (first.requires_grad_(), torch.zeros(rows, RANK, requires_grad=True))

    def parameters(self) -> list[Any]:
        return [matrix for pair in self.pairs.values() for matrix in pair]

    def below(self, ids: Any) -> Any:
        """What the unchanged blocks pass on."""
        with torch.no_grad():
            return self._through(range(self.first), self.weights["token_embd.weight"][ids])

    def logits(self, below: Any, chosen: Any) -> Any:
        """Of the positions that are ``chosen``, all texts of the batch one after the other."""
        at = self._norm(self._through(range(self.first, self.blocks), below)[chosen], "output_norm.weight")
        return at @ self.weights.get("output.weight", self.weights["token_embd.weight"]).T

    def _through(self, blocks: range, at: Any) -> Any:
        turn = self._turn(at.shape[1])
        for block in blocks:
            at = at + self._attention(block, self._norm(at, f"blk.{block}.attn_norm.weight"), turn)
            inner = self._norm(at, f"blk.{block}.ffn_norm.weight")
            gate = functional.silu(self._linear(block, "ffn_gate", inner))
            at = at + self._linear(block, "ffn_down", gate * self._linear(block, "ffn_up", inner))
        return at

    def _linear(self, block: int, part: str, at: Any) -> Any:
        name = f"blk.{block}.{part}.weight"
        plain = at @ self.weights[name].T
        if name not in self.pairs:
            return plain
        first, second = self.pairs[name]
        return plain + (at @ first.T) @ second.T * (ALPHA / RANK)

    def _norm(self, at: Any, name: str) -> Any:
        return at * torch.rsqrt(at.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weights[name]

    def _attention(self, block: int, at: Any, turn: Any) -> Any:
        texts, length, _ = at.shape
        query = self._linear(block, "attn_q", at).view(texts, length, self.heads, -1).transpose(1, 2)
        key = self._linear(block, "attn_k", at).view(texts, length, self.kv_heads, -1).transpose(1, 2)
        value = self._linear(block, "attn_v", at).view(texts, length, self.kv_heads, -1).transpose(1, 2)
        shared = self.heads // self.kv_heads
        key, value = _turned(key, turn).repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
        seen = functional.scaled_dot_product_attention(_turned(query, turn), key, value, is_causal=True)
        return self._linear(block, "attn_output", seen.transpose(1, 2).reshape(texts, length, -1))

    def _turn(self, length: int) -> Any:
        size = self.width // self.heads
        speeds = self.base ** (-torch.arange(0, size, 2).float() / size)
        angles = torch.outer(torch.arange(length).float(), speeds)
        return torch.polar(torch.ones_like(angles), angles)


def _turned(at: Any, turn: Any) -> Any:
    """RoPE on numbers that lie side by side, as a GGUF of a llama has them."""
    pairs = torch.view_as_complex(at.reshape(*at.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2)


def _batch(examples: list[dict[str, Any]]) -> tuple[Any, Any, Any]:
    """Ids, which positions say a token of an answer, and those tokens. What is behind an end is seen by nobody."""
    longest = max(len(each["ids"]) for each in examples) - 1
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    chosen = torch.zeros(len(examples), longest, dtype=torch.bool)
    targets: list[int] = []
    for row, each in enumerate(examples):
        whole, begin = each["ids"], each["answer_from"]
        ids[row, : len(whole) - 1] = torch.tensor(whole[:-1])
        chosen[row, begin - 1 : len(whole) - 1] = True
        targets += whole[begin:]
    return ids, chosen, torch.tensor(targets)


def train(model: Model, examples: list[dict[str, Any]], *, epochs: int) -> list[float]:
    """Mean loss a token of each epoch; the first is of the untrained model but for its first steps."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    by_length = sorted(examples, key=lambda each: len(each["ids"]))
    batches: list[tuple[Any, Any, Any]] = []
    for begin in range(0, len(by_length), BATCH):
        ids, chosen, targets = _batch(by_length[begin : begin + BATCH])
        batches.append((model.below(ids), chosen, targets))
    order, losses, step = random.Random(SEED), list[float](), 0
    for epoch in range(epochs):
        sums = [0.0, 0]
        for below, chosen, targets in order.sample(batches, len(batches)):
            loss = functional.cross_entropy(model.logits(below, chosen), targets)
            optimiser.zero_grad()
            loss.backward()
            step += 1
            left = (epochs * len(batches) - step + 1) / (epochs * len(batches))
            optimiser.param_groups[0]["lr"] = RATE * min(1, step / WARM_STEPS, left * 2)
            optimiser.step()
            sums = [sums[0] + loss.item() * len(targets), sums[1] + len(targets)]
        losses.append(sums[0] / sums[1])
        print(f"epoch {epoch + 1} of {epochs}: loss {losses[-1]:.3f}", file=sys.stderr, flush=True)
    return losses


def write(model: Model, path: Path) -> None:
    """The adapter, as llama.cpp names it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for name, (first, second) in model.pairs.items():
        writer.add_tensor(f"{name}.lora_a", first.detach().numpy())
        writer.add_tensor(f"{name}.lora_b", second.detach().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("examples", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(asked.threads)
    model = Model(asked.model)
    losses = train(model, json.loads(asked.examples.read_text(encoding="utf-8")), epochs=asked.epochs)
    write(model, asked.adapter)
    print(json.dumps({"losses": losses, "numbers": sum(each.numel() for each in model.parameters())}))


if __name__ == "__main__":
    main()
