"""Versions of a model: which there are, switching a name to another one and back, and letting go of what nobody needs."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from freehold.domain.errors.model import ModelFileInvalid
from freehold.domain.errors.model_versions import ModelPinned, NoVersionBefore, VersionUnknown
from freehold.serving.canary_records import forget_records
from freehold.serving.installed import InstalledModel
from freehold.serving.names import NameState
from freehold.serving.registry import ModelRegistry

Standing = Literal["serves", "waits", "earlier"]

_SHORT = 12
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a name.

    Attributes:
        model: The version; its name is ``NAME@sha256:DIGEST``.
        standing: What it is to the name.
    """

    model: InstalledModel
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Unneeded:
    """A file that could go.

    Attributes:
        path: Which.
        size_bytes: What it holds.
        why: What it is, for people.
    """

    path: Path
    size_bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a garbage collection found.

    Attributes:
        unneeded: What could go, or went.
        in_use: Contents that no name needs, but a running gateway.
    """

    unneeded: tuple[Unneeded, ...]
    in_use: tuple[Path, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes that it frees."""
        return sum(each.size_bytes for each in self.unneeded)


def versions(registry: ModelRegistry, name: str) -> tuple[Version, ...]:
    """All versions of a name that are here, the one that serves first.

    Raises:
        ModelError: There is no such name.
    """
    state = _state(registry, name)
    wanted: dict[str, Standing] = {state.sha256: "serves"}
    if state.waiting:
        wanted.setdefault(state.waiting, "waits")
    for each in state.earlier:
        wanted.setdefault(each, "earlier")
    found: list[Version] = []
    for digest, standing in wanted.items():
        model = registry.find(_named(name, digest))
        if model is not None:
            found.append(Version(model=model, standing=standing))
    return tuple(found)


def version(registry: ModelRegistry, name: str, digest: str = "") -> InstalledModel:
    """A version by its digest or the beginning of it; the one that waits where none is given.

    One that waited until a newer one was fetched is found by its whole digest, as long as its file is here.

    Raises:
        ModelError: There is no such name.
        VersionUnknown: There is no such version of it, or the beginning fits several.
    """
    there = versions(registry, name)
    others = [each for each in there if each.standing != "serves"]
    if not digest:
        fitting = [each for each in others if each.standing == "waits"]
    else:
        wanted = digest.removeprefix("sha256:").lower()
        fitting = [each for each in there if wanted and each.model.sha256.startswith(wanted)]
        fitting = fitting or _replaced(registry, name, wanted)
    if len(fitting) != 1:
        known = ", ".join(f"{each.model.sha256[:_SHORT]} ({each.standing})" for each in there)
        raise VersionUnknown(name=name, version=repr(digest) if digest else "that waits", known=f"There are: {known}.")
    return fitting[0].model


def _replaced(registry: ModelRegistry, name: str, sha256: str) -> list[Version]:
    """A content that is here and that no other name has; none where there is no such."""
    model = registry.find(_named(name, sha256)) if _DIGEST.fullmatch(sha256) else None
    if model is None or (model.names and name not in model.names):
        return []
    others = [each for each in registry.states() if each.name != name]
    if any(sha256 in {each.sha256, each.waiting, *each.earlier} for each in others):
        return []
    return [Version(model=model, standing="earlier")]


def switch(registry: ModelRegistry, name: str, sha256: str, *, unix_ms: int) -> NameState:
    """Let ``sha256`` serve as ``name`` from now on, by one rename; the version before is kept.

    The file is checked against its digest and its header read before: what could not be loaded is never switched to.

    Raises:
        ModelError: There is no such name, or no such content.
        ModelPinned: The name is pinned.
        ModelError: The file is not what it should be.
    """
    loadable(registry, _named(name, sha256))
    with _changed(registry, name) as state:
        moved = state.led_to(sha256, unix_ms=unix_ms)
        registry.names.write(moved)
    return moved


def rollback(registry: ModelRegistry, name: str, *, unix_ms: int) -> NameState:
    """Let the version before serve again; the one that served waits.

    Raises:
        NoVersionBefore: There is none, or it is not here any more.
        ModelError: As ``switch``.
    """
    state = _state(registry, name)
    if not state.earlier or registry.find(_named(name, state.earlier[0])) is None:
        raise NoVersionBefore(name=name)
    loadable(registry, _named(name, state.earlier[0]))
    with _changed(registry, name) as state:
        try:
            moved = state.gone_back(unix_ms=unix_ms)
        except LookupError as error:
            raise NoVersionBefore(name=name) from error
        registry.names.write(moved)
    return moved


