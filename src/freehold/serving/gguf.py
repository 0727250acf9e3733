"""The header of a GGUF file (version 2 and 3), read as what it is: bytes from a stranger.

Every count and length is bounded before it is used, every tensor must lie inside the file, and whatever is wrong ends
as ``ModelFileInvalid``. The format: github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from freehold.domain.errors.model import ModelFileInvalid
from freehold.domain.hardware import ModelShape, WeightRead
from freehold.serving.gguf_cache import CacheFacts, Numbers, cache_facts
from freehold.serving.gguf_stream import HeaderStream, MalformedError, of_descriptor, of_prefix
from freehold.serving.gguf_tensors import Tensors, read_tensors
from freehold.serving.gguf_types import FILE_TYPES, MAGIC, VALUE_ARRAY, VALUE_FORMATS, VALUE_STRING

_VERSIONS: Final = (2, 3)
_VALUES_MAX: Final = 4_096
_KEY_BYTES_MAX: Final = 256
_ELEMENTS_MAX: Final = 1 << 22
_KEPT_ELEMENTS_MAX: Final = 1_024
_LAYERS_MAX: Final = 4_096
_NUMBER_MAX: Final = 1 << 31
_ARCHITECTURE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOKENS_KEY: Final = "tokenizer.ggml.tokens"
_FIM_PREFIXES: Final = frozenset(
    text.encode() for text in ("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<PRE>", "▁<PRE>", "<｜fim▁begin｜>")
)
"""Tokens by which llama.cpp recognises a vocabulary that can fill in the middle."""

_Found = TypeVar("_Found")
_Value = bool | int | float | str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a model file says of itself.

    Attributes:
        architecture: llama.cpp's name of the architecture, for example ``qwen2``.
        name: The model's own name; may be empty.
        license: As the file states it; empty where it states none.
        file_bytes: Length of the file.
        tensor_bytes: Sum of the tensors' bytes.
        parameters: Number of weights.
        layers: Blocks.
        embedding_length: Width of the model.
        heads: Attention heads; 0 for a model without attention.
        kv_heads: Key-value heads, the mean over the layers rounded up.
        head_dim: Width of a head, the mean of key and value rounded up.
        vocabulary: Tokens.
        context_length: Tokens it was trained for.
        sliding_window: Tokens that a windowed layer looks back; 0 for none.
        read_bytes: Weights read for each generated token.
        quantisation: Name of the mix of tensor types, or the type that holds most of the weights.
        chat_template_sha256: Digest of the chat template; empty for a base model.
        tools: Whether the chat template knows tools.
        infill: Whether the vocabulary has fill-in-the-middle tokens.
        pooling: Whether the file is an embedding model (it states how token vectors are pooled).
        cache: What its layers keep between tokens.
        embedding_bytes: The token embedding table.
        tied: Whether that table serves as the output too.
        layer_bytes: Tensors of each layer; empty where they are not those of ``layers``.
        expert_bytes: Of these, those of experts.
        reads: Weights read for each generated token by their type.
    """

    architecture: str
    name: str
    license: str
    file_bytes: int
    tensor_bytes: int
    parameters: int
    layers: int
    embedding_length: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context_length: int
    sliding_window: int
    read_bytes: int
    quantisation: str
    chat_template_sha256: str
    tools: bool
    infill: bool
    pooling: bool
    cache: CacheFacts
    embedding_bytes: int
    tied: bool
    layer_bytes: tuple[int, ...]
    expert_bytes: tuple[int, ...]
    reads: tuple[WeightRead, ...] = ()

    @property
    def shape(self) -> ModelShape:
        """What the planner needs."""
        return ModelShape(
            architecture=self.architecture,
            file_bytes=self.tensor_bytes,
            layers=self.layers,
            embedding_length=self.embedding_length,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            vocabulary=self.vocabulary,
            context_length=self.context_length,
            sliding_window=self.sliding_window,
            read_bytes=self.read_bytes,
            kv_heads_each=self.cache.kv_heads_each,
            latent_length=self.cache.latent_length,
            state_values=self.cache.state_values,
            layer_bytes=self.layer_bytes,
            expert_bytes=self.expert_bytes,
            embedding_bytes=self.embedding_bytes,
            tied=self.tied,
            unknown=self.cache.unknown,
            reads=self.reads,
        )


def read_weight_bytes(path: str | os.PathLike[str]) -> int:
    """Bytes of all tensors of ``path``, which need not be a language model: a projector is none.

    Raises:
        ModelFileInvalid: It is not a GGUF file, or it cannot be read.
    """
    return _read_file(path, lambda stream, _file_bytes: _read_parts(stream)[1].total_bytes)


