"""The tensor list of a GGUF header: names, sizes and places, all of which must lie inside the file."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freehold.domain.hardware import WeightRead
from freehold.serving.gguf_stream import HeaderStream, MalformedError
from freehold.serving.gguf_types import TENSOR_TYPES

_TENSORS_MAX: Final = 1 << 16
_NAME_BYTES_MAX: Final = 64
_DIMENSIONS_MAX: Final = 4
_ELEMENTS_MAX: Final = 1 << 44
_EMBEDDING: Final = "token_embd.weight"
_OUTPUT: Final = "output.weight"
_EXPERTS: Final = "_exps."
_LAYER: Final = re.compile(r"blk\.([0-9]{1,4})\.", re.ASCII)
_LAYERS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """Sums over the tensor list.

    Attributes:
        total_bytes: All tensors.
        parameters: All elements.
        expert_bytes: Of ``total_bytes``, those of experts of which only some are used for a token.
        embedding_bytes: The token embedding table.
        vocabulary: Rows of that table; 0 where there is none.
        tied: Whether the table serves as output too, so that it is read for each token.
        quantisation: Type that holds most bytes.
        layer_bytes: Bytes of the tensors of each layer (``blk.N.``), as far as there are any.
        layer_expert_bytes: Of these, those of experts.
        matrices: Name, type, bytes and weights of each tensor of more than one dimension.
    """

    total_bytes: int
    parameters: int
    expert_bytes: int
    embedding_bytes: int
    vocabulary: int
    tied: bool
    quantisation: str
    layer_bytes: tuple[int, ...]
    layer_expert_bytes: tuple[int, ...]
    matrices: tuple[tuple[str, str, int, int], ...] = ()

    def reads(self, *, experts: int, experts_used: int) -> tuple[WeightRead, ...]:
        """What is read for one token by type of weights, and how many weights take part in a token of a prompt."""
        read, block = Counter[str](), Counter[str]()
        idle = experts > 0 and 0 < experts_used < experts
        for name, kind, size_bytes, elements in self.matrices:
            share = experts_used / experts if idle and "_exps." in name else 1.0
            is_table = name == _EMBEDDING
            if not is_table or self.tied:
                read[kind] += round(size_bytes * share)
            if not is_table and name != _OUTPUT:
                block[kind] += round(elements * share)
        return tuple(WeightRead(type=kind, read_bytes=read[kind], block_weights=block[kind]) for kind in sorted(read))

    def read_bytes(self, *, experts: int, experts_used: int) -> int:
        """Weights read for one token: only the used experts, and of an untied embedding table only one row."""
        idle = 0
        if experts > 0 and 0 < experts_used < experts:
            idle = self.expert_bytes * (experts - experts_used) // experts
        return max(1, self.total_bytes - idle - (0 if self.tied else self.embedding_bytes))


def read_tensors(stream: HeaderStream, *, count: int, alignment: int) -> Tensors:
    """Read ``count`` tensor infos and check that their data lies in the file, each right after the one before.

    Raises:
        MalformedError: An info is not valid, or the file is shorter than its tensors.
    """
    if alignment & (alignment - 1):
        raise MalformedError(f"its alignment is {alignment}, not a power of two")
    if not 1 <= count <= _TENSORS_MAX:
        raise MalformedError(f"{count} tensors, 1 to {_TENSORS_MAX} are taken")
    sizes: dict[str, tuple[int, int]] = {}
    by_type: Counter[str] = Counter()
    matrices: list[tuple[str, str, int, int]] = []
    vocabulary = parameters = offset_expected = 0
    for _ in range(count):
        name = stream.text(limit_bytes=_NAME_BYTES_MAX)
        if name in sizes:
            raise MalformedError(f"the tensor {name!r} occurs twice")
        dimensions = _read_dimensions(stream, name)
        kind = TENSOR_TYPES.get(number := int(stream.scalar("I")))
        if kind is None:
            raise MalformedError(f"the tensor {name!r} has the unknown type {number}")
        if dimensions[0] % kind.block_elements:
            raise MalformedError(f"the tensor {name!r} has rows of {dimensions[0]}, not whole {kind.name} blocks")
        elements = math.prod(dimensions)
        size_bytes = elements // kind.block_elements * kind.block_bytes
        # ggml lays tensors out without gaps and refuses any other layout; so overlaps cannot occur.
        if (offset := int(stream.scalar("Q"))) != offset_expected:
            raise MalformedError(f"the tensor {name!r} is at {offset}, expected at {offset_expected}")
        offset_expected += _padded(size_bytes, alignment)
        sizes[name] = (size_bytes, elements)
        by_type[kind.name] += size_bytes
        if len(dimensions) > 1:
            matrices.append((name, kind.name, size_bytes, elements))
        parameters += elements
        if name == _EMBEDDING and len(dimensions) > 1:
            vocabulary = dimensions[1]
    last_bytes = next(reversed(sizes.values()))[0]
    end = _padded(stream.position, alignment) + offset_expected - _padded(last_bytes, alignment) + last_bytes
    if missing := max(0, end - stream.position - stream.remaining):
        raise MalformedError(f"it is truncated: {missing} bytes of its tensors are missing")
    layer_bytes, layer_expert_bytes = _by_layer({name: size for name, (size, _) in sizes.items()})
    return Tensors(
        total_bytes=sum(size for size, _ in sizes.values()),
        parameters=parameters,
        expert_bytes=sum(size for name, (size, _) in sizes.items() if _EXPERTS in name),
        embedding_bytes=sizes.get(_EMBEDDING, (0, 0))[0],
        vocabulary=vocabulary,
        tied=_OUTPUT not in sizes,
        quantisation=by_type.most_common(1)[0][0],
        layer_bytes=layer_bytes,
        layer_expert_bytes=layer_expert_bytes,
        matrices=tuple(matrices),
    )


def _by_layer(sizes: Mapping[str, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bytes of each layer, and of its experts; all of them up to the last that has any."""
    whole, experts = Counter[int](), Counter[int]()
    for name, size_bytes in sizes.items():
        if (match := _LAYER.match(name)) is not None and int(match[1]) < _LAYERS_MAX:
            whole[int(match[1])] += size_bytes
            experts[int(match[1])] += size_bytes if _EXPERTS in name else 0
    count = max(whole, default=-1) + 1
    return tuple(whole[layer] for layer in range(count)), tuple(experts[layer] for layer in range(count))


def _read_dimensions(stream: HeaderStream, name: str) -> tuple[int, ...]:
    count = int(stream.scalar("I"))
    if not 1 <= count <= _DIMENSIONS_MAX:
        raise MalformedError(f"the tensor {name!r} has {count} dimensions")
    dimensions = tuple(int(stream.scalar("Q")) for _ in range(count))
    if not all(dimensions) or math.prod(dimensions) > _ELEMENTS_MAX:
        raise MalformedError(f"the tensor {name!r} has the dimensions {dimensions}")
    return dimensions


def _padded(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