def pin(registry: ModelRegistry, name: str, *, on: bool) -> NameState:
    """Keep a name from being switched, or let it be.

    Raises:
        ModelError: There is no such name.
    """
    with registry.names.changing():
        state = replace(_state(registry, name), pinned=on)
        registry.names.write(state)
    return state


def collect(registry: ModelRegistry, *, remove: bool, rollbacks: bool = False) -> Collected:
    """What no name needs; with ``remove`` it goes.

    A name needs what serves, what waits and the version before. What a gateway of this machine runs stays in any case;
    so does what is being fetched: partial files are not looked at.

    Args:
        registry: Of which.
        remove: Whether it is removed, or only told.
        rollbacks: Let go of the versions before and of those that wait, too.
    """
    with registry.names.changing():
        states = registry.states()
        if rollbacks:
            held = {state.sha256 for state in states}
        else:
            held = {digest for state in states for digest in state.held}
        unneeded: list[Unneeded] = []
        in_use: list[Path] = []
        gone: set[str] = set()
        for manifest in registry.shelf.all():
            if manifest.sha256 in held:
                continue
            if registry.shelf.in_use(manifest):
                in_use.append(registry.shelf.model_path(manifest))
                continue
            gone.add(manifest.sha256)
            unneeded.append(_content(registry, manifest.sha256, states))
            if remove:
                registry.shelf.drop(manifest)
        if remove:
            for state in states:
                if gone & {state.waiting, *state.earlier}:
                    registry.names.write(_without(state, gone))
        for path in _strays(registry, gone):
            unneeded.append(Unneeded(path=path, size_bytes=path.stat().st_size, why="no manifest knows it"))
            if remove:
                path.unlink(missing_ok=True)
        if remove:
            forget_records(registry.folder, {each.sha256 for each in registry.shelf.all()})
    return Collected(unneeded=tuple(unneeded), in_use=tuple(in_use))


def loadable(registry: ModelRegistry, reference: str) -> InstalledModel:
    """The model of a reference, checked as it is before an engine gets it.

    Raises:
        ModelError: It is not here, or not what it should be.
    """
    model = registry.resolve(reference)
    if model.tokenizer is None and not model.packed:
        return registry.load(reference).model
    registry.verify(model)
    registry.check_signed(model)
    return model


@contextmanager
def _changed(registry: ModelRegistry, name: str) -> Generator[NameState]:
    """The state of a name that may be moved, with nobody else moving it meanwhile."""
    with registry.names.changing():
        state = _state(registry, name)
        if state.pinned:
            raise ModelPinned(name=name, digest=f"sha256:{state.sha256}")
        yield state


def _state(registry: ModelRegistry, name: str) -> NameState:
    state = registry.state(name)
    if state is None:
        raise registry.missing(name)
    return state


def _named(name: str, sha256: str) -> str:
    return f"{name}@sha256:{sha256}"


def _content(registry: ModelRegistry, sha256: str, states: Iterable[NameState]) -> Unneeded:
    manifest = registry.shelf.read(sha256)
    if manifest is None:
        raise ModelFileInvalid(path=sha256, reason="its manifest is gone")
    whose = [state.name for state in states if sha256 in {state.waiting, *state.earlier}]
    why = f"a version of {', '.join(whose)}" if whose else "no name leads to it"
    shared = {each.tokenizer_sha256 for each in registry.shelf.all() if each.sha256 != sha256}
    files = [path for path in registry.shelf.files(manifest) if path.name[7:71] not in shared]
    size_bytes = sum(path.stat().st_size for path in files if path.exists())
    return Unneeded(path=registry.shelf.model_path(manifest), size_bytes=size_bytes, why=why)


def _strays(registry: ModelRegistry, gone: set[str]) -> list[Path]:
    """Blobs that no manifest knows, readable or not: what a crash between two renames leaves."""
    if registry.shelf.damaged():
        return []  # what a damaged manifest holds may still be wanted
    known = {path for manifest in registry.shelf.all() for path in registry.shelf.files(manifest)}
    known |= {path for digest in gone for path in (registry.folder / "blobs").glob(f"sha256-{digest}.*")}
    there = [path for path in sorted((registry.folder / "blobs").glob("sha256-*.*")) if path.is_file()]
    return [path for path in there if path not in known]


def _without(state: NameState, gone: set[str]) -> NameState:
    earlier = tuple(each for each in state.earlier if each not in gone)
    return replace(state, earlier=earlier, waiting="" if state.waiting in gone else state.waiting)
