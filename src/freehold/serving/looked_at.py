"""A model that is only looked at: its shape from the beginnings of its files, here or on a hub.

Files are read through ``Beginnings``: the same code reads a folder and a hub by ranged requests, and never more than
headers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from freehold.domain.errors.model import ModelUnknown
from freehold.domain.errors.planner import NotSizable
from freehold.domain.hardware import ModelShape
from freehold.serving import safetensors
from freehold.serving.gguf import read_prefix
from freehold.serving.gguf_stream import NotHereError

_FIRST_BYTES: Final = 1 << 22
"""Most headers of GGUF end within; those of large vocabularies take a second read."""
_GGUF_HEADER_MAX: Final = 1 << 26
_SAFETENSORS_FIRST_BYTES: Final = 1 << 16
_HEADERS_BYTES_MAX: Final = 1 << 27
"""Of all files of a model: the largest known have some 20 MB. One file alone may have a quarter of this."""
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"
CONFIG: Final = "config.json"


class Beginnings(Protocol):
    """The first bytes of named files."""

    async def size_bytes(self, filename: str) -> int:
        """Length of a file.

        Raises:
            ModelUnknown: There is none of this name.
            ModelError: It cannot be had.
        """
        ...

    async def first(self, filename: str, count: int) -> bytes:
        """Its first ``count`` bytes, which it has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """What was found.

    Attributes:
        shape: For the planner.
        parameters: Number of weights.
    """

    shape: ModelShape
    parameters: int


async def look_at(files: Beginnings, filename: str) -> LookedAt:
    """Read what is needed of a model's headers.

    Args:
        files: Where it is.
        filename: A GGUF or safetensors file, an index of these; empty for the model of the whole repository.

    Raises:
        ModelUnknown: There is no such file, or no safetensors in the repository.
        NotSizable: It is not what its name says.
        ModelError: It cannot be had.
    """
    if filename.endswith(".gguf"):
        return await _gguf(files, filename)
    folder = filename.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    if filename.endswith(".safetensors"):
        parts = [(await _tensors(files, filename))[0]]
    else:
        parts = await _all_tensors(files, prefix)
    weights = safetensors.together(parts)
    config = await _whole(files, prefix + CONFIG, most=safetensors.CONFIG_BYTES_MAX)
    return LookedAt(shape=safetensors.shape_of(weights, config, name=prefix + CONFIG), parameters=weights.elements)


async def _gguf(files: Beginnings, filename: str) -> LookedAt:
    size_bytes = await files.size_bytes(filename)
    count = min(_FIRST_BYTES, size_bytes)
    while True:
        prefix = await files.first(filename, count)
        try:
            header = read_prefix(prefix, size_bytes=size_bytes, name=filename)
        except NotHereError as error:
            count = min(size_bytes, max(error.needed_bytes, 2 * count))
            if error.needed_bytes > _GGUF_HEADER_MAX or count <= len(prefix):
                reason = f"its header has more than {_GGUF_HEADER_MAX >> 20} MiB"
                raise NotSizable(path=filename, reason=reason) from error
            count = min(count, _GGUF_HEADER_MAX)
            continue
        return LookedAt(shape=header.shape, parameters=header.parameters)


async def _all_tensors(files: Beginnings, prefix: str) -> list[safetensors.Weights]:
    try:
        index = await _whole(files, prefix + INDEX, most=safetensors.INDEX_BYTES_MAX)
    except ModelUnknown:
        return [(await _tensors(files, prefix + SINGLE))[0]]
    parts: list[safetensors.Weights] = []
    read_bytes = 0
    for shard, names in safetensors.shards_of(index, name=prefix + INDEX).items():
        if read_bytes > _HEADERS_BYTES_MAX:
            reason = f"the headers of its files have more than {_HEADERS_BYTES_MAX >> 20} MiB together"
            raise NotSizable(path=prefix + INDEX, reason=reason)
        part, length = await _tensors(files, prefix + shard)
        read_bytes += length
        if frozenset(part.size_bytes) != names:
            raise NotSizable(path=prefix + shard, reason="it has other tensors than the index says")
        parts.append(part)
    return parts


async def _tensors(files: Beginnings, filename: str) -> tuple[safetensors.Weights, int]:
    """What a file's header says, and how many bytes were read of it."""
    size_bytes = await files.size_bytes(filename)
    start = await files.first(filename, min(_SAFETENSORS_FIRST_BYTES, size_bytes))
    length = safetensors.header_length(start, size_bytes=size_bytes, name=filename)
    header = start[:length] if length <= len(start) else await files.first(filename, length)
    return safetensors.read_tensors(header, size_bytes=size_bytes, name=filename), length


async def _whole(files: Beginnings, filename: str, *, most: int) -> bytes:
    size_bytes = await files.size_bytes(filename)
    if not 0 < size_bytes <= most:
        raise NotSizable(path=filename, reason=f"it has {size_bytes} bytes, at most {most} are taken")
    return await files.first(filename, size_bytes)


class FolderBeginnings:
    """Files of a folder on this machine.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def size_bytes(self, filename: str) -> int:
        """See ``Beginnings``."""
        path = self._folder / filename
        if not path.is_file():
            raise ModelUnknown(name=str(path), suggestion="")
        return path.stat().st_size

    async def first(self, filename: str, count: int) -> bytes:
        """See ``Beginnings``."""
        path = self._folder / filename
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.pread(descriptor, count, 0)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise NotSizable(path=str(path), reason=f"it cannot be read ({error})") from error
        if len(found) < count:
            raise NotSizable(path=str(path), reason="it was cut short while it was read")
        return found
