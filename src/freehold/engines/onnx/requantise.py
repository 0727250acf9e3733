"""From 4-bit weights in blocks to 8-bit weights in columns, while a model is loaded: the same model in half the time.

``MatMulNBits`` computes in 32-bit floats. Processors multiply bytes two to four times as fast, and
``DynamicQuantizeMatMul`` does: it scales the activations of a call to 8 bits itself. The weights have 16 values a block,
so that 127 values a column lose little; 7 bits, since two products of 8 bits overflow the 16 of older processors.

The file is a protobuf (onnx/onnx.proto3). Only what is changed is read: everything else is copied as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from freehold.engines.onnx.protobuf import length_field, number_field

_WEIGHT_MOST = 63
_NIBBLE_MIDDLE = 8

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_VALUE_NAME = 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT = 1, 3
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT, _INT8 = 1, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass(slots=True)
class _Node:
    """What is read of a ``NodeProto``."""

    inputs: list[str] = field(default_factory=list[str])
    outputs: list[str] = field(default_factory=list[str])
    name: str = ""
    op: str = ""
    numbers: dict[str, int] = field(default_factory=dict[str, int])


def requantised(model: bytes) -> bytes:
    """The model with every product of 4-bit weights replaced; one without such products as it is.

    Raises:
        ValueError: It is no ONNX model, or packs its weights in another way.
    """
    try:
        return b"".join(
            length_field(_MODEL_GRAPH, _graph(body)) if number == _MODEL_GRAPH and body is not None else bytes(raw)
            for number, raw, body, _ in _fields(memoryview(model))
        )
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"this is no ONNX model ({error})") from error


def _graph(graph: memoryview) -> bytes:
    nodes = [_node(body) for number, _, body, _ in _fields(graph) if number == _GRAPH_NODE and body is not None]
    packed = {name: node for node in nodes if node.op == "MatMulNBits" for name in node.inputs[1:]}
    sums = _sums(nodes, graph)
    summed = frozenset(node.outputs[0] for node in sums.values())
    tensors: dict[str, Any] = {}
    kept: list[bytes] = []
    for number, raw, body, _ in _fields(graph):
        if number == _GRAPH_INITIALIZER and body is not None and (name := _tensor_name(body)) in packed:
            tensors[name] = _tensor(body)
        elif number == _GRAPH_NODE and body is not None and (node := _node(body)).op == "MatMulNBits":
            kept.append(length_field(_GRAPH_NODE, _product(node, sums.get(node.outputs[0]))))
        elif number != _GRAPH_NODE or body is None or summed.isdisjoint(_node(body).outputs):
            kept.append(bytes(raw))
    for node in nodes:
        if node.op == "MatMulNBits":
            kept += _weights(node, tensors)
    return b"".join(kept)


def _sums(nodes: Sequence[_Node], graph: memoryview) -> dict[str, _Node]:
    """By the output of a product the sum of it and a bias, where nothing else reads that output.

    ``DynamicQuantizeMatMul`` adds a bias on its way, and what follows a sum no more (GELU) is computed faster alone.
    """
    columns = {node.outputs[0]: node.numbers.get("N", 0) for node in nodes if node.op == "MatMulNBits"}
    read = Counter(name for node in nodes for name in node.inputs)
    biases: dict[str, tuple[int, ...]] = {}
    for number, _, body, _ in _fields(graph):
        if number == _GRAPH_INITIALIZER and body is not None:
            biases[_tensor_name(body)] = _dims(body)
        elif number == _GRAPH_OUTPUT and body is not None:
            read[_value_name(body)] += 1
    found: dict[str, _Node] = {}
    for node in nodes:
        if node.op != "Add" or len(node.inputs) != 2:
            continue
        for name, other in (node.inputs, reversed(node.inputs)):
            if name in columns and read[name] == 1 and biases.get(other) == (columns[name],):
                found[name] = node
    return found


def _product(node: _Node, total: _Node | None) -> bytes:
    """The product that takes the place of ``node``, and of the sum with its bias where there is one."""
    given, weights = node.inputs[0], node.inputs[1]
    inputs = [given, f"{weights}_8", f"{weights}_scale", f"{weights}_zero"]
    if total is not None:
        inputs += [name for name in total.inputs if name != node.outputs[0]]
    parts = [length_field(_NODE_INPUT, each.encode()) for each in inputs]
    parts += [length_field(_NODE_OUTPUT, each.encode()) for each in (node if total is None else total).outputs]
    parts += [length_field(_NODE_NAME, node.name.encode()), length_field(_NODE_OP, b"DynamicQuantizeMatMul")]
    return b"".join([*parts, length_field(_NODE_DOMAIN, b"com.microsoft")])


def _weights(node: _Node, tensors: dict[str, Any]) -> list[bytes]:
    """Its weights: 8 bits each, one scale a column."""
    import numpy

    np: Any = numpy
    if len(node.inputs) != 3 or node.numbers.get("bits") != 4:
        raise ValueError(f"{node.name} is packed in a way that is not known here")
    rows, columns, block = node.numbers["K"], node.numbers["N"], node.numbers["block_size"]
    bytes_of = tensors[node.inputs[1]].reshape(columns, -1, block // 2)
    scales = tensors[node.inputs[2]].reshape(columns, -1, 1)
    values = np.stack([bytes_of & 15, bytes_of >> 4], axis=-1).reshape(columns, -1, block)
    whole = ((values.astype(np.float32) - _NIBBLE_MIDDLE) * scales).reshape(columns, -1)[:, :rows].T
    scale = np.maximum(np.abs(whole).max(axis=0) / _WEIGHT_MOST, np.finfo(np.float32).tiny).astype(np.float32)
    name = node.inputs[1]
    made = (
        _made(f"{name}_8", _INT8, (rows, columns), np.rint(whole / scale).astype(np.int8).tobytes()),
        _made(f"{name}_scale", _FLOAT, (columns,), scale.astype("<f4").tobytes()),
        _made(f"{name}_zero", _INT8, (columns,), bytes(columns)),
    )
    return [length_field(_GRAPH_INITIALIZER, each) for each in made]


def _made(name: str, kind: int, shape: Sequence[int], raw: bytes) -> bytes:
    dims = b"".join(number_field(_TENSOR_DIMS, each) for each in shape)
    return (
        dims
        + number_field(_TENSOR_TYPE, kind)
        + length_field(_TENSOR_NAME, name.encode())
        + length_field(_TENSOR_RAW, raw)
    )


def _node(body: memoryview) -> _Node:
    node = _Node()
    for number, _, inner, _ in _fields(body):
        if inner is None:
            continue
        if number == _NODE_INPUT:
            node.inputs.append(str(inner, "utf-8"))
        elif number == _NODE_OUTPUT:
            node.outputs.append(str(inner, "utf-8"))
        elif number == _NODE_NAME:
            node.name = str(inner, "utf-8")
        elif number == _NODE_OP:
            node.op = str(inner, "utf-8")
        elif number == _NODE_ATTRIBUTE:
            node.numbers.update(_attribute(inner))
    return node


def _attribute(body: memoryview) -> dict[str, int]:
    """Name and value of an attribute that is a whole number; of another one nothing."""
    name, value = "", None
    for number, _, inner, read in _fields(body):
        if number == _ATTRIBUTE_NAME and inner is not None:
            name = str(inner, "utf-8")
        elif number == _ATTRIBUTE_INT:
            value = read
    return {} if value is None else {name: value}


def _value_name(body: memoryview) -> str:
    names = [inner for number, _, inner, _ in _fields(body) if number == _VALUE_NAME and inner is not None]
    return str(names[0], "utf-8") if names else ""


def _dims(body: memoryview) -> tuple[int, ...]:
    """The shape of a tensor, written one number a field or all in one."""
    found: list[int] = []
    for number, _, inner, value in _fields(body):
        if number == _TENSOR_DIMS and inner is None:
            found.append(value)
        elif number == _TENSOR_DIMS and inner is not None:
            place = 0
            while place < len(inner):
                size, place = _varint(inner, place)
                found.append(size)
    return tuple(found)


def _tensor_name(body: memoryview) -> str:
    names = [inner for number, _, inner, _ in _fields(body) if number == _TENSOR_NAME and inner is not None]
    return str(names[0], "utf-8") if names else ""


def _tensor(body: memoryview) -> Any:
    """The numbers of a tensor of bytes or floats, in one row."""
    import numpy

    np: Any = numpy
    kind, raw = 0, memoryview(b"")
    for number, _, inner, read in _fields(body):
        if number == _TENSOR_TYPE:
            kind = read
        elif number == _TENSOR_RAW and inner is not None:
            raw = inner
    return np.frombuffer(raw, dtype="<f4" if kind == _FLOAT else np.uint8)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None, int]]:
    """Of each field its number, all of it, what is in it if it has a length, and its value if it is a number."""
    place = 0
    while place < len(message):
        begun = place
        key, place = _varint(message, place)
        kind, inner, value = key & 7, None, 0
        if kind == _VARINT:
            value, place = _varint(message, place)
        elif kind == _LENGTH:
            length, place = _varint(message, place)
            inner = message[place : place + length]
            if len(inner) < length:
                raise IndexError("it ends within a field")
            place += length
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            raise IndexError(f"a field of the unknown kind {kind}")
        yield key >> 3, message[begun:place], inner, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
