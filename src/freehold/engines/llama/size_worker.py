"""Asks llama.cpp what a model file would take, without allocating it: ``python -m freehold.engines.llama.size_worker``.

Its library has a function for that which is not part of its public interface. Everything that is known of it is checked
at each start: its name, and where the settings lie, by the values that they have when nobody set them. Where anything is
otherwise the answer is an empty list, and the caller goes by the closed form.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
from pathlib import Path
from typing import Any, Final

from freehold.engines.process.worker import begin

_PRINT: Final = "_Z16common_fit_printPKcP18llama_model_paramsP20llama_context_params"
_STRUCT_BYTES: Final = 1_024
"""More than either structure has; its own functions write it whole."""
_TOKENS_OFFSET: Final = 0
_DEFAULT_TOKENS: Final = (512, 2_048, 512, 1)
"""Context, batch, batch of one pass, sequences: the first four numbers of the second structure."""
_FLASH_OFFSET: Final = 52
_TYPES_OFFSET: Final = 104
_WHOLE_WINDOWS_OFFSET: Final = 140
"""Whether layers with a window keep the whole context all the same; the server does not, the library's default does."""
_UNIFIED_OFFSET: Final = 141
_TYPES: Final = {"f16": 1, "q8_0": 8}


class _Settings(ctypes.Structure):
    _fields_ = (("raw", ctypes.c_uint8 * _STRUCT_BYTES),)


def main() -> None:
    """Run one order."""
    order, answers = begin()
    found = [_sizes(order["path"], ask) for ask in order["asks"]]
    os.write(answers, json.dumps(found).encode() + b"\n")
    os._exit(0)


def _sizes(path: str, ask: dict[str, Any]) -> list[dict[str, Any]]:
    """One ``{device, model_mib, context_mib, compute_mib}`` for each device; none where it cannot be asked."""
    library = _library()
    if library is None:
        return []
    model, context = library.llama_model_default_params(), library.llama_context_default_params()
    raw = (ctypes.c_uint8 * _STRUCT_BYTES).from_buffer(context)
    if not _is_as_known(bytes(raw)):
        return []
    sequences = ask["slots"]
    struct.pack_into("<4I", raw, _TOKENS_OFFSET, ask["tokens"], 2_048, ask["batch_tokens"], sequences)
    struct.pack_into("<i", raw, _FLASH_OFFSET, int(ask["flash_attention"]))
    struct.pack_into("<2i", raw, _TYPES_OFFSET, _TYPES[ask["cache_type"]], _TYPES[ask["cache_type"]])
    raw[_WHOLE_WINDOWS_OFFSET] = 0
    raw[_UNIFIED_OFFSET] = int(ask["unified"])
    text = _printed(lambda: getattr(library, _PRINT)(path.encode(), ctypes.byref(model), ctypes.byref(context)))
    return [row for line in text.splitlines() if (row := _row(line)) is not None]


def _is_as_known(raw: bytes) -> bool:
    tokens = struct.unpack_from("<4I", raw, _TOKENS_OFFSET)
    flash = struct.unpack_from("<i", raw, _FLASH_OFFSET)[0]
    types = struct.unpack_from("<2i", raw, _TYPES_OFFSET)
    return (
        tokens == _DEFAULT_TOKENS
        and flash == -1
        and types == (1, 1)
        and raw[_UNIFIED_OFFSET - 4 : _UNIFIED_OFFSET + 1] == b"\1\1\1\1\0"
    )


def _library() -> Any:
    import xllamacpp  # only a child ever loads it

    for path in sorted(Path(str(xllamacpp.__file__)).parent.glob("*.so")):
        library = ctypes.CDLL(str(path))
        if hasattr(library, _PRINT):
            library.llama_model_default_params.restype = _Settings
            library.llama_context_default_params.restype = _Settings
            getattr(library, _PRINT).restype = None
            return library
    return None


def _printed(call: Any) -> str:
    """What a function of the library writes to standard output."""
    kept = os.memfd_create("sizes")
    before = os.dup(1)
    os.dup2(kept, 1)
    try:
        call()
        ctypes.CDLL(None).fflush(None)
    finally:
        os.dup2(before, 1)
    return os.pread(kept, 1 << 16, 0).decode("utf-8", "replace")


def _row(line: str) -> dict[str, Any] | None:
    parts = line.split()
    if len(parts) < 4 or not all(each.isdigit() for each in parts[-3:]):
        return None
    model, context, compute = map(int, parts[-3:])
    return {"device": " ".join(parts[:-3]), "model_mib": model, "context_mib": context, "compute_mib": compute}


if __name__ == "__main__":
    main()
