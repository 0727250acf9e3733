"""The model that ``freehold fit`` is asked about: its numbers, wherever its files are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from freehold.cli import output
from freehold.cli.hub import hub_of, with_hub
from freehold.cli.pulling import registry_of
from freehold.config.load import data_folder
from freehold.domain.hardware import ModelShape
from freehold.serving.catalogue import CatalogueEntry
from freehold.serving.gguf import read_header, read_weight_bytes
from freehold.serving.looked_at import FolderBeginnings, LookedAt, look_at
from freehold.serving.reference import HUB_PREFIX, parse_remote
from freehold.serving.registry import InstalledModel

if TYPE_CHECKING:
    from freehold.net.hub import HubSource

_SAFETENSORS = (".safetensors", ".safetensors.index.json")
_PROJECTORS = "*mmproj*.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked about.

    Attributes:
        shape: The numbers of its header.
        parameters: Number of its weights; 0 where unknown.
        path: Its file, where that is one that the engine here reads.
        projector_bytes: Weights of the projector beside it; 0 for none.
    """

    shape: ModelShape
    parameters: int
    path: Path | None = None
    projector_bytes: int = 0


def asked_of(model: str) -> Asked:
    """The model of a name, a path or a reference to a hub; of a hub only if it is not installed.

    Raises:
        ModelError: There is no such model, or its files are not what they should be.
        UsageError: It is none that writes.
    """
    if model.startswith(HUB_PREFIX):
        installed = registry_of(data_folder()).find(model)
        return _of_installed(installed, model) if installed is not None else _remote(model)
    if model.endswith(".gguf"):
        return _of_file(Path(model).resolve())
    path = Path(model)
    if model.endswith(_SAFETENSORS) or (path.is_dir() and any(path.glob("*.safetensors"))):
        whole = path.is_dir() or model.endswith(".index.json")
        files = FolderBeginnings(path if path.is_dir() else path.parent)
        return _looked_at(asyncio.run(look_at(files, "" if whole else path.name)))
    registry = registry_of(data_folder())
    found, entry = registry.find(model), registry.catalogue.entries.get(model)
    if found is None and entry is None:
        found = registry.resolve(model)
    return _of_installed(found, model) if found is not None and found.tokenizer is None else _of_entry(entry, model)


def _of_installed(installed: InstalledModel, model: str) -> Asked:
    if installed.tokenizer is not None:
        raise output.UsageError(f"{model} is no model that writes; what embeds or ranks needs what its file has.")
    header = read_header(installed.path)
    return Asked(shape=header.shape, parameters=header.parameters, path=installed.path)


def _of_entry(entry: CatalogueEntry | None, model: str) -> Asked:
    if entry is None or entry.onnx is not None:
        raise output.UsageError(f"{model} is no model that writes; what embeds or ranks needs what its file has.")
    return Asked(shape=entry.model_shape, parameters=entry.parameters)


def _of_file(path: Path) -> Asked:
    """A file of the user's own, with the largest of the projectors beside it."""
    header = read_header(path)
    beside = [each for each in path.parent.glob(_PROJECTORS) if each.name != path.name]
    projector_bytes = max((read_weight_bytes(each) for each in beside), default=0)
    return Asked(shape=header.shape, parameters=header.parameters, path=path, projector_bytes=projector_bytes)


def _looked_at(found: LookedAt) -> Asked:
    return Asked(shape=found.shape, parameters=found.parameters)


def _remote(model: str) -> Asked:
    """From a hub, where this process may ask one: the beginnings of the files that were named, nothing else."""
    from freehold.cli.fit_remote import HubBeginnings  # lazy: only here is a network needed
    from freehold.net.hub_ranges import HubRanges  # lazy: as above

    reference = parse_remote(model)

    async def look(source: HubSource) -> tuple[LookedAt, int]:
        files = HubBeginnings(HubRanges(source), repo=reference.repo, revision=reference.revision)
        return await look_at(files, reference.filename), files.read_bytes

    found, read_bytes = with_hub(hub_of(""), look)
    output.note(f"{model}: {read_bytes / 1e6:.1f} MB read, the beginnings of its files.")
    return _looked_at(found)