def read_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read and check the header of ``path``; some 10 ms, a few MiB of memory, whatever the file claims.

    Raises:
        ModelFileInvalid: It is not a GGUF file that the engine could load, or it cannot be read.
    """
    return _read_file(path, lambda stream, file_bytes: _read(stream, file_bytes=file_bytes))


def read_prefix(prefix: bytes, *, size_bytes: int, name: str) -> GgufHeader:
    """The same of a file whose first bytes only are here.

    Args:
        prefix: Its beginning.
        size_bytes: Its whole length.
        name: What errors call it.

    Raises:
        NotHereError: The header goes on behind ``prefix``; it says how far at least.
        ModelFileInvalid: As ``read_header``.
    """
    try:
        return _read(
            HeaderStream(of_prefix(prefix, size_bytes=size_bytes), size_bytes=size_bytes), file_bytes=size_bytes
        )
    except (MalformedError, struct.error) as error:
        raise ModelFileInvalid(path=name, reason=str(error)) from error


def _read_file(path: str | os.PathLike[str], read: Callable[[HeaderStream, int], _Found]) -> _Found:
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise ModelFileInvalid(path=os.fspath(path), reason=f"it cannot be opened ({error})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileInvalid(path=os.fspath(path), reason="it is not a regular file")
        return read(HeaderStream(of_descriptor(descriptor), size_bytes=status.st_size), status.st_size)
    except (MalformedError, OSError, struct.error) as error:
        raise ModelFileInvalid(path=os.fspath(path), reason=str(error)) from error
    finally:
        os.close(descriptor)


def _read(stream: HeaderStream, *, file_bytes: int) -> GgufHeader:
    values, tensors, infill = _read_parts(stream)
    return _header(values, tensors, infill=infill, file_bytes=file_bytes)


def _read_parts(stream: HeaderStream) -> tuple[dict[str, _Value], Tensors, bool]:
    """Values, tensors, and whether the vocabulary can fill in."""
    magic = stream.take(min(len(MAGIC), stream.remaining))
    if magic != MAGIC:
        raise MalformedError(f"it begins with {magic!r}, not with b'GGUF'")
    version = int(stream.scalar("I"))
    if version not in _VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
        detail = "it is a big-endian file" if swapped in _VERSIONS else f"its version is {version}"
        raise MalformedError(f"{detail}; versions 2 and 3, little-endian, are taken")
    tensor_count = int(stream.scalar("Q"))
    value_count = stream.count("Q", limit=_VALUES_MAX, what="header values")
    values, infill = _read_values(stream, value_count)
    alignment = _number(values, "general.alignment", default=32, minimum=1, maximum=1 << 16)
    return values, read_tensors(stream, count=tensor_count, alignment=alignment), infill


def _read_values(stream: HeaderStream, count: int) -> tuple[dict[str, _Value], bool]:
    values: dict[str, _Value] = {}
    infill = False
    for _ in range(count):
        key = stream.text(limit_bytes=_KEY_BYTES_MAX)
        if key in values:
            raise MalformedError(f"the header value {key!r} occurs twice")
        kind = int(stream.scalar("I"))
        if kind == VALUE_ARRAY:
            array, found = _read_array(stream, wanted=_FIM_PREFIXES if key == _TOKENS_KEY else frozenset())
            values[key] = array
            infill = infill or bool(found)
        elif kind == VALUE_STRING:
            values[key] = stream.text()
        elif letter := VALUE_FORMATS.get(kind):
            values[key] = stream.scalar(letter)
        else:
            raise MalformedError(f"the header value {key!r} has the unknown type {kind}")
    return values, infill


def _read_array(stream: HeaderStream, *, wanted: frozenset[bytes]) -> tuple[_Value, frozenset[bytes]]:
    """A short array of whole numbers as a tuple, any other array as its length."""
    kind = int(stream.scalar("I"))
    count = stream.count("Q", limit=_ELEMENTS_MAX, what="elements in one array")
    if kind == VALUE_STRING:
        return count, stream.walk_texts(count, wanted=wanted)
    letter = VALUE_FORMATS.get(kind)
    if letter is None:
        raise MalformedError(f"an array has elements of the type {kind}")
    width = struct.calcsize("<" + letter)
    if letter in "fd" or count > _KEPT_ELEMENTS_MAX:
        stream.skip(count * width)
        return count, frozenset()
    return tuple(int(stream.scalar(letter)) for _ in range(count)), frozenset()


def _header(values: Mapping[str, _Value], tensors: Tensors, *, infill: bool, file_bytes: int) -> GgufHeader:
    architecture = _text(values, "general.architecture")
    if not _ARCHITECTURE.fullmatch(architecture):
        raise MalformedError(f"its architecture is {architecture[:64]!r}")
    if _number(values, "split.count", default=0) > 1:
        raise MalformedError("it is one part of a model that was split; give the whole model in one file")
    layers = _number(values, f"{architecture}.block_count", minimum=1, maximum=_LAYERS_MAX)
    embedding_length = _number(values, f"{architecture}.embedding_length", minimum=1)
    heads = _mean(values, f"{architecture}.attention.head_count", default=0, layers=layers)
    kv_heads = _mean(values, f"{architecture}.attention.head_count_kv", default=heads, layers=layers)
    plain_dim = embedding_length // heads if heads else 0
    key_length = _number(values, f"{architecture}.attention.key_length", default=plain_dim)
    value_length = _number(values, f"{architecture}.attention.value_length", default=plain_dim)
    template = _text(values, "tokenizer.chat_template")
    experts = _number(values, f"{architecture}.expert_count", default=0)
    used = _number(values, f"{architecture}.expert_used_count", default=0)
    return GgufHeader(
        architecture=architecture,
        name=_text(values, "general.name")[:200],
        license=_text(values, "general.license")[:200],
        file_bytes=file_bytes,
        tensor_bytes=tensors.total_bytes,
        parameters=tensors.parameters,
        layers=layers,
        embedding_length=embedding_length,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=-(-(key_length + value_length) // 2),
        vocabulary=tensors.vocabulary or _number(values, f"{architecture}.vocab_size", default=0),
        context_length=_number(values, f"{architecture}.context_length", minimum=1),
        sliding_window=_number(values, f"{architecture}.attention.sliding_window", default=0),
        read_bytes=tensors.read_bytes(experts=experts, experts_used=used),
        quantisation=FILE_TYPES.get(_number(values, "general.file_type", default=-1, minimum=-1), tensors.quantisation),
        chat_template_sha256=hashlib.sha256(template.encode()).hexdigest() if template else "",
        tools="tools" in template,
        infill=infill,
        pooling=_number(values, f"{architecture}.pooling_type", default=0) > 0,
        cache=_cache(values, architecture, layers=layers, heads=heads),
        embedding_bytes=tensors.embedding_bytes,
        tied=tensors.tied,
        reads=tensors.reads(experts=experts, experts_used=used),
        layer_bytes=tensors.layer_bytes if len(tensors.layer_bytes) == layers else (),
        expert_bytes=tensors.layer_expert_bytes if len(tensors.layer_bytes) == layers and tensors.expert_bytes else (),
    )


def _cache(values: Mapping[str, _Value], architecture: str, *, layers: int, heads: int) -> CacheFacts:
    """What the layers keep; the numbers of ``head_count_kv`` were checked before."""
    kv_heads = values.get(f"{architecture}.attention.head_count_kv", heads)

    def number(key: str) -> int:
        return _number(values, f"{architecture}.{key}", default=0, maximum=1 << 20)

    return cache_facts(
        architecture,
        Numbers(
            layers=layers,
            heads=heads,
            kv_heads=kv_heads if isinstance(kv_heads, tuple) else int(kv_heads),
            latent=number("attention.kv_lora_rank"),
            rope=number("rope.dimension_count"),
            split_heads=number("attention.key_length_mla"),
            interval=number("full_attention_interval"),
            kernel=number("ssm.conv_kernel"),
            inner=number("ssm.inner_size"),
            state=number("ssm.state_size"),
            groups=number("ssm.group_count"),
        ),
    )


def _text(values: Mapping[str, _Value], key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise MalformedError(f"the header value {key!r} is {value!r}, not a text")
    return value


def _number(
    values: Mapping[str, _Value], key: str, *, default: int | None = None, minimum: int = 0, maximum: int = _NUMBER_MAX
) -> int:
    value = values.get(key, default)
    if value is None:
        raise MalformedError(f"the header lacks {key!r}; it is not a language model")
    if isinstance(value, tuple):
        value = max(value, default=0)
    if isinstance(value, (str, float)) or not minimum <= value <= maximum:
        raise MalformedError(f"the header value {key!r} is {value!r}")
    return int(value)


def _mean(values: Mapping[str, _Value], key: str, *, default: int, layers: int) -> int:
    """One number for all layers; where the file gives one a layer, their mean rounded up."""
    value = values.get(key, default)
    if not isinstance(value, tuple):
        return _number(values, key, default=default, maximum=1 << 16)
    if len(value) != layers or not all(0 <= each <= 1 << 16 for each in value):
        raise MalformedError(
            f"the header value {key!r} has {len(value)} numbers for {layers} layers, or one out of range"
        )
    return -(-sum(value) // layers)
