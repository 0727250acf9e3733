"""A model file rewritten: what is not a product of 4-bit weights stays byte for byte, and weights keep their values."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.engines.onnx.requantise import requantised

numpy: Any = pytest.importorskip("numpy", reason="the extra embed is not installed")

ROWS, COLUMNS, BLOCK = 64, 3, 32


def number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def piece(field: int, body: bytes | str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    return number(field << 3 | 2) + number(len(data)) + data


def whole(field: int, value: int) -> bytes:
    return number(field << 3) + number(value)


def tensor(name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> bytes:
    return b"".join(whole(1, each) for each in shape) + whole(2, kind) + piece(8, name) + piece(9, raw)


def attribute(name: str, value: int) -> bytes:
    return piece(5, piece(1, name) + whole(3, value) + whole(20, 2))


def product(bits: int = 4) -> bytes:
    attributes = (("K", ROWS), ("N", COLUMNS), ("bits", bits), ("block_size", BLOCK))
    return (
        piece(1, "x") + piece(1, "w") + piece(1, "s") + piece(2, "y") + piece(3, "node") + piece(4, "MatMulNBits")
        + b"".join(attribute(*each) for each in attributes) + piece(7, "com.microsoft")
    )  # fmt: skip


def model(node: bytes, *tensors: bytes) -> bytes:
    other = piece(1, piece(1, "y") + piece(2, "z") + piece(4, "Relu"))
    graph = piece(1, node) + other + b"".join(piece(5, each) for each in tensors) + piece(2, "graph")
    return whole(1, 8) + piece(7, graph) + piece(8, whole(2, 18))


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """Numbers and contents of fields that have a length; others are passed over."""
    found: list[tuple[int, bytes]] = []
    place = 0

    def read() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        key = read()
        if key & 7 == 0:
            read()
            continue
        length = read()
        found.append((key >> 3, data[place : place + length]))
        place += length
    return found


def test_products_are_replaced_and_weights_keep_their_values() -> None:
    generator = numpy.random.default_rng(1)
    packed = generator.integers(0, 256, (COLUMNS, ROWS // BLOCK, BLOCK // 2), dtype=numpy.uint8)
    scales = generator.uniform(0.01, 0.1, (COLUMNS, ROWS // BLOCK)).astype("<f4")
    before = model(
        product(),
        tensor("w", 2, packed.shape, packed.tobytes()),
        tensor("s", 1, scales.shape, scales.tobytes()),
        tensor("other", 1, (1,), b"\0\0\0\0"),
    )
    (graph,) = [body for field, body in fields(requantised(before)) if field == 7]
    nodes = [dict(fields(body)) for field, body in fields(graph) if field == 1]
    assert [each[4] for each in nodes] == [b"DynamicQuantizeMatMul", b"Relu"]
    tensors = {dict(fields(body))[8]: dict(fields(body))[9] for field, body in fields(graph) if field == 5}
    assert tensors.keys() == {b"other", b"w_8", b"w_scale", b"w_zero"}
    made = numpy.frombuffer(tensors[b"w_8"], numpy.int8).reshape(ROWS, COLUMNS)
    made = made * numpy.frombuffer(tensors[b"w_scale"], "<f4")
    low, high = packed & 15, packed >> 4
    was = (numpy.stack([low, high], axis=-1).reshape(COLUMNS, -1, BLOCK) - 8.0) * scales[..., None]
    was = was.reshape(COLUMNS, ROWS).T
    assert numpy.abs(made - was).max() <= numpy.abs(was).max() / 63 / 2 + 1e-6
    assert numpy.abs(numpy.frombuffer(tensors[b"w_8"], numpy.int8)).max() <= 63


def rewritten(
    *nodes: bytes, bias: tuple[int, ...] = (COLUMNS,), output: str = "z", is_packed: bool = False
) -> list[Any]:
    """Operator, inputs and outputs of each node, once a model of a product and further nodes was rewritten."""
    weights = tensor("w", 2, (COLUMNS, ROWS // BLOCK, BLOCK // 2), bytes(COLUMNS * ROWS // 2))
    scales = tensor("s", 1, (COLUMNS, ROWS // BLOCK), bytes(4 * COLUMNS * ROWS // BLOCK))
    values = b"".join(b"\0\0\x80?" for _ in range(numpy.prod(bias)))
    added = tensor("b", 1, bias, values)
    if is_packed:
        added = piece(1, b"".join(map(number, bias))) + added[len(bias) * 2 :]
    graph = b"".join(piece(1, node) for node in (product(), *nodes))
    graph += b"".join(piece(5, each) for each in (weights, scales, added)) + piece(12, piece(1, output))
    (made,) = [body for field, body in fields(requantised(piece(7, graph))) if field == 7]
    found = [fields(body) for field, body in fields(made) if field == 1]
    return [(dict(each)[4], [b for f, b in each if f == 1], [b for f, b in each if f == 2]) for each in found]


def add(first: str, second: str) -> bytes:
    return piece(1, first) + piece(1, second) + piece(2, "z") + piece(4, "Add")


PRODUCT = [b"x", b"w_8", b"w_scale", b"w_zero"]


@pytest.mark.parametrize("inputs", [("y", "b"), ("b", "y")])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_bias_is_added_by_the_product_itself(inputs: tuple[str, str], is_packed: bool) -> None:
    assert rewritten(add(*inputs), is_packed=is_packed) == [(b"DynamicQuantizeMatMul", [*PRODUCT, b"b"], [b"z"])]


def test_a_sum_stays_where_its_other_part_is_no_bias_or_the_product_is_read_elsewhere() -> None:
    alone = (b"DynamicQuantizeMatMul", PRODUCT, [b"y"])
    relu = piece(1, "y") + piece(2, "v") + piece(4, "Relu")
    assert rewritten(add("y", "x"))[0] == alone
    assert rewritten(add("y", "y"))[0] == alone
    assert rewritten(add("y", "b"), bias=(1, COLUMNS))[0] == alone
    assert rewritten(add("y", "b"), output="y")[0] == alone
    assert [each[0] for each in rewritten(add("y", "b"), relu)] == [b"DynamicQuantizeMatMul", b"Add", b"Relu"]


def test_a_model_without_such_products_stays_as_it_is() -> None:
    plain = model(piece(1, "x") + piece(2, "y") + piece(4, "MatMul"), tensor("w", 1, (1,), b"\0\0\0\0"))
    assert requantised(plain) == plain


def test_weights_packed_otherwise_and_what_is_no_model_are_refused() -> None:
    with pytest.raises(ValueError, match="packed in a way"):
        requantised(model(product(bits=8), tensor("w", 2, (1,), b"\0"), tensor("s", 1, (1,), b"\0\0\0\0")))
    for junk in (b"\xff", b"\x3a\xff\xff\xff", b"\x0b"):
        with pytest.raises(ValueError, match="no ONNX model"):
            requantised(junk)
