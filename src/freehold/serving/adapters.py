"""LoRA adapters: checked like models before an engine sees them, and against the model that they are for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.domain.engine_options import Adapter
from freehold.domain.errors.engine import AdapterChanged, AdapterForeign, AdapterInvalid
from freehold.serving.digests import DigestCache
from freehold.serving.gguf_pieces import Pieces, read_pieces
from freehold.serving.gguf_stream import MalformedError

_PAIR: Final = re.compile(r"(?P<weight>.+)\.lora_(?P<side>[ab])")
_RANK_MAX: Final = 4_096
_MATRIX: Final = 2
_EMBEDDING: Final = "token_embd.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAdapter:
    """An adapter that may be given to an engine.

    Attributes:
        adapter: Which, with the digest that its file has.
        rank: Largest rank of its matrices.
        weights: Weights of the model that it changes.
        size_bytes: Of its file.
    """

    adapter: Adapter
    rank: int
    weights: int
    size_bytes: int


def verify_adapter(
    adapter: Adapter, *, model_path: Path, model_name: str, deployment: str, digests: DigestCache
) -> VerifiedAdapter:
    """Check digest, header and fit to the model. Reads the file whole only where it changed since the last time.

    Args:
        adapter: Which.
        model_path: File of the model that it is for.
        model_name: How that is called, for messages.
        deployment: Whose it is, for messages.
        digests: Digests of files.

    Raises:
        AdapterInvalid: It is no adapter, or cannot be read.
        AdapterChanged: It has another digest than the configuration names.
        AdapterForeign: It was made for another model.
    """
    path = Path(adapter.path)
    if path.exists() and not path.is_file():
        raise AdapterInvalid(source=deployment, path=str(path), reason="it is not a regular file")
    try:
        pieces = read_pieces(path)
        ranks = _ranks(pieces)
        found, size_bytes = digests.digest(path), path.stat().st_size
    except MalformedError as error:
        raise AdapterInvalid(source=deployment, path=str(path), reason=str(error)) from error
    except OSError as error:
        raise AdapterInvalid(
            source=deployment, path=str(path), reason=f"it cannot be read ({error.strerror})"
        ) from error
    if adapter.sha256 and found != adapter.sha256:
        raise AdapterChanged(source=deployment, path=str(path), found=found, expected=adapter.sha256)
    if reason := _foreign(pieces, read_pieces(model_path)):
        raise AdapterForeign(source=deployment, path=str(path), model=model_name, reason=reason)
    known = Adapter(name=adapter.name, path=str(path), scale=adapter.scale, sha256=found)
    return VerifiedAdapter(adapter=known, rank=max(ranks.values()), weights=len(ranks), size_bytes=size_bytes)


def _ranks(pieces: Pieces) -> Mapping[str, int]:
    """The rank of each changed weight.

    Raises:
        MalformedError: It is no LoRA adapter.
    """
    kind, method = pieces.text("general.type"), pieces.text("adapter.type")
    if (kind, method) != ("adapter", "lora"):
        raise MalformedError(f"its general.type is {kind!r} and its adapter.type {method!r}, not 'adapter' and 'lora'")
    if not isinstance(pieces.values.get("adapter.lora.alpha"), int | float):
        raise MalformedError("it lacks adapter.lora.alpha")
    sides: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, dimensions in pieces.tensors.items():
        match = _PAIR.fullmatch(name)
        if match is None:
            raise MalformedError(f"the tensor {name!r} is no lora_a or lora_b")
        sides.setdefault(match["weight"], {})[match["side"]] = dimensions
    ranks: dict[str, int] = {}
    for weight, pair in sides.items():
        first, second = pair.get("a", ()), pair.get("b", ())
        if len(first) < _MATRIX or len(second) < _MATRIX:
            raise MalformedError(f"{weight!r} needs a lora_a and a lora_b, each with rows and columns")
        rank = first[0] if weight == _EMBEDDING else first[1]
        if rank != second[0] or rank > _RANK_MAX:
            raise MalformedError(f"lora_a and lora_b of {weight!r} do not match: {first} and {second}")
        ranks[weight] = rank
    if not ranks:
        raise MalformedError("it changes no weight")
    return ranks


def _foreign(adapter: Pieces, model: Pieces) -> str:
    """Why an adapter is not for a model; empty where it is."""
    made_for, is_for = adapter.text("general.architecture"), model.text("general.architecture")
    if made_for != is_for:
        return f"it is for the architecture {made_for!r}, the model is {is_for!r}"
    for weight in _ranks(adapter):
        dimensions = model.tensors.get(weight)
        if dimensions is None:
            return f"the model has no weight {weight!r}"
        first, second = adapter.tensors[f"{weight}.lora_a"], adapter.tensors[f"{weight}.lora_b"]
        # That of the embedding is stored the other way round, since its rows are looked up.
        inner, outer = (second[1], first[1]) if weight == _EMBEDDING else (first[0], second[1])
        if (inner, outer) != dimensions[:2]:
            return f"{weight!r} is {dimensions[0]} x {dimensions[1]} in the model, {inner} x {outer} in the adapter"
    return ""
