"""Is there a newer version of what is here? Asked only when somebody asks; nothing is fetched but words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from freehold.domain.model_ports import HubFiles, HubWords
from freehold.serving.catalogue import Catalogue, PackageOrigin
from freehold.serving.installed import InstalledModel
from freehold.serving.reference import HUB_PREFIX, HubReference, parse_reference
from freehold.serving.registry import ModelRegistry


class Hub(HubFiles, HubWords, Protocol):
    """Files of a hub, and what is written about them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a name that is not the one that serves.

    Attributes:
        name: The name.
        sha256: Digest of the file.
        size_bytes: Its length.
        license: What the makers state; may be empty.
        repo: ``OWNER/NAME`` at the hub; empty where it comes from packages.
        filename: Its path there.
        revision: Its commit there.
        notes: The model's card; other people's words.
        changes: Titles of the commits since the version that serves.
        packages: Where it comes from otherwise.
        is_here: Whether it was fetched already.
    """

    name: str
    sha256: str
    size_bytes: int
    license: str
    repo: str = ""
    filename: str = ""
    revision: str = ""
    notes: str = ""
    changes: tuple[str, ...] = ()
    packages: PackageOrigin | None = None
    is_here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of newer versions of a name.

    Attributes:
        model: What serves.
        offer: What could be had; ``None`` for nothing newer.
        told: Why nothing is offered, for people; empty where something is.
    """

    model: InstalledModel
    offer: Offer | None
    told: str = ""


async def outlook(registry: ModelRegistry, name: str, *, hub: Hub) -> Outlook:
    """Ask where a model came from whether there is a newer version.

    What came from the hub is asked for there, at the branch that its name or the catalogue names; what came from
    packages is held against the catalogue, whose digest is the only word on packages that can be checked.

    Raises:
        ModelError: There is no such name, or the hub cannot be asked.
    """
    model = registry.find(name)
    if model is None:
        raise registry.missing(name)
    if model.tokenizer is not None or model.packed:
        return Outlook(
            model=model, offer=None, told="it comes with the catalogue of this Freehold, and changes with it"
        )
    source = _hub_source(registry.catalogue, name, model)
    if source is None:
        return _of_catalogue(registry, name, model)
    repo, filename, revision = source
    file = await hub.describe(repo=repo, filename=filename, revision=revision)
    if file.sha256 == model.sha256:
        return Outlook(model=model, offer=None, told=f"it is the newest at {revision} of {repo}")
    installed = model.origin.rpartition("@")[2] if model.origin.startswith(HUB_PREFIX) else ""
    notes = await hub.notes(repo=repo, revision=file.revision, since=installed)
    offer = Offer(
        name=name,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        license=notes.license,
        repo=repo,
        filename=filename,
        revision=file.revision,
        notes=notes.text,
        changes=notes.changes,
        is_here=registry.shelf.read(file.sha256) is not None,
    )
    return Outlook(model=model, offer=offer)


def _hub_source(catalogue: Catalogue, name: str, model: InstalledModel) -> tuple[str, str, str] | None:
    """Repository, file and branch of what came from the hub; ``None`` for what did not.

    The catalogue's own entries are pinned to a commit and a digest: for them it is the word.
    """
    if name in catalogue.entries or not model.origin.startswith(HUB_PREFIX):
        return None
    reference = parse_reference(name)
    if isinstance(reference, HubReference):
        return reference.repo, reference.filename, reference.revision
    return None


def _of_catalogue(registry: ModelRegistry, name: str, model: InstalledModel) -> Outlook:
    entry = registry.catalogue.entries.get(name)
    if entry is None:
        return Outlook(model=model, offer=None, told=f"nobody can be asked about {model.origin or 'it'}")
    if not entry.sha256 or entry.sha256 == model.sha256:
        return Outlook(model=model, offer=None, told="it is what the catalogue of this Freehold names")
    hub = entry.hub
    offer = Offer(
        name=name,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        license=entry.license,
        repo="" if hub is None or entry.packages is not None else hub.repo,
        filename="" if hub is None else hub.filename,
        revision="" if hub is None else hub.revision,
        notes=f"{entry.title}, as the catalogue of this Freehold names it.",
        packages=entry.packages,
        is_here=registry.shelf.read(entry.sha256) is not None,
    )
    return Outlook(model=model, offer=offer)
