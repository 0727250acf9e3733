"""Packed weights as a graph that onnxruntime computes; written in memory, while a model is loaded.

The graph is an encoder as BERT is: in each layer attention and two products, each added to what went in and normalised.
Tokens' own vectors are looked up outside: three quarters of the file are those, and a text needs a few.

The messages are those of onnx/onnx.proto3; ``com.microsoft`` operators are documented in onnxruntime's
docs/ContribOperators.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from freehold.engines.embed.packed import BLOCK, PackedFile, scales_and_nibbles
from freehold.engines.onnx.protobuf import length_field, number_field

INPUT = "vectors"
_IR_VERSION, _OPSET, _OPSET_FUSED = 10, 20, 1
_FUSED = "com.microsoft"
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSET = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_TYPE = 1, 2, 3, 20
_IS_FLOAT, _IS_INT = 1, 2
_FIXED32 = 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_KINDS = {"float32": 1, "uint8": 2, "int8": 3}
_INT64_MASK = (1 << 64) - 1


def encoder(packed: PackedFile) -> tuple[bytes, str]:
    """The model, and the name of its output: a vector for each token. Its input is ``INPUT``, of the same shape.

    Raises:
        ValueError: A tensor is not there.
    """
    graph = _Graph(packed)
    return graph.model()


class _Graph:
    def __init__(self, packed: PackedFile) -> None:
        self._packed = packed
        self._parts: list[bytes] = []

    def model(self) -> tuple[bytes, str]:
        sizes = self._packed.sizes
        state = self._normalised("LayerNormalization", [INPUT], "emb.ln", "state", domain="", axis=-1)
        for layer in range(sizes.layers):
            state = self._layer(f"l{layer}.", state)
        shape = (1, "tokens", sizes.width)
        self._parts += [
            length_field(_GRAPH_NAME, b"encoder"),
            length_field(_GRAPH_INPUT, _value(INPUT, shape)),
            length_field(_GRAPH_OUTPUT, _value(state, shape)),
        ]
        opsets = ((b"", _OPSET), (_FUSED.encode(), _OPSET_FUSED))
        head = [number_field(_MODEL_IR, _IR_VERSION)]
        head += [
            length_field(_MODEL_OPSET, length_field(_OPSET_DOMAIN, domain) + number_field(_OPSET_VERSION, version))
            for domain, version in opsets
        ]
        return b"".join([*head, length_field(_MODEL_GRAPH, b"".join(self._parts))]), state

    def _layer(self, at: str, state: str) -> str:
        width, inner = self._packed.sizes.width, self._packed.sizes.inner
        self._product(state, f"{at}qkv", [f"{at}q", f"{at}k", f"{at}v"], width)
        parts = [f"{at}q", f"{at}k", f"{at}v"]
        self._node("Split", [f"{at}qkv"], parts, axis=-1, num_outputs=3)
        self._node("MultiHeadAttention", parts, [f"{at}seen"], domain=_FUSED, num_heads=self._packed.sizes.heads)
        self._product(f"{at}seen", f"{at}told", [f"{at}ao"], width)
        middle = self._normalised("SkipLayerNormalization", [f"{at}told", state], f"{at}aln", f"{at}middle")
        self._product(middle, f"{at}wide", [f"{at}fi"], width)
        self._node("Gelu", [f"{at}wide"], [f"{at}bent"])
        self._product(f"{at}bent", f"{at}narrow", [f"{at}fo"], inner)
        return self._normalised("SkipLayerNormalization", [f"{at}narrow", middle], f"{at}oln", f"{at}state")

    def _product(self, given: str, made: str, names: Sequence[str], row: int) -> None:
        """Products of one input with the weights of several names side by side, and their biases."""
        import numpy

        np: Any = numpy
        blocks = np.concatenate([self._packed.blocks(f"{name}.w", row) for name in names])
        scales, nibbles = scales_and_nibbles(blocks)
        weights, product = [f"{made}.w", f"{made}.s", f"{made}.b"], f"{made}.p"
        # The file puts the first half of a block into the low bits, onnxruntime each second weight.
        self._tensor(weights[0], nibbles[..., 0::2] | nibbles[..., 1::2] << 4)
        self._tensor(weights[1], scales.reshape(-1))
        self._tensor(weights[2], np.concatenate([self._packed.numbers(f"{name}.b") for name in names]))
        self._node(
            "MatMulNBits", [given, *weights[:2]], [product], domain=_FUSED, K=row, N=len(blocks), bits=4, block_size=BLOCK
        )  # fmt: skip
        self._node("Add", [product, weights[2]], [made])

    def _normalised(
        self, op: str, given: Sequence[str], name: str, made: str, *, domain: str = _FUSED, **numbers: int
    ) -> str:
        weights = [f"{name}.w", f"{name}.b"]
        for each in weights:
            self._tensor(each, self._packed.numbers(each))
        self._node(op, [*given, *weights], [made], domain=domain, epsilon=self._packed.sizes.epsilon, **numbers)
        return made

    def _node(
        self, op: str, given: Sequence[str], made: Sequence[str], *, domain: str = "", **attributes: float
    ) -> None:
        parts = [length_field(_NODE_INPUT, each.encode()) for each in given]
        parts += [length_field(_NODE_OUTPUT, each.encode()) for each in made]
        parts += [length_field(_NODE_OP, op.encode()), length_field(_NODE_DOMAIN, domain.encode())]
        parts += [length_field(_NODE_ATTRIBUTE, _attribute(name, value)) for name, value in attributes.items()]
        self._parts.append(length_field(_GRAPH_NODE, b"".join(parts)))

    def _tensor(self, name: str, values: Any) -> None:
        dims = b"".join(number_field(_TENSOR_DIMS, size) for size in values.shape)
        kind = number_field(_TENSOR_TYPE, _KINDS[str(values.dtype)])
        body = dims + kind + length_field(_TENSOR_NAME, name.encode()) + length_field(_TENSOR_RAW, values.tobytes())
        self._parts.append(length_field(_GRAPH_INITIALIZER, body))


def _attribute(name: str, value: float) -> bytes:
    named = length_field(_ATTRIBUTE_NAME, name.encode())
    if isinstance(value, int):
        return named + number_field(_ATTRIBUTE_INT, value & _INT64_MASK) + number_field(_ATTRIBUTE_TYPE, _IS_INT)
    packed = bytes([_ATTRIBUTE_FLOAT << 3 | _FIXED32]) + struct.pack("<f", value)
    return named + packed + number_field(_ATTRIBUTE_TYPE, _IS_FLOAT)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """A ``ValueInfoProto`` of 32-bit floats."""
    dims = [number_field(1, each) if isinstance(each, int) else length_field(2, each.encode()) for each in shape]
    tensor = number_field(1, _KINDS["float32"]) + length_field(2, b"".join(length_field(1, each) for each in dims))
    return length_field(1, name.encode()) + length_field(2, length_field(1, tensor))
